"""The gray values in which a result is shown."""

from __future__ import annotations

from typing import Any

import slicer

#: Window and level for CT, soft tissue, in HU.
_SOFT_TISSUE = (400.0, 40.0)
#: A wider window shows no organ: it is what Slicer takes of a file that names none.
_WIDEST_HU = 2500.0


def adjust(volumeNode: Any, modality: str, queryNode: Any, isSameRegion: bool) -> None:
    """Show a result's CT as the query's CT is shown, where both are of the same part of the body.

    Otherwise it keeps the window that its files name, or gets one for soft tissue. Other modalities have no common
    scale: they stay as Slicer shows them.
    """
    display = _display(volumeNode)
    if modality != "CT":
        return
    query = queryNode.GetDisplayNode()
    isSuited = isSameRegion and query is not None and _isCT(queryNode) and 0 < query.GetWindow() < _WIDEST_HU
    if isSuited:
        window, level = query.GetWindow(), query.GetLevel()
    elif display.GetAutoWindowLevel() or display.GetWindow() >= _WIDEST_HU:
        window, level = _SOFT_TISSUE
    else:
        return
    with slicer.util.NodeModify(display):
        display.SetAutoWindowLevel(False)
        display.SetWindowLevel(window, level)


def _display(volumeNode: Any) -> Any:
    if volumeNode.GetDisplayNode() is None:
        volumeNode.CreateDefaultDisplayNodes()
    return volumeNode.GetDisplayNode()


def _isCT(volumeNode: Any) -> bool:
    return volumeNode.GetImageData().GetScalarRange()[0] < -500  # air
