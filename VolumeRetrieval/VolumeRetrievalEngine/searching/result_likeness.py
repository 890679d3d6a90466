"""The likeness of a search's results: the query compared with what the archive's volumes reach (method/likeness.py)."""

from __future__ import annotations

import logging

import numpy as np

from ..errors import DamagedStoreError
from ..method.likeness import likeness_scores, standings
from ..method.pooling import pool
from ..query.query import Query
from .likeness import Likeness
from .session import SearchSession

logger = logging.getLogger(__name__)

#: Results that are compared at least: the three best together count.
_AT_LEAST = 3


def likeness_of(session: SearchSession, query: Query, keys: np.ndarray, n_results: int) -> list[Likeness | None]:
    """The likeness of the first results of a ranking; None for all where the archive is too small to say.

    Reads the pooled rows of the results, which takes some milliseconds.

    Args:
        session: up to date with its store, in a snapshot.
        keys: int64, best first.
    """
    nothing: list[Likeness | None] = [None] * min(n_results, len(keys))
    try:
        levels = session.neighbor_levels()
        if levels is None or not nothing:
            return nothing
        store = session.store
        rows, _first = pool(query.embeddings, query.table.position)
        looked = keys[: max(n_results, _AT_LEAST)]
        scores = likeness_scores(rows, *store.many_pooled(looked), query.is_whole)
        own = store.find(query.identity.volume_id)
        ordinary = levels.ordinary_keys[np.isin(levels.ordinary_keys, store.keys())]
        ordinary = ordinary[ordinary != own.key] if own is not None else ordinary
        usual = likeness_scores(rows, *store.many_pooled(ordinary), query.is_whole)
    except DamagedStoreError as error:  # of a volume that nobody asked for; a search that needs it says so itself
        logger.warning("how unusual the results are is not known: %s", error)
        return nothing
    stand = standings(levels, scores, float(np.median(usual)), None if query.is_whole else len(rows))
    return [Likeness(float(one)) for one in stand[: len(nothing)]]
