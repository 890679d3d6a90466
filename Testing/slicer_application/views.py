"""Slice and 3D views with their bars: real MRML views rendered off screen in real Qt widgets.

Read in Slicer 5.12: Libs/MRML/Widgets/qMRMLSliceWidget.h, qMRMLThreeDWidget.h, qMRMLAbstractViewWidget.h,
qMRMLViewControllerBar.cxx, qMRMLSliceControllerWidget.cxx; CTK: ctkVTKAbstractView.h (pausing, cornerAnnotation),
ctkSliderWidget.ui. Widths of the bar: seen in a real Slicer 5.12.3.
"""

from __future__ import annotations

import vtk
from PyQt5 import QtCore, QtGui, QtWidgets
from PyQt5.QtCore import pyqtProperty, pyqtSignal, pyqtSlot
from trame_slicer.views.abstract_view import AbstractView
from trame_slicer.views.render_scheduler import ScheduledRenderStrategy
from trame_slicer.views.slice_view import SliceView
from trame_slicer.views.threed_view import ThreeDView
from vtk.util.numpy_support import vtk_to_numpy

#: Pixels of each view, so that what is rendered does not depend on a window.
viewSize = (320, 280)
#: The width of a slice view's bar with its slider, and of the slider's two parts (seen in 5.12.3: 331 to 344, 136).
BAR_WIDTH = 344
SLIDER_WIDTH = 136
SPIN_BOX_WIDTH = 84


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
    """Shows what its view rendered last (ctkVTKAbstractView)."""

    def __init__(self, view):
        super().__init__()
        self._view = view
        self._picture = QtGui.QImage()
        self._annotation = vtk.vtkCornerAnnotation()
        view.first_renderer().AddViewProp(self._annotation)
        self.pauses = 0
        #: How often was a picture asked for that was not drawn because rendering was paused.
        self.pending = False
        self.setRenderSize(*viewSize)

    def setRenderSize(self, width, height):
        self._view.render_window().SetSize(width, height)
        if isinstance(self._view, SliceView):
            self._view._update_slice_size()

    def _followWindow(self, event=None):
        # qMRMLSliceWidgetPrivate::setSliceViewSize: in a window, the slice node has the size of the widget at once
        isLaidOut = not isinstance(self.window(), _Framed)  # for a moment a view is a window of its own
        if isLaidOut and self.window().isVisible():
            self.setRenderSize(self.width(), self.height())
        else:
            self.setRenderSize(*viewSize)

    resizeEvent = showEvent = hideEvent = _followWindow

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
        # ctkVTKAbstractView.h: also while rendering is paused; qMRMLSliceView.h: not in a batch of changes.
        if self._view._scene.IsBatchProcessing():
            return
        if self.isVisible():
            self.setRenderSize(self.width(), self.height())
        pixels = self.pixels()
        height, width = pixels.shape[:2]
        image = QtGui.QImage(pixels.tobytes(), width, height, 3 * width, QtGui.QImage.Format_RGB888)
        self._picture = image.copy()
        self.update()

    @pyqtSlot()
    def scheduleRender(self):
        self.pending = self.pauses > 0
        self.update()

    @pyqtSlot(bool, result=int)
    def setRenderPaused(self, pause):
        return self.pauseRender() if pause else self.resumeRender()

    @pyqtSlot(result=int)
    def pauseRender(self):
        self.pauses += 1
        return self.pauses

    @pyqtSlot(result=int)
    def resumeRender(self):
        if not self.pauses:
            raise RuntimeError("resumeRender: rendering was not paused")  # ctkVTKAbstractView warns
        self.pauses -= 1
        if not self.pauses and self.pending:
            self.scheduleRender()
        return self.pauses

    @pyqtSlot(result=object)
    def renderWindow(self):
        return self._view.render_window()

    @pyqtSlot(result=object)
    def interactor(self):
        return self._view.interactor()

    @pyqtSlot(result=object)
    def cornerAnnotation(self):
        """DataProbe writes into all of its corners, too (see data_probe.py)."""
        return self._annotation

    def paintEvent(self, event):
        painter = QtGui.QPainter(self)
        painter.fillRect(self.rect(), QtCore.Qt.black)
        painter.drawImage(self.rect(), self._picture)
        painter.end()


class qMRMLSliceView(_ViewWidget):
    def __init__(self, view):
        super().__init__(view)
        self._overlayAnnotation = vtk.vtkCornerAnnotation()
        view._overlay_renderer.AddViewProp(self._overlayAnnotation)

    @pyqtSlot(result=object)
    def overlayCornerAnnotation(self):
        return self._overlayAnnotation

    @pyqtSlot(result=object)
    def mrmlSliceNode(self):
        return self._view._view_node


