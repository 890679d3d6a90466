"""Markups that a comparison draws into its columns: hidden from the lists of nodes, locked, and not saved."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import slicer

Color = tuple[float, float, float]


class ScratchMarks:
    """The marks of one kind: one for each column, used again for the next match."""

    def __init__(self, attribute: str, nodeClass: str, displayClass: str, setStyle: Callable[[Any], None]):
        """`attribute`, on a mark: the column it belongs to. By it marks are known again after the module was reloaded.
        `setStyle` gets a new display node."""
        self.attribute = attribute
        self._nodeClass = nodeClass
        self._displayClass = displayClass
        self._setStyle = setStyle

    def show(self, column: str, place: Callable[[Any], None], viewNodeIDs: Sequence[str]) -> Any:
        """The mark of a column, which `place` puts where it belongs, seen in these views only."""
        node = self.find(column)
        isNew = node is None
        if isNew:
            node = self._make(column)
        with slicer.util.NodeModify(node):
            place(node)
        # A mark that enters the scene complete is taken up by every view once; each later change costs as much again.
        display = slicer.mrmlScene.AddNode(self._makeDisplay(viewNodeIDs)) if isNew else node.GetDisplayNode()
        if isNew:
            node.SetAndObserveDisplayNodeID(display.GetID())
            node = slicer.mrmlScene.AddNode(node)
        else:
            display.SetViewNodeIDs(list(viewNodeIDs))
        return node

    def remove(self, columns: Collection[str] | None = None) -> None:
        """Remove the marks of these columns; all without an argument."""
        for node in self.all():
            if columns is None or node.GetAttribute(self.attribute) in columns:
                display = node.GetDisplayNode()
                slicer.mrmlScene.RemoveNode(node)
                if display is not None and display.GetScene() is not None:
                    slicer.mrmlScene.RemoveNode(display)

    def keepOnly(self, columns: Collection[str]) -> None:
        """Remove the marks of all other columns."""
        self.remove({node.GetAttribute(self.attribute) for node in self.all()}.difference(columns))

    def all(self) -> list[Any]:
        """Those in the scene."""
        nodes = slicer.util.getNodesByClass(self._nodeClass)
        return [node for node in nodes if node.GetAttribute(self.attribute)]

    def find(self, column: str) -> Any:
        """The mark of a column; None if it has none."""
        return next((node for node in self.all() if node.GetAttribute(self.attribute) == column), None)

    def _make(self, column: str) -> Any:
        node = slicer.mrmlScene.CreateNodeByClass(self._nodeClass)
        node.UnRegister(None)
        node.SetName(f"VolumeRetrieval {column}")
        node.SetAttribute(self.attribute, column)
        node.SetHideFromEditors(True)  # before it is added: the subject hierarchy asks then
        node.SetSaveWithScene(False)
        node.SetLocked(True)
        return node

    def _makeDisplay(self, viewNodeIDs: Sequence[str]) -> Any:
        display = slicer.mrmlScene.CreateNodeByClass(self._displayClass)
        display.UnRegister(None)
        display.SetSaveWithScene(False)
        display.SetViewNodeIDs(list(viewNodeIDs))
        display.SetHandlesInteractive(False)
        display.SetPointLabelsVisibility(False)
        display.SetPropertiesLabelVisibility(False)
        self._setStyle(display)
        return display


def setColor(display: Any, color: Color) -> None:
    """This color, whatever is selected or pointed at."""
    for setOne in (display.SetColor, display.SetSelectedColor, display.SetActiveColor):
        setOne(*color)
