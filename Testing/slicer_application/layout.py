"""The layout manager: layouts of the real vtkMRMLLayoutLogic, shown in real slice and 3D views rendered off screen.

Read in Slicer 5.12: Libs/MRML/Widgets/qMRMLLayoutManager.h (what is invokable), qMRMLLayoutViewFactory.cxx
(SetMappedInLayout), qMRMLSliceWidget.h, qMRMLThreeDWidget.h. Reading the XML, making the view nodes and applying
their properties is done by the same C++ code as in Slicer (vtkMRMLLayoutLogic).
"""

from __future__ import annotations

from xml.etree import ElementTree

import slicer
import vtk
from PyQt5 import QtCore, QtGui, QtWidgets
from PyQt5.QtCore import pyqtProperty, pyqtSignal, pyqtSlot
from trame_slicer.views.abstract_view import AbstractView
from trame_slicer.views.render_scheduler import ScheduledRenderStrategy
from trame_slicer.views.slice_view import SliceView
from trame_slicer.views.threed_view import ThreeDView
from vtk.util.numpy_support import vtk_to_numpy


class _OnDemand(ScheduledRenderStrategy):
    """Nothing is rendered before somebody looks: rendering in software takes long."""


class _SliceViewOfNode(SliceView):
    """A slice view of the node that the layout made, left as it is (vtkMRMLSliceLogic::SetSliceNode, as
    qMRMLSliceWidget does)."""

    def __init__(self, node, scene, *args, **keywords):
        self._node = node
        super().__init__(scene, *args, **keywords)

    def set_scene(self, scene):
        AbstractView.set_scene(self, scene)
        self._logic.SetMRMLScene(scene)
        self._logic.SetSliceNode(self._node)
        self.set_view_node(self._node)

    def _reset_node_view_properties(self):
        """The layout logic applied them."""


class _ThreeDViewOfNode(ThreeDView):
    def __init__(self, node, scene, *args, **keywords):
        self._node = node
        super().__init__(scene, *args, **keywords)

    def set_scene(self, scene):
        AbstractView.set_scene(self, scene)
        self._logic.SetMRMLScene(scene)
        self.set_view_node(self._node)

    def _reset_node_view_properties(self):
        """The layout logic applied them."""


class _ViewWidget(QtWidgets.QWidget):
    """Shows what its view rendered last."""

    def __init__(self, view, size):
        super().__init__()
        self._view = view
        self._picture = QtGui.QImage()
        self.setMinimumSize(40, 40)
        self.setRenderSize(*size)

    def setRenderSize(self, width, height):
        self._view.render_window().SetSize(width, height)
        if isinstance(self._view, SliceView):
            self._view._update_slice_size()

    def pixels(self):
        """What the view shows now: uint8 [height, width, 3], the first row on top."""
        self._view.render()
        grabber = vtk.vtkWindowToImageFilter()
        grabber.SetInput(self._view.render_window())
        grabber.ReadFrontBufferOff()
        grabber.Update()
        image = grabber.GetOutput()
        width, height, _ = image.GetDimensions()
        return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, -1)[::-1, :, :3].copy()

    @pyqtSlot()
    def forceRender(self):
        if self.isVisible():
            self.setRenderSize(self.width(), self.height())
        pixels = self.pixels()
        height, width = pixels.shape[:2]
        image = QtGui.QImage(pixels.tobytes(), width, height, 3 * width, QtGui.QImage.Format_RGB888)
        self._picture = image.copy()
        self.update()

    @pyqtSlot()
    def scheduleRender(self):
        self.update()

    @pyqtSlot(result=object)
    def renderWindow(self):
        return self._view.render_window()

    def paintEvent(self, event):
        painter = QtGui.QPainter(self)
        painter.fillRect(self.rect(), QtCore.Qt.black)
        painter.drawImage(self.rect(), self._picture)
        painter.end()


class qMRMLSliceView(_ViewWidget):
    @pyqtSlot(result=object)
    def mrmlSliceNode(self):
        return self._view._view_node


