"""The stack of slices that the engine makes of a volume node."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _
from VolumeRetrievalEngine.query.stack_geometry import StackGeometry

from .WorldTransform import gridToWorld


def stackOfVolume(volumeNode: Any, plane: str = "auto") -> StackGeometry:
    """Where the slices of a volume node lie in the world, in this plane ("auto": the one that the engine chooses).

    The linear parent transform counts. Of another one (Slicer adds one for irregular slices,
    DICOMScalarVolumePlugin.py) nothing does: it moves slices along the stack, and what is indexed has true positions
    of its own.

    Raises:
        ValueError: the node has no voxels. NotAVolumeError: its axes have no three directions.
    """
    image = volumeNode.GetImageData()
    if image is None or 0 in image.GetDimensions():
        raise ValueError(_("{node} has no voxels.").format(node=volumeNode.GetName()))
    return StackGeometry.of(image.GetDimensions()[::-1], gridToWorld(volumeNode), plane)
