"""slicer.app and everything else that modules expect to be there when they are loaded.

Read in Slicer 5.12: Base/QTCore/qSlicerCoreApplication.h, Base/QTGUI/qSlicerApplication.h (which names are properties
and which are methods), Base/Python/slicerqt.py (what is put into the slicer package at start).
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import types
from pathlib import Path
from typing import ClassVar

import slicer
import slicer.util
import vtk
from PyQt5 import QtCore, QtGui, QtWidgets
from PyQt5.QtCore import pyqtProperty, pyqtSignal, pyqtSlot
from trame_slicer.core import SlicerApp

from . import (
    ctk_widgets,
    dicom_database,
    dicom_utils,
    i18n,
    io_manager,
    layout,
    modules,
    mrml_widgets,
    packaging,
    pythonqt,
    pythonqt_names,
    sample_data,
    subject_hierarchy,
    uiloader,
)
from .modules import loadModule, makeWidget

__all__ = ["loadModule", "makeWidget", "start"]


class qSlicerCommandOptions(QtCore.QObject):
    noMainWindow = pyqtProperty(bool, lambda self: False)


class qSlicerApplication(QtCore.QObject):
    """Not the QApplication itself (PyQt5's is one of its own), but what modules ask of slicer.app."""

    startupCompleted = pyqtSignal()
    aboutToQuit = pyqtSignal()
    mrmlSceneChanged = pyqtSignal(object)
    VTK_SIGNALS: ClassVar = {"mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged"}

    def __init__(self, core, temporaryPath):
        super().__init__()
        self._core = core
        self._temporaryPath = temporaryPath
        self._layoutManager = layout.qMRMLLayoutManager(core.scene, core.app_logic)
        self._moduleManager = modules.qSlicerModuleManager()
        self._database = dicom_database.ctkDICOMDatabase()
        self._options = qSlicerCommandOptions()
        self._ioManager = io_manager.qSlicerCoreIOManager()
        self.testing = True

    temporaryPath = pyqtProperty(str, lambda self: self._temporaryPath)
    applicationName = pyqtProperty(str, lambda self: "Slicer")
    majorVersion = pyqtProperty(int, lambda self: 5)
    minorVersion = pyqtProperty(int, lambda self: 12)
    os = pyqtProperty(str, lambda self: {"darwin": "macosx", "win32": "win"}.get(sys.platform, "linux"))
    platform = pyqtProperty(str, lambda self: "linux-amd64")

    @pyqtSlot(result=bool)
    def testingEnabled(self):
        return self.testing

    @pyqtSlot(result=object)
    def mrmlScene(self):
        return self._core.scene

    @pyqtSlot(result=object)
    def applicationLogic(self):
        return self._core.app_logic

    @pyqtSlot(result=QtCore.QObject)
    def layoutManager(self):
        return self._layoutManager

    @pyqtSlot(result=QtCore.QObject)
    def moduleManager(self):
        return self._moduleManager

    @pyqtSlot(result=QtCore.QObject)
    def dicomDatabase(self):
        return self._database

    @pyqtSlot(result=QtCore.QObject)
    def coreIOManager(self):
        return self._ioManager

    @pyqtSlot(result=QtCore.QObject)
    def ioManager(self):
        return self._ioManager

    @pyqtSlot(result=QtCore.QObject)
    def commandOptions(self):
        return self._options

    @pyqtSlot()
    @pyqtSlot(int)
    def processEvents(self, flags=QtCore.QEventLoop.AllEvents):
        QtWidgets.QApplication.processEvents(QtCore.QEventLoop.ProcessEventsFlags(flags))

    # qSlicerApplication.cxx: of all views of the layout manager
    @pyqtSlot()
    def pauseRender(self):
        self._layoutManager.pauseRender()

    @pyqtSlot()
    def resumeRender(self):
        self._layoutManager.resumeRender()

    @pyqtSlot(bool)
    def setRenderPaused(self, pause):
        self._layoutManager.setRenderPaused(pause)

    @pyqtSlot("QVariant")
    def setOverrideCursor(self, cursor):
        QtWidgets.QApplication.setOverrideCursor(QtGui.QCursor(cursor))

    @pyqtSlot()
    def restoreOverrideCursor(self):
        QtWidgets.QApplication.restoreOverrideCursor()

    @pyqtSlot(result="QStringList")
    def topLevelWidgets(self):
        return []

    @pyqtSlot(str, result=str)
    def moduleDocumentationUrl(self, name):
        return f"https://slicer.readthedocs.io/{name}"


class _Names(types.ModuleType):
    """A module whose classes are made when they are first asked for."""

    def __init__(self, name, find):
        super().__init__(name)
        self.__find = find

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        value = self.__find(name)
        setattr(self, name, value)
        return value


def _qtName(name):
    if name == "QUiLoader":
        return pythonqt.wrapClass(uiloader.QUiLoader)
    if name == "Qt":
        return QtCore.Qt
    for module, classes in pythonqt_names.classes.items():
        if name in classes:
            return pythonqt.wrapClass(getattr(importlib.import_module(f"PyQt5.{module}"), name))
    raise AttributeError(f"qt has no {name}, as far as pythonqt_names.py knows: look it up in PythonQt first")


def _ctkName(name):
    if name in ctk_widgets.classes:
        return pythonqt.wrapClass(ctk_widgets.classes[name])
    raise AttributeError(f"the stand-in has no ctk.{name}")


def _singleShot(milliseconds, callable_):
    # slicerqt.py, _Internal: qt.QTimer.singleShot is replaced by a function that takes a callable.
    import qt

    timer = qt.QTimer(slicer.app.moduleManager())
    timer.setSingleShot(True)
    timer.connect("timeout()", callable_)
    timer.start(milliseconds)


def start(temporaryPath: Path | None = None) -> None:
    """Make `import slicer, qt, ctk` work; once in a process."""
    if hasattr(slicer, "app"):
        return
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    QtCore.qInstallMessageHandler(_qtMessage)
    application = QtWidgets.QApplication.instance() or QtWidgets.QApplication(["Slicer"])
    application.setOrganizationName("NA-MIC")
    application.setApplicationName("Slicer")
    folder = str(temporaryPath or tempfile.mkdtemp(prefix="slicer-application-"))
    QtCore.QSettings.setDefaultFormat(QtCore.QSettings.IniFormat)
    QtCore.QSettings.setPath(QtCore.QSettings.IniFormat, QtCore.QSettings.UserScope, folder)
    sys.modules["qt"] = _Names("qt", _qtName)
    sys.modules["ctk"] = _Names("ctk", _ctkName)
    slicer.keepAlive = (application, SlicerApp())
    core = slicer.keepAlive[1]
    for name in ("vtkMRMLInteractionNode", "vtkMRMLSelectionNode"):  # vtkSlicerApplicationLogic makes them in Slicer
        node = core.scene.CreateNodeByClass(name)
        node.UnRegister(None)
        node.SetSingletonTag("Singleton")
        core.scene.AddNode(node)
    slicer.mrmlScene = core.scene
    core.scene.AddObserver(core.scene.NodeAddedEvent, _addToSubjectHierarchy)
    for event in (core.scene.EndImportEvent, core.scene.EndBatchProcessEvent):
        core.scene.AddObserver(event, _resolveSubjectHierarchy, 10.0)
    slicer.app = pythonqt.wrap(qSlicerApplication(core, folder))
    slicer.dicomDatabase = slicer.app.dicomDatabase()
    slicer.modules = types.SimpleNamespace(
        markups=_Module(core.app_logic.GetModuleLogic("Markups")),
        subjecthierarchy=_Module(core.subject_hierarchy_logic),
        volumes=_Module(core.volumes_logic),
        segmentations=_Module(core.segmentations_logic),
    )
    sys.modules["qt"].QTimer.singleShot = staticmethod(_singleShot)
    for name, cls in {**mrml_widgets.classes, **subject_hierarchy.classes, **modules.classes}.items():
        setattr(slicer, name, pythonqt.wrapClass(cls))
    dicom_utils.package.DICOMUtils = dicom_utils
    sys.modules["DICOMLib"] = dicom_utils.package
    sys.modules["SampleData"] = sample_data
    sys.modules["SubjectHierarchyPlugins"] = subject_hierarchy.package
    for name, module in (("i18n", i18n), ("packaging", packaging)):
        sys.modules[f"slicer.{name}"] = module
        setattr(slicer, name, module)
    for name, file in (("ScriptedLoadableModule", "scripted_module"), ("parameterNodeWrapper", "parameter_node")):
        module = importlib.import_module(f"{__package__}.{file}")
        sys.modules[f"slicer.{name}"] = module
        setattr(slicer, name, module)
    # slicer.util of slicer-core asks the module manager; the modules under test are found by their files.
    slicer.util.mainWindow = lambda: None


#: The nodes that have a place in the subject hierarchy; each has a plugin of its own in Slicer.
_HIERARCHY_CLASSES = ("Volume", "Markups", "Model", "Segmentation", "Table", "Transform")


@vtk.calldata_type(vtk.VTK_OBJECT)
def _addToSubjectHierarchy(scene, event, node):
    # qSlicerSubjectHierarchyPluginLogic.cxx, onNodeAdded: at the top of the scene, unless it is being opened.
    if not scene.IsImporting():
        _addIfSupported(scene, node)


def _addIfSupported(scene, node):
    wanted = any(node.IsA(f"vtkMRML{name}Node") for name in _HIERARCHY_CLASSES)
    if wanted and not node.GetHideFromEditors():
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
        if not hierarchy.GetItemByDataNode(node):
            hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)


def _resolveSubjectHierarchy(scene, event):
    # qSlicerSubjectHierarchyPluginLogic.cxx, onSceneImportEnded. ResolveSubjectHierarchy merges nothing while the scene
    # is in a batch of changes (vtkMRMLSubjectHierarchyNode.cxx), as it is while a scene is opened: in EndImportEvent
    # the items of the file are not in the hierarchy yet.
    if not scene.IsBatchProcessing():
        slicer.vtkMRMLSubjectHierarchyNode.ResolveSubjectHierarchy(scene)
        for index in range(scene.GetNumberOfNodes()):
            _addIfSupported(scene, scene.GetNthNode(index))


def _qtMessage(kind, context, text):
    if "propagateSizeHints" not in text:  # said for every window that is shown off screen
        print(text, file=sys.stderr)


class _Module:
    """slicer.modules.<name> of a module that is written in C++: only its logic."""

    def __init__(self, logic):
        self._logic = logic

    def logic(self):
        return self._logic
