"""The slices of the query that a search would use, drawn in the slice views."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import qt
import slicer
import vtk
from slicer.i18n import tr as _
from VolumeRetrievalEngine.query.oriented_box import OrientedBox

from .CompareLayout import FIRST_VIEW_GROUP

_COLOR = (1.0, 0.85, 0.2)
#: The node is scratch: found again by this after a module was reloaded.
_ATTRIBUTE = "VolumeRetrieval.RegionPreview"
#: Columns of the comparison have view groups of their own, this many at most.
_MOST_COLUMNS = 100


class RegionPreview:
    """A box over the chosen slices. An ROI and a segment are in the views already, and the whole volume needs none.

    The box is seen in the user's slice views only, those made later included: in 3D it would cover what is there. It
    is not saved with the scene and not listed among the user's nodes. While it is shown it follows the volume; it goes
    when the volume goes, and when the scene is closed.
    """

    def __init__(self) -> None:
        self._volumeNode: Any = None
        self._makeBox: Callable[[], OrientedBox | None] = lambda: None
        self._observed: list[tuple[Any, int]] = []
        self._timer = qt.QTimer()  # a view is in the scene before its view group is set
        self._timer.setSingleShot(True)
        self._timer.connect("timeout()", self._restrictToViews)

    def show(self, volumeNode: Any, makeBox: Callable[[], OrientedBox | None]) -> None:
        """Draw the box that this makes; it is asked again when the volume moves. Nothing is drawn where it is None."""
        if volumeNode is not self._volumeNode:
            self._stopObserving()
            self._volumeNode = volumeNode
            self._observe()
        self._makeBox = makeBox
        self._update()

    def remove(self) -> None:
        """Take the box out of the scene, and follow nothing any more."""
        self._stopObserving()
        self._volumeNode = None
        self._makeBox = lambda: None
        self._removeNode()

    def _update(self, *_ignored: Any) -> None:
        box = self._makeBox()
        if box is None:
            self._removeNode()
            return
        node = self.node or self._makeNode()
        matrix = np.eye(4)
        matrix[:3, :3] = box.axes.T
        matrix[:3, 3] = box.center
        with slicer.util.NodeModify(node):
            node.SetSize(*box.size)
            node.SetAndObserveObjectToNodeMatrix(slicer.util.vtkMatrixFromArray(matrix))

    def _removeNode(self) -> None:
        node = self.node
        if node is not None:
            slicer.mrmlScene.RemoveNode(node)

    @property
    def node(self) -> Any:
        """The drawn ROI; None while nothing is drawn."""
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
        display.SetVisibility3D(False)  # even if there is no slice view to restrict it to
        self._restrictToViews()
        return node

    def _restrictToViews(self) -> None:
        node = self.node
        if node is not None:
            views = [one.GetID() for one in slicer.util.getNodesByClass("vtkMRMLSliceNode") if not _isColumn(one)]
            node.GetDisplayNode().SetViewNodeIDs(views)

    def _observe(self) -> None:
        scene = slicer.mrmlScene
        for subject, event, method in (
            (self._volumeNode, slicer.vtkMRMLTransformableNode.TransformModifiedEvent, self._update),
            (self._volumeNode, slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent, self._update),
            (self._volumeNode, vtk.vtkCommand.ModifiedEvent, self._update),
            (scene, slicer.vtkMRMLScene.NodeAddedEvent, self._onNodeAdded),
            (scene, slicer.vtkMRMLScene.NodeAboutToBeRemovedEvent, self._onNodeRemoved),
            (scene, slicer.vtkMRMLScene.StartCloseEvent, lambda *_ignored: self.remove()),
        ):
            self._observed.append((subject, subject.AddObserver(event, method)))

    def _stopObserving(self) -> None:
        for subject, tag in self._observed:
            subject.RemoveObserver(tag)
        self._observed = []
        self._timer.stop()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onNodeAdded(self, scene: Any, event: str, node: Any) -> None:
        if node.IsA("vtkMRMLSliceNode"):
            self._timer.start(0)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onNodeRemoved(self, scene: Any, event: str, node: Any) -> None:
        if node is self._volumeNode:
            self.remove()


def _isColumn(sliceNode: Any) -> bool:
    """Whether the view is one of the comparison, where other patients lie at the same coordinates."""
    return FIRST_VIEW_GROUP <= sliceNode.GetViewGroup() < FIRST_VIEW_GROUP + _MOST_COLUMNS
