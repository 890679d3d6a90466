"""Matched ranges as translucent slabs in the views of their own volume."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import slicer

from .MatchMapPicture import rangeColor
from .StackGeometry import StackGeometry

#: Marks the nodes, so that they are known again in a scene that was saved and opened.
ATTRIBUTE = "VolumeRetrieval.Range"


def addMark(
    name: str,
    geometry: StackGeometry,
    startMm: float,
    endMm: float,
    number: int,
    viewNodeIDs: Sequence[str],
) -> Any:
    """A locked markups ROI from the first to the last slice, as wide as the volume, shown in these views only.

    `number` chooses the colour: the same as in the match map.
    """
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", name)
    node.SetAttribute(ATTRIBUTE, str(number))
    node.CreateDefaultDisplayNodes()
    with slicer.util.NodeModify(node):
        _place(node, geometry, startMm, endMm)
        node.SetLocked(True)
    _style(node.GetDisplayNode(), number, viewNodeIDs)
    return node


def _place(node: Any, geometry: StackGeometry, startMm: float, endMm: float) -> None:
    matrix = np.eye(4)
    matrix[:3, :3] = geometry.axes.T
    matrix[:3, 3] = geometry.pointAt((startMm + endMm) / 2)
    # Positions are those of slice middles: the slab covers the slices themselves.
    thickness = abs(endMm - startMm) + geometry.spacing
    node.SetSize(*geometry.size[:2], thickness)
    node.SetAndObserveObjectToNodeMatrix(slicer.util.vtkMatrixFromArray(matrix))


def _style(display: Any, number: int, viewNodeIDs: Sequence[str]) -> None:
    color = [channel / 255 for channel in rangeColor(number)]
    with slicer.util.NodeModify(display):
        display.SetViewNodeIDs(list(viewNodeIDs))
        for setColor in (display.SetColor, display.SetSelectedColor, display.SetActiveColor):
            setColor(*color)
        display.SetFillOpacity(0.22)
        display.SetOutlineOpacity(0.9)
        display.SetHandlesInteractive(False)
        display.SetPointLabelsVisibility(False)
        display.SetPropertiesLabelVisibility(True)  # the node's name: range and similarity
        display.SetTextScale(2.2)
        # The control points of an ROI are its centre and nothing to look at.
        display.SetGlyphScale(0.1)
