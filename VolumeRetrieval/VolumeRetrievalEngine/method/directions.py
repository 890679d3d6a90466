"""Both directions of late interaction, for whole volumes.

RS(Q, C) asks of every query slice whether the candidate has something like it, not what else the candidate holds: a
scan of the whole body answers any of its parts as well as another scan of that part does. RS(C, Q) asks the other way.

    (1 - w) RS(Q, C) / n_q + w RS(C, Q) / n_c

The two directions are those of the modified Hausdorff distance (Dubuisson and Jain, A modified Hausdorff distance for
object matching, ICPR 1994, eq. 6: the mean over one set of the distances to the nearest of the other), which takes the
greater distance of the two; we take a mean with weights (our choice). Not for regions: what a volume holds besides the
region does not count against it.
"""

from __future__ import annotations

import numpy as np

from .late_interaction import products

#: How much the second direction counts.
WEIGHT = 0.35


def scores_in_both_directions(
    query: np.ndarray, rows: np.ndarray, first: np.ndarray, count: np.ndarray, mean: np.ndarray | None = None
) -> np.ndarray:
    """RS(Q, C) / n_q and RS(C, Q) / n_c of some volumes of a matrix (see late_interaction.score_segments).

    Both come from the same products, so that the second direction costs little.

    Returns:
        float32 [2, V].
    """
    scores = np.empty((2, len(first)), np.float32)
    for chosen, product, starts in products(query, rows, first, count, mean):
        scores[0, chosen] = np.maximum.reduceat(product, starts, axis=1).mean(axis=0, dtype=np.float64)
        backward = np.add.reduceat(product.max(axis=0), starts, dtype=np.float64)
        scores[1, chosen] = backward / count[chosen]
    return scores


def combined(both: np.ndarray, weight: float = WEIGHT) -> np.ndarray:
    """The score of two directions, float32 [2, V]: float32 [V], 1 for a volume and itself."""
    return (1 - weight) * both[0] + weight * both[1]
