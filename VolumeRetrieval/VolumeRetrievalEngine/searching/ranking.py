"""Filtering and late interaction put together: from query embeddings to ranked volumes (METHOD.md, stages 1 to 3)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from ..method.baselines import rank_by
from ..method.filtering import FilterName, candidates_by_pooled, candidates_by_slices, filter_for
from ..method.late_interaction import score_volumes
from ..method.reranking import rerank
from ..query.query import Query
from ..slice_index.row_map import Level
from .options import SearchOptions
from .session import SearchSession

#: Candidates whose embeddings are read from the store at a time, where the index does not hold them.
_VOLUMES_AT_A_TIME = 200


@dataclass(frozen=True)
class Ranking:
    """Volumes, best first.

    Attributes:
        keys: int64 [v].
        scores: float32 [v], RS / n_q (METHOD.md, stage 3), or a baseline's own score.
        first_stage: float32 [v], what made each a candidate; NaN where there was no first stage.
        filter: how the candidates were found: "slices", "pooled" or "none".
    """

    keys: np.ndarray
    scores: np.ndarray
    first_stage: np.ndarray
    filter: str


def levels_needed(options: SearchOptions, n_query: int) -> tuple[Level, ...]:
    """The indexes that a search of so many slices cannot do without."""
    pooled = options.ranking == "two-stage" and _filter_name(options, n_query) == "pooled"
    return ("pooled",) if pooled else ("slices",)


def rank_volumes(session: SearchSession, query: Query, allowed: np.ndarray, options: SearchOptions) -> Ranking:
    """Rank the allowed volumes as the options say.

    Args:
        session: up to date with its store.
        allowed: int64, the keys that may be returned.
    """
    if len(allowed) == 0:
        nothing = np.zeros(0, np.float32)
        return Ranking(np.zeros(0, np.int64), nothing, nothing, "none")
    if options.ranking == "exhaustive":
        return _exhaustive(session, query.embeddings, allowed)
    if options.ranking != "two-stage":
        ranked = rank_by(options.ranking, session.slices, query.embeddings, options.rows, allowed)
        return Ranking(ranked.keys, ranked.first_stage, ranked.first_stage, "none")
    name = _filter_name(options, len(query.embeddings))
    if name == "slices":
        candidates = candidates_by_slices(session.slices, query.embeddings, options.distinct, allowed)
    else:
        candidates = candidates_by_pooled(
            session.pooled, query.embeddings, query.table.position, options.rerank, options.distinct, allowed
        )
    # The candidates of single slices are few, and a focal finding is worth the certainty: all of them are compared.
    n_results = len(candidates) if name == "slices" else options.top
    keys, scores, first_stage = rerank(candidates, partial(exact_scores, session, query.embeddings), n_results)
    return Ranking(keys, scores, first_stage, name)


def _filter_name(options: SearchOptions, n_query: int) -> FilterName:
    return filter_for(n_query) if options.filter == "auto" else options.filter


def _exhaustive(session: SearchSession, query: np.ndarray, allowed: np.ndarray) -> Ranking:
    """Every volume by RS / n_q; equal ones by key."""
    keys, scores = exact_scores(session, query, allowed)
    order = np.lexsort((keys, -scores))
    return Ranking(keys[order], scores[order], np.full(len(keys), np.nan, np.float32), "none")


def exact_scores(session: SearchSession, query: np.ndarray, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """RS / n_q of these volumes, from the slices' index where it is open and holds their rows, else from the store."""
    index = session.opened("slices")
    if index is not None and index.holds_rows:
        known, scores = index.scores(query, keys)
        return known, _normalized(scores, query)
    scores = np.empty(len(keys), np.float32)
    for start in range(0, len(keys), _VOLUMES_AT_A_TIME):
        part = slice(start, start + _VOLUMES_AT_A_TIME)
        scores[part] = score_volumes(query, *session.store.many_embeddings(keys[part]))
    return keys, _normalized(scores, query)


def _normalized(scores: np.ndarray, query: np.ndarray) -> np.ndarray:
    """RS / n_q within [-1, 1], which rounding can leave by a few 1e-7."""
    return np.clip(scores / np.float32(len(query)), -1, 1)
