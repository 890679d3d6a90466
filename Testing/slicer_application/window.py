"""The main window as far as sizes go: the module panel with its scroll area in a dock, the views beside it.

Read in Slicer 5.12: Base/QTGUI/qSlicerModulePanel.cxx (addModule, minimumSizeHint) and Resources/UI/
qSlicerModulePanel.ui, Base/QTApp/Resources/UI/qSlicerMainWindow.ui. What follows from them, by Qt's own rules:
- the module's widget has the horizontal policy Minimum, so that its size hint is the least width that the panel, and
  with it the window, can have; a wrapped label's size hint is its natural width, several hundred pixels;
- the scroll area gives its contents their minimum height where there is little room, and that of a wrapped label is a
  line or two, whatever heightForWidth says: its text is then drawn over its neighbour;
- a window whose contents need more than it has grows, past the screen if need be.
"""

from __future__ import annotations

import slicer
from PyQt5 import QtCore, QtWidgets

from . import pythonqt


class qSlicerModulePanel(QtWidgets.QWidget):
    def __init__(self):
        super().__init__()
        self.setSizePolicy(QtWidgets.QSizePolicy.Minimum, QtWidgets.QSizePolicy.Preferred)
        self._area = QtWidgets.QScrollArea(self)
        self._area.setSizePolicy(QtWidgets.QSizePolicy.Minimum, QtWidgets.QSizePolicy.Expanding)
        self._area.setFrameShape(QtWidgets.QFrame.NoFrame)
        self._area.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarAlwaysOff)
        self._area.setWidgetResizable(True)
        contents = QtWidgets.QWidget()
        contents.setSizePolicy(QtWidgets.QSizePolicy.Minimum, QtWidgets.QSizePolicy.Preferred)
        layout = QtWidgets.QVBoxLayout(contents)
        layout.setSizeConstraint(QtWidgets.QLayout.SetMinAndMaxSize)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addSpacerItem(
            QtWidgets.QSpacerItem(0, 0, QtWidgets.QSizePolicy.Minimum, QtWidgets.QSizePolicy.MinimumExpanding)
        )
        self._area.setWidget(contents)
        grid = QtWidgets.QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.addWidget(self._area)
        self._module = None

    def addModule(self, widget):
        if widget.layout() is not None:
            widget.layout().setContentsMargins(0, 0, 0, 0)
        self._area.widget().layout().insertWidget(0, widget, 1)
        widget.setSizePolicy(QtWidgets.QSizePolicy.Minimum, widget.sizePolicy().verticalPolicy())
        widget.setVisible(True)
        widget.installEventFilter(self)
        self._module = widget
        self.updateGeometry()

    def removeModule(self):
        if self._module is not None:
            self._module.removeEventFilter(self)
            self._module.setVisible(False)
            self._module.setParent(None)
        self._module = None

    def eventFilter(self, watched, event):
        if event.type() == QtCore.QEvent.Resize:
            self.updateGeometry()
        return False

    def minimumSizeHint(self):
        bar = self._area.horizontalScrollBar().sizeHint().width()
        return QtCore.QSize(self._area.widget().minimumSizeHint().width() + bar, super().minimumSizeHint().height())


class qSlicerMainWindow(QtWidgets.QMainWindow):
    """Shown off screen, at the size that a user gave it; `close()` takes the widgets out again."""

    def __init__(self, width, height):
        super().__init__()
        self._views = slicer.app.layoutManager()._qt.container
        self.setCentralWidget(self._views)
        self.panel = qSlicerModulePanel()
        dock = QtWidgets.QDockWidget()
        dock.setWidget(self.panel)
        self.addDockWidget(QtCore.Qt.LeftDockWidgetArea, dock)
        self._views.setVisible(True)
        self.resize(width, height)
        self.show()
        self.settle()

    def showModule(self, parent):
        """`parent` is a module widget's parent, wrapped as Python has it, or a plain Qt widget."""
        self.panel.addModule(pythonqt.unwrap(parent))
        self.settle()

    def settle(self):
        """Layouts are made anew in several rounds of posted events; afterwards width() is what a user sees."""
        for _ in range(5):
            QtWidgets.QApplication.sendPostedEvents()
            QtWidgets.QApplication.processEvents()

    def close(self):
        self.panel.removeModule()
        self.takeCentralWidget().setParent(None)
        self._views.setVisible(False)
        return super().close()
