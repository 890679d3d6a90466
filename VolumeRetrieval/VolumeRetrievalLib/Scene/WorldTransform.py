"""Where nodes lie in the world, as numpy matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _


def arrayOf(matrix: vtk.vtkMatrix4x4) -> np.ndarray:
    """float64 [4, 4]."""
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def nodeToWorld(node: Any) -> np.ndarray:
    """float64 [4, 4], from the node's own coordinates to the world (RAS mm): its parent transforms.

    ValueError for a transform that bends space, with what to do.
    """
    parent = node.GetParentTransformNode()
    if parent is None:
        return np.eye(4)
    if not parent.IsTransformToWorldLinear():
        raise ValueError(
            _(
                "{node} is under the transform {transform}, which is not linear: harden it first (in the Data module, "
                "right-click the transform of the node), so that every voxel is where it is shown."
            ).format(node=node.GetName(), transform=parent.GetName())
        )
    matrix = vtk.vtkMatrix4x4()
    parent.GetMatrixTransformToWorld(matrix)
    return arrayOf(matrix)


def ijkToWorld(volumeNode: Any) -> np.ndarray:
    """float64 [4, 4], (i, j, k, 1) of a volume to the world (RAS mm); the parent transform moves the positions."""
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    return nodeToWorld(volumeNode) @ arrayOf(matrix)


def gridToWorld(volumeNode: Any) -> np.ndarray:
    """As ijkToWorld, but of the volume's regular grid: a parent transform that is not linear is left out."""
    parent = volumeNode.GetParentTransformNode()
    if parent is None or parent.IsTransformToWorldLinear():
        return ijkToWorld(volumeNode)
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    return arrayOf(matrix)


def isAcquisitionTransform(node: Any) -> bool:
    """Whether this is what Slicer puts above volumes with irregular slices: with it, the world is the patient again.

    Slicer 5.12, DICOMScalarVolumePlugin.py, gridTransformFromCorners: a grid transform of this name.
    """
    return node is not None and node.IsA("vtkMRMLGridTransformNode") and " acquisition transform" in node.GetName()


def scalarVolumes() -> list[Any]:
    return slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
