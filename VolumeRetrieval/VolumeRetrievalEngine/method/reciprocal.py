"""Do a volume's own neighbors agree? k-reciprocal re-ranking within the best candidates.

Zhong, Zheng, Cao and Li, Re-ranking person re-identification with k-reciprocal encoding, CVPR 2017, arXiv 1701.08398.
The query and its best candidates are nodes. Two nodes are reciprocal neighbors if each is among the k1 nearest of the
other (eq. 2); the set is extended by those of its members that overlap with it by two thirds (eq. 4); each node becomes
a vector over its set, weighted by exp(-distance) (eq. 7), averaged over its k2 nearest nodes (eq. 11); and two nodes
agree as far as their vectors do (Jaccard, eq. 10).

Our choice: nodes are compared by pooled rows in both directions, which is cheap; and what does not agree is subtracted
from the similarity,

    s - w (1 - J),

instead of the weighted sum of two distances (eq. 12), which orders in the same way but hides what 1 means. J is 0 for
volumes beyond the best candidates, so that none of them passes one of these.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from .centering import centered
from .late_interaction import as_float32

#: The best candidates whose neighbors are looked at; k1 and k2 of the paper; and w. Of fewer nothing is asked: in
#: archives of 25 or 40 volumes it gave .00 to .01 with two encoders and took .01 with the third.
NODES = 40
NEIGHBORS = 15
EXPANSION = 2
WEIGHT = 0.3

#: Rows of a node at most; those of a longer volume are averaged by twos, threes and so on. A whole body has 70 pooled
#: rows, and the time goes with their square; mean average precision stays within .0003 with 16, within .0015 with 8.
_ROWS = 16


def agreement(similarity: np.ndarray) -> np.ndarray:
    """How far each node's neighbors are those of the first one.

    Args:
        similarity: float [m, m], of nodes with each other, symmetric; the first is the query.

    Returns:
        float32 [m - 1], J in [0, 1] of the others; 1 for one that is the same as the first.
    """
    nodes = len(similarity)
    distance = 1 - np.asarray(similarity, np.float64)
    by_distance = distance.copy()
    np.fill_diagonal(by_distance, -np.inf)  # each is its own nearest, whatever equals it
    nearest = np.argsort(by_distance, axis=1, kind="stable")
    near, nearer = (_reciprocal(nearest, k) for k in (NEIGHBORS, round(NEIGHBORS / 2)))
    vectors = np.zeros((nodes, nodes))
    for node in range(nodes):
        shared = (nearer & near[node]).sum(axis=1)
        joins = near[node] & (shared > 2 / 3 * nearer.sum(axis=1))
        members = near[node] | nearer[joins].any(axis=0)
        vectors[node, members] = np.exp(-distance[node, members])
    vectors /= vectors.sum(axis=1, keepdims=True)
    vectors = vectors[nearest[:, :EXPANSION]].mean(axis=1)
    overlap = np.minimum(vectors[0], vectors[1:]).sum(axis=1)
    return (overlap / (2 - overlap)).astype(np.float32)  # of vectors of sum 1: their minimum over their maximum


def _reciprocal(nearest: np.ndarray, k: int) -> np.ndarray:
    """bool [m, m]: which nodes are among the k nearest of each other, themselves included (eq. 2)."""
    among = np.zeros(nearest.shape, bool)
    np.put_along_axis(among, nearest[:, : k + 1], True, axis=1)
    return among & among.T


def mutual_similarity(rows: np.ndarray, offsets: np.ndarray, mean: np.ndarray | None = None) -> np.ndarray:
    """The score in both directions, with equal weights, of some volumes with each other.

    Args:
        rows: float32 [N, d], pooled rows of one volume after another.
        offsets: int [m + 1], where each begins.
        mean: float32 [d], subtracted first (centering.py); None for none.

    Returns:
        float64 [m, m], symmetric; 1 on its diagonal, up to rounding.
    """
    rows, offsets = _shortened(as_float32(rows), np.asarray(offsets, np.int64))
    if mean is not None:
        rows = centered(rows, mean)
    first, count = offsets[:-1], np.diff(offsets)
    best = np.maximum.reduceat(rows @ rows.T, first, axis=1)  # of each row in each volume
    one_way = np.add.reduceat(best, first, axis=0, dtype=np.float64) / count[:, None]
    return (one_way + one_way.T) / 2


def _shortened(rows: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Volumes of at most _ROWS unit rows each, and their offsets; neighboring rows are averaged in equal groups."""
    starts = [np.arange(begin, end, -(-(end - begin) // _ROWS)) for begin, end in pairwise(offsets)]
    counts = [len(one) for one in starts]
    if sum(counts) == len(rows):
        return rows, offsets
    sums = np.add.reduceat(rows, np.concatenate(starts), axis=0)
    lengths = np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-6)
    return sums / lengths, np.concatenate(([0], np.cumsum(counts)))


def with_agreement(scores: np.ndarray, agreed: np.ndarray) -> np.ndarray:
    """float32 [v] scores less what the neighbors do not agree to; `agreed` is J, float32 [v], 0 beyond the nodes."""
    return scores - np.float32(WEIGHT) * (1 - agreed)
