"""The best monotone path through a similarity matrix, by dynamic programming in millimeters.

Dynamic time warping with a bounded slope and both ends free (Sakoe and Chiba 1978). Slope, costs and grid are our
choice (docs/METHOD.md, localization).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: The path moves at least 1/3 mm and at most 3 mm in the candidate for each mm in the query: a child next to an adult.
MAXIMUM_SLOPE = 3

#: What a slope of e (or 1/e) costs over a slope of 1, for each row, in units of the typical contrast of a row of S.
#: Organs of head-and-neck CT are followed equally well from 0.05 to 0.5.
SLOPE_COST = 0.2

#: How much better a flipped path has to be, in the same units: slices of both volumes ascend toward +R, +A or +S
#: already, so that a flip is an exception, and a handful of similar slices is no evidence for one.
FLIP_COST = 0.1

#: Finer stacks are followed on a coarser grid, so that time and memory stay bounded.
MOST_ROWS = 128
MOST_CELLS = 4096


@dataclass(frozen=True)
class GainGrid:
    """What a path gains at each place: S without what slices resemble everywhere, on a regular grid in mm.

    Attributes:
        gain: float32 [rows, cells]; a row for each step along the query, a cell for each third of a step along the
            candidate, so that the smallest slope moves one cell for each row.
        contrast: by how much the best place of a typical row stands out, the unit of the costs.
        row_mm, cell_mm: float64 [rows] and [cells], where they lie along the two stacks.
    """

    gain: np.ndarray
    contrast: float
    row_mm: np.ndarray
    cell_mm: np.ndarray

    @property
    def step(self) -> float:
        """mm from one row to the next."""
        return float(MAXIMUM_SLOPE * (self.cell_mm[1] - self.cell_mm[0]))


def centered(similarity: np.ndarray, is_whole: bool = False) -> np.ndarray:
    """S without the mean of each row; of a whole query volume also without the mean of each column.

    A slice of the candidate that resembles the whole query is no evidence of a place. Of a region the columns' means
    say where the region lies, and stay. Our choice; measured on organs of head-and-neck CT of other patients,
    five-fold, read off the alignment of the whole query volume: distance of the middles 9.9 (median 9.1) mm with the
    rows' means alone, 9.7 (8.2) mm with both.

    Args:
        similarity: S, float [n_q, n_c].
        is_whole: whether its rows are all slices of the query volume.
    """
    rows = similarity.mean(axis=1, keepdims=True)
    if not is_whole or len(similarity) == 1:
        return similarity - rows
    return similarity - rows - (similarity.mean(axis=0, keepdims=True) - similarity.mean())


def gain_grid(
    similarity: np.ndarray,
    query_mm: np.ndarray,
    candidate_mm: np.ndarray,
    is_whole: bool = False,
    weights: np.ndarray | None = None,
    most_rows: int = MOST_ROWS,
    most_cells: int = MOST_CELLS,
) -> GainGrid:
    """The grid on which a path through S is looked for.

    Args:
        similarity: S, float32 [n_q, n_c], n_q and n_c at least 2.
        query_mm, candidate_mm: float64 [n_q] and [n_c], ascending; spacing may be irregular.
        is_whole: whether the rows are all slices of the query volume.
        weights: float [n_q], how much each row's gain counts; 1 if None.
        most_rows, most_cells: a finer stack is followed on a coarser grid.
    """
    step = _query_step(query_mm, candidate_mm, most_rows, most_cells)
    cell = step / MAXIMUM_SLOPE
    row_mm = np.arange(query_mm[0], query_mm[-1] + 0.5 * step, step)
    cell_mm = np.arange(candidate_mm[0], candidate_mm[-1] + 1.5 * cell, cell)[: most_cells + 1]
    gain = centered(similarity, is_whole)
    contrast = float(np.median(gain.max(axis=1)))
    if weights is not None:
        gain = gain * weights[:, None].astype(np.float32)
    grid = _resampled(_resampled(gain, query_mm, row_mm).T, candidate_mm, cell_mm).T
    return GainGrid(grid, contrast, row_mm, cell_mm)


def best_path(grid: GainGrid) -> tuple[np.ndarray, bool]:
    """The cell of each row along the path of the greatest sum of gains, and whether it runs backward.

    Every row moves 1 to MAXIMUM_SLOPE^2 cells on from the row before. Cells outside the candidate gain nothing, which
    is what a slice that resembles nothing in particular gains inside it.

    Returns:
        int64 [rows]; cells outside the candidate are negative or beyond the last one.
    """
    rows, cells = grid.gain.shape
    total, cost = _accumulated(np.stack([grid.gain, grid.gain[:, ::-1]], axis=1), grid.contrast)
    ends = total[-1, :, MAXIMUM_SLOPE**2 :]
    forward, backward = ends.max(axis=1)
    flipped = bool(backward > forward + FLIP_COST * grid.contrast * rows)
    before = _before(total)
    place = int(ends[int(flipped)].argmax())
    path = np.empty(rows, np.int64)
    path[-1] = place
    for row in range(rows - 2, -1, -1):
        place -= 1 + int((before[row, :, int(flipped), place] - cost).argmax())
        path[row] = place
    path -= rows
    return (cells - 1 - path if flipped else path), flipped


def best_totals(gains: np.ndarray, contrast: float) -> np.ndarray:
    """The sum of gains along the best forward path through each of several grids of the same shape.

    Args:
        gains: float32 [rows, n, cells].
        contrast: of the grids.

    Returns:
        float32 [n].
    """
    total, _ = _accumulated(gains, contrast)
    return total[-1, :, MAXIMUM_SLOPE**2 :].max(axis=1)


def _accumulated(gains: np.ndarray, contrast: float) -> tuple[np.ndarray, np.ndarray]:
    """The best sum up to each cell, and what each move costs.

    Args:
        gains: float32 [rows, n, cells], n grids that paths ascend in.

    Returns:
        float32 [rows, n, reach + rows + cells + rows]: `reach` cells that are impossible, then as many cells before
        and behind the candidate as a path of the smallest slope that only touches it needs. float32 [reach].
    """
    rows, several, cells = gains.shape
    reach, width = MAXIMUM_SLOPE**2, cells + 2 * rows
    total = np.full((rows, several, reach + width), -np.inf, np.float32)
    inside = total[:, :, reach:]
    inside[:] = 0.0
    inside[:, :, rows : rows + cells] = gains
    before = _before(total)
    moves = np.arange(1, reach + 1)
    cost = (SLOPE_COST * contrast * np.abs(np.log(moves / MAXIMUM_SLOPE))).astype(np.float32)
    # These few calls are made for every row: their results go where there is room already.
    options = np.empty((reach, several, width), np.float32)
    reached = np.empty((several, width), np.float32)
    for row in range(1, rows):
        np.subtract(before[row - 1], cost[:, None, None], out=options)
        np.maximum.reduce(options, axis=0, out=reached)
        np.add(inside[row], reached, out=inside[row])
    return total, cost


def _before(total: np.ndarray) -> np.ndarray:
    """[row, move - 1, n, cell] is total[row, n, reach + cell - move], without a copy."""
    rows, several, width = total.shape
    reach = MAXIMUM_SLOPE**2
    strides = total.strides
    return np.lib.stride_tricks.as_strided(
        total[:, :, reach - 1 :],
        shape=(rows, reach, several, width - reach),
        strides=(strides[0], -strides[2], strides[1], strides[2]),
        writeable=False,
    )


def _query_step(query_mm: np.ndarray, candidate_mm: np.ndarray, most_rows: int, most_cells: int) -> float:
    """The spacing in mm of the regular grid along the query: its own, unless that asks for too large a grid."""
    own = float(np.median(np.diff(query_mm)))
    query_extent, candidate_extent = np.ptp(query_mm), np.ptp(candidate_mm)
    return max(own, query_extent / (most_rows - 1), MAXIMUM_SLOPE * candidate_extent / (most_cells - 1))


def _resampled(values: np.ndarray, positions: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Rows of `values` [n, m] at `positions` [n], interpolated linearly at `wanted`; float32."""
    if len(wanted) == len(positions) and np.allclose(wanted, positions, rtol=0, atol=1e-3):
        return values
    place = np.interp(wanted, positions, np.arange(len(positions)))
    lower = np.minimum(place.astype(np.int64), len(positions) - 2)
    part = (place - lower).astype(np.float32)[:, None]
    return values[lower] * (1 - part) + values[lower + 1] * part
