"""The layout that shows the query and some results side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

import slicer

#: Layout ids of Slicer are below 100 (Slicer documentation, script repository, "Customize view layout").
LAYOUT_ID = 3141
#: View groups of our own, one for each column, so that linked views, jumps and the crosshair stay within a volume.
FIRST_VIEW_GROUP = 314
#: With more results each would be smaller than a thumbnail on a usual screen.
MOST_RESULTS = 5
#: Results that stand in one row, each with a navigator below it; more are shown in a grid of `_GRID_COLUMNS`.
_MOST_IN_ONE_ROW = 3
_GRID_COLUMNS = 3
#: A slice view's bar is about 340 pixels wide with its slider: from this many columns on it has none, or the main
#: window would grow beyond the screen (qMRMLSliceControllerWidget).
_FIRST_WITHOUT_SLIDER = 3

#: For each plane of a volume: the orientation of the main view, and of the navigator, which cuts the slices.
ORIENTATIONS = {
    "axial": ("Axial", "Coronal"),
    "coronal": ("Coronal", "Sagittal"),
    "sagittal": ("Sagittal", "Axial"),
}
#: Bars are neutral: a color would mean something.
_BAR_COLOR = "#b4b4b4"


@dataclass(frozen=True)
class Column:
    """The names of the views of one volume: the query (number 0) or a result.

    The name of a slice view's node is its singleton tag, and what the Data Probe shows. A blank in it would end up in
    node IDs, of which scene files keep lists separated by blanks.
    """

    number: int

    @property
    def main(self) -> str:
        return f"Result{self.number}" if self.number else "Query"

    @property
    def navigator(self) -> str:
        return f"{self.main}Navigator"

    @property
    def label(self) -> str:
        """What fits into the 54 pixels of a view's bar."""
        return str(self.number) if self.number else "Q"

    @property
    def viewGroup(self) -> int:
        return FIRST_VIEW_GROUP + self.number


#: The names of all views that are ours.
VIEW_NAMES = frozenset(name for n in range(MOST_RESULTS + 1) for name in (Column(n).main, Column(n).navigator))


def hasNavigators(columnCount: int) -> bool:
    """Whether there is room for a view across the slices below each main view."""
    return columnCount <= _MOST_IN_ONE_ROW + 1


def description(planes: Sequence[str], labels: Sequence[str] | None = None) -> str:
    """The layout's XML for the query and its results, each in its own plane.

    Up to three results: one row of main views (70 % of the height) above a row of navigators (30 %). Four or five: two
    rows of three main views.

    Element and property names as in Slicer's vtkMRMLLayoutLogic.cxx (viewgroup: ApplyProperty) and CTK's
    ctkLayoutManager.cpp (splitSize, grid).
    """
    columns = [Column(number) for number in range(len(planes))]
    texts = list(labels) if labels is not None else [column.label for column in columns]
    mains = [
        _view(column.main, column, text, ORIENTATIONS[plane][0])
        for column, text, plane in zip(columns, texts, planes, strict=True)
    ]
    if not hasNavigators(len(planes)):
        cells = "".join(
            f'<item row="{number // _GRID_COLUMNS}" column="{number % _GRID_COLUMNS}">{view}</item>'
            for number, view in enumerate(mains)
        )
        return f'<layout type="grid">{cells}</layout>'
    navigators = [
        _view(column.navigator, column, text, ORIENTATIONS[plane][1])
        for column, text, plane in zip(columns, texts, planes, strict=True)
    ]
    return (
        '<layout type="vertical" split="true">'
        f'<item splitSize="700">{_row(mains)}</item><item splitSize="300">{_row(navigators)}</item></layout>'
    )


def isShown() -> bool:
    """Whether the application's layout is ours now."""
    manager = slicer.app.layoutManager()
    return manager is not None and manager.layout == LAYOUT_ID


def register() -> None:
    """Make the layout known to Slicer, which keeps no descriptions in scene files.

    A scene that was saved while an earlier version showed results asks for it, and without a description would open as
    an empty window. What is described here is Slicer's own Four-Up: nothing of the comparison is there yet.
    """
    manager = slicer.app.layoutManager()
    if manager is None:
        return
    node = layoutNode()
    if not node.IsLayoutDescription(LAYOUT_ID):
        node.AddLayoutDescription(LAYOUT_ID, node.GetLayoutDescription(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView))


def layoutNode() -> Any:
    return slicer.app.layoutManager().layoutLogic().GetLayoutNode()


