"""The matched range of a volume, as one slab in its navigator.

One range, one mark: the range of the match, and in the query's column the slices that it belongs to.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import slicer

from .ScratchMarks import ScratchMarks, setColor
from .StackGeometry import StackGeometry

#: On a mark: the column it belongs to.
ATTRIBUTE = "VolumeRetrieval.Range"
#: Light, and used for nothing else: what matches.
COLOR = (1.0, 1.0, 0.85)


def _setStyle(display: Any) -> None:
    setColor(display, COLOR)
    display.SetFillOpacity(0.15)  # the picture below stays what is looked at
    display.SetOutlineOpacity(0.9)
    # The control points of an ROI are its centre and nothing to look at.
    display.SetGlyphScale(0.1)


_marks = ScratchMarks(ATTRIBUTE, "vtkMRMLMarkupsROINode", "vtkMRMLMarkupsROIDisplayNode", _setStyle)


def show(column: str, geometry: StackGeometry, startMm: float, endMm: float, viewNodeIDs: Sequence[str]) -> Any:
    """A slab from the first to the last slice of a range, as wide as the volume, seen in these views only.

    `startMm` and `endMm` are the middles of the two slices, mm along the stack. A column has one mark: it is moved if
    it is there.
    """
    return _marks.show(column, lambda node: placeSlab(node, geometry, startMm, endMm), viewNodeIDs)


def remove(columns: Collection[str] | None = None) -> None:
    """Remove the marks of these columns; all without an argument."""
    _marks.remove(columns)


def keepOnly(columns: Collection[str]) -> None:
    """Remove the marks of all other columns."""
    _marks.keepOnly(columns)


def marks() -> list[Any]:
    """Those in the scene."""
    return _marks.all()


def placeSlab(node: Any, geometry: StackGeometry, startMm: float, endMm: float) -> None:
    """Make a markups ROI the slab from one slice to another, both included, as wide as the volume."""
    matrix = np.eye(4)
    matrix[:3, :3] = geometry.axes.T
    matrix[:3, 3] = geometry.pointAt((startMm + endMm) / 2)
    # Positions are those of slice middles: the slab covers the slices themselves.
    thickness = abs(endMm - startMm) + geometry.spacing
    node.SetSize(*geometry.size[:2], thickness)
    node.SetAndObserveObjectToNodeMatrix(slicer.util.vtkMatrixFromArray(matrix))
