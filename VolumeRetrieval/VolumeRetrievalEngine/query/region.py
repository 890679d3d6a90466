"""A region of the query volume, and which of its slices show it.

A region is a range of slices, one slice, a box in RAS mm, or a mask image of any geometry. Boxes and masks are compared
with every slice in world space, so that oblique and irregular stacks, and masks on grids of their own, come out right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import EmptyRegionError, QueryError
from ..preprocessing.plane_geometry import PlaneGeometry
from ..reading.image_files.mask_file import read_mask
from ..volume import SliceTable
from .stack_frame import TOUCH_MM, StackFrame

#: How much of the surroundings stays in view when a slice is cut down to a region. Our choice.
CROP_MARGIN_MM = 10.0

#: Mask voxels that are mapped at a time: some 100 MB of coordinates.
_BLOCK = 1_000_000


@dataclass(frozen=True)
class SliceRange:
    """Slices `first` to `last`, both included: 0-based numbers within the full stack of the query's plane."""

    first: int
    last: int

    def __post_init__(self) -> None:
        if self.first > self.last:
            raise QueryError(f"slices {self.first}-{self.last}: expected the lower number first")

    def __str__(self) -> str:
        return f"slices {self.first}-{self.last}"


@dataclass(frozen=True)
class SingleSlice:
    """One slice, by its 0-based number within the full stack of the query's plane."""

    index: int

    def __str__(self) -> str:
        return f"slice {self.index}"


@dataclass(frozen=True)
class BoxRAS:
    """A box along the world's axes: its least and greatest coordinates in RAS mm."""

    minimum: tuple[float, float, float]
    maximum: tuple[float, float, float]

    def __post_init__(self) -> None:
        corners = np.array([self.minimum, self.maximum], dtype=np.float64)
        if corners.shape != (2, 3) or not np.isfinite(corners).all():
            raise QueryError(f"box {self.minimum} to {self.maximum}: expected two corners of 3 finite mm each")
        if (corners[0] > corners[1]).any():
            raise QueryError(f"box {self.minimum} to {self.maximum}: expected the lesser coordinates first")

    def __str__(self) -> str:
        return f"box {_extent(np.array([self.minimum, self.maximum]))}"


@dataclass(frozen=True, eq=False)
class MaskRegion:
    """The voxels of a mask that carry a label.

    Attributes:
        voxels: [k, j, i], any number type; NaN belongs to no region. Fractions count from one half.
        affine: float64 [4, 4], (i, j, k, 1) to RAS mm.
        label: the value that marks the region; None for every value but 0.
        name: what to call it in messages.
    """

    voxels: np.ndarray
    affine: np.ndarray
    label: int | None = None
    name: str = "mask"

    def __post_init__(self) -> None:
        if np.ndim(self.voxels) != 3 or 0 in np.shape(self.voxels):
            raise QueryError(f"{self.name}: expected voxels [k, j, i], got shape {np.shape(self.voxels)}")
        directions = np.asarray(self.affine, dtype=np.float64)[:3, :3]
        if not np.isfinite(self.affine).all() or np.linalg.matrix_rank(directions) < 3:
            raise QueryError(f"{self.name}: its axes have no three directions in space ({directions.tolist()})")

    @classmethod
    def from_file(cls, path: Path | str, label: int | None = None) -> MaskRegion:
        """The mask in an image file that SimpleITK reads (NIfTI, NRRD and Slicer's .seg.nrrd, MHA ...).

        Raises:
            UnreadableFileError: see :func:`read_mask`.
        """
        voxels, affine = read_mask(path)
        if voxels.ndim == 3:
            return cls(voxels, affine, label, str(path))
        name = str(path) if label is None else f"{path}, label {label}"
        return cls(_any_layer(voxels, label), affine, name=name)

    def __str__(self) -> str:
        return f"mask {self.name}" + ("" if self.label is None else f", label {self.label}")

    def points(self) -> Iterator[np.ndarray]:
        """RAS mm [m, 3] of the region's voxel middles, a block at a time.

        Raises:
            EmptyRegionError: no voxel carries the label.
        """
        inside = np.flatnonzero(_marked(self.voxels, self.label))
        if not len(inside):
            raise EmptyRegionError(self._without_voxels())
        for start in range(0, len(inside), _BLOCK):
            k, j, i = np.unravel_index(inside[start : start + _BLOCK], self.voxels.shape)
            yield np.stack([i, j, k], axis=1) @ self.affine[:3, :3].T + self.affine[:3, 3]

    def _without_voxels(self) -> str:
        if self.label is None:
            return f"{self.name}: the mask is empty, no voxel differs from 0"
        present = np.unique(self.voxels[np.isfinite(self.voxels)])
        listed = ", ".join(f"{value:g}" for value in present[present != 0][:20])
        return f"{self.name}: no voxel has label {self.label}; labels in the mask: {listed or 'none'}"