class qMRMLThreeDView(_ViewWidget):
    @pyqtSlot(result=object)
    def mrmlViewNode(self):
        return self._view._view_node

    @pyqtSlot()
    def resetFocalPoint(self):
        self._view.reset_focal_point()

    @pyqtSlot()
    @pyqtSlot(bool)
    @pyqtSlot(bool, bool)
    @pyqtSlot(bool, bool, bool)
    def resetCamera(self, resetRotation=True, resetTranslation=True, resetDistance=True):
        """Fits everything that is visible, the box over all volumes of the scene included (qMRMLThreeDView.cxx:
        unlike resetFocalPoint it does not hide the box first)."""
        self._view.reset_camera()


class qMRMLViewControllerBar(QtWidgets.QWidget):
    """Pin, label, a button of the kind of view, maximise (qMRMLViewControllerBar.cxx, init)."""

    def __init__(self, node, parent):
        super().__init__(parent)
        self._node = node
        self._bar = QtWidgets.QWidget(self)
        self._bar.setObjectName("BarWidget")
        self._bar.setAutoFillBackground(True)
        self.barLayout_ = QtWidgets.QHBoxLayout(self._bar)
        self.barLayout_.setSpacing(2)
        margins = self.barLayout_.contentsMargins()
        self.barLayout_.setContentsMargins(margins.left(), 0, margins.right(), 0)
        self._pin = self._button("PinButton")
        self._label = QtWidgets.QLabel(self)
        self._label.setObjectName("ViewLabel")
        self._label.setAlignment(QtCore.Qt.AlignHCenter | QtCore.Qt.AlignCenter)
        # An explicit minimum: the label is cut where there is no room for all of it.
        self._label.setMinimumWidth(self._label.fontMetrics().horizontalAdvance("XX"))
        self.barLayout_.addWidget(self._label)
        self.barLayout_.addWidget(self._button("CenterOrFitButton"))
        self._maximize = self._button("MaximizeViewButton")
        self._maximize.clicked.connect(self.maximizeView)
        self.barLayout_.addSpacing(5)
        controller = QtWidgets.QVBoxLayout(self)
        controller.setContentsMargins(0, 0, 0, 0)
        controller.addWidget(self._bar)
        self.showNode()

    def _button(self, name):
        button = QtWidgets.QToolButton(self)
        button.setObjectName(name)
        button.setAutoRaise(True)
        button.setFixedSize(22, 22)
        self.barLayout_.addWidget(button)
        return button

    def showNode(self):
        """Label and color are the node's (updateWidgetFromMRMLView)."""
        color = QtGui.QColor.fromRgbF(*self._node.GetLayoutColor())
        self._label.setText(self._node.GetLayoutLabel())
        self._label.setStyleSheet("color: black; background-color: transparent;")
        palette = self._bar.palette()
        palette.setColor(QtGui.QPalette.Window, color)
        self._bar.setPalette(palette)

    @pyqtSlot()
    def maximizeView(self):
        # qMRMLViewControllerBar.cxx, maximizeView: the layout node that the view belongs to.
        layoutNode = self._node.GetScene().GetFirstNodeByClass("vtkMRMLLayoutNode")
        if layoutNode.IsMaximizedViewNode(self._node):
            layoutNode.RemoveMaximizedViewNode(self._node)
        else:
            layoutNode.AddMaximizedViewNode(self._node)

    @pyqtSlot(result=QtWidgets.QWidget)
    def barWidget(self):
        return self._bar

    @pyqtSlot(result=QtWidgets.QLabel)
    def viewLabel(self):
        return self._label

    @pyqtSlot(result=QtWidgets.QToolButton)
    def pinButton(self):
        return self._pin

    def _setShowMaximize(self, show):
        self._maximize.setVisible(show)

    showMaximizeViewButton = pyqtProperty(bool, lambda self: not self._maximize.isHidden(), _setShowMaximize)


class qMRMLSliderWidget(QtWidgets.QWidget):
    """A slider and its number (ctkSliderWidget.ui)."""

    valueChanged = pyqtSignal(float)

    def __init__(self, parent):
        super().__init__(parent)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._slider = QtWidgets.QSlider(QtCore.Qt.Horizontal, self)
        self._slider.setMinimumWidth(SLIDER_WIDTH)
        self._spinBox = QtWidgets.QDoubleSpinBox(self)
        self._spinBox.setFixedWidth(SPIN_BOX_WIDTH)
        layout.addWidget(self._slider)
        layout.addWidget(self._spinBox)
        self.setSizePolicy(QtWidgets.QSizePolicy.Minimum, QtWidgets.QSizePolicy.Preferred)

    @pyqtSlot(result=QtWidgets.QWidget)
    def slider(self):
        return self._slider

    @pyqtSlot(result=QtWidgets.QWidget)
    def spinBox(self):
        return self._spinBox

    spinBoxVisible = pyqtProperty(
        bool, lambda self: not self._spinBox.isHidden(), lambda self, visible: self._spinBox.setVisible(visible)
    )


