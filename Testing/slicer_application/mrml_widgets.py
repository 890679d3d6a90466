"""The MRML widgets that the panel uses, as plain Qt widgets on the real scene.

Properties, slots, signals and their spelling were read in Slicer 5.12: Libs/MRML/Widgets/qMRMLWidget.h,
qMRMLNodeComboBox.h, qMRMLSegmentSelectorWidget.h. Without menus for adding, renaming or deleting nodes.
"""

from __future__ import annotations

from typing import ClassVar

import vtk
from PyQt5 import QtWidgets
from PyQt5.QtCore import pyqtProperty, pyqtSignal, pyqtSlot


class qMRMLWidget(QtWidgets.QWidget):
    mrmlSceneChanged = pyqtSignal(object)
    VTK_SIGNALS: ClassVar = {"mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged"}

    def __init__(self, parent=None):
        super().__init__(parent)
        self._scene = None

    @pyqtSlot(result=object)
    def mrmlScene(self):
        return self._scene

    @pyqtSlot(object)
    def setMRMLScene(self, scene):
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)


class qMRMLNodeComboBox(QtWidgets.QWidget):
    """A combo box of the scene's nodes of some classes."""

    currentNodeChanged = pyqtSignal(object)
    currentNodeIDChanged = pyqtSignal(str)
    nodeAdded = pyqtSignal(object)
    nodeAddedByUserAction = pyqtSignal(object)
    VTK_SIGNALS: ClassVar = {
        "currentNodeChanged(vtkMRMLNode*)": "currentNodeChanged",
        "currentNodeIDChanged(QString)": "currentNodeIDChanged",
        "nodeAdded(vtkMRMLNode*)": "nodeAdded",
        "nodeAddedByUserAction(vtkMRMLNode*)": "nodeAddedByUserAction",
    }

    def __init__(self, parent=None):
        super().__init__(parent)
        self._combo = QtWidgets.QComboBox(self)
        self._combo.setSizeAdjustPolicy(QtWidgets.QComboBox.AdjustToMinimumContentsLengthWithIcon)
        self._combo.currentIndexChanged[int].connect(self._indexChanged)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._combo)
        self.setFocusProxy(self._combo)
        self._scene = None
        self._values = {"nodeTypes": [], "noneEnabled": False, "noneDisplay": "None", "showChildNodeTypes": True}
        self._observers = []
        self._actions = []
        self._reported = ""
        self._combo.activated[int].connect(self._activated)

    @pyqtSlot(object)
    def setMRMLScene(self, scene):
        self.stopObserving()
        self._scene = scene
        if scene is not None:
            events = (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndBatchProcessEvent, scene.EndImportEvent)
            for event in events:
                self._observers.append((scene, scene.AddObserver(event, lambda *_: self._onScene())))
        self._fill()

    def stopObserving(self):
        """The destructor of the widget in C++, of which nobody else is told: VTK would keep this one alive for ever."""
        for object_, tag in self._observers:
            object_.RemoveObserver(tag)
        self._observers = []

    @pyqtSlot(result=object)
    def mrmlScene(self):
        return self._scene

    def _nodes(self):
        if self._scene is None:
            return []
        nodes = []
        for nodeType in self._values["nodeTypes"]:
            for index in range(self._scene.GetNumberOfNodesByClass(nodeType)):
                node = self._scene.GetNthNodeByClass(index, nodeType)
                exact = node.GetClassName() == nodeType
                if (exact or self._values["showChildNodeTypes"]) and not node.GetHideFromEditors():
                    nodes.append(node)
        return nodes

    def _onScene(self):
        # qMRMLSceneModel.cxx, onMRMLSceneNodeAdded: nodes of a scene that is being opened are listed at its end.
        if not self._scene.IsImporting() and self._listed() != [(one.GetName(), one.GetID()) for one in self._nodes()]:
            self._fill()

    def _listed(self):
        first, end = int(self._values["noneEnabled"]), self._combo.count() - len(self._actions)
        return [(self._combo.itemText(row), self._combo.itemData(row)) for row in range(first, end)]

    def _fill(self):
        wasEmpty = self._combo.count() == 0
        before, current = self._combo.currentIndex(), self._currentId()
        listed = {self._combo.itemData(row) for row in range(self._combo.count())}
        self._combo.blockSignals(True)
        self._combo.clear()
        nodes = self._nodes()
        if self._values["noneEnabled"]:
            self._combo.addItem(self._values["noneDisplay"], "")
        for node in nodes:
            self._combo.addItem(node.GetName(), node.GetID())
        for action in self._actions:
            self._combo.addItem(action.text(), action)
        index = self._combo.findData(current)
        if index < 0 and (wasEmpty or current):
            # QComboBox: in an empty box the first row is chosen by itself; for a removed one, its neighbor.
            index = min(max(before, 0), self._combo.count() - 1)
        if index >= self._combo.count() - len(self._actions):
            index = -1  # entries for actions are no choice
        self._combo.setCurrentIndex(index)
        self._combo.blockSignals(False)
        self._indexChanged()
        for node in nodes:
            if node.GetID() not in listed:
                self.nodeAdded.emit(node)

    @pyqtSlot(object)
    def addMenuAction(self, action):
        """An entry below the nodes; choosing it triggers the action and leaves the node as it was."""
        self._actions.append(action)
        self._fill()

    def _activated(self, index):
        first = self._combo.count() - len(self._actions)
        if index >= first:
            reported = self._reported
            self._combo.setCurrentIndex(max(self._combo.findData(reported), 0))
            self._actions[index - first].trigger()

    @pyqtSlot(result=object)
    def addNode(self):
        node = self._scene.AddNewNodeByClass(self._values["nodeTypes"][0])
        self.setCurrentNode(node)
        self.nodeAddedByUserAction.emit(node)
        return node

    def _currentId(self):
        data = self._combo.currentData()
        return data if isinstance(data, str) else ""

    def _indexChanged(self, *_):
        if self._currentId() != self._reported:
            self._reported = self._currentId()
            self.currentNodeChanged.emit(self.currentNode())
            self.currentNodeIDChanged.emit(self._reported)

    @pyqtSlot(result=object)
    def currentNode(self):
        return self._scene.GetNodeByID(self._currentId()) if self._scene and self._currentId() else None

    @pyqtSlot(object)
    def setCurrentNode(self, node):
        self.setCurrentNodeID(node.GetID() if isinstance(node, vtk.vtkObject) else (node or ""))

    @pyqtSlot(str)
    def setCurrentNodeID(self, identifier):
        # setCurrentNodeIDInternal: what is not listed is None where that is listed, else no choice ("Select a ...")
        index = self._combo.findData(identifier or "")
        self._combo.setCurrentIndex(0 if index < 0 and self._values["noneEnabled"] else index)

    @pyqtSlot(result=int)
    def nodeCount(self):
        return len(self._nodes())

    def _value(self, name, value):
        self._values[name] = list(value) if name == "nodeTypes" else value
        self._fill()

    currentNodeID = pyqtProperty(str, _currentId, setCurrentNodeID)
    nodeTypes = pyqtProperty(list, lambda self: self._values["nodeTypes"], lambda self, v: self._value("nodeTypes", v))
    noneEnabled = pyqtProperty(
        bool, lambda self: self._values["noneEnabled"], lambda self, v: self._value("noneEnabled", v)
    )
    noneDisplay = pyqtProperty(
        str, lambda self: self._values["noneDisplay"], lambda self, v: self._value("noneDisplay", v)
    )
    showChildNodeTypes = pyqtProperty(
        bool, lambda self: self._values["showChildNodeTypes"], lambda self, v: self._value("showChildNodeTypes", v)
    )

    # PyQt5's .ui reader calls setters; Qt's own writes the properties.
    def setNodeTypes(self, types):
        self._value("nodeTypes", types)

    def setNoneEnabled(self, enabled):
        self._value("noneEnabled", enabled)

    def setNoneDisplay(self, text):
        self._value("noneDisplay", text)

    def setShowChildNodeTypes(self, show):
        self._value("showChildNodeTypes", show)

    def _ignored(self, value):
        """Menus for adding, editing, renaming and removing nodes are not part of the stand-in."""

    setAddEnabled = setRemoveEnabled = setRenameEnabled = setEditEnabled = _ignored
    addEnabled = removeEnabled = renameEnabled = pyqtProperty(bool, lambda self: False, _ignored)


