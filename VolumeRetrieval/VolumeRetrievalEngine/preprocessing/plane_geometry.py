"""In which plane a volume is sliced, and where the pixels of that stack lie.

Reorientation only permutes and flips the array's axes, as SimpleITK's DICOMOrient does; nothing is interpolated. An
oblique acquisition keeps its own axes and is called by the nearest plane [our choice: METHOD.md and the papers do not
say; resampling to true anatomical planes would blur and lose the DICOM slices].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np

from ..errors import NotAVolumeError
from ..volume import SliceTable, Volume

#: World axes (0 = right, 1 = anterior, 2 = superior) along which slices, rows and columns of each plane run. Slices
#: ascend toward the positive end, rows and columns descend: row 0 is anterior (axial) or superior, column 0 is the
#: patient's right (axial, coronal) or anterior (sagittal), as radiologists look at them.
_WORLD_AXES = {"axial": (2, 1, 0), "coronal": (1, 2, 0), "sagittal": (0, 2, 1)}

#: Plane whose slices are stacked along this world axis.
_PLANE_ACROSS = {axes[0]: plane for plane, axes in _WORLD_AXES.items()}

#: "auto" reformats to axial up to this ratio of the largest to the smallest spacing; rounding in headers is forgiven.
_NEARLY_ISOTROPIC = 2.0 * 1.001


@dataclass(frozen=True, eq=False)
class PlaneGeometry:
    """The full stack of one plane, without its voxels: all that mapping a region needs.

    Attributes:
        plane: "axial", "sagittal" or "coronal".
        affine: float64 [4, 4], (column, row, slice, 1) to RAS mm; for irregular slices the best regular one, where
            each slice truly lies is in its SliceTable.
        shape: (slices, rows, columns) of the full stack, before any thinning.
    """

    plane: str
    affine: np.ndarray
    shape: tuple[int, int, int]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PlaneGeometry):
            return NotImplemented
        return (self.plane, self.shape) == (other.plane, other.shape) and np.array_equal(self.affine, other.affine)

    @property
    def spacing(self) -> np.ndarray:
        """float64 [3]: mm between neighboring columns, rows and slices."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)

    def to_dict(self) -> dict[str, Any]:
        """Values for JSON, read back by :meth:`from_dict` without loss."""
        return {"plane": self.plane, "affine": self.affine.tolist(), "shape": list(self.shape)}

    @classmethod
    def of(cls, shape: tuple[int, int, int], affine: np.ndarray, plane: str = "auto") -> PlaneGeometry:
        """The stack that a volume of this geometry is sliced into; no voxels are needed.

        Args:
            shape: (slices, rows, columns) of the volume's voxels [k, j, i].
            affine: float [4, 4], (i, j, k, 1) to RAS mm.
            plane: "axial", "sagittal", "coronal", or "auto" for the one that :func:`choose_plane` chooses.

        Raises:
            NotAVolumeError: the affine gives the axes no direction.
        """
        matrix = np.asarray(affine, dtype=np.float64)
        if plane == "auto":
            plane = _automatic_plane(matrix, np.linalg.norm(matrix[:3, :3], axis=0), "volume")
        return _stack_geometry(shape, matrix, _stack_axes(matrix, plane, "volume"), plane)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PlaneGeometry:
        """The geometry that :meth:`to_dict` wrote."""
        slices, rows, columns = (int(n) for n in values["shape"])
        return cls(str(values["plane"]), np.array(values["affine"], dtype=np.float64), (slices, rows, columns))


@dataclass(frozen=True)
class OrientedStack:
    """A volume seen as the slices of one plane.

    Attributes:
        voxels: float32 [slice, row, column]; a view of the volume's voxels, nothing is copied.
        geometry: where they lie.
        table: one row for each slice of the full stack.
        row_mm, column_mm: float64, mm of the rows' and columns' middles from the first; irregular where the thick-slice
            axis of an irregular acquisition lies in plane.
    """

    voxels: np.ndarray
    geometry: PlaneGeometry
    table: SliceTable
    row_mm: np.ndarray
    column_mm: np.ndarray


@dataclass(frozen=True)
class _Axis:
    """One axis of the stack: which axis of the volume it is (0 = i, 1 = j, 2 = k), and whether it is reversed."""

    source: int
    reversed: bool


def choose_plane(volume: Volume, plane: str = "auto") -> str:
    """The plane to slice in: as asked, or for "auto" axial if the spacings differ at most by a factor of 2, else the
    plane nearest to the one that was acquired (across the axis of the largest spacing).

    Two equally large spacings (pixels much larger than the slices are thick) point out no thick-slice axis: axial.
    """
    if plane != "auto":
        return plane
    return _automatic_plane(volume.affine, volume.spacing, volume.files.label)


def orient(volume: Volume, plane: str = "auto") -> OrientedStack:
    """The volume as a stack of slices in `plane` ("auto", "axial", "sagittal" or "coronal").

    Where the stack's slices are the acquired ones, its table keeps their UIDs, frames and true positions. Otherwise
    they are reformats: no UID, regular geometry.

    Raises:
        NotAVolumeError: the volume's affine gives its axes no direction.
    """
    plane = choose_plane(volume, plane)
    axes = _stack_axes(volume.affine, plane, volume.files.label)
    across, down, along = axes
    voxels = volume.voxels.transpose([2 - axis.source for axis in axes])
    voxels = voxels[tuple(slice(None, None, -1 if axis.reversed else None) for axis in axes)]
    geometry = _stack_geometry(volume.voxels.shape, volume.affine, axes, plane)
    acquired = across.source == 2
    return OrientedStack(
        voxels=voxels,
        geometry=geometry,
        table=_acquired_table(volume, axes, geometry) if acquired else SliceTable.regular(geometry.affine, len(voxels)),
        row_mm=_axis_mm(volume, down),
        column_mm=_axis_mm(volume, along),
    )


