"""Where the slices of a volume node lie in the world, by position along the stack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer
import vtk

#: The world axis (RAS) that the slices of a plane ascend along.
_ASCENDING = {"sagittal": 0, "coronal": 1, "axial": 2}


@dataclass(frozen=True)
class StackGeometry:
    """The stack of slices of one plane: an oriented box.

    Attributes:
        center: float [3], mm, of the volume.
        axes: float [3, 3], rows are unit vectors: two in the plane, then the direction in which slices ascend.
        size: float [3], mm, of the box along the axes.
        spacing: mm between neighbouring slices.
    """

    center: np.ndarray
    axes: np.ndarray
    size: np.ndarray
    spacing: float

    @property
    def normal(self) -> np.ndarray:
        return self.axes[2]

    @classmethod
    def ofVolume(cls, volumeNode: Any, plane: str) -> StackGeometry:
        """The stack that the engine makes of this volume for this plane; its parent transform counts.

        A non-linear parent transform (Slicer adds one for irregular slices, DICOMScalarVolumePlugin.py) moves slices
        along the stack only, and matches come with true positions, so that the linear part is enough here.
        """
        toWorld = _ijkToWorld(volumeNode)
        directions = toWorld[:3, :3] / np.linalg.norm(toWorld[:3, :3], axis=0)
        steps = np.linalg.norm(toWorld[:3, :3], axis=0)
        world = _ASCENDING[plane]
        along = int(np.abs(directions[world]).argmax())
        first, second = (axis for axis in range(3) if axis != along)
        normal = directions[:, along] * np.sign(directions[world, along] or 1.0)
        inPlane = directions[:, first], directions[:, second]
        if np.dot(np.cross(*inPlane), normal) < 0:  # a markups ROI needs right-handed axes
            inPlane = -inPlane[0], inPlane[1]
        counts = np.array(volumeNode.GetImageData().GetDimensions(), dtype=float)
        center = (toWorld @ np.append((counts - 1) / 2, 1.0))[:3]
        order = [first, second, along]
        return cls(center, np.array([*inPlane, normal]), (counts * steps)[order], float(steps[along]))

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