class qMRMLThreeDView(_ViewWidget):
    @pyqtSlot()
    def resetFocalPoint(self):
        self._view.reset_focal_point()

    @pyqtSlot()
    def resetCamera(self):
        self._view.reset_camera()


class _Framed(QtWidgets.QFrame):
    def __init__(self, inside, node):
        super().__init__()
        self._node = node
        self._label = QtWidgets.QLabel(self)
        self._label.setAutoFillBackground(True)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._label)
        layout.addWidget(inside, 1)
        self.showLabel()

    def showLabel(self):
        color = QtGui.QColor.fromRgbF(*self._node.GetLayoutColor())
        self._label.setText(f" {self._node.GetLayoutLabel()}")
        self._label.setStyleSheet(f"background: {color.name()}; color: black")


class qMRMLSliceWidget(_Framed):
    def __init__(self, view, size):
        self._view = view
        self._inside = qMRMLSliceView(view, size)
        super().__init__(self._inside, view._view_node)

    @pyqtSlot(result=object)
    def mrmlSliceNode(self):
        return self._node

    @pyqtSlot(result=object)
    def mrmlSliceCompositeNode(self):
        return self._view._logic.GetSliceCompositeNode()

    @pyqtSlot(result=object)
    def sliceLogic(self):
        return self._view._logic

    @pyqtSlot(result=QtWidgets.QWidget)
    def sliceView(self):
        return self._inside


class qMRMLThreeDWidget(_Framed):
    def __init__(self, view, size):
        self._view = view
        self._inside = qMRMLThreeDView(view, size)
        super().__init__(self._inside, view._view_node)

    @pyqtSlot(result=object)
    def mrmlViewNode(self):
        return self._node

    @pyqtSlot(result=QtWidgets.QWidget)
    def threeDView(self):
        return self._inside


