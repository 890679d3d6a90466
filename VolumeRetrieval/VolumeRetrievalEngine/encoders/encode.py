"""A stack's slices through an encoder, with the next batch of images made while the encoder works on this one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from ..errors import EncoderError
from ..preprocessing import Stack, chain
from ..progress import Progress, ProgressCallback
from ..recipe import Recipe
from .base import Encoder

#: Slices made ahead at least: enough that handing them over costs nothing, few enough to stay in the processor's cache.
_FEWEST_AHEAD = 8


def recipe_for(encoder: Encoder, **values: Any) -> Recipe:
    """The recipe of this encoder; `values` are the other entries of a Recipe (plane, slice_step_mm, crop ...)."""
    return Recipe(
        encoder=encoder.name,
        weights=encoder.weights,
        normalisation=getattr(encoder, "normalisation", ""),
        **{"size": encoder.input_size, **values},
    )


def encode(
    stack: Stack,
    encoder: Encoder,
    batch_size: int | None = None,
    progress: ProgressCallback | None = None,
    rows: np.ndarray | None = None,
) -> np.ndarray:
    """Embeddings of a stack's kept slices, or of these rows of it.

    Args:
        batch_size: slices made and embedded at once; None is what the encoder runs at once, and at least 8.
        progress: called after each batch with the slices done; may raise Cancelled.

    Returns:
        float32 [n, d], unit rows.

    Raises:
        EncoderError: the stack was made for another input size, or the encoder returned something else.
    """
    if stack.size != encoder.input_size:
        raise EncoderError(
            f"slices of {stack.size} pixels for the encoder {encoder.name}, which takes {encoder.input_size}: "
            "preprocess with recipe_for(encoder)"
        )
    batch_size = batch_size or max(_FEWEST_AHEAD, getattr(encoder, "batch_size", _FEWEST_AHEAD))
    total = len(stack) if rows is None else len(rows)
    embeddings = np.empty((total, encoder.dimension), dtype=np.float32)
    done = 0
    for images in prefetched(stack.images(rows, batch_size, getattr(encoder, "compose", chain))):
        embeddings[done : done + len(images)] = encoder.embed(images)
        done += len(images)
        if progress is not None:
            progress(Progress("embed", done, total))
    return embeddings


def prefetched(batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The same batches, each made in a second thread while the one before is being used; at most one is ahead.

    numpy releases the interpreter's lock in what images are made with, so the two threads do run at once.
    """
    source = iter(batches)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="slices") as maker:
        upcoming = maker.submit(next, source, None)
        while (batch := upcoming.result()) is not None:
            upcoming = maker.submit(next, source, None)
            yield batch
