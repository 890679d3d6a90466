"""Filtering and late interaction put together: from query embeddings to ranked volumes (METHOD.md, stages 1 to 3)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from ..method.baselines import rank_by
from ..method.filtering import FilterName, candidates_by_slices, filter_for
from ..method.pooling import pool
from ..method.reciprocal import NODES
from ..method.reranking import rerank
from ..query.query import Query
from ..slice_index.row_map import Level
from .options import SearchOptions
from .scoring import Scoring
from .session import SearchSession

#: At least so many candidates for each result that is asked for.
_CANDIDATES_PER_RESULT = 3


@dataclass(frozen=True)
class Ranking:
    """Volumes, best first.

    Attributes:
        keys: int64 [v].
        scores: float32 [v], the similarity (scoring.py; METHOD.md, stage 3), or a baseline's own score.
        first_stage: float32 [v], what made each a candidate; NaN where there was no first stage.
        scoring: what they were scored by; what was passed, with the neighbors where these were asked.
        filter: how the candidates were found: "slices", "pooled" or "none".
    """

    keys: np.ndarray
    scores: np.ndarray
    first_stage: np.ndarray
    scoring: Scoring
    filter: str


def levels_needed(options: SearchOptions, n_query: int) -> tuple[Level, ...]:
    """The indexes that a search of so many slices cannot do without; an exhaustive one reads the store. What is like a
    marked volume is found by pooled rows."""
    if options.ranking == "exhaustive":
        return ("pooled",) if options.like else ()
    if options.ranking != "two-stage":
        return ("slices",)
    name = _filter_name(options, n_query)
    return ("slices", "pooled") if options.like and name == "slices" else (name,)


def rank_volumes(
    session: SearchSession, query: Query, allowed: np.ndarray, options: SearchOptions, scoring: Scoring
) -> Ranking:
    """Rank the allowed volumes as the options say.

    Args:
        session: up to date with its store.
        allowed: int64, the keys that may be returned.
        scoring: of this search, without neighbors.
    """
    if len(allowed) == 0:
        nothing = np.zeros(0, np.float32)
        return Ranking(np.zeros(0, np.int64), nothing, nothing, scoring, "none")
    if options.ranking == "exhaustive":
        return _exhaustive(session, query, allowed, options, scoring)
    rows = query.embeddings
    if options.ranking != "two-stage":
        found = rank_by(options.ranking, session.slices, rows, options.rows, allowed)
        return Ranking(found.keys, found.first_stage, found.first_stage, scoring, "none")
    name = _filter_name(options, len(rows))
    asks_neighbors = _asks_neighbors(options, query)
    distinct = max(options.distinct, options.top)
    if name == "slices":
        distinct = max(distinct, NODES) if asks_neighbors else distinct
        candidates = candidates_by_slices(session.slices, rows, distinct, allowed, scoring.mean)
        if asks_neighbors:
            pooled = _pooled(query)
            by_pooled = scoring.pooled(session, pooled, candidates.keys)
            scoring = scoring.with_neighbors(session.store, pooled, by_pooled)
        # These are few, and a focal finding is worth the certainty: all of them are compared.
        n_results = len(candidates)
    else:
        compared = max(options.rerank, _CANDIDATES_PER_RESULT * options.top)
        candidates = scoring.nearest(session, _pooled(query), allowed, max(distinct, compared))
        if asks_neighbors:
            scoring = scoring.with_neighbors(session.store, _pooled(query), candidates)
            candidates = scoring.again(candidates)
        candidates, n_results = candidates.best(compared), options.top
    keys, scores, first_stage = rerank(candidates, partial(scoring.exact, session, rows), n_results)
    return Ranking(keys, scores, first_stage, scoring, name)


def _asks_neighbors(options: SearchOptions, query: Query) -> bool:
    return options.parts.neighbors and query.is_whole


def _pooled(query: Query) -> np.ndarray:
    return pool(query.embeddings, query.table.position)[0]


def _filter_name(options: SearchOptions, n_query: int) -> FilterName:
    return filter_for(n_query) if options.filter == "auto" else options.filter


def _exhaustive(
    session: SearchSession, query: Query, allowed: np.ndarray, options: SearchOptions, scoring: Scoring
) -> Ranking:
    """Every volume by its similarity; equal ones by key."""
    if _asks_neighbors(options, query):
        pooled = _pooled(query)
        scoring = scoring.with_neighbors(session.store, pooled, scoring.pooled(session, pooled, allowed))
    keys, scores = scoring.exact(session, query.embeddings, allowed)
    order = np.lexsort((keys, -scores))
    return Ranking(keys[order], scores[order], np.full(len(keys), np.nan, np.float32), scoring, "none")
