"""How unusual a similarity is in this archive (METHOD.md, "Is there anything like it?").

A similarity alone does not say whether a result is worth a look: one encoder finds any two volumes .9 alike, another
hardly reaches .6. So the query is compared with the archive's own volumes: how similar are they to *their* nearest
volumes of other patients? A result's standing is the share of them that do worse. As long as the query is like any
volume of the archive, its best standing is evenly distributed: below .15 for 15 of 100 queries. That is the p-value of
conformal anomaly detection (Laxhammar and Falkman, Sequential conformal anomaly detection in trajectories based on
Hausdorff distance, FUSION 2011), with the similarity of the nearest neighbors as its measure.

Similar to anything is not alike: what the similarity to the archive's ordinary volumes explains of the best one is
taken away, as far as it does so among the archive's own volumes. The idea is that of CSLS (Conneau et al., arXiv
1710.04087, 3.3). CSLS's own correction, by the neighborhood of the result, is worse here: a volume that is alone in its
archive has a sparse neighborhood, and welcomes everything.

Compared are pooled rows, of whole volumes in both directions.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from .directions import combined, scores_in_both_directions
from .late_interaction import maxima_of_segments, score_volumes

#: Fewer volumes (that have three of others to compare with) say nothing of what is usual.
AT_LEAST = 15
#: Volumes whose neighbors are looked for: standings are then known to within .03.
SAMPLE = 128
#: Volumes that stand for the ordinary ones.
ORDINARY = 64
#: Neighbors of each that are kept, row by row, for queries that are a part of a volume.
NEAREST = 16
#: The mean of so many best ones is looked at besides the best: three alike say as much as one that is closer.
_BEST = 3
#: Volumes read at a time.
_AT_A_TIME = 2000

#: Gives the pooled rows of volumes by their keys: float32 [N, d], and int64 [v + 1], where each volume begins.
RowReader = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class NeighborLevels:
    """How similar volumes of the archive are to their nearest and to ordinary ones.

    Attributes:
        whole: float32 [s, 3], for each sampled volume its similarity to the nearest volume of another owner, the mean
            of the three nearest, and the median of all.
        nearest: float32 [r, NEAREST], the rows of the sampled volumes one after another: the greatest similarity of
            each in each of its volume's nearest.
        ordinary: float32 [r, o], likewise in the ordinary volumes.
        starts: int64 [s + 1], where each sampled volume's rows begin.
        ordinary_keys: int64 [o].
        n_volumes: of the archive they were made of.
    """

    whole: np.ndarray
    nearest: np.ndarray
    ordinary: np.ndarray
    starts: np.ndarray
    ordinary_keys: np.ndarray
    n_volumes: int

    def of_parts(self, n_rows: int) -> np.ndarray:
        """float32 [p, 3], as `whole`, for parts of so many rows of the sampled volumes: first, middle and last."""
        begin, count = self.starts[:-1], np.diff(self.starts)
        size = np.minimum(n_rows, count)
        first = np.concatenate([begin, begin + (count - size) // 2, begin + count - size])
        last = first + np.tile(size, 3)
        near, ordinary = (
            (sums[last] - sums[first]) / (last - first)[:, None]
            for sums in (np.pad(np.cumsum(one, axis=0), ((1, 0), (0, 0))) for one in (self.nearest, self.ordinary))
        )
        near = -np.sort(-near, axis=1)[:, :_BEST]
        return np.column_stack([near[:, 0], near.mean(axis=1), np.median(ordinary, axis=1)]).astype(np.float32)


def neighbor_levels(keys: np.ndarray, owners: Sequence[Hashable], read: RowReader) -> NeighborLevels | None:
    """Look for the neighbors of a sample of the volumes; the same sample each time for the same volumes.

    Takes a tenth of a second for 100 volumes, some seconds for 10,000.

    Args:
        keys: int64 [n] of all volumes.
        owners: whose each is, such as its patient; only volumes of others are neighbors.
        read: see RowReader.

    Returns:
        None where there are too few volumes (AT_LEAST).
    """
    if len(keys) < AT_LEAST:
        return None
    owner = np.unique([str(one) for one in owners], return_inverse=True)[1]
    random = np.random.default_rng(0)
    chosen = _some(random, len(keys), SAMPLE)
    ordinary = _some(random, len(keys), ORDINARY)
    scores = _scores_of(keys[chosen], keys, read)
    scores[owner[chosen][:, None] == owner[None]] = np.nan
    chosen, scores = _useful(chosen, scores)
    if len(chosen) < AT_LEAST:
        return None
    rows, starts = read(keys[chosen])
    order = np.argsort(-np.nan_to_num(scores, nan=-np.inf), axis=1, kind="stable")[:, :NEAREST]
    best = np.take_along_axis(scores, order[:, :_BEST], axis=1)
    nearest, usual = [], []
    common = read(keys[ordinary])
    for number in range(len(chosen)):
        own = rows[starts[number] : starts[number + 1]]
        near = order[number][np.isfinite(scores[number, order[number]])]
        nearest.append(np.pad(_maxima(own, *read(keys[near])), ((0, 0), (0, NEAREST - len(near))), mode="edge"))
        usual.append(_of_others(_maxima(own, *common), owner[ordinary] != owner[chosen[number]]))
    return NeighborLevels(
        whole=np.column_stack([best[:, 0], best.mean(axis=1), np.nanmedian(scores, axis=1)]).astype(np.float32),
        nearest=np.concatenate(nearest),
        ordinary=np.concatenate(usual),
        starts=starts,
        ordinary_keys=keys[ordinary],
        n_volumes=len(keys),
    )


def likeness_scores(
    query: np.ndarray, rows: np.ndarray, offsets: np.ndarray, is_whole: bool, mean: np.ndarray | None = None
) -> np.ndarray:
    """How alike the query and volumes are, float32 [v], on the scale of :class:`NeighborLevels`.

    Args:
        query: float32 [n_q, d], pooled rows.
        rows, offsets: pooled rows of the volumes, see RowReader.
        is_whole: whether the query is a whole volume, whose likeness counts in both directions.
        mean: float32 [d], what is subtracted from all rows; the levels are made without.
    """
    if is_whole:
        return combined(scores_in_both_directions(query, rows, offsets[:-1], np.diff(offsets), mean))
    return score_volumes(query, rows, offsets, mean) / np.float32(len(query))


def standings(levels: NeighborLevels, scores: np.ndarray, ordinary: float, n_rows: int | None) -> np.ndarray:
    """The share of the archive's volumes whose neighbors are not as close as each of the query's results.

    Args:
        scores: float32 [v], of the results of one query (:func:`likeness_scores`), in any order.
        ordinary: the median of the query's scores with the ordinary volumes.
        n_rows: pooled rows of the query if it is a part of a volume; None for a whole one.

    Returns:
        float64 [v], 0 to 1. The most alike gets what the best and the three best together deserve; the others as much
        less as they are less alike.
    """
    own = (levels.whole if n_rows is None else levels.of_parts(n_rows)).astype(np.float64)
    best = -np.sort(-scores.astype(np.float64))[:_BEST]
    gains, own_gains = [], []
    for column, reached in ((0, best[0]), (1, best.mean())):
        slope = _slope(own[:, 2], own[:, column])
        own_gain = own[:, column] - slope * own[:, 2]
        usual = np.median(own_gain)
        own_gains.append(own_gain - usual)
        gains.append(reached - slope * ordinary - usual)
    gain = max(gains) if len(best) == _BEST else gains[0]
    return np.searchsorted(np.sort(np.max(own_gains, axis=0)), scores - best[0] + gain, side="left") / len(own)


def _slope(x: np.ndarray, y: np.ndarray) -> float:
    """By how much y rises with x: the median of the slopes of all pairs (Theil and Sen), from 0 to 1."""
    i, j = np.triu_indices(min(len(x), 2 * SAMPLE), 1)
    apart = np.abs(x[i] - x[j]) > 1e-6
    slopes = (y[i] - y[j])[apart] / (x[i] - x[j])[apart]
    return float(np.clip(np.median(slopes), 0.0, 1.0)) if len(slopes) else 0.0


def _some(random: np.random.Generator, n: int, at_most: int) -> np.ndarray:
    return np.arange(n) if n <= at_most else np.sort(random.choice(n, at_most, replace=False))


def _scores_of(queries: np.ndarray, keys: np.ndarray, read: RowReader) -> np.ndarray:
    """float32 [q, n]: the likeness of volumes and all volumes, read in blocks."""
    asked, starts = read(queries)
    scores = np.empty((len(queries), len(keys)), np.float32)
    for start in range(0, len(keys), _AT_A_TIME):
        part = slice(start, start + _AT_A_TIME)
        rows, offsets = read(keys[part])
        for number in range(len(queries)):
            scores[number, part] = likeness_scores(asked[starts[number] : starts[number + 1]], rows, offsets, True)
    return scores


def _useful(chosen: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Only those that have enough volumes of others to be compared with."""
    useful = np.isfinite(scores).sum(axis=1) >= _BEST
    return chosen[useful], scores[useful]


def _of_others(maxima: np.ndarray, is_other: np.ndarray) -> np.ndarray:
    """With the owner's own columns made ordinary, so that they count for nothing in a median."""
    if is_other.any():
        maxima[:, ~is_other] = np.median(maxima[:, is_other], axis=1, keepdims=True)
    return maxima


def _maxima(query: np.ndarray, rows: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    return maxima_of_segments(query, rows, offsets[:-1], np.diff(offsets))
