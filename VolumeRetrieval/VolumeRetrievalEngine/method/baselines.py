"""What the paper compares its re-ranking with: rankings without late interaction (arXiv 2405.09334, 2.5.1; METHOD.md).

Count, sum and maximum of the similarities of a fixed number of rows for each query slice. They were measured to be
worse. They are in the engine, not in the evaluation, because the command line offers them (`search --ranking count`):
everybody can compare on data of their own.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from ..errors import QueryError
from .filtering import Candidates, check_query, ranked
from .row_search import RowSearch

Baseline = Literal["count", "sum", "maximum"]


def rank_by(
    how: Baseline, index: RowSearch, query: np.ndarray, n_rows: int = 10, allowed_keys: np.ndarray | None = None
) -> Candidates:
    """The paper's baselines: volumes by what they have among the `n_rows` nearest rows of every query slice.

    "count": how many rows (ties: higher sum of similarities); "sum" of the similarities; "maximum" similarity.
    Further ties are in order of key. `n_rows` is 1 or 10 in our evaluations.
    """
    check_query(query)
    hits = index.search(query, n_rows, allowed_keys)
    found = hits.key >= 0
    keys, volume = np.unique(hits.key[found], return_inverse=True)
    similarity = hits.similarity[found].astype(np.float64)
    total = np.bincount(volume, similarity, minlength=len(keys))
    if how == "count":
        return ranked(keys, np.bincount(volume, minlength=len(keys)), total)
    if how == "sum":
        return ranked(keys, total)
    if how == "maximum":
        best = np.full(len(keys), -np.inf)
        np.maximum.at(best, volume, similarity)
        return ranked(keys, best)
    raise QueryError(f"unknown ranking {how!r}: expected count, sum or maximum")
