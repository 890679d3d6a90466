"""The region that was asked for, as the outline of a box in each result."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import slicer
from VolumeRetrievalEngine.query.oriented_box import OrientedBox

from .RangeMarks import COLOR
from .ScratchMarks import ScratchMarks, setColor

#: On a box: the column it belongs to.
ATTRIBUTE = "VolumeRetrieval.RegionBox"
#: mm; a flat box is drawn all the same.
_LEAST_SIZE = 0.1


def _setStyle(display: Any) -> None:
    setColor(display, COLOR)
    display.SetFillVisibility(False)  # nothing lies over the picture
    display.SetFillOpacity(0)
    display.SetOutlineOpacity(0.9)
    display.SetGlyphScale(0.1)  # the control points are the box's center and nothing to look at


_boxes = ScratchMarks(ATTRIBUTE, "vtkMRMLMarkupsROINode", "vtkMRMLMarkupsROIDisplayNode", _setStyle)


def show(column: str, box: OrientedBox, viewNodeIDs: Sequence[str]) -> Any:
    """The box of a column, RAS mm, seen in these views only. A column has one: it is moved if it is there."""

    def place(node: Any) -> None:
        matrix = np.eye(4)
        # The engine's axes may be left-handed, an ROI's may not; a box is the same along an axis and against it.
        axes = np.array([box.axes[0], box.axes[1], np.cross(box.axes[0], box.axes[1])])
        matrix[:3, :3] = axes.T
        matrix[:3, 3] = box.center
        node.SetSize(*np.maximum(box.size, _LEAST_SIZE))
        node.SetAndObserveObjectToNodeMatrix(slicer.util.vtkMatrixFromArray(matrix))

    return _boxes.show(column, place, viewNodeIDs)


def remove() -> None:
    """Remove all boxes."""
    _boxes.remove()


def keepOnly(columns: Collection[str]) -> None:
    """Remove the boxes of all other columns."""
    _boxes.keepOnly(columns)


def boxes() -> list[Any]:
    """Those in the scene."""
    return _boxes.all()