class qMRMLLayoutManager(QtCore.QObject):
    layoutChanged = pyqtSignal(int)

    #: Pixels of each view, so that what is rendered does not depend on a window.
    viewSize = (320, 280)

    def __init__(self, scene, applicationLogic):
        super().__init__()
        self._applicationLogic = applicationLogic
        self._logic = slicer.vtkMRMLLayoutLogic()
        self._logic.SetMRMLScene(scene)
        self._scene = scene
        self._widgets = {}
        self._shown = ""
        self.container = QtWidgets.QWidget()
        self.container.setLayout(QtWidgets.QVBoxLayout())
        self._node = self._logic.GetLayoutNode()
        self._node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._update())
        self.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)

    @pyqtSlot(result=object)
    def layoutLogic(self):
        return self._logic

    @pyqtSlot(result=object)
    def mrmlScene(self):
        return self._scene

    @pyqtSlot(int)
    def setLayout(self, identifier):
        self._node.SetViewArrangement(identifier)

    layout = pyqtProperty(int, lambda self: self._node.GetViewArrangement(), setLayout)

    @pyqtSlot(str, result=QtWidgets.QWidget)
    def sliceWidget(self, name):
        """The widget of the slice view of this layout name ("Red"), also where the layout does not show it."""
        return self._widgets.get(("vtkMRMLSliceNode", name))

    @pyqtSlot(result=list)
    def sliceViewNames(self):
        # qMRMLLayoutManager::sliceViewNames: every slice view that was made, shown or not.
        return [name for kind, name in self._widgets if kind == "vtkMRMLSliceNode"]

    @pyqtSlot(str, result=QtWidgets.QWidget)
    @pyqtSlot(int, result=QtWidgets.QWidget)
    def threeDWidget(self, name):
        every = [key for key in self._widgets if key[0] == "vtkMRMLViewNode"]
        if isinstance(name, int):
            return self._widgets[every[name]] if name < len(every) else None
        return self._widgets.get(("vtkMRMLViewNode", name))

    threeDViewCount = pyqtProperty(int, lambda self: sum(key[0] == "vtkMRMLViewNode" for key in self._widgets))

    @pyqtSlot(result=object)
    def mrmlSliceLogics(self):
        return self._applicationLogic.GetSliceLogics()

    @pyqtSlot()
    def resetThreeDViews(self):
        for (kind, _), widget in self._widgets.items():
            if kind == "vtkMRMLViewNode":
                widget.threeDView().resetFocalPoint()

    def shownWidgets(self):
        """The widgets of the views that the layout shows, in the layout's order (for tests and pictures)."""
        nodes = self._logic.GetViewNodes()
        return [self._widgets[_key(nodes.GetItemAsObject(index))] for index in range(nodes.GetNumberOfItems())]

    def _update(self):
        description = self._node.GetCurrentLayoutDescription()
        if description == self._shown or not description:
            return
        self._shown = description
        nodes = [
            self._logic.GetViewNodes().GetItemAsObject(i) for i in range(self._logic.GetViewNodes().GetNumberOfItems())
        ]
        for node in nodes:
            self._view(node)
        shown = {_key(node) for node in nodes}
        for key, widget in self._widgets.items():
            widget._node.SetMappedInLayout(key in shown)
            widget.showLabel()
        self._arrange(ElementTree.fromstring(description))
        self.layoutChanged.emit(self._node.GetViewArrangement())

    def _view(self, node):
        key = _key(node)
        if key in self._widgets or (not node.IsA("vtkMRMLSliceNode") and not node.IsA("vtkMRMLViewNode")):
            return
        # trame-slicer's views set up the displayable managers; Slicer's are set up by qMRMLSliceView and -ThreeDView.
        isSlice = key[0] == "vtkMRMLSliceNode"
        kind, widget = (_SliceViewOfNode, qMRMLSliceWidget) if isSlice else (_ThreeDViewOfNode, qMRMLThreeDWidget)
        # trame-slicer observes an event that VTK 9.6 warns about.
        vtk.vtkObject.GlobalWarningDisplayOff()
        view = kind(node, self._scene, self._applicationLogic, key[1], scheduled_render_strategy=_OnDemand())
        vtk.vtkObject.GlobalWarningDisplayOn()
        self._widgets[key] = widget(view, self.viewSize)

    def _arrange(self, element):
        old = self.container.layout().takeAt(0)
        if old is not None:
            for widget in self._widgets.values():
                widget.setParent(None)
            old.widget().setParent(None)
        self.container.layout().addWidget(self._widgetOf(element))

    def _widgetOf(self, element):
        """CTK's ctkLayoutManager::processElement: layouts hold items, an item holds a layout or a view."""
        if element.tag == "view":
            key = (element.get("class"), element.get("singletontag", "1"))
            found = self._widgets.get(key)
            return found if found is not None else QtWidgets.QLabel(f"{key[0]} {key[1]}")
        holder = QtWidgets.QTabWidget() if element.get("type") == "tab" else QtWidgets.QWidget()
        kind = element.get("type", "horizontal")
        layout = {
            "vertical": QtWidgets.QVBoxLayout,
            "horizontal": QtWidgets.QHBoxLayout,
            "grid": QtWidgets.QGridLayout,
        }.get(kind)
        arrangement = layout(holder) if layout else None
        if arrangement is not None:
            arrangement.setContentsMargins(0, 0, 0, 0)
            arrangement.setSpacing(2)
        for item in element.findall("item"):
            child = self._widgetOf(item[0])
            child.setVisible(True)
            if kind == "grid":
                row, column = int(item.get("row", 0)), int(item.get("column", 0))
                arrangement.addWidget(child, row, column, int(item.get("rowspan", 1)), int(item.get("colspan", 1)))
            elif kind == "tab":
                holder.addTab(child, item.get("name", ""))
            else:
                arrangement.addWidget(child, int(item.get("splitSize", 0)) or 1)
        return holder


def _key(node):
    kind = "vtkMRMLSliceNode" if node.IsA("vtkMRMLSliceNode") else node.GetClassName()
    return kind, node.GetLayoutName()