@contextmanager
def quietly() -> Iterator[Any]:
    """The layout node, for changes that are none of the layout: each event of it lays out all views anew
    (qMRMLLayoutManagerPrivate::onLayoutNodeModifiedEvent)."""
    node = layoutNode()
    before = node.GetDisableModifiedEvent()
    node.SetDisableModifiedEvent(1)
    try:
        yield node
    finally:
        node.SetDisableModifiedEvent(before)


def apply(planes: Sequence[str]) -> list[Column]:
    """Show the layout for volumes of these planes, the query's first; returns their columns.

    The views are there afterward, and have their sizes when the event loop has run.
    """
    columns = [Column(number) for number in range(len(planes))]
    for column in columns:
        for name in viewNames(column, len(columns)):
            _prepare(name, column, len(columns))
    register()
    node = layoutNode()
    modifying = node.StartModify()
    try:
        node.RemoveAllMaximizedViewNodes()  # one that is maximized would stay on top of the layout
        node.SetLayoutDescription(LAYOUT_ID, description(planes))
        node.SetViewArrangement(LAYOUT_ID)
    finally:
        node.EndModify(modifying)
    return columns


def leave() -> None:
    """The layout is no longer shown: our views show nothing, and are not offered where views are chosen."""
    manager = slicer.app.layoutManager()
    for name in VIEW_NAMES.intersection(manager.sliceViewNames()):
        widget = manager.sliceWidget(name)
        composite, node = widget.mrmlSliceCompositeNode(), widget.mrmlSliceNode()
        with slicer.util.NodeModify(composite):
            for setVolume in (composite.SetBackgroundVolumeID, composite.SetForegroundVolumeID):
                setVolume(None)
            composite.SetLabelVolumeID(None)
            composite.SetForegroundOpacity(0.0)
        display = widget.sliceLogic().GetSliceDisplayNode()
        if display is not None:
            display.SetIntersectingSlicesVisibility(False)
        node.SetHideFromEditors(True)


def viewNames(column: Column, columnCount: int) -> list[str]:
    """The views that a column has in a layout of so many columns."""
    return [column.main, column.navigator] if hasNavigators(columnCount) else [column.main]


def _prepare(name: str, column: Column, columnCount: int) -> None:
    """Make a view, or make one that was there before fit in, while it is not seen yet.

    What the XML says counts only when a view is made. Linked views, which a user may prefer, would each take up what
    is changed in another; and a bar with its slider would make the window grow at once.
    """
    manager = slicer.app.layoutManager()
    if manager.sliceWidget(name) is None:
        node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLSliceNode")
        node.UnRegister(None)
        node.SetLayoutName(name)  # as vtkMRMLLayoutLogic::CreateViewFromAttributes
        node.SetName(name)
        node.SetLayoutLabel(column.label)
        slicer.mrmlScene.AddNode(node)
    widget = manager.sliceWidget(name)
    node, composite = widget.mrmlSliceNode(), widget.mrmlSliceCompositeNode()
    composite.SetLinkedControl(False)
    composite.SetHotLinkedControl(False)
    composite.SetDoPropagateVolumeSelection(False)  # a volume that is loaded meanwhile is not shown here
    with slicer.util.NodeModify(node):
        node.SetViewGroup(column.viewGroup)
        node.SetLayoutColor(*(int(_BAR_COLOR[start : start + 2], 16) / 255 for start in (1, 3, 5)))
        node.SetHideFromEditors(False)
    # Scene files keep no layout descriptions: elsewhere our views would be of no use.
    for one in (node, composite, widget.sliceLogic().GetSliceDisplayNode()):
        if one is not None:
            one.SetSaveWithScene(False)
    widget.sliceController().sliceOffsetSlider().setVisible(columnCount < _FIRST_WITHOUT_SLIDER)


def _row(views: Sequence[str]) -> str:
    items = "".join(f"<item>{view}</item>" for view in views)
    return f'<layout type="horizontal">{items}</layout>'


def _view(name: str, column: Column, label: str, orientation: str) -> str:
    values = {
        "orientation": orientation,
        "viewlabel": label,
        "viewcolor": _BAR_COLOR,
        "viewgroup": column.viewGroup,
    }
    properties = "".join(
        f'<property name="{key}" action="default">{escape(str(value))}</property>' for key, value in values.items()
    )
    return f'<view class="vtkMRMLSliceNode" singletontag="{name}">{properties}</view>'
