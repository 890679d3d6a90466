"""Results in the query's space: for each column a second volume of the same voxels, under a transform of our own.

The volume that was loaded is not touched, be it the user's or ours. Nothing is resampled or copied but a header, so
that an overlay costs no time and no memory, and nothing of it is listed anywhere or saved.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import slicer
import vtk

from ..Scene.WorldTransform import isAcquisitionTransform

#: On a volume, its display and its transforms: the column that they belong to.
ATTRIBUTE = "VolumeRetrieval.Overlay"


def show(column: str, volumeNode: Any, alignment: np.ndarray, name: str) -> Any:
    """The overlay of a column, under this name (the Data Probe shows it). One of the same volume is moved.

    Args:
        alignment: float64 [4, 4], RAS mm of the query to RAS mm of the result (SearchResult.alignment).
    """
    toQuery = slicer.util.vtkMatrixFromArray(np.linalg.inv(alignment))
    known = next((node for node in volumes() if node.GetAttribute(ATTRIBUTE) == column), None)
    if known is not None and known.GetImageData() is volumeNode.GetImageData():
        _ownTransform(known).SetMatrixTransformToParent(toQuery)
        return known
    remove([column])
    transform = _new("vtkMRMLLinearTransformNode", column)
    transform.SetName(f"{name} (transform)")
    transform.SetMatrixTransformToParent(toQuery)
    transform = slicer.mrmlScene.AddNode(transform)
    parent = volumeNode.GetParentTransformNode()
    if isAcquisitionTransform(parent):  # it makes positions of the voxels those of the patient
        acquisition = _new(parent.GetClassName(), column, parent)
        acquisition = slicer.mrmlScene.AddNode(acquisition)
        acquisition.SetAndObserveTransformNodeID(transform.GetID())
        transform = acquisition
    node = _new(volumeNode.GetClassName(), column)
    node.SetName(name)
    ijkToRas = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(ijkToRas)
    node.SetIJKToRASMatrix(ijkToRas)
    node.SetAndObserveImageData(volumeNode.GetImageData())
    node.SetAndObserveTransformNodeID(transform.GetID())
    node.SetAndObserveDisplayNodeID(_copiedDisplay(volumeNode, column).GetID())
    return slicer.mrmlScene.AddNode(node)


def remove(columns: Collection[str] | None = None) -> None:
    """Remove the overlays of these columns; all without an argument."""
    for node in _all():
        isWanted = columns is None or node.GetAttribute(ATTRIBUTE) in columns
        if isWanted and node.GetScene() is not None:  # a display may go with its volume
            slicer.mrmlScene.RemoveNode(node)


def volumes() -> list[Any]:
    """Those in the scene."""
    return [node for node in _all() if node.IsA("vtkMRMLVolumeNode")]


def _ownTransform(overlay: Any) -> Any:
    """The one that takes it to the query, above an acquisition transform if there is one."""
    transform = overlay.GetParentTransformNode()
    return transform.GetParentTransformNode() or transform


def _all() -> list[Any]:
    """Volumes first: a display node without its volume would be of no use to a view."""
    classes = ("vtkMRMLVolumeNode", "vtkMRMLVolumeDisplayNode", "vtkMRMLTransformNode")
    nodes = [node for one in classes for node in slicer.util.getNodesByClass(one)]
    return [node for node in nodes if node.GetAttribute(ATTRIBUTE)]


def _new(className: str, column: str, like: Any = None) -> Any:
    """A node that is not in the scene yet; like another one if one is given, whose data it shares."""
    node = slicer.mrmlScene.CreateNodeByClass(className)
    node.UnRegister(None)
    if like is not None:
        node.CopyContent(like, False)  # its attributes as well, so that ours come after them
    node.SetAttribute(ATTRIBUTE, column)
    node.SetHideFromEditors(True)  # before it is added: the subject hierarchy asks then
    node.SetSaveWithScene(False)
    return node


def _copiedDisplay(volumeNode: Any, column: str) -> Any:
    """Window and level as the result has them now; changing one changes nothing of the other."""
    if volumeNode.GetDisplayNode() is None:
        volumeNode.CreateDefaultDisplayNodes()
    source = volumeNode.GetDisplayNode()
    display = _new(source.GetClassName(), column, source)
    display.SetAndObserveColorNodeID(source.GetColorNodeID())
    return slicer.mrmlScene.AddNode(display)
