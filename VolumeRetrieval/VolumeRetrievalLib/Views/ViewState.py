"""The user's own layout and views, to come back to."""

from __future__ import annotations

from typing import Any

import slicer
import vtk

_LAYERS = ("Background", "Foreground", "Label")


class ViewState:
    """Remembers the layout and, for every slice view that is not ours, what it shows and from where.

    Loading a DICOM series shows it in all views (DICOMScalarVolumePlugin.py, load): that is undone, too.
    """

    def __init__(self) -> None:
        manager = slicer.app.layoutManager()
        self.layout = manager.layout
        self._views = {name: _View(manager.sliceWidget(name)) for name in _userViews(manager)}

    def restore(self) -> None:
        """Bring everything back; a volume that is gone leaves its layer empty."""
        manager = slicer.app.layoutManager()
        manager.setLayout(self.layout)
        shown = set(_userViews(manager))
        for name, view in self._views.items():
            if name in shown:
                view.restore(manager.sliceWidget(name))


class _View:
    def __init__(self, widget: Any):
        composite, node = widget.mrmlSliceCompositeNode(), widget.mrmlSliceNode()
        self.layers = {layer: getattr(composite, f"Get{layer}VolumeID")() for layer in _LAYERS}
        self.opacities = composite.GetForegroundOpacity(), composite.GetLabelOpacity()
        self.sliceToRas = vtk.vtkMatrix4x4()
        self.sliceToRas.DeepCopy(node.GetSliceToRAS())
        self.fieldOfView = list(node.GetFieldOfView())
        self.origin = list(node.GetXYZOrigin())

    def restore(self, widget: Any) -> None:
        composite, node = widget.mrmlSliceCompositeNode(), widget.mrmlSliceNode()
        with slicer.util.NodeModify(composite):
            for layer, identifier in self.layers.items():
                exists = identifier and slicer.mrmlScene.GetNodeByID(identifier)
                getattr(composite, f"Set{layer}VolumeID")(identifier if exists else None)
            composite.SetForegroundOpacity(self.opacities[0])
            composite.SetLabelOpacity(self.opacities[1])
        with slicer.util.NodeModify(node):
            node.GetSliceToRAS().DeepCopy(self.sliceToRas)
            node.SetFieldOfView(*self.fieldOfView)
            node.SetXYZOrigin(*self.origin)
            node.UpdateMatrices()


def _userViews(manager: Any) -> list[str]:
    return [name for name in manager.sliceViewNames() if not name.startswith("VolumeRetrieval")]
