"""Where the crosshair is in each column: a small cross of our own, since Slicer has one crosshair for all patients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .ScratchMarks import ScratchMarks, setColor

#: On a mark: the column it belongs to.
ATTRIBUTE = "VolumeRetrieval.Point"
#: As Slicer's crosshair (vtkMRMLCrosshairNode).
COLOR = (1.0, 0.8, 0.1)


def _setStyle(display: Any) -> None:
    setColor(display, COLOR)
    display.SetGlyphType(display.Cross2D)
    display.SetUseGlyphScale(True)
    display.SetGlyphScale(5)  # % of the view
    display.SetVisibility(False)


_points = ScratchMarks(ATTRIBUTE, "vtkMRMLMarkupsFiducialNode", "vtkMRMLMarkupsFiducialDisplayNode", _setStyle)


def prepare(column: str, viewNodeIDs: Sequence[str]) -> Any:
    """The mark of a column, not seen yet: to make it takes longer than a move of the mouse may."""

    def place(node: Any) -> None:
        if node.GetNumberOfControlPoints() == 0:
            node.AddControlPoint([0.0, 0.0, 0.0])

    node = _points.show(column, place, viewNodeIDs)
    hide(node)
    return node


def move(node: Any, point: np.ndarray) -> None:
    """Show a mark at this point, RAS mm [3]."""
    node.SetNthControlPointPosition(0, *(float(value) for value in point))
    node.GetDisplayNode().SetVisibility(True)


def hide(node: Any) -> None:
    display = node.GetDisplayNode()
    if display is not None:
        display.SetVisibility(False)


def remove() -> None:
    """Remove all marks."""
    _points.remove()


def keepOnly(columns: Sequence[str]) -> None:
    """Remove the marks of all other columns."""
    _points.keepOnly(columns)


def points() -> list[Any]:
    """Those in the scene."""
    return _points.all()
