"""Following one volume along another: which slice of the candidate belongs to each slice of the query.

The raw argmax of each row of S (paper A) jumps. The path here is the best monotone one through S, found by dynamic
programming in millimeters (dynamic time warping with a bounded slope: Sakoe and Chiba 1978, both ends free), then
smoothed. All of this is our choice: METHOD.md asks for a smoothed monotone path and leaves the way to us.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .localization import checked_similarity

#: The path moves at least 1/3 mm and at most 3 mm in the candidate for each mm in the query: a child beside an adult.
MAXIMUM_SLOPE = 3

#: What a slope of e (or 1/e) costs over a slope of 1, for each row, in units of the typical contrast of a row of S.
#: Organs of head-and-neck CT are followed equally well from 0.05 to 0.5.
SLOPE_COST = 0.2

#: How much better a flipped path has to be, in the same units: slices of both volumes ascend toward +R, +A or +S
#: already, so that a flip is an exception, and a handful of similar slices is no evidence for one.
FLIP_COST = 0.1

#: Width of the moving average along the path.
SMOOTHING_MM = 30.0

#: Finer stacks are followed on a coarser grid, so that time and memory stay bounded.
_MOST_ROWS = 128
_MOST_CELLS = 4096


@dataclass(frozen=True)
class Correspondence:
    """Which slice of the retrieved volume belongs to each slice of the query.

    Attributes:
        best: int [n_q], argmax of each row of S (the paper's; jumps).
        path: float [n_q], rows of the candidate along a smoothed monotone path; for following one volume along another.
        flipped: whether the path runs against the candidate's direction.

    Example:
        >>> similarity = np.eye(4, dtype=np.float32)
        >>> positions_mm = np.arange(4) * 3.0
        >>> found = correspondence(similarity, positions_mm, positions_mm)
        >>> found.best.tolist(), found.path.round().tolist(), found.flipped
        ([0, 1, 2, 3], [0.0, 1.0, 2.0, 3.0], False)
    """

    best: np.ndarray
    path: np.ndarray
    flipped: bool

    def to_dict(self) -> dict[str, Any]:
        """Values for JSON."""
        return {"best": self.best.tolist(), "path": self.path.tolist(), "flipped": bool(self.flipped)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Correspondence:
        """The correspondence that :meth:`to_dict` wrote."""
        return cls(np.array(values["best"], np.int64), np.array(values["path"], np.float64), values["flipped"])


def correspondence(
    similarity: np.ndarray, query_positions_mm: np.ndarray, candidate_positions_mm: np.ndarray
) -> Correspondence:
    """The best column of each row of S, and a smoothed monotone path through S.

    Where the query reaches beyond the candidate, the path rests on the candidate's first or last row.

    Args:
        similarity: S, float [n_q, n_c], finite.
        query_positions_mm: float [n_q], ascending; spacing may be irregular.
        candidate_positions_mm: float [n_c], likewise.

    Returns:
        `best` int64 [n_q]; `path` float64 [n_q], fractional rows of the candidate, never turning back: not descending,
        or not ascending where `flipped`.

    Raises:
        ValueError: S is empty or not finite, or positions do not fit S or do not ascend.
    """
    query_mm, candidate_mm = _ascending(query_positions_mm, "query"), _ascending(candidate_positions_mm, "candidate")
    scores = checked_similarity(similarity, len(query_mm), len(candidate_mm)).astype(np.float32, copy=False)
    best = scores.argmax(axis=1)
    if np.ptp(query_mm) == 0 or np.ptp(candidate_mm) == 0:  # one slice: there is nothing to follow
        place = float(scores.mean(axis=0).argmax())
        return Correspondence(best=best, path=np.full(len(query_mm), place), flipped=False)

    step = _query_step(query_mm, candidate_mm)
    cell = step / MAXIMUM_SLOPE  # so that the smallest slope moves one cell for each row
    row_mm = np.arange(query_mm[0], query_mm[-1] + 0.5 * step, step)
    cell_mm = np.arange(candidate_mm[0], candidate_mm[-1] + 0.5 * cell, cell)

    gain = scores - scores.mean(axis=1, keepdims=True)
    contrast = float(np.median(gain.max(axis=1)))
    grid = _resampled(_resampled(gain, query_mm, row_mm).T, candidate_mm, cell_mm).T
    cells, flipped = _best_path(grid, contrast)
    followed = _moving_average(candidate_mm[0] + cell * cells, round(0.5 * SMOOTHING_MM / step))
    path_mm = np.interp(query_mm, row_mm, followed)
    # Also clamps what lies beyond the candidate's ends to its first and last row.
    path = np.interp(path_mm, candidate_mm, np.arange(len(candidate_mm), dtype=np.float64))
    return Correspondence(best=best, path=path, flipped=flipped)


def _best_path(gain: np.ndarray, contrast: float) -> tuple[np.ndarray, bool]:
    """The cell of each row along the path of the greatest sum of gains, and whether it runs backward.

    Every row moves 1 to MAXIMUM_SLOPE^2 cells on from the row before. Cells outside the candidate gain nothing, which
    is what a slice that resembles nothing in particular gains inside it.

    Args:
        gain: float32 [rows, cells].

    Returns:
        int64 [rows]; cells outside the candidate are negative or beyond the last one.
    """
    rows, cells = gain.shape
    reach = MAXIMUM_SLOPE**2
    outside = rows  # enough for a path of the smallest slope that only touches the candidate
    width = cells + 2 * outside
    # total[row, direction, reach + cell]: the best sum up to here. The columns before the first cell stay impossible.
    total = np.full((rows, 2, reach + width), -np.inf, np.float32)
    inside = total[:, :, reach:]
    inside[:] = 0.0
    inside[:, 0, outside : outside + cells] = gain
    inside[:, 1, outside : outside + cells] = gain[:, ::-1]
    # before[row, move - 1, direction, cell] is total[row, direction, cell - move], without a copy.
    strides = total.strides
    before = np.lib.stride_tricks.as_strided(
        total[:, :, reach - 1 :],
        shape=(rows, reach, 2, width),
        strides=(strides[0], -strides[2], strides[1], strides[2]),
        writeable=False,
    )
    moves = np.arange(1, reach + 1)
    cost = (SLOPE_COST * contrast * np.abs(np.log(moves / MAXIMUM_SLOPE))).astype(np.float32)
    # These few calls are made for every row: their results go where there is room already.
    options = np.empty((reach, 2, width), np.float32)
    reached = np.empty((2, width), np.float32)
    for row in range(1, rows):
        np.subtract(before[row - 1], cost[:, None, None], out=options)
        np.maximum.reduce(options, axis=0, out=reached)
        np.add(inside[row], reached, out=inside[row])

    forward, backward = inside[-1].max(axis=1)
    flipped = bool(backward > forward + FLIP_COST * contrast * rows)
    place = int(inside[-1, int(flipped)].argmax())
    path = np.empty(rows, np.int64)
    path[-1] = place
    for row in range(rows - 2, -1, -1):
        place -= 1 + int((before[row, :, int(flipped), place] - cost).argmax())
        path[row] = place
    path -= outside
    return (cells - 1 - path if flipped else path), flipped


def _query_step(query_mm: np.ndarray, candidate_mm: np.ndarray) -> float:
    """The spacing in mm of the regular grid along the query: its own, unless that asks for too large a grid."""
    own = float(np.median(np.diff(query_mm)))
    query_extent, candidate_extent = np.ptp(query_mm), np.ptp(candidate_mm)
    return max(own, query_extent / (_MOST_ROWS - 1), MAXIMUM_SLOPE * candidate_extent / (_MOST_CELLS - 1))


def _resampled(values: np.ndarray, positions: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Rows of `values` [n, m] at `positions` [n], interpolated linearly at `wanted`; float32."""
    if len(wanted) == len(positions) and np.allclose(wanted, positions, rtol=0, atol=1e-3):
        return values
    place = np.interp(wanted, positions, np.arange(len(positions)))
    lower = np.minimum(place.astype(np.int64), len(positions) - 2)
    part = (place - lower).astype(np.float32)[:, None]
    return values[lower] * (1 - part) + values[lower + 1] * part


def _moving_average(values: np.ndarray, radius: int) -> np.ndarray:
    """The mean over 2 x radius + 1 neighbors, fewer on both sides alike near the ends: what ascends still ascends."""
    number = np.arange(len(values))
    reach = np.minimum(radius, np.minimum(number, len(values) - 1 - number))
    sums = np.concatenate(([0.0], np.cumsum(values)))
    return (sums[number + reach + 1] - sums[number - reach]) / (2 * reach + 1)


def _ascending(positions_mm: np.ndarray, whose: str) -> np.ndarray:
    positions = np.asarray(positions_mm, dtype=np.float64)
    if positions.ndim != 1 or not np.isfinite(positions).all() or (np.diff(positions) < 0).any():
        raise ValueError(f"positions of the {whose}'s slices: expected one ascending row of finite mm")
    return positions