Region = SliceRange | SingleSlice | BoxRAS | MaskRegion


def parse_region(text: str) -> Region:
    """The region that a text describes.

    `slice=40`, `slices=41-63`, `box=x0,y0,z0,x1,y1,z1` (two opposite corners, RAS mm), or the path of a mask image,
    with `,label=3` behind it for one value of a label map.

    Raises:
        QueryError: none of these. UnreadableFileError: a mask that cannot be read.
    """
    kind, _, value = text.partition("=")
    if kind == "slice" and re.fullmatch(r"\d+", value):
        return SingleSlice(int(value))
    if kind == "slices" and (bounds := re.fullmatch(r"(\d+)\s*[-:]\s*(\d+)", value)):
        return SliceRange(int(bounds[1]), int(bounds[2]))
    if kind == "box":
        return _parse_box(value)
    if kind in ("slice", "slices"):
        raise QueryError(f"region {text!r}: expected slice=40 or slices=41-63")
    labelled = re.fullmatch(r"(.+),label=(-?\d+)", text)
    path, label = (labelled[1], int(labelled[2])) if labelled else (text, None)
    path = path.removeprefix("mask=")
    if not Path(path).is_file():
        raise QueryError(
            f"region {text!r}: expected slices=41-63, slice=40, box=x0,y0,z0,x1,y1,z1 in RAS mm, "
            "or the path of a mask image, and there is no such file"
        )
    return MaskRegion.from_file(path, label)


def select_rows(region: Region, geometry: PlaneGeometry, table: SliceTable) -> np.ndarray:
    """The kept slices that show the region.

    Where the region is so thin that it falls between two kept slices, the one nearest to it is taken.

    Args:
        geometry: of the query's full stack.
        table: its kept slices.

    Returns:
        int64 [m], ascending rows of the table, at least one.

    Raises:
        EmptyRegionError: the region lies outside the volume, or the mask is empty.
    """
    if isinstance(region, SliceRange):
        return _rows_of_range(region, region.first, region.last, geometry, table)
    if isinstance(region, SingleSlice):
        return _rows_of_range(region, region.index, region.index, geometry, table)
    frame = StackFrame.of(geometry, table)
    if isinstance(region, BoxRAS):
        return _rows_of_box(region, frame)
    return _rows_of_mask(region, frame)


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
    if isinstance(region, BoxRAS):
        minimum, maximum = np.array(region.minimum), np.array(region.maximum)
        if not frame.meets_box(minimum, maximum):
            raise _misses(region, np.array([minimum, maximum]), frame)
        corners = np.array([[x, y, z] for x in _pair(region, 0) for y in _pair(region, 1) for z in _pair(region, 2)])
        pixels = frame.pixels(corners)
        low, high = pixels.min(axis=0), pixels.max(axis=0)
    else:
        low, high = _mask_pixels(region, frame)
    margin = margin_mm / np.linalg.norm([frame.columns, frame.rows], axis=1)
    counts = np.array(frame.counts)
    # A pixel reaches half a pixel to both sides of its middle. At least one is left, whatever rounding does.
    first = np.clip(np.floor(low - margin + 0.5), 0, counts - 1).astype(int)
    last = np.clip(np.ceil(high + margin - 0.5), first, counts - 1).astype(int)
    return int(first[1]), int(last[1]) + 1, int(first[0]), int(last[0]) + 1