def thin(positions_mm: np.ndarray, step_mm: float) -> np.ndarray:
    """Which slices to keep so that neighbors are at least `step_mm` apart, from the first on.

    Args:
        positions_mm: float [n], ascending.
        step_mm: 0 keeps every slice. One percent less than this is enough: 3 mm slices are often 2.999 mm.

    Returns:
        int64 [m], ascending rows.
    """
    kept = [0]
    for row in range(1, len(positions_mm)):
        if positions_mm[row] - positions_mm[kept[-1]] >= 0.99 * step_mm:
            kept.append(row)
    return np.array(kept, dtype=np.int64)


def _automatic_plane(affine: np.ndarray, spacing: np.ndarray, name: str) -> str:
    largest, second, smallest = sorted(spacing, reverse=True)
    if largest <= _NEARLY_ISOTROPIC * smallest or second > 0.9 * largest:
        return "axial"
    return _PLANE_ACROSS[_nearest_world_axes(affine, name).index(int(np.argmax(spacing)))]


def _nearest_world_axes(affine: np.ndarray, name: str) -> tuple[int, int, int]:
    """Which axis of the volume (0 = i, 1 = j, 2 = k) runs most nearly along each world axis R, A, S."""
    directions = np.asarray(affine, dtype=np.float64)[:3, :3]
    lengths = np.linalg.norm(directions, axis=0)
    if not np.all(np.isfinite(directions)) or abs(np.linalg.det(directions)) < 1e-9 * max(lengths.prod(), 1e-30):
        raise NotAVolumeError(name, f"its axes have no three directions in space (index-to-RAS {directions.tolist()})")
    cosine = np.abs(directions / lengths)
    orders = permutations(range(3))
    i, j, k = max(orders, key=lambda order: sum(cosine[world, axis] for world, axis in enumerate(order)))
    return i, j, k


def _stack_axes(affine: np.ndarray, plane: str, name: str) -> tuple[_Axis, _Axis, _Axis]:
    """The volume's axes along slices, rows and columns of this plane."""
    nearest = _nearest_world_axes(affine, name)

    def axis(world: int, ascending: bool) -> _Axis:
        source = nearest[world]
        return _Axis(source, bool((affine[world, source] > 0) != ascending))

    across, down, along = _WORLD_AXES[plane]
    return axis(across, True), axis(down, False), axis(along, False)


def _stack_geometry(
    shape: tuple[int, int, int], affine: np.ndarray, axes: tuple[_Axis, _Axis, _Axis], plane: str
) -> PlaneGeometry:
    """Where the stack of these axes of a volume lies; `shape` is that of its voxels [k, j, i]."""
    source = np.asarray(affine, dtype=np.float64)
    counts = shape[::-1]
    matrix = source.copy()
    for column, axis in enumerate(reversed(axes)):
        step = source[:3, axis.source]
        matrix[:3, column] = -step if axis.reversed else step
        if axis.reversed:
            matrix[:3, 3] += (counts[axis.source] - 1) * step
    slices, rows, columns = (int(counts[axis.source]) for axis in axes)
    return PlaneGeometry(plane, matrix, (slices, rows, columns))


def _acquired_table(volume: Volume, axes: tuple[_Axis, _Axis, _Axis], geometry: PlaneGeometry) -> SliceTable:
    """The volume's own slices in the stack's order, their origins moved to the stack's first pixel."""
    across, down, along = axes
    count = len(volume.slices)
    table = volume.slices.take(np.arange(count)[::-1] if across.reversed else np.arange(count))
    origin = np.array(table.origin, dtype=np.float64)
    for axis in (down, along):
        if axis.reversed:
            origin += (volume.voxels.shape[2 - axis.source] - 1) * volume.affine[:3, axis.source]
    toward = np.where(table.normal @ geometry.affine[:3, 2] < 0, -1.0, 1.0)
    normal = table.normal * toward[:, None]
    common = normal.mean(axis=0)
    return SliceTable(
        index=np.arange(count, dtype=np.int32),
        sop_uid=table.sop_uid,
        frame=table.frame,
        origin=origin,
        normal=normal,
        position=origin @ (common / np.linalg.norm(common)),
    )


def _axis_mm(volume: Volume, axis: _Axis) -> np.ndarray:
    """mm of this axis' samples from its first one, ascending; true slice positions along k."""
    count = volume.voxels.shape[2 - axis.source]
    regular = np.arange(count) * float(np.linalg.norm(volume.affine[:3, axis.source]))
    if axis.source != 2:
        return regular
    true = np.abs(volume.slices.position - volume.slices.position[0])
    if np.any(np.diff(true) <= 0):  # repeated or disordered positions: nothing better than the regular grid
        return regular
    return true[-1] - true[::-1] if axis.reversed else true
