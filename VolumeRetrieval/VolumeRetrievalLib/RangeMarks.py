"""Matched ranges as translucent slabs in the views of their own volume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer

from .MatchMapPicture import rangeColor
from .StackGeometry import StackGeometry


@dataclass(frozen=True)
class MarkViews:
    """IDs of the view nodes of one volume: in the plane of the slices, across it, and 3D."""

    main: str
    side: str
    threeD: str


#: Marks the nodes, so that they are known again in a scene that was saved and opened.
ATTRIBUTE = "VolumeRetrieval.Range"


def addMark(
    name: str,
    geometry: StackGeometry,
    startMm: float,
    endMm: float,
    number: int,
    views: MarkViews,
) -> Any:
    """A locked markups ROI from the first to the last slice, as wide as the volume, shown in these views only.

    `number` chooses the colour: the same as in the match map.
    """
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", name)
    node.SetAttribute(ATTRIBUTE, str(number))
    node.CreateDefaultDisplayNodes()
    with slicer.util.NodeModify(node):
        placeSlab(node, geometry, startMm, endMm)
        node.SetLocked(True)
    # Seen from the side the slab is filled and has its label; in the plane of the slices it would lie over the whole
    # picture, and in 3D labels would hide what they name.
    for index, (identifier, opacity, hasLabel) in enumerate(
        ((views.side, 0.25, True), (views.main, 0.0, False), (views.threeD, 0.35, False))
    ):
        if index:
            display = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROIDisplayNode")
            node.AddAndObserveDisplayNodeID(display.GetID())
        _style(node.GetNthDisplayNode(index), number, identifier, opacity, hasLabel)
    return node


def placeSlab(node: Any, geometry: StackGeometry, startMm: float, endMm: float) -> None:
    """Make a markups ROI the slab from one slice to another, both included, as wide as the volume."""
    matrix = np.eye(4)
    matrix[:3, :3] = geometry.axes.T
    matrix[:3, 3] = geometry.pointAt((startMm + endMm) / 2)
    # Positions are those of slice middles: the slab covers the slices themselves.
    thickness = abs(endMm - startMm) + geometry.spacing
    node.SetSize(*geometry.size[:2], thickness)
    node.SetAndObserveObjectToNodeMatrix(slicer.util.vtkMatrixFromArray(matrix))


def _style(display: Any, number: int, viewNodeID: str, fillOpacity: float, hasLabel: bool) -> None:
    color = [channel / 255 for channel in rangeColor(number)]
    with slicer.util.NodeModify(display):
        display.SetViewNodeIDs([viewNodeID])
        for setColor in (display.SetColor, display.SetSelectedColor, display.SetActiveColor):
            setColor(*color)
        display.SetFillOpacity(fillOpacity)
        display.SetOutlineOpacity(1.0)
        display.SetHandlesInteractive(False)
        display.SetPointLabelsVisibility(False)
        display.SetPropertiesLabelVisibility(hasLabel)  # the node's name: similarity and range
        display.SetTextScale(2.4)
        # The control points of an ROI are its centre and nothing to look at.
        display.SetGlyphScale(0.1)