class qMRMLSegmentSelectorWidget(qMRMLWidget):
    """A combo box of segmentations and one of their segments."""

    currentNodeChanged = pyqtSignal(object)
    currentSegmentChanged = pyqtSignal(str)
    VTK_SIGNALS: ClassVar = {**qMRMLWidget.VTK_SIGNALS, "currentNodeChanged(vtkMRMLNode*)": "currentNodeChanged"}

    def __init__(self, parent=None):
        super().__init__(parent)
        self._nodes = qMRMLNodeComboBox(self)
        self._nodes.setNodeTypes(["vtkMRMLSegmentationNode"])
        self._segments = QtWidgets.QComboBox(self)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._nodes)
        layout.addWidget(self._segments)
        self.setFocusProxy(self._nodes)
        self._nodes.currentNodeChanged.connect(self._nodeChanged)
        self._segments.currentIndexChanged[int].connect(lambda _: self.currentSegmentChanged.emit(self._segmentID()))
        self.mrmlSceneChanged.connect(self._nodes.setMRMLScene)

    def _nodeChanged(self, node):
        self._segments.clear()
        if node is not None:
            segmentation = node.GetSegmentation()
            for index in range(segmentation.GetNumberOfSegments()):
                identifier = segmentation.GetNthSegmentID(index)
                self._segments.addItem(segmentation.GetSegment(identifier).GetName(), identifier)
        self.currentNodeChanged.emit(node)

    @pyqtSlot(result=object)
    def currentNode(self):
        return self._nodes.currentNode()

    @pyqtSlot(object)
    def setCurrentNode(self, node):
        self._nodes.setCurrentNode(node)

    def _segmentID(self):
        return self._segments.currentData() or ""

    @pyqtSlot(result=str)
    def currentSegmentID(self):
        return self._segmentID()

    @pyqtSlot(str)
    def setCurrentSegmentID(self, identifier):
        self._segments.setCurrentIndex(self._segments.findData(identifier))

    def setNoneEnabled(self, enabled):
        self._nodes.setNoneEnabled(enabled)


classes = {one.__name__: one for one in (qMRMLWidget, qMRMLNodeComboBox, qMRMLSegmentSelectorWidget)}
