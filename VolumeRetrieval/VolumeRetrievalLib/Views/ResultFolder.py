"""One subject hierarchy folder for everything that showing results adds to the scene."""

from __future__ import annotations

from typing import Any

import slicer
import vtk

from ..Scene.WorldTransform import isAcquisitionTransform

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

    @property
    def exists(self) -> bool:
        """Whether the folder is in the scene, also in one that was saved and opened."""
        return bool(self._item(create=False))

    def nodes(self) -> list[Any]:
        """The nodes in the folder."""
        hierarchy, item = _hierarchy(), self._item(create=False)
        found = [hierarchy.GetItemDataNode(child) for child in _children(hierarchy, item)] if item else []
        return [node for node in found if node is not None]

    def holds(self, node: Any) -> bool:
        return any(one.GetID() == node.GetID() for one in self.nodes())

    def discard(self, node: Any) -> None:
        """Remove a node, what was loaded along with it, and items above it that are empty then."""
        self.add(node)
        _removeWithDependents(node)
        item = self._item(create=False)
        if item and not _children(_hierarchy(), item):
            _hierarchy().RemoveItem(item)

    def remove(self) -> None:
        """Remove the folder and the nodes in it."""
        for node in self.nodes():
            _removeWithDependents(node)
        item = self._item(create=False)
        if item:
            _hierarchy().RemoveItem(item, False, True)

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


def _removeWithDependents(node: Any) -> None:
    """A volume, and its nodes that nobody sees: removing a volume leaves them in the scene, and in scene files."""
    dependents = [node.GetNthDisplayNode(index) for index in range(node.GetNumberOfDisplayNodes())]
    dependents += [node.GetNthStorageNode(index) for index in range(node.GetNumberOfStorageNodes())]
    transform = node.GetParentTransformNode()
    if isAcquisitionTransform(transform):
        dependents.append(transform)
    item = _hierarchy().GetItemByDataNode(node)
    if item:
        # RemoveItem(item, removeDataFromScene, recursive): vtkMRMLSubjectHierarchyNode.h
        _hierarchy().RemoveItem(item, True, True)
    else:
        slicer.mrmlScene.RemoveNode(node)
    for one in dependents:
        if one is not None and one.GetScene() is not None:
            slicer.mrmlScene.RemoveNode(one)


def _hierarchy() -> Any:
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)


def _children(hierarchy: Any, item: int) -> list[int]:
    identifiers = vtk.vtkIdList()
    hierarchy.GetItemChildren(item, identifiers)
    return [identifiers.GetId(index) for index in range(identifiers.GetNumberOfIds())]
