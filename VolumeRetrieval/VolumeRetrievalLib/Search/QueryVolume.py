"""A volume of the scene as a query: its voxels go to the search worker as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import slicer
from slicer.i18n import tr as _

from ..Scene.LoadedVolumes import seriesUID
from ..Scene.WorldTransform import ijkToWorld


def write(volumeNode: Any, folder: Path) -> dict[str, Any]:
    """Write the voxels [k, j, i] as they are; the parameter `volume` of a search (worker/PROTOCOL.md).

    Raises:
        ValueError: it is no scalar volume with slices, or its transform is not linear.
    """
    check(volumeNode)
    affine = ijkToWorld(volumeNode)
    file = folder / "query.npy"
    np.save(file, slicer.util.arrayFromVolume(volumeNode))
    return {
        "file": str(file),
        "affine": affine.tolist(),
        "modality": modality(volumeNode),
        "series_uid": seriesUID(volumeNode),
    }


def check(volumeNode: Any) -> None:
    """Whether this can be searched with: a volume with one number for each voxel, which is no label.

    Raises:
        ValueError: it is no such volume. TypeError: it is no node at all.
    """
    if volumeNode is None:
        raise ValueError(_("There is no query: load a volume, or name a series by its SeriesInstanceUID."))
    if not hasattr(volumeNode, "IsA"):
        text = _("{query} cannot be used as a query: expected a volume node or a SeriesInstanceUID.")
        raise TypeError(text.format(query=repr(volumeNode)))
    if volumeNode.IsA("vtkMRMLLabelMapVolumeNode"):
        text = _("{node} is a label map: choose the image that it belongs to, with the label map's segments as region.")
        raise ValueError(text.format(node=volumeNode.GetName()))
    if not volumeNode.IsA("vtkMRMLScalarVolumeNode") or volumeNode.IsA("vtkMRMLVectorVolumeNode"):
        raise ValueError(_("{node} is no scalar volume.").format(node=volumeNode.GetName()))
    image = volumeNode.GetImageData()
    if image is None or 0 in image.GetDimensions():
        raise ValueError(_("{node} has no voxels.").format(node=volumeNode.GetName()))
    if image.GetNumberOfScalarComponents() != 1:
        raise ValueError(_("{node} is no scalar volume.").format(node=volumeNode.GetName()))


def modality(volumeNode: Any) -> str:
    """As the DICOM series says it; "" where the volume comes from elsewhere."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    item = hierarchy.GetItemByDataNode(volumeNode)
    # vtkMRMLSubjectHierarchyConstants.h, GetDICOMSeriesModalityAttributeName
    return (hierarchy.GetItemAttribute(item, "DICOM.Modality") or "") if item else ""
