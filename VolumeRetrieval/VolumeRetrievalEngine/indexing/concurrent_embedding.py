"""Several batches through the encoder at once, each on a thread of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from ..encoders.base import Encoder


def embedded(batches: Iterable[np.ndarray], encoder: Encoder, calls: int) -> Iterator[tuple[np.ndarray, int]]:
    """The encoder's rows for each batch, in order, and how many slices the batch had.

    Args:
        batches: float32 [n, 3, size, size] each; read by the calling thread.
        calls: how many are in work at once. numpy, torch and onnxruntime release the interpreter's lock.
    """
    if calls <= 1:
        for images in batches:
            yield encoder.embed(images), len(images)
        return
    waiting: deque[tuple[Future[np.ndarray], int]] = deque()
    with ThreadPoolExecutor(calls, thread_name_prefix="embed") as pool:
        for images in batches:
            waiting.append((pool.submit(encoder.embed, images), len(images)))
            if len(waiting) >= calls:
                made, count = waiting.popleft()
                yield made.result(), count
        for made, count in waiting:
            yield made.result(), count
