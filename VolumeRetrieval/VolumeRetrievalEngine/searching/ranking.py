"""Filtering and late interaction put together: from query embeddings to ranked volumes (METHOD.md, stages 1 to 3)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from ..method.baselines import rank_by
from ..method.filtering import FilterName, candidates_by_pooled, candidates_by_slices, filter_for
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
        filter: how the candidates were found: "slices", "pooled" or "none".
    """

    keys: np.ndarray
    scores: np.ndarray
    first_stage: np.ndarray
    filter: str


def levels_needed(options: SearchOptions, n_query: int) -> tuple[Level, ...]:
    """The indexes that a search of so many slices cannot do without; an exhaustive one reads the store."""
    if options.ranking == "exhaustive":
        return ()
    pooled = options.ranking == "two-stage" and _filter_name(options, n_query) == "pooled"
    return ("pooled",) if pooled else ("slices",)


def rank_volumes(
    session: SearchSession, query: Query, allowed: np.ndarray, options: SearchOptions, scoring: Scoring
) -> Ranking:
    """Rank the allowed volumes as the options say.

    Args:
        session: up to date with its store.
        allowed: int64, the keys that may be returned.
        scoring: of this search.
    """
    if len(allowed) == 0:
        nothing = np.zeros(0, np.float32)
        return Ranking(np.zeros(0, np.int64), nothing, nothing, "none")
    if options.ranking == "exhaustive":
        return _exhaustive(session, query.embeddings, allowed, scoring)
    if options.ranking != "two-stage":
        ranked = rank_by(options.ranking, session.slices, query.embeddings, options.rows, allowed)
        return Ranking(ranked.keys, ranked.first_stage, ranked.first_stage, "none")
    name = _filter_name(options, len(query.embeddings))
    if name == "slices":
        distinct = max(options.distinct, options.top)
        candidates = candidates_by_slices(session.slices, query.embeddings, distinct, allowed)
    else:
        candidates = candidates_by_pooled(
            session.pooled,
            query.embeddings,
            query.table.position,
            max(options.rerank, _CANDIDATES_PER_RESULT * options.top),
            options.distinct,
            allowed,
            score=scoring.by_index,
        )
    # The candidates of single slices are few, and a focal finding is worth the certainty: all of them are compared.
    n_results = len(candidates) if name == "slices" else options.top
    keys, scores, first_stage = rerank(candidates, partial(scoring.exact, session, query.embeddings), n_results)
    return Ranking(keys, scores, first_stage, name)


def _filter_name(options: SearchOptions, n_query: int) -> FilterName:
    return filter_for(n_query) if options.filter == "auto" else options.filter


def _exhaustive(session: SearchSession, query: np.ndarray, allowed: np.ndarray, scoring: Scoring) -> Ranking:
    """Every volume by its similarity; equal ones by key."""
    keys, scores = scoring.exact(session, query, allowed)
    order = np.lexsort((keys, -scores))
    return Ranking(keys[order], scores[order], np.full(len(keys), np.nan, np.float32), "none")
