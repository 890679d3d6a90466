"""Which slices of a stack show a region, and where in them it lies.

Boxes and masks are compared with every slice in world space, so that oblique and irregular stacks, and masks on grids
of their own, come out right.
"""

from __future__ import annotations

import numpy as np

from ..errors import EmptyRegionError
from ..preprocessing.plane_geometry import PlaneGeometry
from ..volume import SliceTable
from .oriented_box import OrientedBox, extent_text
from .region import BoxRAS, MaskRegion, Region, SingleSlice, SliceRange, check_slices
from .stack_frame import TOUCH_MM, StackFrame
from .stack_geometry import StackGeometry

#: How much of the surroundings stays in view when a slice is cut down to a region. Our choice.
CROP_MARGIN_MM = 10.0


def select_rows(region: Region, geometry: PlaneGeometry, table: SliceTable) -> np.ndarray:
    """The kept slices that show the region.

    Where the region is so thin that it falls between two kept slices, the one nearest to it is taken. Where it lies
    among slices that were left out because they show nothing but air, there is none.

    Args:
        geometry: of the query's full stack.
        table: its kept slices.

    Returns:
        int64 [m], ascending rows of the table, at least one.

    Raises:
        EmptyRegionError: the region lies outside the volume, or on slices of air, or the mask is empty.
    """
    if isinstance(region, (SliceRange, SingleSlice)):
        # By their numbers: the box over them would not tell slices at the same place from each other.
        return _rows_of_range(region if isinstance(region, SliceRange) else region.range, geometry, table)
    frame = StackFrame.of(geometry, table)
    if isinstance(region, MaskRegion):
        return _rows_of_mask(region, frame, table)
    return _rows_of_box(region.box if isinstance(region, BoxRAS) else region, frame, table)


def in_plane_box(
    region: Region, geometry: PlaneGeometry, margin_mm: float = CROP_MARGIN_MM
) -> tuple[int, int, int, int] | None:
    """Where the region lies within the slices, all slices taken together.

    Returns:
        (row0, row1, column0, column1) in pixels of the full stack, half-open, with a margin and within the image;
        None for regions that are not bounded in plane (slices).

    Raises:
        EmptyRegionError: as in :func:`select_rows`.
    """
    if isinstance(region, (SliceRange, SingleSlice)):
        return None
    frame = StackFrame.of(geometry)
    if isinstance(region, MaskRegion):
        low, high = _mask_pixels(region, frame)
    else:
        box = region.box if isinstance(region, BoxRAS) else region
        if not frame.meets_box(box):
            raise _misses(box, box.corners(), frame)
        pixels = frame.pixels(box.corners())
        low, high = pixels.min(axis=0), pixels.max(axis=0)
    margin = margin_mm / np.linalg.norm([frame.columns, frame.rows], axis=1)
    counts = np.array(frame.counts)
    # A pixel reaches half a pixel to both sides of its middle. At least one is left, whatever rounding does.
    first = np.clip(np.floor(low - margin + 0.5), 0, counts - 1).astype(int)
    last = np.clip(np.ceil(high + margin - 0.5), first, counts - 1).astype(int)
    return int(first[1]), int(last[1]) + 1, int(first[0]), int(last[0]) + 1


def region_box(region: Region, axes: np.ndarray) -> OrientedBox | None:
    """The smallest box along these axes (unit rows [3, 3]) around a box or a mask; None for slices.

    Raises:
        EmptyRegionError: the mask is empty.
    """
    if isinstance(region, (SliceRange, SingleSlice)):
        return None
    if not isinstance(region, MaskRegion):
        box = region.box if isinstance(region, BoxRAS) else region
        return OrientedBox.around(box.corners(), axes)
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    to_axes = np.linalg.inv(axes)
    for points in region.points():
        along = points @ to_axes
        low, high = np.minimum(low, along.min(axis=0)), np.maximum(high, along.max(axis=0))
    half_voxel = 0.5 * np.abs(region.affine[:3, :3].T @ to_axes).sum(axis=0)
    return OrientedBox.around(np.array([low - half_voxel, high + half_voxel]) @ axes, axes)


def _rows_of_range(region: SliceRange, geometry: PlaneGeometry, table: SliceTable) -> np.ndarray:
    check_slices(region, geometry.plane, geometry.shape[0])
    rows = np.flatnonzero((table.index >= region.first) & (table.index <= region.last))
    if len(rows):
        return rows
    last = min(region.last, geometry.shape[0] - 1)
    row = int(np.abs(table.index - 0.5 * (region.first + last)).argmin())
    nearest = int(np.clip(table.index[row], region.first, last))
    heights = StackGeometry.of_plane(geometry, table).positions
    frame = StackFrame.of(geometry, table)
    return _nearest_row(region, row, float(heights[nearest]), frame, table)


def _rows_of_box(box: OrientedBox, frame: StackFrame, table: SliceTable) -> np.ndarray:
    rows = np.flatnonzero(frame.slices_meeting_box(box))
    if len(rows):
        return rows
    if not frame.meets_box(box):
        raise _misses(box, box.corners(), frame)
    row = int(np.abs(frame.heights - float(frame.height(box.center))).argmin())
    heights = frame.height(box.corners())
    nearest = float(np.clip(frame.heights[row], heights.min(), heights.max()))
    return _nearest_row(box, row, nearest, frame, table)


