"""Modules that are written in Python, and the manager that knows them.

Read in Slicer 5.12: Base/QTGUI/qSlicerScriptedLoadableModule.cxx (setPythonSource: when Slicer starts, the file is
executed and its module class is made, nothing else; createWidgetRepresentation), qSlicerAbstractCoreModule.cxx
(widgetRepresentation makes the widget when it is first asked for), qSlicerScriptedLoadableModuleWidget.cxx (setup,
reload), qSlicerAbstractModuleWidget.h (isEntered is read-only), slicer/util.py (getModuleLogic asks the widget).
"""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path

import slicer
from PyQt5 import QtCore, QtWidgets
from PyQt5.QtCore import pyqtProperty, pyqtSignal, pyqtSlot

from . import mrml_widgets, pythonqt


class qSlicerModuleManager(QtCore.QObject):
    moduleAboutToBeUnloaded = pyqtSignal("QString")
    moduleLoaded = pyqtSignal("QString")

    @pyqtSlot(str, result=object)
    def module(self, name):
        return getattr(slicer.modules, name.lower(), None)


class qSlicerScriptedLoadableModule(QtCore.QObject):
    def __init__(self, path, name):
        super().__init__()
        self._path = str(path)
        self._name = name
        self._widget = None
        self.python = None

    path = pyqtProperty(str, lambda self: self._path)
    name = pyqtProperty(str, lambda self: self._name)
    # What the Python class said of itself (qSlicerScriptedLoadableModule.h)
    title = pyqtProperty(str, lambda self: self.parentOfPython.title)
    categories = pyqtProperty("QStringList", lambda self: self.parentOfPython.categories)
    dependencies = pyqtProperty("QStringList", lambda self: self.parentOfPython.dependencies)
    helpText = pyqtProperty(str, lambda self: self.parentOfPython.helpText)

    @pyqtSlot(result=QtWidgets.QWidget)
    def widgetRepresentation(self):
        if self._widget is None:
            makeWidget(getattr(sys.modules[self._name], f"{self._name}Widget"))
        return self._widget

    def setWidget(self, widget):
        self._widget = widget


class qSlicerScriptedLoadableModuleWidget(mrml_widgets.qMRMLWidget):
    """The parent of a module's widget in the module panel."""

    entered = True
    isEntered = pyqtProperty(bool, lambda self: self.entered)
    python = None

    def make(self, widgetClass):
        self.python = widgetClass(pythonqt.wrap(self))
        setattr(slicer.modules, widgetClass.__name__, self.python)
        self.python.setup()

    @pyqtSlot()
    def reload(self):
        name = type(self.python).__name__
        self.make(getattr(sys.modules[self.python.moduleName], name))

    @pyqtSlot(result=object)
    def self(self):
        return self.python

    @pyqtSlot()
    def enter(self):
        self.entered = True
        self.python.enter()

    @pyqtSlot()
    def exit(self):
        self.entered = False
        self.python.exit()


def makeWidget(widgetClass: type) -> object:
    """A module's widget as the module panel makes it: with a parent, then set up."""
    parent = pythonqt.wrap(qSlicerScriptedLoadableModuleWidget())
    parent.setMRMLScene(slicer.mrmlScene)
    parent._qt.setLayout(QtWidgets.QVBoxLayout())
    name = widgetClass.__name__.removesuffix("Widget")
    module = getattr(slicer.modules, name.lower(), None)
    if module is not None:
        pythonqt.unwrap(module).setWidget(parent._qt)
        # PythonQt keeps what C++ owns: so does the module here.
        pythonqt.unwrap(module).wrapper = parent
    parent._qt.make(widgetClass)
    return parent._qt.python


def loadModule(path: Path) -> types.ModuleType:
    """What happens to a scripted module when Slicer starts."""
    specification = importlib.util.spec_from_file_location(path.stem, path)
    python = importlib.util.module_from_spec(specification)
    sys.modules[path.stem] = python
    specification.loader.exec_module(python)
    module = qSlicerScriptedLoadableModule(path, path.stem)
    parent = types.SimpleNamespace(path=str(path))
    module.python = getattr(python, path.stem)(parent)
    module.parentOfPython = parent
    setattr(slicer.modules, path.stem.lower(), pythonqt.wrap(module))
    return python


classes = {one.__name__: one for one in (qSlicerScriptedLoadableModule, qSlicerScriptedLoadableModuleWidget)}
