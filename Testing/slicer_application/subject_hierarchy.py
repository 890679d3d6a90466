"""Plugins of the subject hierarchy that are written in Python, and the context menu that shows their actions.

Read in Slicer 5.12, Modules/Loadable/SubjectHierarchy/Widgets: qSlicerSubjectHierarchyPluginHandler.{h,cxx} (what is
invokable, registerPlugin), qSlicerSubjectHierarchyScriptedPlugin.cxx (setPythonSource; what results must be),
qSlicerSubjectHierarchyAbstractPlugin.cxx (hideAllContextMenuActions, switchToModule), qMRMLSubjectHierarchyTreeView.cxx
(populateContextMenuForItem), Python/SubjectHierarchyPlugins.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path

import slicer
from PyQt5 import QtCore
from PyQt5.QtCore import pyqtProperty, pyqtSlot

from . import pythonqt


class qSlicerSubjectHierarchyAbstractPlugin(QtCore.QObject):
    def __init__(self, parent=None):
        super().__init__(parent)
        self._name = ""

    def _setName(self, name):
        self._name = name

    name = pyqtProperty(str, lambda self: self._name, _setName)

    @pyqtSlot(str, result=object)
    def switchToModule(self, name):
        if not hasattr(slicer.modules, name.lower()):
            raise RuntimeError(f"qSlicerSubjectHierarchyAbstractPlugin: module with name '{name}' not found")
        qSlicerSubjectHierarchyPluginHandler.instance().switched.append(name)


class qSlicerSubjectHierarchyScriptedPlugin(qSlicerSubjectHierarchyAbstractPlugin):
    @pyqtSlot(str, result=bool)
    def setPythonSource(self, path):
        name = Path(path).name.partition(".")[0]  # QFileInfo::baseName
        className = name if name.endswith("SubjectHierarchyPlugin") else f"{name}SubjectHierarchyPlugin"
        if not hasattr(sys.modules.get(name), className):
            specification = importlib.util.spec_from_file_location(name, path)
            sys.modules[name] = importlib.util.module_from_spec(specification)
            specification.loader.exec_module(sys.modules[name])
        self.python = getattr(sys.modules[name], className)(pythonqt.wrap(self))
        setattr(slicer, className, self.python)
        return True

    def actions(self):
        found = self.python.itemContextMenuActions()
        if not isinstance(found, list):
            raise TypeError(f"{self.name}: itemContextMenuActions must return a list")
        return found


class qSlicerSubjectHierarchyPluginHandler(QtCore.QObject):
    _instance = None

    def __init__(self):
        super().__init__()
        self.plugins = []
        self.switched = []  # the modules that actions have gone to
        self._default = qSlicerSubjectHierarchyAbstractPlugin()
        self._current = 0

    @staticmethod
    def instance():
        cls = qSlicerSubjectHierarchyPluginHandler
        cls._instance = cls._instance or cls()
        return cls._instance

    @pyqtSlot(QtCore.QObject, result=bool)
    def registerPlugin(self, plugin):
        if not plugin.name:
            raise RuntimeError("SubjectHierarchy plugin cannot be registered with empty name")
        if any(one.name == plugin.name for one in self.plugins):
            return False
        self.plugins.append(plugin)
        return True

    @pyqtSlot(str, result=QtCore.QObject)
    def pluginByName(self, name):
        if name == "Default":
            return self._default
        return next((one for one in self.plugins if one.name == name), None)

    @pyqtSlot(result=object)
    def subjectHierarchyNode(self):
        return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)

    @pyqtSlot("qlonglong")
    def setCurrentItem(self, item):
        self._current = item

    @pyqtSlot(result="qlonglong")
    def currentItem(self):
        return self._current


def contextMenu(item: int) -> list:
    """The actions that a right click on this item shows."""
    handler = qSlicerSubjectHierarchyPluginHandler.instance()
    handler.setCurrentItem(item)
    for plugin in handler.plugins:
        for action in plugin.actions():
            action.visible = False
        owned = plugin.python.canOwnSubjectHierarchyItem(item)
        if not isinstance(owned, float):
            raise TypeError(f"{plugin.name}: canOwnSubjectHierarchyItem must return a float")
        plugin.python.showContextMenuActionsForItem(item)
    return [action for plugin in handler.plugins for action in plugin.actions() if action.visible]


class AbstractScriptedSubjectHierarchyPlugin:
    """SubjectHierarchyPlugins/AbstractScriptedSubjectHierarchyPlugin.py"""

    def __init__(self, scriptedPlugin):
        self.scriptedPlugin = scriptedPlugin
        slicer.qSlicerSubjectHierarchyPluginHandler.instance().registerPlugin(scriptedPlugin)


package = types.ModuleType("SubjectHierarchyPlugins")
package.AbstractScriptedSubjectHierarchyPlugin = AbstractScriptedSubjectHierarchyPlugin

classes = {
    one.__name__: one
    for one in (
        qSlicerSubjectHierarchyAbstractPlugin,
        qSlicerSubjectHierarchyScriptedPlugin,
        qSlicerSubjectHierarchyPluginHandler,
    )
}
