"""Stages 2 and 3: the similarity matrix and the score of late interaction (METHOD.md; arXiv 2405.09334, 2.5.2-2.5.3).

    S = Q C^T                          eq. 4    S[i, j]: cosine similarity of query slice i and candidate slice j
    RS(Q, C) = sum_i max_j S[i, j]     eq. 5

Plain functions on plain arrays of unit rows. Many volumes are scored in matrix products of blocks small enough that
the product is still in the processor's cache when its maxima are taken: that makes the maxima nearly free, and the
whole as fast as the matrix product itself (exhaustive scoring is compute-bound, ENGINES.md "The limit").
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..errors import QueryError
from .centering import CenteredProduct

#: Values of S computed at a time: 200k float32 are 0.8 MB, which stays in the second-level cache.
BLOCK_VALUES = 200_000
#: Rows of a block at least (short blocks make slow products) and at most (a block is also a copy, for float16 rows).
BLOCK_ROWS = (256, 8192)


def similarity_matrix(query: np.ndarray, candidate: np.ndarray) -> np.ndarray:
    """S = Q C^T (eq. 4): float32 [n_q, d] and [n_c, d] to float32 [n_q, n_c]."""
    check_dimensions(query, candidate)
    return as_float32(query) @ as_float32(candidate).T


def score(similarity: np.ndarray) -> float:
    """RS (eq. 5) of one candidate from its similarity matrix [n_q, n_c]; at most n_q."""
    return float(np.asarray(similarity).max(axis=1).sum(dtype=np.float64))


def score_volumes(
    query: np.ndarray, rows: np.ndarray, offsets: np.ndarray, mean: np.ndarray | None = None
) -> np.ndarray:
    """RS of every volume of a contiguous matrix, exactly.

    Args:
        query: float32 [n_q, d].
        rows: float32 (or float16, see :func:`as_float32`) [N, d], the volumes' rows one after another.
        offsets: int [V + 1]; volume v is rows[offsets[v]:offsets[v + 1]] and has at least one row.
        mean: float32 [d], subtracted from both sides first (centering.py); None for the score of the paper.

    Returns:
        float32 [V], each at most n_q.
    """
    bounds = np.asarray(offsets, dtype=np.int64)
    return score_segments(query, rows, bounds[:-1], np.diff(bounds), mean)


def score_segments(
    query: np.ndarray, rows: np.ndarray, first: np.ndarray, count: np.ndarray, mean: np.ndarray | None = None
) -> np.ndarray:
    """RS of some volumes of a matrix that holds more: volume v is rows[first[v]:first[v] + count[v]].

    Volumes that follow one another are scored in one product, so give them in the matrix's order where speed matters.
    Float32 rows are not copied. Returns float32 [V].
    """
    scores = np.empty(len(first), np.float32)
    for chosen, best in _maxima(query, rows, first, count, mean):
        scores[chosen] = best.sum(axis=0, dtype=np.float64)
    return scores


def maxima_of_segments(
    query: np.ndarray, rows: np.ndarray, first: np.ndarray, count: np.ndarray, mean: np.ndarray | None = None
) -> np.ndarray:
    """max_j S[i, j] of every query slice i in each of these volumes (see :func:`score_segments`): float32 [n_q, V]."""
    maxima = np.empty((len(query), len(first)), np.float32)
    for chosen, best in _maxima(query, rows, first, count, mean):
        maxima[:, chosen] = best
    return maxima


def _maxima(
    query: np.ndarray, rows: np.ndarray, first: np.ndarray, count: np.ndarray, mean: np.ndarray | None
) -> Iterator[tuple[slice, np.ndarray]]:
    """Runs of volumes, and for each float32 [n_q, volumes of the run], the greatest similarities."""
    for chosen, product, starts in products(query, rows, first, count, mean):
        yield chosen, np.maximum.reduceat(product, starts, axis=1)


def products(
    query: np.ndarray, rows: np.ndarray, first: np.ndarray, count: np.ndarray, mean: np.ndarray | None
) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """S of runs of volumes, small enough to be still in the cache.

    Args: see :func:`score_segments`.

    Yields:
        which volumes the run is of; float32 [n_q, rows of the run], valid until the next; and int64 [volumes of the
        run], the column where each begins.
    """
    check_dimensions(query, rows)
    query = np.ascontiguousarray(query, dtype=np.float32)
    centering = None if mean is None else CenteredProduct(query, mean)
    query = query if centering is None else centering.rows
    first, count = np.asarray(first, dtype=np.int64), np.asarray(count, dtype=np.int64)
    if len(count) and (count.min() < 1 or first.min() < 0 or (first + count).max() > len(rows)):
        raise ValueError(f"every volume needs one row or more within the {len(rows)} rows of the matrix")
    limit = int(np.clip(BLOCK_VALUES // len(query), *BLOCK_ROWS))
    buffer = np.empty(len(query) * max(limit, int(count.max(initial=0))), np.float32)
    for v, w in _blocks(first, count, limit):
        begin, end = int(first[v]), int(first[w - 1] + count[w - 1])
        product = buffer[: len(query) * (end - begin)].reshape(len(query), end - begin)
        np.matmul(query, as_float32(rows[begin:end]).T, out=product)
        similarity = product if centering is None else centering.similarity(product)
        yield slice(v, w), similarity, first[v:w] - begin


def as_float32(rows: np.ndarray) -> np.ndarray:
    """Rows for the matrix product, as they are if they are float32.

    Float16 rows are made unit rows again: rounding moved their length by up to 2^-11, and the score sums that up.
    """
    if rows.dtype == np.float32:
        return rows
    wide = rows.astype(np.float32)
    wide /= np.maximum(np.sqrt(np.einsum("nd,nd->n", wide, wide)), 1e-12)[:, None]
    return wide


def check_dimensions(query: np.ndarray, rows: np.ndarray) -> None:
    """QueryError unless both are matrices of rows of one length and the query has a row."""
    if query.ndim != 2 or rows.ndim != 2:
        raise QueryError(f"expected matrices of embeddings [n, d], got shapes {query.shape} and {rows.shape}")
    if len(query) == 0:
        raise QueryError("the query has no slices")
    if query.shape[1] != rows.shape[1]:
        raise QueryError(
            f"the query's embeddings have {query.shape[1]} values, the archive's {rows.shape[1]}: "
            "embed the query with the encoder that the archive was indexed with"
        )


def _blocks(first: np.ndarray, count: np.ndarray, limit: int) -> Iterator[tuple[int, int]]:
    """Runs v:w of volumes that lie one after another in the matrix and have at most `limit` rows together.

    A volume of more rows than that is a run of its own.
    """
    end = first + count
    # Where a volume does not follow the one before it, a run must end.
    breaks = np.append(np.flatnonzero(first[1:] != end[:-1]) + 1, len(first))
    v = 0
    while v < len(first):
        stop = int(breaks[np.searchsorted(breaks, v, side="right")])
        fits = int(np.searchsorted(end[v:stop], first[v] + limit, side="right"))
        yield v, v + max(fits, 1)
        v += max(fits, 1)
