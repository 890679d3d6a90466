"""The user's own layout and views, to come back to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import slicer
import vtk

from . import CompareLayout

_LAYERS = ("Background", "Foreground", "Label")
_VOLUMES = ("ActiveVolumeID", "SecondaryVolumeID", "ActiveLabelVolumeID")
#: On the layout node, while ours is shown: what was before, so that it is known after the module was reloaded.
_LAYOUT, _MAXIMIZED = "VolumeRetrieval.Layout", "VolumeRetrieval.MaximizedViews"


class ViewState:
    """Remembers the layout, its maximized views and, for every slice view that is not ours, where it looks from."""

    def __init__(self) -> None:
        manager = slicer.app.layoutManager()
        node = CompareLayout.layoutNode()
        self.layout = manager.layout
        self.maximized = [
            node.GetMaximizedViewNode(index).GetID()
            for index in range(node.GetNumberOfMaximizedViewNodes())
            if node.GetMaximizedViewNode(index) is not None
        ]
        self._views = {name: View(manager.sliceWidget(name)) for name in _userViews(manager)}

    @classmethod
    def remember(cls) -> ViewState:
        """What the user has now; not to be called while our layout is shown."""
        state = cls()
        with CompareLayout.quietly() as node:
            node.SetAttribute(_LAYOUT, str(state.layout))
            node.SetAttribute(_MAXIMIZED, " ".join(state.maximized))
        return state

    def restore(self) -> None:
        """Bring everything back."""
        restoreLayout()
        manager = slicer.app.layoutManager()
        for name in _userViews(manager):
            if name in self._views:
                self._views[name].restore(manager.sliceWidget(name))


def restoreLayout() -> None:
    """Bring the layout back that was remembered before ours was shown, also before the module was reloaded.

    If it is not known (the scene was saved in ours by an earlier version), that is Four-Up.
    """
    node = CompareLayout.layoutNode()
    layout = int(node.GetAttribute(_LAYOUT) or slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    if layout == CompareLayout.LAYOUT_ID:
        layout = slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView
    maximized = (node.GetAttribute(_MAXIMIZED) or "").split()
    forgetLayout()
    modifying = node.StartModify()
    try:
        node.RemoveAllMaximizedViewNodes()  # one of ours would stay on top of the layout
        node.SetViewArrangement(layout)
        for identifier in maximized:
            view = slicer.mrmlScene.GetNodeByID(identifier)
            if view is not None:
                node.AddMaximizedViewNode(view)
    finally:
        node.EndModify(modifying)


def forgetLayout() -> None:
    """Nothing is remembered any more: the user has chosen another layout."""
    with CompareLayout.quietly() as node:
        node.RemoveAttribute(_LAYOUT)
        node.RemoveAttribute(_MAXIMIZED)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Volumes that are loaded meanwhile are shown in no view, and are not the active volume afterward.

    Slicer's readers show what they load in every view that lets them (DICOMScalarVolumePlugin.py, load;
    vtkMRMLApplicationLogic::PropagateVolumeSelection).
    """
    composites = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    selection = slicer.app.applicationLogic().GetSelectionNode()
    before = [
        (node, node.GetDoPropagateVolumeSelection(), [getattr(node, f"Get{layer}VolumeID")() for layer in _LAYERS])
        for node in composites
    ]
    active = [getattr(selection, f"Get{name}")() for name in _VOLUMES] if selection is not None else []
    for node in composites:
        node.SetDoPropagateVolumeSelection(False)
    try:
        yield
    finally:
        for node, propagates, volumes in before:
            if node.GetScene() is None:  # the scene was closed meanwhile
                continue
            with slicer.util.NodeModify(node):
                node.SetDoPropagateVolumeSelection(propagates)
                for layer, identifier in zip(_LAYERS, volumes, strict=True):
                    if getattr(node, f"Get{layer}VolumeID")() != identifier:
                        getattr(node, f"Set{layer}VolumeID")(_existing(identifier))
        if selection is not None:
            for name, identifier in zip(_VOLUMES, active, strict=True):
                getattr(selection, f"Set{name}")(_existing(identifier))


class View:
    """From where a slice view looks: with another layout it gets another size, and zooms."""

    def __init__(self, widget: Any):
        node = widget.mrmlSliceNode()
        self.sliceToRas = vtk.vtkMatrix4x4()
        self.sliceToRas.DeepCopy(node.GetSliceToRAS())
        self.fieldOfView = list(node.GetFieldOfView())
        self.origin = list(node.GetXYZOrigin())

    def restore(self, widget: Any) -> None:
        node = widget.mrmlSliceNode()
        with slicer.util.NodeModify(node):
            node.GetSliceToRAS().DeepCopy(self.sliceToRas)
            node.SetFieldOfView(*self.fieldOfView)
            node.SetXYZOrigin(*self.origin)
            node.UpdateMatrices()


def _existing(identifier: str | None) -> str | None:
    return identifier if identifier and slicer.mrmlScene.GetNodeByID(identifier) is not None else None


def _userViews(manager: Any) -> list[str]:
    return [name for name in manager.sliceViewNames() if name not in CompareLayout.VIEW_NAMES]
