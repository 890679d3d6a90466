"""Following one volume along another: which slice of the candidate belongs to each slice of the query.

The raw argmax of each row of S (paper A) jumps. The path here is the best monotone one through S, found by dynamic
programming in millimeters (dynamic time warping with a bounded slope: Sakoe and Chiba 1978, both ends free), then
smoothed. All of this is our choice: METHOD.md asks for a smoothed monotone path and leaves the way to us.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .localization import checked_similarity
from .monotone_path import MAXIMUM_SLOPE, best_path, gain_grid

#: Width of the moving average along the path.
SMOOTHING_MM = 30.0


@dataclass(frozen=True)
class Correspondence:
    """Which slice of the retrieved volume belongs to each slice of the query.

    Attributes:
        best: int [n_q], argmax of each row of S, as in the paper; it jumps between slices.
        path: float64 [n_q], rows of the candidate along a smoothed monotone path; for scrolling two
            volumes together. Where the query reaches beyond the candidate, it stays on the first or last row.
        path_mm: float64 [n_q], the same in mm along the candidate's stack, also beyond its ends.
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
    path_mm: np.ndarray
    flipped: bool

    def take(self, rows: np.ndarray) -> Correspondence:
        """The correspondence of these rows of S alone."""
        return replace(self, best=self.best[rows], path=self.path[rows], path_mm=self.path_mm[rows])

    def to_dict(self) -> dict[str, Any]:
        """Values for JSON."""
        return {
            "best": self.best.tolist(),
            "path": self.path.tolist(),
            "path_mm": self.path_mm.tolist(),
            "flipped": bool(self.flipped),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Correspondence:
        """The correspondence that :meth:`to_dict` wrote."""
        return cls(
            np.array(values["best"], np.int64),
            np.array(values["path"], np.float64),
            np.array(values["path_mm"], np.float64),
            values["flipped"],
        )


def correspondence(
    similarity: np.ndarray,
    query_positions_mm: np.ndarray,
    candidate_positions_mm: np.ndarray,
    is_whole: bool = False,
    weights: np.ndarray | None = None,
) -> Correspondence:
    """The best column of each row of S, and a smoothed monotone path through S.

    Where the query reaches beyond the candidate, the path rests on the candidate's first or last row.

    Args:
        similarity: S, float [n_q, n_c], finite.
        query_positions_mm: float [n_q], ascending; spacing may be irregular.
        candidate_positions_mm: float [n_c], likewise.
        is_whole: whether the rows are all slices of the query volume, see :func:`.monotone_path.centered`.
        weights: float [n_q], how much each row counts for the path; 1 if None.

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
        place = int(scores.mean(axis=0).argmax())
        path = np.full(len(query_mm), float(place))
        return Correspondence(best=best, path=path, path_mm=np.full(len(path), candidate_mm[place]), flipped=False)

    grid = gain_grid(scores, query_mm, candidate_mm, is_whole, weights)
    cells, flipped = best_path(grid)
    followed = _moving_average(
        grid.cell_mm[0] + grid.step / MAXIMUM_SLOPE * cells, round(0.5 * SMOOTHING_MM / grid.step)
    )
    path_mm = np.interp(query_mm, grid.row_mm, followed)
    # Also clamps what lies beyond the candidate's ends to its first and last row.
    path = np.interp(path_mm, candidate_mm, np.arange(len(candidate_mm), dtype=np.float64))
    return Correspondence(best=best, path=path, path_mm=path_mm, flipped=flipped)


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