def _rows_of_mask(region: MaskRegion, frame: StackFrame, table: SliceTable) -> np.ndarray:
    """Rows whose rectangle passes through a marked voxel, a parallelepiped around its middle."""
    steps = region.affine[:3, :3]
    half_height = 0.5 * float(np.abs(frame.normal @ steps).sum())
    met = np.zeros(len(frame.heights) + 1, np.int64)
    nearest, nearest_height, nearest_distance = -1, 0.0, np.inf
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    for points in region.points():
        low, high = np.minimum(low, points.min(axis=0)), np.maximum(high, points.max(axis=0))
        heights = frame.height(points[_in_view(points, steps, frame, half_height)])
        if not len(heights):
            continue
        # Half-open, so that a slice on the border of two voxels belongs to one of them.
        first = np.searchsorted(frame.heights, heights - half_height - TOUCH_MM, side="left")
        behind = np.searchsorted(frame.heights, heights + half_height - TOUCH_MM, side="left")
        met += np.bincount(first, minlength=len(met)) - np.bincount(behind, minlength=len(met))
        row, height, distance = _nearest(frame.heights, heights)
        if distance < nearest_distance:
            nearest, nearest_height, nearest_distance = row, height, distance
    rows = np.flatnonzero(np.cumsum(met)[:-1] > 0)
    if len(rows):
        return rows
    if nearest < 0:
        raise _misses(region, np.array([low, high]), frame)
    return _nearest_row(region, nearest, nearest_height, frame, table)


def _nearest_row(region: Region, row: int, height: float, frame: StackFrame, table: SliceTable) -> np.ndarray:
    """The row as an array, if it is near enough to the region to stand for it.

    Thinning leaves out slices one step around a kept one, in number and in mm. Those further away were left out because
    they show nothing. Where slices were never acquired, their numbers have no gap.

    Args:
        row: the nearest one.
        height: of the region's part that is nearest to it, mm along the normal.
    """
    numbers = table.index.astype(np.float64)
    step = float(np.median(np.diff(numbers))) if len(numbers) > 1 else 1.0
    spacing = max(table.spacing, frame.spacing)
    away_mm = height - float(frame.heights[row])
    beyond = row + (1 if away_mm > 0 else -1)
    if 0 <= beyond < len(numbers) and frame.heights[beyond] != frame.heights[row]:
        away = away_mm / float(frame.heights[beyond] - frame.heights[row]) * float(numbers[beyond] - numbers[row])
    else:
        away = away_mm / frame.spacing
    if abs(away) > step + 0.5 and abs(away_mm) > 1.01 * spacing:
        raise EmptyRegionError(
            f"{region}: there is nothing but air; the nearest slice that shows something is number "
            f"{int(numbers[row]) + 1}"
        )
    return np.array([row], dtype=np.int64)


def _mask_pixels(region: MaskRegion, frame: StackFrame) -> tuple[np.ndarray, np.ndarray]:
    """The least and greatest column and row that the mask reaches within the stack."""
    steps = region.affine[:3, :3]
    half_height = 0.5 * float(np.abs(frame.normal @ steps).sum())
    half_pixels = 0.5 * np.abs(frame.to_pixels @ steps).sum(axis=1)
    low, high = np.full(2, np.inf), np.full(2, -np.inf)
    seen = []
    for points in region.points():
        seen += [points.min(axis=0), points.max(axis=0)]
        pixels = frame.pixels(points[_in_view(points, steps, frame, half_height)])
        if len(pixels):
            low, high = np.minimum(low, pixels.min(axis=0)), np.maximum(high, pixels.max(axis=0))
    if not np.isfinite(low).all():
        raise _misses(region, np.array(seen), frame)
    return low - half_pixels, high + half_pixels


def _in_view(points: np.ndarray, steps: np.ndarray, frame: StackFrame, half_height: float) -> np.ndarray:
    """Which voxels around these middles reach into the space that the stack covers: bool [m]."""
    heights = frame.height(points)
    half_pixels = 0.5 * np.abs(frame.to_pixels @ steps).sum(axis=1)
    pixels = frame.pixels(points)
    within = ((pixels + half_pixels > -0.5) & (pixels - half_pixels < np.array(frame.counts) - 0.5)).all(axis=1)
    return within & (heights + half_height > frame.bottom) & (heights - half_height < frame.top)


def _nearest(heights: np.ndarray, wanted: np.ndarray) -> tuple[int, float, float]:
    """The row whose height is nearest to any of the wanted ones, which of them that is, and how near."""
    above = np.clip(np.searchsorted(heights, wanted), 0, len(heights) - 1)
    below = np.maximum(above - 1, 0)
    rows = np.concatenate([below, above])
    distances = np.abs(heights[rows] - np.concatenate([wanted, wanted]))
    place = int(distances.argmin())
    return int(rows[place]), float(wanted[place % len(wanted)]), float(distances[place])


def _misses(region: OrientedBox | MaskRegion, points: np.ndarray, frame: StackFrame) -> EmptyRegionError:
    """The error for a region outside the volume: where both lie."""
    where = str(region) if isinstance(region, OrientedBox) else f"{region}, which lies at {extent_text(points)},"
    return EmptyRegionError(
        f"{where} misses the volume, which lies at {extent_text(frame.corners())} "
        "(RAS; DICOM's and ITK's LPS coordinates have the opposite sign of x and y)"
    )
