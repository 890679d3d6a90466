"""The few CTK widgets that the panel uses, as plain Qt widgets with CTK's properties and signals.

Read in commontk/CTK 868d56c7: Libs/Widgets/ctkCollapsibleButton.{h,cpp}, ctkMessageBox.h.
"""

from __future__ import annotations

from PyQt5 import QtCore, QtWidgets
from PyQt5.QtCore import pyqtProperty, pyqtSignal


class ctkCollapsibleButton(QtWidgets.QWidget):
    """A title that can be clicked and contents that it hides. In CTK a QAbstractButton that paints itself; properties
    text, checked, collapsed (the opposite of checked) and signals toggled, contentsCollapsed are alike."""

    toggled = pyqtSignal(bool)
    contentsCollapsed = pyqtSignal(bool)

    def __init__(self, *args):
        text = args[0] if args and isinstance(args[0], str) else ""
        super().__init__(args[-1] if args and isinstance(args[-1], QtWidgets.QWidget) else None)
        self._collapsed = self._isForcing = False
        self._header = QtWidgets.QToolButton(self)
        self._header.setObjectName("")
        self._header.setText(text)
        self._header.setArrowType(QtCore.Qt.DownArrow)
        self._header.setToolButtonStyle(QtCore.Qt.ToolButtonTextBesideIcon)
        self._header.setSizePolicy(QtWidgets.QSizePolicy.Expanding, QtWidgets.QSizePolicy.Fixed)
        self._header.clicked.connect(lambda: self.setCollapsed(not self._collapsed))
        self.setFocusProxy(self._header)
        self.setContentsMargins(0, self._header.sizeHint().height() + 2, 0, 0)
        # ctkCollapsibleButton.cpp, init: what its contents would like to have is what they must have.
        self.setSizePolicy(QtWidgets.QSizePolicy.Minimum, QtWidgets.QSizePolicy.Preferred)

    def resizeEvent(self, event):
        super().resizeEvent(event)
        self._header.setGeometry(0, 0, self.width(), self._header.sizeHint().height())

    def childEvent(self, event):
        super().childEvent(event)
        child = event.child()
        if event.type() == QtCore.QEvent.ChildAdded and child.isWidgetType() and hasattr(self, "_header"):
            child.installEventFilter(self)
        # ctkCollapsibleButton::childEvent: a widget added to a collapsed button is hidden at once.
        isPolished = event.type() == QtCore.QEvent.ChildPolished and isinstance(child, QtWidgets.QWidget)
        if isPolished and getattr(self, "_collapsed", False) and child is not self._header:
            self._place(child)

    def eventFilter(self, child, event):
        """What others show while the button is collapsed is shown when it opens, and what they hide stays hidden."""
        if not self._isForcing and event.type() in (QtCore.QEvent.ShowToParent, QtCore.QEvent.HideToParent):
            isShown = event.type() == QtCore.QEvent.ShowToParent
            child.setProperty("visibilityToParent", isShown)
            if isShown:
                self._place(child)
        return False

    def setVisible(self, visible):
        self._isForcing = True
        super().setVisible(visible)
        self._isForcing = False

    def _place(self, child):
        self._isForcing = True
        child.setVisible(not self._collapsed and child.property("visibilityToParent") is not False)
        self._isForcing = False

    def _contents(self):
        return [
            one
            for one in self.children()
            if isinstance(one, QtWidgets.QWidget) and one is not self._header and not one.isWindow()
        ]

    def _getCollapsed(self):
        return self._collapsed

    def setCollapsed(self, collapsed):
        if collapsed == self._collapsed:
            return
        self._collapsed = collapsed
        self._header.setArrowType(QtCore.Qt.RightArrow if collapsed else QtCore.Qt.DownArrow)
        for one in self._contents():
            self._place(one)
        self.setMaximumHeight(self._header.sizeHint().height() + 6 if collapsed else 16777215)
        self.toggled.emit(not collapsed)
        self.contentsCollapsed.emit(collapsed)

    def _getText(self):
        return self._header.text()

    def setText(self, text):
        self._header.setText(text)

    def _getChecked(self):
        return not self._collapsed

    def setChecked(self, checked):
        self.setCollapsed(not checked)

    collapsed = pyqtProperty(bool, _getCollapsed, setCollapsed)
    checked = pyqtProperty(bool, _getChecked, setChecked)
    text = pyqtProperty(str, _getText, setText)


class ctkMessageBox(QtWidgets.QMessageBox):
    """QMessageBox here; what slicer.util.messageBox makes outside testing mode."""


classes = {one.__name__: one for one in (ctkCollapsibleButton, ctkMessageBox)}
