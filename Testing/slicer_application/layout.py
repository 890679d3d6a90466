"""The layout manager: layouts of the real vtkMRMLLayoutLogic, shown in real slice and 3D views rendered off screen.

Read in Slicer 5.12: Libs/MRML/Widgets/qMRMLLayoutManager.{h,cxx} (what is invokable; updateLayoutInternal),
qMRMLLayoutViewFactory.cxx (views are made when their nodes are added and found by the nodes' names),
Libs/MRML/Logic/vtkMRMLLayoutLogic.cxx (CreateViewFromAttributes: a 3D view's node is named "View" + tag), CTK's
ctkLayoutManager.cpp. Reading the XML, making the view nodes and applying their properties is done by the same C++ code
as in Slicer (vtkMRMLLayoutLogic).
"""

from __future__ import annotations

from xml.etree import ElementTree

import slicer
import vtk
from PyQt5 import QtCore, QtWidgets
from PyQt5.QtCore import pyqtProperty, pyqtSignal, pyqtSlot

from .views import qMRMLSliceWidget, qMRMLThreeDWidget

_KINDS = {"vtkMRMLSliceNode": qMRMLSliceWidget, "vtkMRMLViewNode": qMRMLThreeDWidget}


class qMRMLLayoutManager(QtCore.QObject):
    layoutChanged = pyqtSignal(int)

    def __init__(self, scene, applicationLogic):
        super().__init__()
        self._applicationLogic = applicationLogic
        self._logic = slicer.vtkMRMLLayoutLogic()
        self._logic.SetMRMLScene(scene)
        self._scene = scene
        #: node id: (node, widget, observer of the node)
        self._views = {}
        self._pauses = 0
        self._isUpdating = False
        self.container = QtWidgets.QWidget()
        self.container.setLayout(QtWidgets.QHBoxLayout())
        self.container.layout().setContentsMargins(0, 0, 0, 0)
        self._node = self._logic.GetLayoutNode()
        self._node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._onLayoutNodeModified())
        scene.AddObserver(scene.NodeAddedEvent, self._onNodeAdded)
        scene.AddObserver(scene.NodeRemovedEvent, self._onNodeRemoved)
        scene.AddObserver(scene.EndBatchProcessEvent, lambda *_: self._updateFromScene())
        scene.AddObserver(scene.StartCloseEvent, lambda *_: self._arrange(""))
        scene.AddObserver(scene.EndCloseEvent, lambda *_: self._updateFromScene())
        self.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        self._updateFromScene()

    @pyqtSlot(result=object)
    def layoutLogic(self):
        return self._logic

    @pyqtSlot(result=object)
    def mrmlScene(self):
        return self._scene

    @pyqtSlot(int)
    def setLayout(self, identifier):
        # qMRMLLayoutManager::setLayout: nothing happens if that is the arrangement already, maximised views or not.
        if self._node.GetViewArrangement() == identifier:
            return
        if not self._node.IsLayoutDescription(identifier):
            identifier = slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView
        self._node.RemoveAllMaximizedViewNodes()
        self._node.SetViewArrangement(identifier)

    layout = pyqtProperty(int, lambda self: self._node.GetViewArrangement(), setLayout)

    @pyqtSlot(object)
    def addMaximizedViewNode(self, node):
        self._node.AddMaximizedViewNode(node)

    @pyqtSlot(object)
    def removeMaximizedViewNode(self, node):
        self._node.RemoveMaximizedViewNode(node)

    @pyqtSlot()
    def removeAllMaximizedViewNodes(self):
        self._node.RemoveAllMaximizedViewNodes()

    def _widgets(self, kind):
        return [(node, widget) for node, widget, _ in self._views.values() if node.IsA(kind)]

    def _byName(self, kind, name):
        # qMRMLLayoutViewFactoryPrivate::viewNodeByName
        return next((widget for node, widget in self._widgets(kind) if node.GetName() == name), None)

    @pyqtSlot(str, result=QtWidgets.QWidget)
    def sliceWidget(self, name):
        """The widget of the slice view whose node has this name, also where the layout does not show it."""
        return self._byName("vtkMRMLSliceNode", name)

    @pyqtSlot(result="QStringList")
    def sliceViewNames(self):
        """Every slice view that was made, shown or not; in no order (a QHash of pointers): here the last one first."""
        return [node.GetName() for node, _ in reversed(self._widgets("vtkMRMLSliceNode"))]

    @pyqtSlot(str, result=QtWidgets.QWidget)
    @pyqtSlot(int, result=QtWidgets.QWidget)
    def threeDWidget(self, name):
        """By the name of the view's node, which is "View" + singleton tag ("View1"), not the tag."""
        if isinstance(name, int):
            every = self._widgets("vtkMRMLViewNode")
            return every[name][1] if 0 <= name < len(every) else None
        return self._byName("vtkMRMLViewNode", name)

    threeDViewCount = pyqtProperty(int, lambda self: len(self._widgets("vtkMRMLViewNode")))

    @pyqtSlot(object, result=QtWidgets.QWidget)
    def viewWidget(self, node):
        return self._views[node.GetID()][1] if node is not None and node.GetID() in self._views else None

    @pyqtSlot(result=object)
    def mrmlSliceLogics(self):
        return self._applicationLogic.GetSliceLogics()

    @pyqtSlot()
    def resetThreeDViews(self):
        for _, widget in self._widgets("vtkMRMLViewNode"):
            widget.threeDView().resetFocalPoint()
            widget.threeDView().resetCamera()

    @pyqtSlot()
    def resetSliceViews(self):
        for _, widget in self._widgets("vtkMRMLSliceNode"):
            widget.fitSliceToBackground()

    @pyqtSlot(bool)
    def setRenderPaused(self, pause):
        for _, widget, _ in self._views.values():
            widget.setRenderPaused(pause)
        self._pauses += 1 if pause else -1

    @pyqtSlot()
    def pauseRender(self):
        self.setRenderPaused(True)

    @pyqtSlot()
    def resumeRender(self):
        self.setRenderPaused(False)

    @pyqtSlot(result=int)
    def allViewsPauseRenderCount(self):
        return self._pauses

    def shownWidgets(self):
        """The widgets of the views that can be seen, in the layout's order (for tests and pictures)."""
        return [self._views[node.GetID()][1] for node in self._nodesOf(self._description())]

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onNodeAdded(self, scene, event, node):
        # qMRMLLayoutManagerPrivate::onNodeAddedEvent: in a batch of changes, views are made at its end.
        if not scene.IsBatchProcessing():
            self._makeView(node)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onNodeRemoved(self, scene, event, node):
        found = self._views.pop(node.GetID(), None) if node.IsA("vtkMRMLAbstractViewNode") else None
        if found is not None:
            node.RemoveObserver(found[2])
            found[1].setParent(None)
            found[1].deleteLater()

    def _onLayoutNodeModified(self):
        if not self._scene.IsBatchProcessing() and not self._isUpdating:
            self._update()

    def _updateFromScene(self):
        # updateLayoutFromMRMLScene
        if self._scene.IsBatchProcessing():
            return
        for index in range(self._scene.GetNumberOfNodesByClass("vtkMRMLAbstractViewNode")):
            self._makeView(self._scene.GetNthNodeByClass(index, "vtkMRMLAbstractViewNode"))
        self._update()

    def _makeView(self, node):
        kind = next((one for one in _KINDS if node.IsA(one)), None)
        if kind is None or node.GetID() in self._views or node.GetParentLayoutNode() is not None:
            return
        widget = _KINDS[kind](node, self._scene, self._applicationLogic)
        for _ in range(self._pauses):
            widget.setRenderPaused(True)
        widget.setVisible(False)

        def onModified(*_):
            # qMRMLLayoutViewFactory::onViewNodeModified; the bar shows label and color
            widget.setVisible(bool(node.IsViewVisibleInLayout()))
            widget.controllerWidget().showNode()

        self._views[node.GetID()] = (node, widget, node.AddObserver(vtk.vtkCommand.ModifiedEvent, onModified))

    def _description(self):
        """updateLayoutInternal: maximised views take the place of their viewport's layout. Empty where the arrangement
        has no description, as after opening a scene that was saved in a layout of an extension that is not here."""
        description = self._node.GetCurrentLayoutDescription() or ""
        for index in range(self._node.GetNumberOfMaximizedViewNodes()):
            node = self._node.GetMaximizedViewNode(index)
            if node is not None:
                description = self._logic.GetMaximizedViewLayoutDescription(node, description)
        return description

    def _nodesOf(self, description):
        if not description:
            return []
        nodes = []
        for element in ElementTree.fromstring(description).iter("view"):
            node = self._scene.GetSingletonNode(element.get("singletontag", "1"), element.get("class"))
            if node is not None:
                self._makeView(node)
                if node.GetID() in self._views:
                    nodes.append(node)
        return nodes

    def _update(self):
        if self._node.GetViewArrangement() == slicer.vtkMRMLLayoutNode.SlicerLayoutCustomView:
            return
        self._isUpdating = True
        try:
            self._arrange(self._description())
        finally:
            self._isUpdating = False
        self.layoutChanged.emit(self._node.GetViewArrangement())

    def _arrange(self, description):
        nodes = self._nodesOf(description)
        shown = {node.GetID() for node in nodes}
        while (old := self.container.layout().takeAt(0)) is not None:
            for _, widget, _ in self._views.values():
                widget.setVisible(False)
                widget.setParent(None)
            old.widget().deleteLater()
        for node, widget, _ in list(self._views.values()):
            node.SetMappedInLayout(node.GetID() in shown)
            widget.controllerWidget().showNode()
        if description:
            self.container.layout().addWidget(self._widgetOf(ElementTree.fromstring(description)))

    def _widgetOf(self, element):
        """CTK's ctkLayoutManager::processElement: layouts hold items, an item holds a layout or a view."""
        if element.tag == "view":
            node = self._scene.GetSingletonNode(element.get("singletontag", "1"), element.get("class"))
            found = self._views.get(node.GetID()) if node is not None else None
            return found[1] if found is not None else QtWidgets.QLabel(f"{element.get('class')}")
        kind = element.get("type", "horizontal")
        isSplit = kind in ("horizontal", "vertical") and element.get("split") == "true"
        holder = QtWidgets.QTabWidget() if kind == "tab" else QtWidgets.QSplitter() if isSplit else QtWidgets.QWidget()
        if isSplit:
            holder.setOrientation(QtCore.Qt.Horizontal if kind == "horizontal" else QtCore.Qt.Vertical)
        layout = {
            "vertical": QtWidgets.QVBoxLayout,
            "horizontal": QtWidgets.QHBoxLayout,
            "grid": QtWidgets.QGridLayout,
        }.get("" if isSplit else kind)
        arrangement = layout(holder) if layout else None
        if arrangement is not None:
            arrangement.setContentsMargins(0, 0, 0, 0)
            arrangement.setSpacing(2)
        items = element.findall("item")
        for item in items:
            child = self._widgetOf(item[0])
            child.setVisible(True)
            if kind == "grid":
                row, column = int(item.get("row", 0)), int(item.get("column", 0))
                arrangement.addWidget(child, row, column, int(item.get("rowspan", 1)), int(item.get("colspan", 1)))
            elif kind == "tab":
                holder.addTab(child, item.get("name", ""))
            elif isSplit:
                holder.addWidget(child)
            else:
                arrangement.addWidget(child)
        sizes = [int(item.get("splitSize", 0)) for item in items]
        if isSplit and any(sizes):
            holder.setSizes(sizes)
        return holder
