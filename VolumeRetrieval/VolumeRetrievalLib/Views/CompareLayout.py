"""The layout that shows the query and some results side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

import slicer

#: Layout ids of Slicer are below 100 (Slicer documentation, script repository, "Customize view layout").
LAYOUT_ID = 3141
#: View groups of our own, one for each column, so that linked views, jumps and the crosshair stay within a volume.
FIRST_VIEW_GROUP = 314

#: For each plane of a match: the orientation of the main view and of the one below it, which cuts the slices.
ORIENTATIONS = {
    "axial": ("Axial", "Coronal"),
    "coronal": ("Coronal", "Sagittal"),
    "sagittal": ("Sagittal", "Axial"),
}
_COLORS = ("#8A8A8A", "#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#D55E00")


@dataclass(frozen=True)
class Column:
    """The names of the views of one volume."""

    number: int

    @property
    def main(self) -> str:
        return f"VolumeRetrieval{self.number}Main"

    @property
    def side(self) -> str:
        return f"VolumeRetrieval{self.number}Side"

    @property
    def threeD(self) -> str:
        return f"VolumeRetrieval{self.number}ThreeD"

    @property
    def viewGroup(self) -> int:
        return FIRST_VIEW_GROUP + self.number


def description(labels: Sequence[str], plane: str) -> str:
    """The layout's XML: for each label a column of a main view, a side view and a 3D view.

    Element and property names as in Slicer's vtkMRMLLayoutLogic.cxx (viewgroup: ApplyProperty).
    """
    columns = "".join(f"<item>{_column(Column(number), label, plane)}</item>" for number, label in enumerate(labels))
    return f'<layout type="horizontal" split="false">{columns}</layout>'


def apply(labels: Sequence[str], plane: str) -> list[Column]:
    """Show the layout for these volumes; returns their columns."""
    layoutNode = slicer.app.layoutManager().layoutLogic().GetLayoutNode()
    text = description(labels, plane)
    if not layoutNode.SetLayoutDescription(LAYOUT_ID, text):
        layoutNode.AddLayoutDescription(LAYOUT_ID, text)
    layoutNode.SetViewArrangement(LAYOUT_ID)
    columns = [Column(number) for number in range(len(labels))]
    for column, label in zip(columns, labels, strict=True):
        _refresh(column, label, plane)
    return columns


def _refresh(column: Column, label: str, plane: str) -> None:
    """What the XML says counts only when a view is made; a view that was there before needs it said again."""
    manager = slicer.app.layoutManager()
    for name, orientation in zip((column.main, column.side), ORIENTATIONS[plane], strict=True):
        node = manager.sliceWidget(name).mrmlSliceNode()
        node.SetViewGroup(column.viewGroup)
        node.SetLayoutLabel(label)
        node.SetOrientation(orientation)
    node = manager.threeDWidget("View" + column.threeD).mrmlViewNode()
    node.SetViewGroup(column.viewGroup)
    node.SetLayoutLabel(label)


def _column(column: Column, label: str, plane: str) -> str:
    main, side = ORIENTATIONS[plane]
    color = _COLORS[column.number % len(_COLORS)]
    views = (
        _view("vtkMRMLSliceNode", column.main, column, label, color, main),
        _view("vtkMRMLSliceNode", column.side, column, label, color, side),
        _view("vtkMRMLViewNode", column.threeD, column, label, color),
    )
    items = "".join(
        f'<item splitSize="{size}">{view}</item>' for size, view in zip((500, 300, 200), views, strict=True)
    )
    return f'<layout type="vertical" split="true">{items}</layout>'


def _view(kind: str, name: str, column: Column, label: str, color: str, orientation: str = "") -> str:
    values: dict[str, Any] = {"viewlabel": label, "viewcolor": color, "viewgroup": column.viewGroup}
    if orientation:
        values["orientation"] = orientation
    properties = "".join(
        f'<property name="{key}" action="default">{escape(str(value))}</property>' for key, value in values.items()
    )
    return f'<view class="{kind}" singletontag="{name}">{properties}</view>'
