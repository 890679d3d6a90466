"""Stage 1: which volumes are worth comparing in full (METHOD.md, stage 1; arXiv 2405.09334, 2.5.1).

slices   the paper's: every query slice searches the slice index; each volume with a slice among the found ones is
         a candidate. How far to search is our choice: until k distinct volumes are reached, because the nearest
         slices are neighbors of each other in a few volumes (ENGINES.md, fact 1).
pooled   groups of adjacent slices on both sides (fact 2): cheap enough to compare with every volume, or searched
         in the pooled index where the archive is too large for that. For queries of more than 20 slices: fewer
         lose focal findings by pooling (fact 3).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..errors import QueryError
from .pooling import SPAN_MM, pool
from .row_search import Hits, RowSearch

#: Queries of more slices than this are filtered by pooled rows (ENGINES.md, fact 3).
SLICES_UP_TO = 20
#: Distinct volumes that every query slice (or pooled row) searches for.
DISTINCT_VOLUMES = 20
#: The best this many of the pooled filter are compared in full.
RERANK = 100

FilterName = Literal["slices", "pooled"]

#: Scores the volumes of an index (all, or those with these keys): int64 [v] keys, float32 [v] scores.
ScoreByIndex = Callable[[RowSearch, np.ndarray, np.ndarray | None], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Candidates:
    """Volumes, best first.

    Attributes:
        keys: int64 [c].
        first_stage: float32 [c], what they are ordered by: for `slices` and `pooled` the late-interaction score as far
            as the filter knows it, divided by the rows it searched with; for baselines (baselines.py) their own score.
    """

    keys: np.ndarray
    first_stage: np.ndarray

    def __len__(self) -> int:
        return len(self.keys)

    def best(self, n: int | None) -> Candidates:
        """The first n, or all."""
        return self if n is None else Candidates(self.keys[:n], self.first_stage[:n])


def filter_for(n_query: int) -> FilterName:
    """The filter for a query of this many slices."""
    return "slices" if n_query <= SLICES_UP_TO else "pooled"


def candidates_by_slices(
    index: RowSearch,
    query: np.ndarray,
    k: int = DISTINCT_VOLUMES,
    allowed_keys: np.ndarray | None = None,
    mean: np.ndarray | None = None,
) -> Candidates:
    """Every volume that a query slice came upon while it searched for k distinct volumes.

    Args:
        index: of level "slices" (or "pooled", with pooled queries).
        query: float32 [n_q, d].
        allowed_keys: int64, the volumes that may be found; None for all.
        mean: float32 [d], subtracted first (centering.py) where all rows are compared anyway; a search of the nearest
            rows finds those that are near as they were embedded.
    """
    check_query(query)
    if index.compares_all:
        return _by_maxima(*index.maxima(query, allowed_keys, mean), k)
    return _by_late_interaction(search_distinct(index, query, k, allowed_keys))


def candidates_by_pooled(
    index: RowSearch,
    query: np.ndarray,
    positions_mm: np.ndarray,
    rerank: int | None = RERANK,
    k: int = DISTINCT_VOLUMES,
    allowed_keys: np.ndarray | None = None,
    span_mm: float = SPAN_MM,
    score: ScoreByIndex | None = None,
) -> Candidates:
    """The volumes whose pooled rows resemble the query's most.

    Args:
        index: of level "pooled".
        query: float32 [n_q, d], not pooled.
        positions_mm: float [n_q], where the query's slices lie along its stack.
        rerank: how many at most; None for all that were scored.
        k: distinct volumes that each pooled row searches for, where the archive is too large to compare with all.
        span_mm: extent of a group; that of the archive's.
        score: what volumes are scored by; RS / n_q if None.
    """
    check_query(query)
    pooled, _first = pool(query, positions_mm, span_mm)
    if not index.holds_rows:  # Only what was found is known of a volume, so that more has to be found.
        return candidates_by_slices(index, pooled, max(k, rerank or 0), allowed_keys).best(rerank)
    if not index.compares_all:
        allowed_keys = candidates_by_slices(index, pooled, k, allowed_keys).keys
    keys, scores = (score or mean_maximum)(index, pooled, allowed_keys)
    return ranked(keys, scores).best(rerank)


def mean_maximum(index: RowSearch, query: np.ndarray, keys: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Keys, and RS / n_q, the score of the paper, of these volumes, or of all."""
    known, scores = index.scores(query, keys)
    return known, scores / np.float32(len(query))


def search_distinct(
    index: RowSearch, queries: np.ndarray, k: int, allowed_keys: np.ndarray | None = None
) -> list[Hits]:
    """For each query row, nearest rows until k distinct volumes are among them, or there are no more rows.

    Returns one Hits for each query row, [1, k'] with as many rows as it took.
    """
    check_query(queries)
    n_volumes, n_rows = index.count_allowed(allowed_keys)
    hits: list[Hits] = [index.search(queries[:1], 0)] * len(queries)
    open_queries = np.arange(len(queries))
    # Five rows for each volume suffice mostly: the nearest slices come as runs of neighbors.
    fetch = min(5 * k, n_rows)
    while len(open_queries) and fetch:
        found = index.search(queries[open_queries], fetch, allowed_keys)
        reached = np.array([len(np.unique(keys[keys >= 0])) for keys in found.key])
        done = (reached >= min(k, n_volumes)) | (fetch >= n_rows)
        for i in np.flatnonzero(done):
            one = slice(i, i + 1)
            hits[open_queries[i]] = Hits(found.similarity[one], found.key[one], found.row[one])
        open_queries = open_queries[~done]
        fetch = min(2 * fetch, n_rows)
    return hits


def _by_maxima(keys: np.ndarray, maxima: np.ndarray, k: int) -> Candidates:
    """The k nearest volumes of every query row, from its greatest similarity in each volume, float32 [n_q, v].

    What searching until k distinct volumes are reached comes to, without the searching: where all rows are compared
    anyway, taking the maxima by volume is cheaper than sorting rows.
    """
    nearest = np.argpartition(-maxima, k - 1, axis=1)[:, :k] if k < len(keys) else np.arange(len(keys))
    reached = np.unique(nearest)
    return ranked(keys[reached], maxima[:, reached].mean(axis=0, dtype=np.float64))


def _by_late_interaction(hits: list[Hits]) -> Candidates:
    """All volumes that were hit, by the mean over the query rows of their greatest similarity.

    Where a query row did not come upon a volume, nothing better than the last row it found can be in it, and that
    similarity is taken (the imputation of WARP, arXiv 2501.17788).
    """
    keys = np.unique(np.concatenate([one.key[one.key >= 0] for one in hits]))
    total = np.zeros(len(keys))
    for one in hits:
        found = one.key[0] >= 0
        similarity = one.similarity[0, found]
        best = np.full(len(keys), similarity.min(initial=np.inf))
        np.maximum.at(best, np.searchsorted(keys, one.key[0, found]), similarity)
        total += best
    return ranked(keys, total / max(len(hits), 1))


def ranked(keys: np.ndarray, score: np.ndarray, tie: np.ndarray | None = None) -> Candidates:
    """Volumes by falling score, then falling tie, then rising key."""
    order = np.lexsort((keys, np.zeros(len(keys)) if tie is None else -tie, -np.asarray(score, np.float64)))
    return Candidates(keys[order], np.asarray(score, np.float32)[order])


def check_query(query: np.ndarray) -> None:
    """QueryError unless it is one or more rows, [n, d]."""
    if query.ndim != 2 or len(query) == 0:
        raise QueryError(f"expected a query of one or more slices [n, d], got an array of shape {query.shape}")
