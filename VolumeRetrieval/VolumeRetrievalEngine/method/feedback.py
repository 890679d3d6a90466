"""Ranking again with what the user has marked as fitting or not (METHOD.md, "Marks").

    s'(c) = S(q, c) + max over fitting p of S(p, c) - 1/2 max over unfitting p of S(p, c)

Relevance feedback in the sense of Rocchio (The SMART retrieval system, 1971): toward what fits, away from what does
not, and less far. Similarities are combined instead of embeddings, because a query is many rows and not one vector. The
greatest similarity instead of Rocchio's mean: those that fit need not be alike (chosen on one half of the patients; the
mean is nearly as good).
"""

from __future__ import annotations

import numpy as np

#: How much the nearest unfitting one counts.
_AGAINST = 0.5


def with_marks(scores: np.ndarray, fitting: np.ndarray, unfitting: np.ndarray) -> np.ndarray:
    """What volumes are ranked by, float32 [v].

    Args:
        scores: float32 [v], their similarity to the query.
        fitting, unfitting: float32 [m, v], that of the marked volumes to them; m may be 0. The similarity of a volume
            to itself is 1.
    """
    ranked = np.asarray(scores, np.float32).copy()
    if len(fitting):
        ranked += fitting.max(axis=0)
    if len(unfitting):
        ranked -= _AGAINST * unfitting.max(axis=0)
    return ranked