class qMRMLSliceControllerWidget(qMRMLViewControllerBar):
    def __init__(self, node, logic, parent):
        super().__init__(node, parent)
        self._logic = logic
        self._slider = qMRMLSliderWidget(self)
        self._slider.setObjectName("SliceOffsetSlider")
        self.barLayout_.addWidget(self._slider)

    def minimumSizeHint(self):
        # What this style and font make of the parts does not matter: the whole is what was seen.
        size = super().minimumSizeHint()
        if self._slider.isHidden():
            return size
        hidden = [
            width
            for part, width in ((self._slider.slider(), SLIDER_WIDTH), (self._slider.spinBox(), SPIN_BOX_WIDTH))
            if part.isHidden()
        ]
        return size.expandedTo(QtCore.QSize(BAR_WIDTH - sum(hidden), 0))

    @pyqtSlot(result=QtWidgets.QWidget)
    def sliceOffsetSlider(self):
        return self._slider

    @pyqtSlot(result=object)
    def mrmlSliceNode(self):
        return self._node

    @pyqtSlot(result=object)
    def sliceLogic(self):
        return self._logic

    @pyqtSlot()
    def fitSliceToBackground(self):
        self._logic.FitSliceToBackground()

    @pyqtSlot(bool)
    def setShowSliceOffsetSlider(self, show):
        # updateSliceOffsetSliderVisibility: only the slider's groove goes, the number stays.
        self._slider.slider().setVisible(show)

    showSliceOffsetSlider = pyqtProperty(
        bool, lambda self: not self._slider.slider().isHidden(), setShowSliceOffsetSlider
    )


class _Framed(QtWidgets.QFrame):
    """qMRMLAbstractViewWidget: a bar above a view."""

    def __init__(self, bar, inside, node):
        super().__init__()
        self._node = node
        self._bar = bar
        self._inside = inside
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(bar)
        layout.addWidget(inside, 1)

    @pyqtSlot(result=object)
    def mrmlAbstractViewNode(self):
        return self._node

    @pyqtSlot(result=QtWidgets.QWidget)
    def controllerWidget(self):
        return self._bar

    @pyqtSlot(result=QtWidgets.QWidget)
    def viewWidget(self):
        return self._inside

    @pyqtSlot(bool)
    def setRenderPaused(self, pause):
        self._inside.setRenderPaused(pause)


class qMRMLSliceWidget(_Framed):
    def __init__(self, node, scene, applicationLogic):
        self._view = _made(_SliceViewOfNode, node, scene, applicationLogic)
        super().__init__(qMRMLSliceControllerWidget(node, self._view._logic, None), qMRMLSliceView(self._view), node)

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
    def sliceController(self):
        return self._bar

    @pyqtSlot(result=QtWidgets.QWidget)
    def sliceView(self):
        return self._inside

    @pyqtSlot(result=object)
    def overlayCornerAnnotation(self):
        return self._inside.overlayCornerAnnotation()

    @pyqtSlot()
    def fitSliceToBackground(self):
        self._view._logic.FitSliceToBackground()


class qMRMLThreeDWidget(_Framed):
    def __init__(self, node, scene, applicationLogic):
        self._view = _made(_ThreeDViewOfNode, node, scene, applicationLogic)
        bar = qMRMLViewControllerBar(node, None)
        bar.barLayout_.addStretch(1)
        super().__init__(bar, qMRMLThreeDView(self._view), node)

    @pyqtSlot(result=object)
    def mrmlViewNode(self):
        return self._node

    @pyqtSlot(result=QtWidgets.QWidget)
    def threeDController(self):
        return self._bar

    @pyqtSlot(result=QtWidgets.QWidget)
    def threeDView(self):
        return self._inside


def _made(kind, node, scene, applicationLogic):
    # trame-slicer's views set up the displayable managers; Slicer's are set up by qMRMLSliceView and -ThreeDView.
    # It observes an event that VTK 9.6 warns about.
    vtk.vtkObject.GlobalWarningDisplayOff()
    try:
        return kind(node, scene, applicationLogic, node.GetLayoutName(), scheduled_render_strategy=_OnDemand())
    finally:
        vtk.vtkObject.GlobalWarningDisplayOn()
