"""Find similar volumes: an action in the context menu of a volume in the Data module.

Slicer loads this file by its path, as a module of its own, and makes the class that has the file's name
(qSlicerSubjectHierarchyScriptedPlugin.cxx, setPythonSource): nothing here can be imported relatively. Methods that are
not here keep what the C++ class does. A plugin stays until Slicer ends, so it asks for the panel only when it is used.
"""

from __future__ import annotations

from typing import Any

import qt
import slicer
from slicer.i18n import tr as _
from SubjectHierarchyPlugins import AbstractScriptedSubjectHierarchyPlugin


class VolumeRetrievalSubjectHierarchyPlugin(AbstractScriptedSubjectHierarchyPlugin):
    """Offers one action; owns no items."""

    # Where the C++ plugin gets its Python class from.
    filePath = __file__

    def __init__(self, scriptedPlugin: Any) -> None:
        scriptedPlugin.name = "VolumeRetrieval"
        AbstractScriptedSubjectHierarchyPlugin.__init__(self, scriptedPlugin)
        self.findSimilarAction = qt.QAction(_("Find similar volumes"), scriptedPlugin)
        self.findSimilarAction.setToolTip(_("Search the indexed DICOM database for volumes that look like this one."))
        self.findSimilarAction.connect("triggered()", self.onFindSimilar)

    def canAddNodeToSubjectHierarchy(self, node: Any, parentItemID: int) -> float:
        return 0.0

    def canOwnSubjectHierarchyItem(self, itemID: int) -> float:
        return 0.0

    def roleForPlugin(self) -> str:
        return "N/A"

    def itemContextMenuActions(self) -> list[Any]:
        return [self.findSimilarAction]

    def showContextMenuActionsForItem(self, itemID: int) -> None:
        self.findSimilarAction.visible = self._volume(itemID) is not None

    def onFindSimilar(self) -> None:
        handler = slicer.qSlicerSubjectHierarchyPluginHandler.instance()
        volume = self._volume(handler.currentItem())
        if volume is None:
            return
        handler.pluginByName("Default").switchToModule("VolumeRetrieval")
        slicer.modules.volumeretrieval.widgetRepresentation().self().findSimilar(volume)

    def _volume(self, itemID: int) -> Any:
        """The scalar volume of this item; None for label maps, vector volumes and everything else."""
        hierarchy = slicer.qSlicerSubjectHierarchyPluginHandler.instance().subjectHierarchyNode()
        node = hierarchy.GetItemDataNode(itemID) if hierarchy is not None and itemID else None
        return node if node is not None and node.GetClassName() == "vtkMRMLScalarVolumeNode" else None
