"""What of the query volume a search would use, drawn in the slice views."""

from __future__ import annotations

from typing import Any

import slicer
from slicer.i18n import tr as _

from ..Values import CURRENT_SLICE, SLICES, Region
from .RangeMarks import placeSlab
from .StackGeometry import StackGeometry

_COLOR = (1.0, 0.85, 0.2)
#: The node is scratch: found again by this after a module was reloaded.
_ATTRIBUTE = "VolumeRetrieval.RegionPreview"


class RegionPreview:
    """A slab over the chosen slices. An ROI and a segment are in the views already, and the whole volume needs none.

    The slab is seen in every view that is not ours, is not saved with the scene and not listed among the user's nodes.
    """

    def update(self, volumeNode: Any, region: Region, plane: str = "auto") -> None:
        """Show what this region of this volume selects; nothing where nothing can be drawn.

        `plane`: of the slices that the region counts; "auto" as the engine chooses it.
        """
        if volumeNode is None or volumeNode.GetImageData() is None or region.kind not in (SLICES, CURRENT_SLICE):
            self.remove()
            return
        geometry = StackGeometry.ofVolume(volumeNode, plane)
        positions = self._positions(region, geometry)
        if positions is None:
            self.remove()
            return
        node = self._node() or self._makeNode()
        with slicer.util.NodeModify(node):
            placeSlab(node, geometry, *positions)

    def remove(self) -> None:
        node = self._node()
        if node is not None:
            slicer.mrmlScene.RemoveNode(node)

    def _positions(self, region: Region, geometry: StackGeometry) -> tuple[float, float] | None:
        """The first and last slice's position in mm along the stack; None if there is no such slice."""
        low = geometry.positionOf(geometry.center) - geometry.size[2] / 2 + geometry.spacing / 2
        if region.kind == SLICES:
            count = round(geometry.size[2] / geometry.spacing)
            first, last = region.firstSlice, min(region.lastSlice, count - 1)
            return (low + first * geometry.spacing, low + last * geometry.spacing) if first <= last else None
        manager = slicer.app.layoutManager()
        widget = manager.sliceWidget(region.sliceView) if manager is not None else None
        if widget is None:
            return None
        matrix = widget.mrmlSliceNode().GetSliceToRAS()
        position = geometry.positionOf([matrix.GetElement(row, 3) for row in range(3)])
        return position, position

    def _node(self) -> Any:
        nodes = slicer.util.getNodesByClass("vtkMRMLMarkupsROINode")
        return next((node for node in nodes if node.GetAttribute(_ATTRIBUTE)), None)

    def _makeNode(self) -> Any:
        node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLMarkupsROINode")
        node.UnRegister(None)
        node.SetName(_("Search region"))
        node.SetAttribute(_ATTRIBUTE, "1")
        node.SetHideFromEditors(True)  # before it is added: the subject hierarchy asks then
        node.SetSaveWithScene(False)
        node = slicer.mrmlScene.AddNode(node)
        node.CreateDefaultDisplayNodes()
        node.SetLocked(True)
        display = node.GetDisplayNode()
        display.SetSaveWithScene(False)
        for setColor in (display.SetColor, display.SetSelectedColor, display.SetActiveColor):
            setColor(*_COLOR)
        display.SetFillOpacity(0.2)
        display.SetHandlesInteractive(False)
        display.SetPointLabelsVisibility(False)
        display.SetPropertiesLabelVisibility(False)
        display.SetGlyphScale(0.1)
        return node
