"""One subject hierarchy folder for everything that showing results adds to the scene."""

from __future__ import annotations

from typing import Any

import slicer
import vtk

#: Marks the folder, so that it is found in a scene that was saved and opened.
_ATTRIBUTE = "VolumeRetrieval.Results"


class ResultFolder:
    """Finds or makes the folder, puts nodes into it, and removes it with everything in it."""

    def __init__(self, name: str):
        self.name = name

    def add(self, node: Any) -> None:
        """Move a node's item into the folder; patient and study items that are empty then go."""
        hierarchy = _hierarchy()
        item = hierarchy.GetItemByDataNode(node)
        if not item:  # not there yet while the scene is in a batch of changes
            hierarchy.CreateItem(self._item(create=True), node)
            return
        before = hierarchy.GetItemParent(item)
        hierarchy.SetItemParent(item, self._item(create=True))
        while before not in (0, hierarchy.GetSceneItemID()) and not _children(hierarchy, before):
            above = hierarchy.GetItemParent(before)
            hierarchy.RemoveItem(before)
            before = above

    def nodes(self) -> list[Any]:
        """The nodes in the folder."""
        hierarchy, item = _hierarchy(), self._item(create=False)
        found = [hierarchy.GetItemDataNode(child) for child in _children(hierarchy, item)] if item else []
        return [node for node in found if node is not None]

    def remove(self) -> None:
        """Remove the folder and the nodes in it."""
        item = self._item(create=False)
        if item:
            # RemoveItem(item, removeDataFromScene, recursive): vtkMRMLSubjectHierarchyNode.h
            _hierarchy().RemoveItem(item, True, True)

    def _item(self, create: bool) -> int:
        hierarchy = _hierarchy()
        for child in _children(hierarchy, hierarchy.GetSceneItemID()):
            if hierarchy.GetItemAttribute(child, _ATTRIBUTE):
                return child
        if not create:
            return 0
        item = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), self.name)
        hierarchy.SetItemAttribute(item, _ATTRIBUTE, "1")
        return item


def _hierarchy() -> Any:
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)


def _children(hierarchy: Any, item: int) -> list[int]:
    identifiers = vtk.vtkIdList()
    hierarchy.GetItemChildren(item, identifiers)
    return [identifiers.GetId(index) for index in range(identifiers.GetNumberOfIds())]
