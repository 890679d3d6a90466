"""slicer.app.coreIOManager(): scenes are written and read; and what another Slicer would make of a file.

Read in Slicer 5.12: Base/QTCore/qSlicerCoreIOManager.cxx (saveNodes: nothing is told before, fileSaved after),
Libs/MRML/Core/vtkMRMLScene.cxx (Commit, WriteToMRB; neither starts a SaveState, so that StartSaveEvent never comes),
vtkMRMLLayoutNode.cxx (WriteXML: the arrangement's number, not its description).
"""

from __future__ import annotations

import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import slicer
from PyQt5 import QtCore
from PyQt5.QtCore import pyqtSignal, pyqtSlot


class qSlicerCoreIOManager(QtCore.QObject):
    fileSaved = pyqtSignal(object)
    newFileLoaded = pyqtSignal(object)

    @pyqtSlot(str, object, object, result=bool)
    def saveNodes(self, fileType, properties, userMessages):
        _refuseOthers(fileType)
        path = properties["fileName"]
        isSaved = _write(slicer.mrmlScene, path)
        if isSaved:
            self.fileSaved.emit(properties)
        return isSaved

    @pyqtSlot(str, object, object, object, result=bool)
    def loadNodes(self, fileType, properties, loadedNodes, userMessages):
        _refuseOthers(fileType)
        isRead = _read(slicer.mrmlScene, properties["fileName"], clear=properties.get("clear", True))
        if isRead:
            self.newFileLoaded.emit(properties)
        return isRead


def _refuseOthers(fileType):
    if fileType != "SceneFile":
        raise RuntimeError(f"the stand-in reads and writes scenes only, not {fileType}")


def _write(scene, path):
    if path.endswith(".mrb"):
        # qSlicerSceneBundle: the bundle is packed in Slicer's temporary folder
        before = scene.GetURL(), scene.GetRootDirectory()
        isWritten = bool(scene.WriteToMRB(path))
        scene.SetURL(before[0])
        scene.SetRootDirectory(before[1])
        return isWritten
    scene.SetURL(path)
    return bool(scene.Commit(path))


def _read(scene, path, clear=True):
    if path.endswith(".mrb"):
        return bool(scene.ReadFromMRB(path, clear))
    scene.SetURL(path)
    return bool(scene.Connect() if clear else scene.Import())


@dataclass
class OpenedScene:
    """What a fresh Slicer, without the extension, has after opening a file."""

    scene: Any
    layoutLogic: Any
    arrangement: int
    #: The layout names of the views that it shows; none if it does not know the arrangement.
    views: list[str]

    def node(self, className: str, singletonTag: str) -> Any:
        return self.scene.GetSingletonNode(singletonTag, className)


def openedElsewhere(path: Path) -> OpenedScene:
    slicer.vtkMRMLScene.GlobalWarningDisplayOff()  # "Can't find layout" is what is asked for
    scene = slicer.vtkMRMLScene()
    for index in range(slicer.mrmlScene.GetNumberOfRegisteredNodeClasses()):
        scene.RegisterNodeClass(slicer.mrmlScene.GetNthRegisteredNodeClass(index))
    # vtkSlicerApplicationLogic: the presets of the views' orientations are a default node's
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
    logic = slicer.vtkMRMLLayoutLogic()
    logic.SetMRMLScene(scene)
    logic.GetLayoutNode().SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    with tempfile.TemporaryDirectory() as folder:
        try:
            if path.suffix == ".mrb":  # ReadFromMRB asks the application for a folder to unpack in
                with zipfile.ZipFile(path) as bundle:
                    bundle.extractall(folder)
            (sceneFile,) = Path(folder).rglob("*.mrml") if path.suffix == ".mrb" else [path]
            if not _read(scene, str(sceneFile)):
                raise ValueError(f"{path} cannot be read")
        finally:
            slicer.vtkMRMLScene.GlobalWarningDisplayOn()
    node = logic.GetLayoutNode()
    description = node.GetCurrentLayoutDescription()
    elements = ElementTree.fromstring(description).iter("view") if description else []
    return OpenedScene(scene, logic, node.GetViewArrangement(), [one.get("singletontag", "1") for one in elements])
