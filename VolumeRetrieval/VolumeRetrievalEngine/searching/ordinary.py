"""How similar the archive's ordinary volumes are to a query: what a result has to be better than to be worth a look."""

from __future__ import annotations

import logging

import numpy as np

from ..errors import DamagedStoreError
from ..query.query import Query
from .scoring import Scoring
from .session import SearchSession

logger = logging.getLogger(__name__)

#: Volumes that are scored: the median of 64 lies between the true 40% and 60% quantiles nine times in ten.
SAMPLE = 64
#: Of fewer volumes a median says nothing.
AT_LEAST = 8


def ordinary_score(session: SearchSession, query: Query, allowed: np.ndarray, scoring: Scoring) -> float | None:
    """The median score (exact) of a sample of the volumes that were searched.

    A sample of up to 64, the same each time for the same volumes, without the query's own. Scoring them takes 10 to 20
    milliseconds. A placeholder: it depends on what else is in the archive and says nothing about chance, until a
    calibrated measure takes its place.

    Args:
        session: up to date with its store.
        allowed: int64, the keys that were searched, ascending.
        scoring: of the search.

    Returns:
        None for fewer than 8 volumes.
    """
    own = session.store.find(query.identity.volume_id)
    others = allowed if own is None else allowed[allowed != own.key]
    if len(others) < AT_LEAST:
        return None
    if len(others) > SAMPLE:
        others = np.sort(np.random.default_rng(0).choice(others, SAMPLE, replace=False))
    try:
        _keys, scores = scoring.exact(session, query.embeddings, others)
    except DamagedStoreError as error:  # of a volume that nobody asked for; a search that needs it says so itself
        logger.warning("the ordinary score is not known: %s", error)
        return None
    return float(np.median(scores))
