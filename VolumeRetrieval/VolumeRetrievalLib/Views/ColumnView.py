"""One volume in its column of views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer

from . import ViewPlane
from .CompareLayout import ORIENTATIONS, Column
from .StackGeometry import StackGeometry

#: Room left around a volume, of the view's size: its border can be seen, and texts have a place.
_MARGIN = 0.08
#: Pixels above a volume in its navigator, which is low: a line of text lies there (ViewTexts), not on the slab's edge.
_LINE = 20


@dataclass(frozen=True)
class ColumnView:
    """The query or a result, in a main view of its own plane and, if there is room, in a navigator across it.

    With an `overlayNode` it is the query's volume and plane, and the result in the query's space over it.
    """

    column: Column
    volumeNode: Any
    geometry: StackGeometry
    hasNavigator: bool
    overlayNode: Any = None

    @property
    def isOverlay(self) -> bool:
        """Whether a result is shown over the query, in its space."""
        return self.overlayNode is not None

    @property
    def mainNode(self) -> Any:
        return self._widget(self.column.main).mrmlSliceNode()

    @property
    def navigatorNode(self) -> Any:
        """None without a navigator."""
        return self._widget(self.column.navigator).mrmlSliceNode() if self.hasNavigator else None

    @property
    def views(self) -> Sequence[str]:
        return (self.column.main, self.column.navigator) if self.hasNavigator else (self.column.main,)

    @property
    def nodeIDs(self) -> list[str]:
        """Of its views."""
        return [self._widget(name).mrmlSliceNode().GetID() for name in self.views]

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Pixels of its views."""
        dimensions = [self._widget(name).mrmlSliceNode().GetDimensions() for name in self.views]
        return [(width, height) for width, height, _slices in dimensions]

    def place(self) -> None:
        """Show the volume, and nothing else but its overlay, in its own plane."""
        overlay = self.overlayNode.GetID() if self.isOverlay else None
        for name, orientation in zip(self.views, ORIENTATIONS[self.geometry.plane], strict=False):
            widget = self._widget(name)
            composite, node = widget.mrmlSliceCompositeNode(), widget.mrmlSliceNode()
            with slicer.util.NodeModify(composite):
                composite.SetBackgroundVolumeID(self.volumeNode.GetID())
                composite.SetForegroundVolumeID(overlay)
                composite.SetForegroundOpacity(0.0)
                composite.SetLabelVolumeID(None)
            with slicer.util.NodeModify(node):
                node.SetOrientation(orientation)
                self._turn(node)
        # In the navigator a line shows where the main view is; they share a view group.
        display = self._widget(self.column.main).sliceLogic().GetSliceDisplayNode()
        if display is not None:
            display.SetIntersectingSlicesVisibility(self.hasNavigator)

    def fit(self) -> None:
        """Make the volume fill its views, but for a margin, and go to its middle."""
        for name in self.views:
            widget = self._widget(name)
            node = widget.mrmlSliceNode()
            filled = 1 - _MARGIN
            if name == self.column.navigator:
                filled = min(filled, max(0.6, 1 - 2 * _LINE / max(node.GetDimensions()[1], 1)))
            with slicer.util.NodeModify(node):
                widget.sliceLogic().FitSliceToAll()
                width, height, depth = node.GetFieldOfView()
                node.SetFieldOfView(width / filled, height / filled, depth)

    def setOpacity(self, opacity: float) -> None:
        """Of the overlay, from 0 (nothing but the query) to 1."""
        for name in self.views if self.isOverlay else ():
            self._widget(name).mrmlSliceCompositeNode().SetForegroundOpacity(opacity)

    def lookAs(self, other: ColumnView) -> None:
        """Show what the other column shows of the same volume: the same slices, panned and zoomed in the same way."""
        for name, otherName in zip(self.views, other.views, strict=True):
            node, leader = self._widget(name).mrmlSliceNode(), self._widget(otherName).mrmlSliceNode()
            width, height, depth = leader.GetFieldOfView()
            own, its = node.GetDimensions(), leader.GetDimensions()
            with slicer.util.NodeModify(node):
                node.GetSliceToRAS().DeepCopy(leader.GetSliceToRAS())
                node.SetFieldOfView(width * own[0] / max(its[0], 1), height * own[1] / max(its[1], 1), depth)
                node.SetXYZOrigin(*leader.GetXYZOrigin())
                node.UpdateMatrices()

    def setLabel(self, text: str) -> None:
        for name in self.views:
            self._widget(name).mrmlSliceNode().SetLayoutLabel(text)

    def jump(self, positionMm: float) -> None:
        """Move the main view to this position, in mm along the stack."""
        self.mainNode.JumpSliceByOffsetting(*self.geometry.pointAt(positionMm))

    @property
    def position(self) -> float | None:
        """Where along the stack the main view is, in mm; None if it was turned out of the plane."""
        matrix = self.mainNode.GetSliceToRAS()
        normal = np.array([matrix.GetElement(row, 2) for row in range(3)])
        if abs(normal @ self.geometry.normal) < 0.99 * np.linalg.norm(normal):
            return None
        return self.geometry.positionOf(np.array([matrix.GetElement(row, 3) for row in range(3)]))

    def _turn(self, node: Any) -> None:
        matrix = node.GetSliceToRAS()
        orientation = np.array([[matrix.GetElement(row, column) for column in range(3)] for row in range(3)])
        turned = ViewPlane.along(orientation, self.geometry.axes)
        for row in range(3):
            for column in range(3):
                matrix.SetElement(row, column, turned[row, column])
            matrix.SetElement(row, 3, self.geometry.center[row])
        node.UpdateMatrices()

    def _widget(self, name: str) -> Any:
        return slicer.app.layoutManager().sliceWidget(name)
