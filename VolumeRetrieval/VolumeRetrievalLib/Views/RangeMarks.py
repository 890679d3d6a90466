"""The matched range of a volume, as one slab in its navigator.

One range, one mark: the heaviest range of the match, and in the query's column the slices that it belongs to. Marks are
scratch: hidden from the lists of nodes, not saved, and used again for the next match.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import slicer

from .StackGeometry import StackGeometry

#: On a mark: the column it belongs to. By it marks are known again after the module was reloaded.
ATTRIBUTE = "VolumeRetrieval.Range"
#: Light, and used for nothing else: the matched slices.
COLOR = (1.0, 1.0, 0.85)


def show(column: str, geometry: StackGeometry, startMm: float, endMm: float, viewNodeIDs: Sequence[str]) -> Any:
    """A slab from the first to the last slice of a range, as wide as the volume, seen in these views only.

    `startMm` and `endMm` are the middles of the two slices, mm along the stack. A column has one mark: it is moved if
    it is there.
    """
    node = _find(column)
    isNew = node is None
    if isNew:
        node = _make(column)
    with slicer.util.NodeModify(node):
        placeSlab(node, geometry, startMm, endMm)
    # A mark that enters the scene complete is taken up by every view once; each later change costs as much again.
    display = slicer.mrmlScene.AddNode(_makeDisplay(viewNodeIDs)) if isNew else node.GetDisplayNode()
    if isNew:
        node.SetAndObserveDisplayNodeID(display.GetID())
        node = slicer.mrmlScene.AddNode(node)
    else:
        display.SetViewNodeIDs(list(viewNodeIDs))
    return node


def remove(columns: Collection[str] | None = None) -> None:
    """Remove the marks of these columns; all without an argument."""
    for node in marks():
        if columns is None or node.GetAttribute(ATTRIBUTE) in columns:
            display = node.GetDisplayNode()
            slicer.mrmlScene.RemoveNode(node)
            if display is not None and display.GetScene() is not None:
                slicer.mrmlScene.RemoveNode(display)


def marks() -> list[Any]:
    """Those in the scene."""
    nodes = slicer.util.getNodesByClass("vtkMRMLMarkupsROINode")
    return [node for node in nodes if node.GetAttribute(ATTRIBUTE)]


def placeSlab(node: Any, geometry: StackGeometry, startMm: float, endMm: float) -> None:
    """Make a markups ROI the slab from one slice to another, both included, as wide as the volume."""
    matrix = np.eye(4)
    matrix[:3, :3] = geometry.axes.T
    matrix[:3, 3] = geometry.pointAt((startMm + endMm) / 2)
    # Positions are those of slice middles: the slab covers the slices themselves.
    thickness = abs(endMm - startMm) + geometry.spacing
    node.SetSize(*geometry.size[:2], thickness)
    node.SetAndObserveObjectToNodeMatrix(slicer.util.vtkMatrixFromArray(matrix))


def _find(column: str) -> Any:
    return next((node for node in marks() if node.GetAttribute(ATTRIBUTE) == column), None)


def _make(column: str) -> Any:
    node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLMarkupsROINode")
    node.UnRegister(None)
    node.SetName(f"VolumeRetrieval {column}")
    node.SetAttribute(ATTRIBUTE, column)
    node.SetHideFromEditors(True)  # before it is added: the subject hierarchy asks then
    node.SetSaveWithScene(False)
    node.SetLocked(True)
    return node


def _makeDisplay(viewNodeIDs: Sequence[str]) -> Any:
    display = slicer.mrmlScene.CreateNodeByClass("vtkMRMLMarkupsROIDisplayNode")
    display.UnRegister(None)
    display.SetSaveWithScene(False)
    display.SetViewNodeIDs(list(viewNodeIDs))
    for setColor in (display.SetColor, display.SetSelectedColor, display.SetActiveColor):
        setColor(*COLOR)
    display.SetFillOpacity(0.25)
    display.SetOutlineOpacity(0.9)
    display.SetHandlesInteractive(False)
    display.SetPointLabelsVisibility(False)
    display.SetPropertiesLabelVisibility(False)
    # The control points of an ROI are its centre and nothing to look at.
    display.SetGlyphScale(0.1)
    return display