def _rows_of_range(region: Region, first: int, last: int, geometry: PlaneGeometry, table: SliceTable) -> np.ndarray:
    count = geometry.shape[0]
    if first >= count or last < 0:
        raise EmptyRegionError(
            f"{region}: outside the volume, whose {count} {geometry.plane} slices are numbered 0 to {count - 1}"
        )
    rows = np.flatnonzero((table.index >= first) & (table.index <= last))
    if len(rows):
        return rows
    return np.array([np.abs(table.index - 0.5 * (first + last)).argmin()], dtype=np.int64)


def _rows_of_box(region: BoxRAS, frame: StackFrame) -> np.ndarray:
    minimum, maximum = np.array(region.minimum), np.array(region.maximum)
    rows = np.flatnonzero(frame.slices_meeting_box(minimum, maximum))
    if len(rows):
        return rows
    if not frame.meets_box(minimum, maximum):
        raise _misses(region, np.array([minimum, maximum]), frame)
    middle = float(frame.height(0.5 * (minimum + maximum)))
    return np.array([np.abs(frame.heights - middle).argmin()], dtype=np.int64)


def _rows_of_mask(region: MaskRegion, frame: StackFrame) -> np.ndarray:
    """Rows whose rectangle passes through a marked voxel, a parallelepiped around its middle."""
    steps = region.affine[:3, :3]
    half_height = 0.5 * float(np.abs(frame.normal @ steps).sum())
    met = np.zeros(len(frame.heights) + 1, np.int64)
    nearest, nearest_distance = -1, np.inf
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
        row, distance = _nearest(frame.heights, heights)
        if distance < nearest_distance:
            nearest, nearest_distance = row, distance
    rows = np.flatnonzero(np.cumsum(met)[:-1] > 0)
    if len(rows):
        return rows
    if nearest < 0:
        raise _misses(region, np.array([low, high]), frame)
    return np.array([nearest], dtype=np.int64)


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


def _nearest(heights: np.ndarray, wanted: np.ndarray) -> tuple[int, float]:
    """The row whose height is nearest to any of the wanted ones, and how near."""
    above = np.clip(np.searchsorted(heights, wanted), 0, len(heights) - 1)
    below = np.maximum(above - 1, 0)
    rows = np.concatenate([below, above])
    distances = np.abs(heights[rows] - np.concatenate([wanted, wanted]))
    place = int(distances.argmin())
    return int(rows[place]), float(distances[place])


def _marked(voxels: np.ndarray, label: int | None) -> np.ndarray:
    if not np.issubdtype(voxels.dtype, np.floating):
        return voxels != 0 if label is None else voxels == label
    rounded = np.floor(np.nan_to_num(voxels, nan=0.0, posinf=0.0, neginf=0.0) + 0.5)
    return rounded != 0 if label is None else rounded == label


def _any_layer(voxels: np.ndarray, label: int | None) -> np.ndarray:
    """Marks [k, j, i] of an image of several layers [k, j, i, layer]."""
    return np.any([_marked(voxels[..., layer], label) for layer in range(voxels.shape[-1])], axis=0)


def _parse_box(value: str) -> BoxRAS:
    try:
        numbers = [float(number) for number in value.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 6:
        raise QueryError(f"region 'box={value}': expected six numbers x0,y0,z0,x1,y1,z1 in RAS mm")
    low, high = np.minimum(numbers[:3], numbers[3:]), np.maximum(numbers[:3], numbers[3:])
    return BoxRAS(tuple(low.tolist()), tuple(high.tolist()))


def _pair(region: BoxRAS, axis: int) -> tuple[float, float]:
    return region.minimum[axis], region.maximum[axis]


def _misses(region: Region, points: np.ndarray, frame: StackFrame) -> EmptyRegionError:
    """The error for a region outside the volume: where both lie."""
    where = str(region) if isinstance(region, BoxRAS) else f"{region}, which lies at {_extent(points)},"
    return EmptyRegionError(
        f"{where} misses the volume, which lies at {_extent(frame.corners())} "
        "(RAS; DICOM's and ITK's LPS coordinates have the opposite sign of x and y)"
    )


def _extent(points: np.ndarray) -> str:
    low, high = points.min(axis=0), points.max(axis=0)
    axes = (f"{name} {a:.1f} to {b:.1f}" for name, a, b in zip("xyz", low, high, strict=True))
    return ", ".join(axes) + " mm"
