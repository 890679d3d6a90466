"""How many slices a device computes at once: grown until more bring nothing, never past the memory."""

from __future__ import annotations

from collections.abc import Callable

#: Slices in one pass where the search begins, and where it ends. Past this the slices of one volume are too few to
#: fill a batch, making the next ones could no longer go on meanwhile, and those made ahead fill the main memory.
SMALLEST, LARGEST = 16, 128
#: A doubled batch has to give at least so many times the slices per second.
_WORTHWHILE = 1.1
#: The share of free memory that a batch may take: the views of Slicer live on the same card.
_SHARE = 0.5


def fastest_batch_size(
    seconds: Callable[[int], float | None], memory: Callable[[], int] = lambda: 0, free: int | None = None
) -> int:
    """The smallest batch size beyond which speed grows no more.

    Args:
        seconds: how long a pass of so many slices takes; None if it does not fit into the memory.
        memory: bytes that the last pass needed, 0 where that is not known.
        free: bytes that were free before; None where that is not known.

    Returns:
        A power of two times SMALLEST, or 1 if not even that many fit: smaller ones are found by halving.
    """
    best, speed = 1, 0.0
    size = SMALLEST
    while size <= LARGEST:
        took = seconds(size)
        if took is None or size / took < speed * _WORTHWHILE:
            break
        best, speed = size, size / took
        if free is not None and 2 * memory() > _SHARE * free:
            break
        size *= 2
    return best
