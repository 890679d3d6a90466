"""A region of the query, from what marks it in the scene to what the search worker takes (worker/PROTOCOL.md).

Everything is in the world: a box along its axes, or a mask with its own grid. The engine compares either with every
slice in space, so that the region need not know in which plane the query was indexed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from vtk.util.numpy_support import vtk_to_numpy

from ..Scene.WorldTransform import arrayOf, ijkToWorld, isAcquisitionTransform, nodeToWorld
from ..Values import CURRENT_SLICE, ROI, SEGMENT, SLICES, WHOLE_VOLUME, Region

#: Voxels of masks that are made for a shape without voxels of its own: so large, and at most so many along an axis.
_STEP_MM = 2.0
_MOST_STEPS = 96

#: Of a slice without thickness: less than any distance between slices.
_THIN_MM = 0.01


def message(region: Region | None, volumeNode: Any, folder: Path) -> dict[str, Any] | None:
    """The parameter `region` of a search; None for the whole volume.

    Args:
        volumeNode: the query; None if it is a series that is not in the scene.
        folder: a private one, where a mask can be put.

    Raises:
        ValueError: what marks the region is missing or empty.
    """
    if region is None or region.kind == WHOLE_VOLUME:
        return None
    if region.kind == SLICES and volumeNode is None:
        return {"slices": [region.firstSlice, region.lastSlice]}
    if region.kind == SLICES and isAcquisitionTransform(volumeNode.GetParentTransformNode()):
        return {"slices": _numbersInStack(region.firstSlice, region.lastSlice, volumeNode)}
    if region.kind == SLICES:
        return _write(*_slices(region.firstSlice, region.lastSlice, volumeNode), folder)
    if region.kind == ROI:
        return _roi(region.roi, folder)
    if region.kind == SEGMENT:
        return _write(*_segment(region.segmentation, region.segmentID), folder)
    if region.kind == CURRENT_SLICE:
        return _write(*_currentSlice(region.sliceView), folder)
    raise ValueError(_("There is no region of the kind {kind}.").format(kind=region.kind))


def _write(voxels: np.ndarray, affine: np.ndarray, folder: Path) -> dict[str, Any]:
    file = folder / "region.npy"
    np.save(file, voxels)
    return {"mask": {"file": str(file), "affine": affine.tolist()}}


def _slices(first: int, last: int, volumeNode: Any) -> tuple[np.ndarray, np.ndarray]:
    """Slices of the volume as it is in the scene (its k axis), which Slicer may have turned around."""
    columns, rows, count = volumeNode.GetImageData().GetDimensions()
    first, last = max(first, 0), min(last, count - 1)
    if first > last:
        raise ValueError(_("There are no such slices: the volume has {count}.").format(count=count))
    coarse = [min(size, _MOST_STEPS) for size in (columns, rows)]
    grow = [columns / coarse[0], rows / coarse[1]]
    scale = np.diag([grow[0], grow[1], 1.0, 1.0])
    scale[:3, 3] = [(grow[0] - 1) / 2, (grow[1] - 1) / 2, first]
    return np.ones((last - first + 1, coarse[1], coarse[0]), bool), ijkToWorld(volumeNode) @ scale


def _numbersInStack(first: int, last: int, volumeNode: Any) -> list[int]:
    """The same slices as the engine counts them: ascending toward +R, +A or +S. Where every slice is moved by itself,
    they have no grid."""
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASDirectionMatrix(matrix)
    along = arrayOf(matrix)[:3, 2]
    if along[np.abs(along).argmax()] > 0:
        return [first, last]
    count = volumeNode.GetImageData().GetDimensions()[2]
    return [count - 1 - last, count - 1 - first]


def _roi(roiNode: Any, folder: Path) -> dict[str, Any]:
    if roiNode is None:
        raise ValueError(_("The region has no ROI."))
    # vtkMRMLMarkupsROINode.h: the object's center and axes, and its size, in the world.
    size = np.zeros(3)
    roiNode.GetSizeWorld(size)
    toWorld = arrayOf(roiNode.GetObjectToWorldMatrix())
    if not (size > 0).all():
        raise ValueError(_("{node} has no size: draw the box first.").format(node=roiNode.GetName()))
    axes, center = toWorld[:3, :3] / np.linalg.norm(toWorld[:3, :3], axis=0), toWorld[:3, 3]
    if np.isclose(np.abs(axes), np.abs(axes).round(), atol=1e-6).all():
        half = np.abs(axes) @ size / 2
        return {"box": [(center - half).tolist(), (center + half).tolist()]}
    counts = np.clip(np.ceil(size / _STEP_MM), 1, _MOST_STEPS).astype(int)
    affine = np.eye(4)
    affine[:3, :3] = axes * (size / counts)
    affine[:3, 3] = center - axes @ (size / 2) + affine[:3, :3].sum(axis=1) / 2
    return _write(np.ones(counts[::-1], bool), affine, folder)


def _segment(segmentationNode: Any, segmentID: str) -> tuple[np.ndarray, np.ndarray]:
    if segmentationNode is None or segmentationNode.GetSegmentation().GetSegment(segmentID) is None:
        raise ValueError(_("The region has no segment."))
    # vtkMRMLSegmentationNode.h: a copy of this segment alone, once there are labelmaps.
    segmentationNode.CreateBinaryLabelmapRepresentation()
    labelmap = slicer.vtkOrientedImageData()
    segmentationNode.GetBinaryLabelmapRepresentation(segmentID, labelmap)
    scalars = labelmap.GetPointData().GetScalars()
    voxels = vtk_to_numpy(scalars).reshape(labelmap.GetDimensions()[::-1]) != 0 if scalars else np.zeros((0, 0, 0))
    if not voxels.any():
        raise ValueError(_("The segment is empty."))
    matrix = vtk.vtkMatrix4x4()
    labelmap.GetImageToWorldMatrix(matrix)  # "world" of the labelmap is the segmentation node's own space
    first = np.eye(4)
    first[:3, 3] = labelmap.GetExtent()[::2]
    return voxels, nodeToWorld(segmentationNode) @ arrayOf(matrix) @ first


def _currentSlice(name: str) -> tuple[np.ndarray, np.ndarray]:
    """The plane that a slice view shows, twice as wide as the view: what of it lies in the volume counts."""
    manager = slicer.app.layoutManager()
    widget = manager.sliceWidget(name) if manager is not None else None
    if widget is None:
        raise ValueError(_("There is no slice view {name}.").format(name=name))
    sliceNode = widget.mrmlSliceNode()
    toWorld = arrayOf(sliceNode.GetSliceToRAS())
    step = 2 * max(sliceNode.GetFieldOfView()[:2]) / _MOST_STEPS
    affine = np.eye(4)
    affine[:3, :3] = toWorld[:3, :3] * [step, step, _THIN_MM]
    affine[:3, 3] = toWorld[:3, 3] - affine[:3, :2].sum(axis=1) * (_MOST_STEPS - 1) / 2
    return np.ones((1, _MOST_STEPS, _MOST_STEPS), bool), affine
