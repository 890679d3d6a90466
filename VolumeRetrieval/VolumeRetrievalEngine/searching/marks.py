"""Results that the user has marked as fitting or not, and the ranking with them (method/feedback.py)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from ..errors import UnknownVolumeError
from ..method.feedback import with_marks
from ..method.filtering import RERANK
from ..method.likeness import likeness_scores
from ..method.pooling import pool
from ..query.query import Query
from ..store.records import VolumeRecord
from .matching import localized_match
from .options import SearchOptions
from .ranking import Ranking
from .scoring import Scoring
from .session import SearchSession

#: Of the ranking without marks, and of the volumes most like each fitting one, so many are ranked again.
_RANKED = 200
_LIKE_EACH = 50


def ranked_with_marks(
    session: SearchSession,
    query: Query,
    ranking: Ranking,
    allowed: np.ndarray,
    options: SearchOptions,
    scoring: Scoring,
) -> Ranking:
    """The ranking in another order: its scores stay the similarities to the query.

    What is marked as fitting comes first and what is not last, whatever it is like. Volumes that only resemble what
    fits come in. Of a query that is a part of a volume, the part of each marked volume
    that resembles it is compared.

    Args:
        session: up to date with its store, in a snapshot.
        allowed: int64, the keys that may be returned.
        scoring: of this search, without neighbors.

    Raises:
        UnknownVolumeError: a marked volume is not in the store.
    """
    liked, unliked = _records(session, options.like), _records(session, options.unlike)
    fitting = [_rows(session, query, record) for record in liked]
    unfitting = [_rows(session, query, record) for record in unliked]
    ranking = _with_those_like(session, query, ranking, allowed, fitting, scoring)
    if len(ranking.keys) == 0:
        return ranking
    compared, offsets = session.store.many_pooled(ranking.keys)
    likeness = partial(likeness_scores, rows=compared, offsets=offsets, is_whole=query.is_whole, mean=scoring.mean)
    order_by = with_marks(
        ranking.scores,
        np.array([likeness(rows) for rows in fitting]),
        np.array([likeness(rows) for rows in unfitting]),
    )
    place = np.isin(ranking.keys, [one.key for one in unliked]).astype(int)
    place -= np.isin(ranking.keys, [one.key for one in liked])
    order = np.lexsort((ranking.keys, -order_by, place))
    return _taken(ranking, order)


def mark_of(volume_id: str, options: SearchOptions) -> str:
    """ "like", "unlike" or "" for a volume."""
    return "like" if volume_id in options.like else "unlike" if volume_id in options.unlike else ""


def _records(session: SearchSession, ids: Sequence[str]) -> list[VolumeRecord]:
    found = []
    for volume_id in ids:
        record = session.store.find(volume_id)
        if record is None:
            raise UnknownVolumeError(f"{volume_id}: marked, but not in the store (removed in the meantime?)")
        found.append(record)
    return found


def _rows(session: SearchSession, query: Query, record: VolumeRecord) -> np.ndarray:
    """What a marked volume is compared by: the pooled rows of what in it resembles the query, float32 [m, d]."""
    store = session.store
    whole = store.many_pooled([record.key])[0]
    if query.is_whole:
        return whole
    embeddings, table = store.embeddings(record.key), store.slices(record.key)
    place = localized_match(1, record, "", query, embeddings, table, 0.0, 0.0).place
    if place is None or place.missing_before >= 1.0:
        return whole
    rows = slice(place.first_row, place.last_row + 1)
    return pool(embeddings[rows], table.position[rows])[0]


def _with_those_like(
    session: SearchSession,
    query: Query,
    ranking: Ranking,
    allowed: np.ndarray,
    fitting: Sequence[np.ndarray],
    scoring: Scoring,
) -> Ranking:
    """The ranking's best, and the volumes most like those that fit, with their similarity to the query."""
    known = set(ranking.keys.tolist())
    new: set[int] = set()
    for rows in fitting:
        found = scoring.nearest(session, rows, allowed, RERANK).best(_LIKE_EACH)
        new.update(set(found.keys.tolist()) - known)
    best = _taken(ranking, np.arange(min(len(ranking.keys), _RANKED)))
    if not new:
        return best
    keys, scores = ranking.scoring.exact(session, query.embeddings, np.array(sorted(new), np.int64))
    return replace(
        ranking,
        keys=np.concatenate([best.keys, keys]),
        scores=np.concatenate([best.scores, scores]).astype(np.float32),
        first_stage=np.concatenate([best.first_stage, np.full(len(keys), np.nan, np.float32)]),
    )


def _taken(ranking: Ranking, order: np.ndarray) -> Ranking:
    return replace(
        ranking, keys=ranking.keys[order], scores=ranking.scores[order], first_stage=ranking.first_stage[order]
    )
