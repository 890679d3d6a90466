"""Who reads and embeds the volumes of an indexing run: this process, or others (cluster/)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Sequence
from typing import Protocol

import numpy as np

from ..encoders.base import Encoder
from ..encoders.networks.device import concurrent_calls
from ..errors import EncoderError, UnreadableFileError
from ..method.pooling import pool
from ..preprocessing import chain
from ..reading import Skipped, VolumeSource
from ..recipe import Recipe
from ..store import NewVolume
from .concurrent_embedding import embedded
from .read_ahead import BATCH_SIZE, PreparedVolume, ReadAhead

logger = logging.getLogger(__name__)

#: What became of a source: the volume as it is stored, or why there is none.
Outcome = NewVolume | Skipped


class VolumeEmbedding(Protocol):
    """Reads and embeds volumes, for one writer to store."""

    def embedded(
        self, sources: Sequence[VolumeSource], recipe: Recipe, tell: Callable[[VolumeSource], None]
    ) -> Generator[tuple[VolumeSource, Outcome], None, None]:
        """Every source with what became of it, in any order, as each is finished.

        Closing the iterator ends the work.

        Args:
            tell: called with a source before it is worked on; what it raises ends the work.
        """
        ...


class InThisProcess:
    """One volume after the other, with the next slices made while the encoder works on these."""

    def __init__(self, encoder: Encoder):
        self._encoder = encoder

    def embedded(
        self, sources: Sequence[VolumeSource], recipe: Recipe, tell: Callable[[VolumeSource], None]
    ) -> Generator[tuple[VolumeSource, Outcome], None, None]:
        """See :class:`VolumeEmbedding`; in the order of the sources."""
        compose = getattr(self._encoder, "compose", chain)
        # Of a volume with few slices every thread shall have some.
        fewest = BATCH_SIZE // _calls_at_once(self._encoder)
        batch_size = max(fewest, getattr(self._encoder, "batch_size", fewest))
        with ReadAhead(sources, recipe, compose, batch_size) as volumes:
            for item, source in zip(volumes, sources, strict=True):
                tell(source)
                yield source, self._embedded(item) if isinstance(item, PreparedVolume) else item

    def _embedded(self, prepared: PreparedVolume) -> Outcome:
        source = prepared.source
        try:
            return embedded_volume(prepared, self._encoder)
        except UnreadableFileError as error:
            return Skipped(source.path, error.reason, True, source.identity.series_uid)
        except Exception as error:  # one volume that cannot be embedded must not end the archive's run
            logger.debug("could not embed %s", source.path, exc_info=True)
            reason = f"could not be embedded: {error or type(error).__name__}"
            return Skipped(source.path, reason, True, source.identity.series_uid)


def embedded_volume(prepared: PreparedVolume, encoder: Encoder) -> NewVolume:
    """The volume as it is stored; EncoderError unless the encoder gave one finite row for each slice."""
    source, table = prepared.source, prepared.table
    made = embedded(prepared.batches, encoder, _calls_at_once(encoder))
    embeddings = np.concatenate([_checked(rows, count, encoder) for rows, count in made])
    pooled, first = pool(embeddings, table.position)
    return NewVolume(
        identity=source.identity,
        files=source.files,
        attributes=prepared.attributes,
        geometry=prepared.geometry.to_dict(),
        plane=prepared.geometry.plane,
        n_slices=prepared.n_slices,
        slices=table,
        embeddings=embeddings,
        pooled=pooled,
        pooled_first=first,
        outlines=prepared.outlines,
        thumbnails=prepared.thumbnails,
        device=_where(encoder),
        precision=encoder.precision,
        notes=prepared.notes,
    )


def _calls_at_once(encoder: Encoder) -> int:
    """How many batches to embed at once: a graphics card takes one after the other."""
    return concurrent_calls() if encoder.device == "cpu" else 1


def _where(encoder: Encoder) -> str:
    """What the encoder runs on, and by which library if there is a choice: "cpu (onnxruntime)"."""
    backend = getattr(encoder, "backend", "")
    return f"{encoder.device} ({backend})" if backend else encoder.device


def _checked(rows: np.ndarray, n_slices: int, encoder: Encoder) -> np.ndarray:
    """What an encoder returned for a batch, if it is what an encoder has to return."""
    expected = (n_slices, encoder.dimension)
    if np.shape(rows) != expected:
        raise EncoderError(f"the encoder {encoder.name} returned an array {np.shape(rows)}, expected {expected}")
    if not np.isfinite(rows).all():
        raise EncoderError(f"the encoder {encoder.name} returned values that are NaN or infinite")
    return rows
