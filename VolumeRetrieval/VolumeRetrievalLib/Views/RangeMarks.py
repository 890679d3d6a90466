"""Matched ranges as translucent slabs in the views of their own volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import slicer
from slicer.i18n import tr as _

from ..Panel.MatchMapPicture import rangeColor
from .StackGeometry import StackGeometry


@dataclass(frozen=True)
class MarkViews:
    """IDs of the view nodes of one volume: in the plane of the slices, across it, and 3D."""

    main: str
    side: str
    threeD: str


_TEXT_SCALE = 2.4
#: The height of a label in pixels of the view: its font's size, which is 5 unless set, times the scale
#: (vtkSlicerMarkupsWidgetRepresentation2D.cxx, SetFontSize), and room between two lines.
LABEL_PIXELS = 5 * _TEXT_SCALE + 4

#: Marks the nodes, so that they are known again in a scene that was saved and opened.
ATTRIBUTE = "VolumeRetrieval.Range"


@dataclass(frozen=True)
class Mark:
    """A range to be marked: what it is called, where it is along the stack, and how much it counts. `number` chooses
    the colour: the same as in the match map."""

    name: str
    startMm: float
    endMm: float
    number: int
    weight: float
    hasLabel: bool = True

    @property
    def middleMm(self) -> float:
        return (self.startMm + self.endMm) / 2


def withoutOverlap(marks: Sequence[Mark], nearMm: float) -> list[Mark]:
    """The marks, of which those nearer to a heavier one than `nearMm` have no label; the heavier one's says so.

    A label is drawn at its ROI's first control point, the middle, and nowhere else (vtkSlicerROIRepresentation3D.cxx,
    TextActorPositionWorld; in slice views it is the same).
    """
    labelled: list[Mark] = []
    hidden: dict[int, int] = {}
    for one in sorted(marks, key=lambda mark: -mark.weight):
        near = next((other for other in labelled if abs(other.middleMm - one.middleMm) < nearMm), None)
        if near is None:
            labelled.append(one)
        else:
            hidden[near.number] = hidden.get(near.number, 0) + 1
    numbers = {one.number for one in labelled}
    return [replace(one, name=_named(one, hidden), hasLabel=one.number in numbers) for one in marks]


def _named(mark: Mark, hidden: dict[int, int]) -> str:
    count = hidden.get(mark.number, 0)
    return _("{range} (+{n} near)").format(range=mark.name, n=count) if count else mark.name


def addMark(mark: Mark, geometry: StackGeometry, views: MarkViews) -> Any:
    """A locked markups ROI from the first to the last slice, as wide as the volume, shown in these views only."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", mark.name)
    node.SetAttribute(ATTRIBUTE, str(mark.number))
    node.CreateDefaultDisplayNodes()
    with slicer.util.NodeModify(node):
        placeSlab(node, geometry, mark.startMm, mark.endMm)
        node.SetLocked(True)
    # Seen from the side the slab is filled and has its label; in the plane of the slices it would lie over the whole
    # picture, and in 3D labels would hide what they name.
    for index, (identifier, opacity, hasLabel) in enumerate(
        ((views.side, 0.25, mark.hasLabel), (views.main, 0.0, False), (views.threeD, 0.35, False))
    ):
        if index:
            display = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROIDisplayNode")
            node.AddAndObserveDisplayNodeID(display.GetID())
        _style(node.GetNthDisplayNode(index), mark.number, identifier, opacity, hasLabel)
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
        display.SetTextScale(_TEXT_SCALE)
        # The control points of an ROI are its centre and nothing to look at.
        display.SetGlyphScale(0.1)
