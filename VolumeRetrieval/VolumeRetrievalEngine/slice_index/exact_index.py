"""Exact nearest rows with numpy: the floor that needs no FAISS, and the reference for what FAISS finds."""

from __future__ import annotations

import numpy as np

from ..method.late_interaction import as_float32
from .row_map import ROWS_AT_A_TIME

#: Rows are kept in float32 up to this size: 1.4 million rows of 384 values.
FLOAT32_BYTES = 2 << 30

#: Similarities computed at a time; see late_interaction.BLOCK_VALUES for the reason.
_BLOCK_VALUES = 400_000


def nearest_rows(
    queries: np.ndarray, rows: np.ndarray, k: int, allowed: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The k rows of greatest inner product for each query, best first; equal ones by lower row.

    Args:
        queries: float32 [q, d].
        rows: float32 or float16 [N, d].
        allowed: bool [N]; None for all rows.

    Returns:
        float32 [q, k] similarities and int64 [q, k] rows; -inf and -1 where there are fewer than k.
    """
    number = np.arange(len(rows)) if allowed is None else np.flatnonzero(allowed)
    queries = np.ascontiguousarray(queries, dtype=np.float32)
    found = _Nearest(len(queries), k)
    block = max(k, int(np.clip(_BLOCK_VALUES // max(len(queries), 1), 256, 16_384)))
    for begin in range(0, len(number), block):
        chosen = number[begin : begin + block]
        contiguous = chosen[-1] - chosen[0] + 1 == len(chosen)
        part = rows[chosen[0] : chosen[-1] + 1] if contiguous else rows[chosen]
        found.offer(queries @ as_float32(part).T, chosen)
    return found.similarity, found.row


def merge_nearest(
    first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray], k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The k best of two results of different rows, each (similarity [q, .], row [q, .])."""
    similarity = np.concatenate((first[0], second[0]), axis=1)
    return best_first(similarity, np.concatenate((first[1], second[1]), axis=1), k)


def best_first(similarity: np.ndarray, row: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Sort each query's results by falling similarity, then rising row, and keep k (padded with -inf and -1)."""
    similarity = np.where(row < 0, -np.inf, similarity).astype(np.float32)
    order = np.lexsort((row, -similarity), axis=1)[:, :k]
    similarity, row = np.take_along_axis(similarity, order, 1), np.take_along_axis(row, order, 1)
    if (missing := k - similarity.shape[1]) > 0:
        similarity = np.pad(similarity, ((0, 0), (0, missing)), constant_values=-np.inf)
        row = np.pad(row, ((0, 0), (0, missing)), constant_values=-1)
    return similarity, row


class _Nearest:
    """The k best so far; rows are offered in rising order, so that an equal one that comes later loses."""

    def __init__(self, n_queries: int, k: int):
        self.similarity = np.full((n_queries, k), -np.inf, np.float32)
        self.row = np.full((n_queries, k), -1, np.int64)
        self._k = k

    def offer(self, products: np.ndarray, number: np.ndarray) -> None:
        """products float32 [q, b]: similarities of the rows `number` int64 [b]."""
        # Once k rows are known, few of a block are better than the worst of them: only those are sorted.
        better = products > self.similarity[:, -1:]
        for query in np.flatnonzero(better.any(axis=1)):
            new = np.flatnonzero(better[query])
            values = np.concatenate((self.similarity[query], products[query, new]))
            rows = np.concatenate((self.row[query], number[new]))
            # Stable: among equal values the earlier place, which is the lower row, stays in front.
            order = np.argsort(-values, kind="stable")[: self._k]
            self.similarity[query], self.row[query] = values[order], rows[order]


class ExactIndex:
    """Rows in memory, searched exactly; the same interface as faiss_index.FaissIndex.

    Float32 up to `FLOAT32_BYTES`, float16 (as in the store) beyond: half the memory for about 1.2 times the time.
    """

    kind = "numpy"

    def __init__(self, dimension: int, n_expected: int = 0):
        self._rows = np.empty((n_expected, dimension), _dtype_for(n_expected, dimension))
        self.n_rows = 0

    @property
    def dimension(self) -> int:
        return self._rows.shape[1]

    @property
    def size_bytes(self) -> int:
        return self._rows.nbytes

    @property
    def rows_at_a_time(self) -> int:
        """How many rows are best added at once."""
        return ROWS_AT_A_TIME

    @property
    def vectors(self) -> np.ndarray:
        """float32 or float16 [n_rows, d], a view that is valid until rows are added."""
        return self._rows[: self.n_rows]

    @property
    def matrices(self) -> list[np.ndarray]:
        """All rows, see faiss_index.FaissIndex."""
        return [self.vectors]

    def add(self, rows: np.ndarray) -> None:
        """Append float32 [n, d]."""
        needed = self.n_rows + len(rows)
        if needed > len(self._rows):
            # Growing by half each time keeps the copying in proportion to what is added.
            capacity = max(needed, len(self._rows) * 3 // 2)
            grown = np.empty((capacity, self.dimension), _dtype_for(capacity, self.dimension))
            grown[: self.n_rows] = self.vectors
            self._rows = grown
        self._rows[self.n_rows : needed] = rows
        self.n_rows = needed

    def search(self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """See :func:`nearest_rows`."""
        return nearest_rows(queries, self.vectors, k, allowed)


def _dtype_for(n_rows: int, dimension: int) -> type[np.floating]:
    return np.float32 if 4 * n_rows * dimension <= FLOAT32_BYTES else np.float16
