"""A region of the query volume: the values that name one.

A region is a box in RAS mm, turned in any way (:class:`OrientedBox`), or a mask image of any geometry. A range of
slices, one slice, and a box along the world's axes are other ways to name such a box: :func:`box_of` says which one it
is for a given stack. Slices are numbered from 0 in code, and from 1 in texts for people; both count the full stack of
the query's plane, ascending toward right, anterior or superior.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import EmptyRegionError, QueryError
from .oriented_box import OrientedBox
from .stack_geometry import STACK_ENDS, StackGeometry

#: Mask voxels that are mapped at a time: some 100 MB of coordinates.
_BLOCK = 1_000_000


@dataclass(frozen=True)
class SliceRange:
    """Slices `first` to `last`, both included: 0-based numbers within the full stack of the query's plane.

    `plane` is the plane that the numbers refer to ("axial"); a search in another plane is then refused. "" is the plane
    in which the query is sliced, whichever that is.

    Example:
        >>> str(SliceRange(4, 7, "axial"))
        'axial slices 5-8'
    """

    first: int
    last: int
    plane: str = ""

    def __post_init__(self) -> None:
        if self.first > self.last or self.first < 0:
            raise QueryError(
                f"slices first={self.first}, last={self.last}: expected numbers from 0 on, the lower one first"
            )

    def __str__(self) -> str:
        return slices_text(self.first, self.last, self.plane)


@dataclass(frozen=True)
class SingleSlice:
    """One slice, by its 0-based number within the full stack of the query's plane; `plane` as in SliceRange.

    Example:
        >>> str(SingleSlice(39, "axial"))
        'axial slice 40'
    """

    index: int
    plane: str = ""

    def __str__(self) -> str:
        return str(self.range)

    @property
    def range(self) -> SliceRange:
        """The same as a range."""
        return SliceRange(self.index, self.index, self.plane)


@dataclass(frozen=True)
class BoxRAS:
    """A box along the world's axes: its least and greatest coordinates in RAS mm.

    Example:
        >>> BoxRAS((-40, -60, -120), (40, 20, -60)).box
        box x -40.0 to 40.0, y -60.0 to 20.0, z -120.0 to -60.0 mm
    """

    minimum: tuple[float, float, float]
    maximum: tuple[float, float, float]

    def __post_init__(self) -> None:
        corners = np.array([self.minimum, self.maximum], dtype=np.float64)
        if corners.shape != (2, 3) or not np.isfinite(corners).all():
            raise QueryError(f"box {self.minimum} to {self.maximum}: expected two corners of 3 finite mm each")
        if (corners[0] > corners[1]).any():
            raise QueryError(f"box {self.minimum} to {self.maximum}: expected the lesser coordinates first")

    def __str__(self) -> str:
        return str(self.box)

    @property
    def box(self) -> OrientedBox:
        """The same as an oriented box."""
        return OrientedBox.around(np.array([self.minimum, self.maximum]), np.eye(3))


@dataclass(frozen=True, eq=False)
class MaskRegion:
    """The voxels of a mask that carry a label.

    Attributes:
        voxels: [k, j, i], any number type; NaN belongs to no region. Fractions of one half and more count.
        affine: float64 [4, 4], (i, j, k, 1) to RAS mm.
        label: the value that marks the region; None for every value except 0.
        name: what to call it in messages.

    Example:
        >>> voxels = np.zeros((4, 5, 6), np.uint8)
        >>> voxels[1:3, 2, 2:4] = 7
        >>> region = MaskRegion(voxels, np.diag([2.0, 2.0, 5.0, 1.0]), label=7)
        >>> np.concatenate(list(region.points())).tolist()
        [[4.0, 4.0, 5.0], [6.0, 4.0, 5.0], [4.0, 4.0, 10.0], [6.0, 4.0, 10.0]]
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
        from ..reading.image_files.mask_file import read_mask  # not for regions that are no files: it loads readers

        voxels, affine = read_mask(path)
        if voxels.ndim == 3:
            return cls(voxels, affine, label, str(path))
        name = str(path) if label is None else f"{path}, label {label}"
        return cls(_any_layer(voxels, label), affine, name=name)

    def __str__(self) -> str:
        name = self.name if self.name.startswith("mask") else f"mask {self.name}"
        return name + ("" if self.label is None else f", label {self.label}")

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


Region = OrientedBox | MaskRegion | SliceRange | SingleSlice | BoxRAS


def box_of(region: Region, stack: StackGeometry) -> OrientedBox | MaskRegion:
    """What a region is in space: the box over its slices of this stack, or the box or mask that it is anyway.

    Raises:
        EmptyRegionError: the stack has no such slices. QueryError: they are slices of another plane.
    """
    if isinstance(region, (SliceRange, SingleSlice)):
        numbers = region if isinstance(region, SliceRange) else region.range
        check_slices(numbers, stack.plane, stack.count)
        return stack.slab(numbers.first, numbers.last)
    return region.box if isinstance(region, BoxRAS) else region


def check_slices(region: SliceRange, plane: str, count: int) -> None:
    """That a stack of `count` slices of this plane has some of these.

    Raises:
        EmptyRegionError: it has none of them. QueryError: the region's numbers count another plane.
    """
    if region.plane and region.plane != plane:
        raise QueryError(f"{region}: the query is sliced in the {plane} plane, whose slices these numbers do not count")
    if region.first >= count:
        ends = STACK_ENDS.get(plane, ("first", "last"))
        raise EmptyRegionError(
            f"no {slices_text(region.first, region.last, plane)}: the volume has {count}, "
            f"counted from 1 ({ends[0]}) to {count} ({ends[1]})"
        )


def slices_text(first: int, last: int, plane: str = "") -> str:
    """Slices by their 0-based numbers as people count them: "axial slices 5-8", "axial slice 5"."""
    named = f"{plane} slice" if plane else "slice"
    return f"{named} {first + 1}" if first == last else f"{named}s {first + 1}-{last + 1}"


def parse_region(text: str) -> Region:
    """The region that a text describes.

    `slice=40` or `slices=41-63` (which count from 0, as code does), `box=x0,y0,z0,x1,y1,z1` (two opposite corners, RAS
    mm), or the path of a mask image, with `,label=3` behind it for one value of a label map.

    Raises:
        QueryError: none of these. UnreadableFileError: a mask that cannot be read.

    Example:
        >>> parse_region("slices=41-63"), parse_region("slice=40")
        (SliceRange(first=41, last=63, plane=''), SingleSlice(index=40, plane=''))
    """
    kind, _, value = text.partition("=")
    if kind == "slice" and re.fullmatch(r"\d+", value):
        return SingleSlice(int(value))
    if kind == "slices" and (bounds := re.fullmatch(r"(\d+)\s*[-:]\s*(\d+)", value)):
        if int(bounds[1]) > int(bounds[2]):
            raise QueryError(f"region {text!r}: expected the lower number first")
        return SliceRange(int(bounds[1]), int(bounds[2]))
    if kind == "box":
        return _parse_box(value)
    if kind in ("slice", "slices"):
        raise QueryError(f"region {text!r}: expected slice=40 or slices=41-63")
    labeled = re.fullmatch(r"(.+),label=(-?\d+)", text)
    path, label = (labeled[1], int(labeled[2])) if labeled else (text, None)
    path = path.removeprefix("mask=")
    if not Path(path).is_file():
        raise QueryError(
            f"region {text!r}: expected slices=41-63, slice=40, box=x0,y0,z0,x1,y1,z1 in RAS mm, "
            "or the path of a mask image, and there is no such file"
        )
    return MaskRegion.from_file(path, label)


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
