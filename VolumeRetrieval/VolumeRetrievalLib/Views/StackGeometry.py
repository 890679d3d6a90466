"""Where the slices of a volume node lie in the world, by position along the stack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer
import vtk
from VolumeRetrievalEngine.preprocessing.plane_geometry import orient
from VolumeRetrievalEngine.volume import SliceTable, Volume


@dataclass(frozen=True)
class StackGeometry:
    """The stack of slices of one plane: an oriented box.

    Attributes:
        plane: "axial", "coronal" or "sagittal".
        center: float [3], mm, of the volume.
        axes: float [3, 3], rows are unit vectors: two in the plane, then the direction in which slices ascend.
        size: float [3], mm, of the box along the axes.
        spacing: mm between neighbouring slices.
    """

    plane: str
    center: np.ndarray
    axes: np.ndarray
    size: np.ndarray
    spacing: float

    @property
    def normal(self) -> np.ndarray:
        return self.axes[2]

    @classmethod
    def ofVolume(cls, volumeNode: Any, plane: str) -> StackGeometry:
        """The stack that the engine makes of this volume for this plane ("auto": the plane it chooses); the volume's
        parent transform counts.

        A non-linear parent transform (Slicer adds one for irregular slices, DICOMScalarVolumePlugin.py) moves slices
        along the stack only, and matches come with true positions, so that the linear part is enough here.
        """
        toWorld = _ijkToWorld(volumeNode)
        columns, rows, slices = volumeNode.GetImageData().GetDimensions()
        # Only the geometry is asked for: an array without memory stands for the voxels.
        voxels = np.broadcast_to(np.float32(0), (slices, rows, columns))
        stack = orient(Volume(voxels, toWorld, SliceTable.regular(toWorld, slices)), plane).geometry
        counts = np.array(stack.shape[::-1], dtype=float)
        center = (stack.affine @ np.append((counts - 1) / 2, 1.0))[:3]
        axes = (stack.affine[:3, :3] / stack.spacing).T.copy()
        if np.dot(np.cross(axes[0], axes[1]), axes[2]) < 0:  # a markups ROI needs right-handed axes
            axes[0] *= -1
        return cls(stack.plane, center, axes, counts * stack.spacing, float(stack.spacing[2]))

    def pointAt(self, position: float) -> np.ndarray:
        """The point of the box's middle line at this position (mm along the stack, as in a match)."""
        return self.center + self.normal * (position - self.center @ self.normal)

    def positionOf(self, point: np.ndarray) -> float:
        return float(np.asarray(point, dtype=float) @ self.normal)


def _ijkToWorld(volumeNode: Any) -> np.ndarray:
    ijkToRas = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(ijkToRas)
    matrix = slicer.util.arrayFromVTKMatrix(ijkToRas)
    parent = volumeNode.GetParentTransformNode()
    if parent is None or not parent.IsTransformToWorldLinear():
        return matrix
    toWorld = vtk.vtkMatrix4x4()
    parent.GetMatrixTransformToWorld(toWorld)
    return slicer.util.arrayFromVTKMatrix(toWorld) @ matrix
