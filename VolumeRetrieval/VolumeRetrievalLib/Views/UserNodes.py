"""The user's own segmentations, markups and models, which belong to the query's patient and to no other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import slicer

from . import CompareLayout, PointMarks, RangeMarks, RegionBoxes

#: On a display node that is shown in every view, while results are next to the query.
_ATTRIBUTE = "VolumeRetrieval.InEveryView"


def keepOut(queryViewNodeIDs: Sequence[str]) -> None:
    """Show what is shown in every view in the user's own views and these of the query only.

    A display node without view IDs shows in every view, also in one that is made later: the outline of the query's
    tumor would be drawn over other patients' volumes, where it marks nothing. What the user has restricted to some
    views stays so. What is made meanwhile is shown everywhere: it may be meant for a result.
    """
    own = _ownViewNodeIDs()
    for node in slicer.util.getNodesByClass("vtkMRMLDisplayableNode"):
        if _isOfUser(node):
            for index in range(node.GetNumberOfDisplayNodes()):
                display = node.GetNthDisplayNode(index)
                if display is None or (display.GetNumberOfViewNodeIDs() and not display.GetAttribute(_ATTRIBUTE)):
                    continue
                with slicer.util.NodeModify(display):
                    display.SetAttribute(_ATTRIBUTE, "1")
                    display.SetViewNodeIDs([*own, *queryViewNodeIDs])


def showIn(viewNodeIDs: Sequence[str]) -> None:
    """What is kept out is shown in the user's own views and these from now on; nothing else is touched."""
    own = _ownViewNodeIDs()
    for display in _keptOut():
        with slicer.util.NodeModify(display):
            display.SetViewNodeIDs([*own, *viewNodeIDs])


def letBack() -> None:
    """Show it in every view again, also what was saved with a scene meanwhile."""
    for display in _keptOut():
        with slicer.util.NodeModify(display):
            display.RemoveAttribute(_ATTRIBUTE)
            display.RemoveAllViewNodeIDs()


def _ownViewNodeIDs() -> list[str]:
    """Of the user's views."""
    return [
        node.GetID()
        for node in slicer.util.getNodesByClass("vtkMRMLAbstractViewNode")
        if node.GetLayoutName() not in CompareLayout.VIEW_NAMES
    ]


def _keptOut() -> list[Any]:
    return [node for node in slicer.util.getNodesByClass("vtkMRMLDisplayNode") if node.GetAttribute(_ATTRIBUTE)]


def _isOfUser(node: Any) -> bool:
    ours = (RangeMarks.ATTRIBUTE, RegionBoxes.ATTRIBUTE, PointMarks.ATTRIBUTE)
    if node.IsA("vtkMRMLVolumeNode") or any(node.GetAttribute(one) for one in ours):
        return False
    return not node.GetAttribute("SliceLogic.IsSliceModelNode")  # the slices themselves in 3D
