"""A region of the query, from what marks it in the scene to the value that the engine searches with.

Everything is in the world (RAS mm). A box and slices travel to the search worker as numbers, a segment as a file with a
mask (worker/PROTOCOL.md).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from VolumeRetrievalEngine.query.oriented_box import OrientedBox
from VolumeRetrievalEngine.query.region import MaskRegion, SliceRange
from VolumeRetrievalEngine.query.stack_geometry import StackGeometry
from vtk.util.numpy_support import vtk_to_numpy

from ..Scene.WorldTransform import arrayOf, nodeToWorld
from ..Texts import planeName, stackEnds
from ..Values import REGION_KINDS, ROI, SEGMENT, SLICES, WHOLE_VOLUME, SceneRegion


def engineRegion(
    region: SceneRegion | None, stack: StackGeometry | None
) -> OrientedBox | MaskRegion | SliceRange | None:
    """The region as the engine takes it; None for the whole volume.

    Args:
        stack: the query's, which slice numbers count; None if it is not known before the search.

    Raises:
        ValueError: what marks the region is missing or empty, or there is no such region.
    """
    if region is None:
        return None
    if not hasattr(region, "kind"):
        raise ValueError(
            _("{region} is not a region: expected a SceneRegion of VolumeRetrievalLib.Values.").format(
                region=repr(region)
            )
        )
    if region.kind == WHOLE_VOLUME:
        return None
    if region.kind == SLICES:
        return _slices(region.firstSlice, region.lastSlice, stack)
    if region.kind == ROI:
        return _roi(region.roi)
    if region.kind == SEGMENT:
        return _segment(region.segmentation, region.segmentID)
    raise ValueError(
        _("There is no region of the kind {kind}: expected one of {kinds}.").format(
            kind=region.kind, kinds=", ".join(REGION_KINDS)
        )
    )


def message(region: SceneRegion | None, stack: StackGeometry | None, folder: Path) -> dict[str, Any] | None:
    """The parameter `region` of a search; None for the whole volume.

    Args:
        folder: a private one, where a mask can be put.

    Raises:
        ValueError: as of engineRegion.
    """
    value = engineRegion(region, stack)
    if value is None:
        return None
    if isinstance(value, SliceRange):
        return {"slices": [value.first, value.last], "plane": value.plane}
    if isinstance(value, OrientedBox):
        return {"box": value.to_dict()}
    file = folder / "region.npy"
    np.save(file, value.voxels)
    return {"mask": {"file": str(file), "affine": value.affine.tolist(), "name": value.name}}


def boxOf(region: SceneRegion, stack: StackGeometry) -> OrientedBox | None:
    """The box over the region's slices, for drawing; None if the region is not slices, or there are no such slices."""
    if region.kind != SLICES or not 0 <= region.firstSlice <= region.lastSlice or region.firstSlice >= stack.count:
        return None
    return stack.slab(region.firstSlice, region.lastSlice)


def _slices(first: int, last: int, stack: StackGeometry | None) -> SliceRange:
    if first > last or first < 0:
        text = _("Slices {first} to {last}: the first slice must not come after the last one, and slices count from 1.")
        raise ValueError(text.format(first=first + 1, last=last + 1))
    if stack is None:
        return SliceRange(first, last)
    if first >= stack.count:
        begin, end = stackEnds(stack.plane)
        text = _("No {plane} slices {first} to {last}: the volume has {count}, from 1 ({begin}) to {count} ({end}).")
        numbers = {"first": first + 1, "last": last + 1, "count": stack.count}
        raise ValueError(text.format(plane=planeName(stack.plane), begin=begin, end=end, **numbers))
    return SliceRange(first, min(last, stack.count - 1), stack.plane)


def _roi(roiNode: Any) -> OrientedBox:
    if roiNode is None:
        raise ValueError(_("The region has no ROI."))
    # vtkMRMLMarkupsROINode.h: the object's center and axes, and its size, in the world.
    size = np.zeros(3)
    roiNode.GetSizeWorld(size)
    toWorld = arrayOf(roiNode.GetObjectToWorldMatrix())
    if not (np.isfinite(size).all() and (size > 0).all()):
        raise ValueError(_("{node} has no size: draw the box first.").format(node=roiNode.GetName()))
    axes = (toWorld[:3, :3] / np.linalg.norm(toWorld[:3, :3], axis=0)).T
    corners = toWorld[:3, 3] + _CORNERS * size @ axes
    # Right angles, where a transform that shears has bent them: the nearest axes, around all of the box.
    left, _lengths, right = np.linalg.svd(axes)
    straight = left @ right
    if np.allclose(straight, axes, atol=1e-6):
        return OrientedBox(toWorld[:3, 3], straight, size)
    return OrientedBox.around(corners, straight)


#: Of a box of size 1 around the origin.
_CORNERS = np.array([[a, b, c] for a in (-0.5, 0.5) for b in (-0.5, 0.5) for c in (-0.5, 0.5)])


def _segment(segmentationNode: Any, segmentID: str) -> MaskRegion:
    if segmentationNode is None:
        raise ValueError(_("The region has no segmentation."))
    segmentation = segmentationNode.GetSegmentation()
    if not segmentID and segmentation.GetNumberOfSegments() == 1:  # there is nothing to choose from
        segmentID = segmentation.GetNthSegmentID(0)
    if segmentation.GetSegment(segmentID) is None:
        named = segmentation.GetSegmentIdBySegmentName(segmentID) if segmentID else ""
        if not named:
            raise ValueError(_noSegment(segmentationNode, segmentID))
        segmentID = named
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
    affine = nodeToWorld(segmentationNode) @ arrayOf(matrix) @ first
    return MaskRegion(voxels, affine, name=segmentation.GetSegment(segmentID).GetName())


def _noSegment(segmentationNode: Any, segmentID: str) -> str:
    segmentation = segmentationNode.GetSegmentation()
    names = [segmentation.GetNthSegment(number).GetName() for number in range(segmentation.GetNumberOfSegments())]
    text = _("{node} has no segment {segment}: expected one of {names}.")
    return text.format(node=segmentationNode.GetName(), segment=repr(segmentID), names=", ".join(names) or _("none"))
