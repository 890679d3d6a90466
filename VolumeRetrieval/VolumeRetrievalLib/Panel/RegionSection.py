"""The line Region: which part of the query a search uses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from .. import Texts
from ..Values import ROI, SEGMENT, SLICES, WHOLE_VOLUME, SceneRegion
from .Events import Events
from .LogicProtocol import LogicProtocol
from .WrappedLabel import WrappedLabel

_PAGES = {WHOLE_VOLUME: 0, ROI: 1, SEGMENT: 2, SLICES: 3}
#: Of a series of the database there is nothing in the scene to mark a region with.
_OF_DATABASE = (WHOLE_VOLUME, SLICES)
_OF_SCENE = (WHOLE_VOLUME, ROI, SEGMENT, SLICES)


class RegionSection:
    """Chooses the region; `onChanged` is called when another one is chosen. `setQuery` says what it is a part of."""

    def __init__(self, ui: Any, logic: LogicProtocol, onChanged: Callable[[], None]):
        self.ui = ui
        self.logic = logic
        self.onChanged = onChanged
        self._query: Any = None
        self._kinds: tuple[str, ...] = ()
        self._notice = ""
        self._info = WrappedLabel(ui.regionInfoLabel)
        ui.regionComboBox.connect("currentIndexChanged(int)", self._onKindChosen)
        ui.roiSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._onChanged)
        ui.roiSelector.connect("nodeAddedByUserAction(vtkMRMLNode*)", self._placeRoi)
        ui.newRoiButton.connect("clicked(bool)", self.newRoi)
        ui.segmentComboBox.connect("currentIndexChanged(int)", self._onChanged)
        for box in (ui.firstSliceSpinBox, ui.lastSliceSpinBox):
            box.connect("valueChanged(int)", self._onChanged)
        ui.fromViewButton.connect("clicked(bool)", self.takeFromView)
        # Segments come and go in other modules: what is offered is what there is when the list is opened.
        self._segmentEvents = Events(
            ui.segmentComboBox,
            {kind: lambda event: self.fillSegments() for kind in (qt.QEvent.MouseButtonPress, qt.QEvent.FocusIn)},
        )
        self._offer(_OF_SCENE)
        self._update()

    @property
    def kind(self) -> str:
        return self._kinds[max(self.ui.regionComboBox.currentIndex, 0)]

    def choose(self, kind: str) -> None:
        """Choose this kind of region."""
        self.ui.regionComboBox.setCurrentIndex(self._kinds.index(kind))

    def restore(self, region: SceneRegion) -> None:
        """Choose this region, as far as what marks it is still there."""
        if region.kind in self._kinds:
            self.choose(region.kind)
        if region.kind == ROI and region.roi is not None:
            self.ui.roiSelector.setCurrentNode(region.roi)
        elif region.kind == SEGMENT and region.segmentation is not None:
            self.chooseSegment(region.segmentation, region.segmentID)
        elif region.kind == SLICES:
            self.ui.lastSliceSpinBox.value = region.lastSlice + 1
            self.ui.firstSliceSpinBox.value = region.firstSlice + 1

    def setQuery(self, query: Any) -> None:
        """The query is this volume node, or this series of the database (its SeriesInstanceUID); None for none."""
        if query is self._query or (isinstance(query, str) and query == self._query):
            return
        self._query, self._notice = query, ""
        self._offer(_OF_DATABASE if isinstance(query, str) else _OF_SCENE)
        self.refresh()

    def refresh(self) -> None:
        """The scene or the index may have changed."""
        self.fillSegments()
        self._preselect()
        self._update()

    def region(self) -> SceneRegion:
        """The region as chosen; slice numbers are 0-based."""
        kind = self.kind
        if kind == ROI:
            return SceneRegion(kind, roi=self.ui.roiSelector.currentNode())
        if kind == SEGMENT:
            segmentation, segmentID = self._segment()
            return SceneRegion(kind, segmentation=segmentation, segmentID=segmentID)
        if kind == SLICES:
            first, last = self.ui.firstSliceSpinBox.value - 1, self.ui.lastSliceSpinBox.value - 1
            return SceneRegion(kind, firstSlice=first, lastSlice=last)
        return SceneRegion(kind)

    def problem(self) -> str:
        """Why this region cannot be searched with; empty if it can."""
        region = self.region()
        if region.kind == ROI and region.roi is None:
            return _("There is no ROI: press New to place one.")
        if region.kind == SEGMENT and not region.segmentID:
            return _("There is no segment: draw one in the Segment Editor.")
        if region.kind == SLICES:
            if region.firstSlice > region.lastSlice:
                return _("The region's first slice comes after its last one.")
            stack = self.logic.stackOf(self._query) if self._query is not None else None
            if stack is not None and region.lastSlice >= stack.count:
                return _("The volume has {n} {plane} slices.").format(n=stack.count, plane=Texts.planeName(stack.plane))
        return ""

    def description(self) -> str:
        """The region in a few words, for the title of the results; empty for the whole volume."""
        region = self.region()
        if region.kind == ROI:
            return region.roi.GetName() if region.roi is not None else ""
        if region.kind == SEGMENT:
            return self.ui.segmentComboBox.currentText
        if region.kind == SLICES:
            return Texts.slicesInWords(region.firstSlice, region.lastSlice)
        return ""

    def newRoi(self) -> None:
        """Add an ROI around the middle of the query volume, and take it."""
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
        self._placeRoi(node)
        self.ui.roiSelector.setCurrentNode(node)

    def takeFromView(self) -> None:
        """Take the slice that a slice view shows; or say why none can be taken."""
        found = self._rangeOfViews()
        if isinstance(found, str):
            self._notice = found
            self._update()
            return
        self.choose(SLICES)
        self.ui.firstSliceSpinBox.value, self.ui.lastSliceSpinBox.value = found[0] + 1, found[1] + 1
        self._onChanged()

    def _rangeOfViews(self) -> tuple[int, int] | str:
        """The slices that a view shows of the query: the first view that shows some, those in the layout first."""
        reason = _("No slice view shows the query volume.")
        manager = slicer.app.layoutManager()
        widgets = [manager.sliceWidget(name) for name in manager.sliceViewNames()] if manager is not None else []
        widgets.sort(key=lambda widget: not widget.mrmlSliceNode().IsMappedInLayout())
        for widget in widgets:
            if widget.mrmlSliceCompositeNode().GetBackgroundVolumeID() == self._query.GetID():
                found = self.logic.rangeOfView(self._query, widget.mrmlSliceNode())
                if not isinstance(found, str):
                    return found
                reason = found
        return reason

    def fillSegments(self) -> None:
        """List the segments of the scene, those that were drawn on the query first."""
        segments = sorted(_segments(), key=lambda one: not _isDrawnOn(one[0], self._query))
        names = [segmentation.GetSegmentation().GetSegment(segment).GetName() for segmentation, segment in segments]
        items = [
            (
                f"{name} ({segmentation.GetName()})" if names.count(name) > 1 else name,
                f"{segmentation.GetID()} {segment}",
            )
            for name, (segmentation, segment) in zip(names, segments, strict=True)
        ]
        box = self.ui.segmentComboBox
        if items == [(box.itemText(index), box.itemData(index)) for index in range(box.count)]:
            return
        chosen = box.itemData(box.currentIndex) if box.count else None
        box.blockSignals(True)
        box.clear()
        for text, data in items:
            box.addItem(text, data)
        box.setCurrentIndex(max(box.findData(chosen), 0) if items else -1)
        box.blockSignals(False)

    def chooseSegment(self, segmentation: Any, segmentID: str) -> None:
        """Take a segment of this segmentation node as the region."""
        self.choose(SEGMENT)
        self.fillSegments()
        box = self.ui.segmentComboBox
        box.setCurrentIndex(box.findData(f"{segmentation.GetID()} {segmentID}"))

    def _segment(self) -> tuple[Any, str]:
        box = self.ui.segmentComboBox
        node, _space, segment = (box.itemData(box.currentIndex) or "").partition(" ") if box.count else ("", "", "")
        segmentation = slicer.mrmlScene.GetNodeByID(node) if node else None
        isThere = segmentation is not None and segmentation.GetSegmentation().GetSegment(segment) is not None
        return (segmentation, segment) if isThere else (None, "")

    def _offer(self, kinds: tuple[str, ...]) -> None:
        if kinds == self._kinds:
            return
        chosen = self.kind if self._kinds else WHOLE_VOLUME
        names = {
            WHOLE_VOLUME: _("Whole volume"),
            ROI: _("ROI"),
            SEGMENT: _("Segment"),
            SLICES: _("Slices"),
        }
        self._kinds = kinds
        box = self.ui.regionComboBox
        box.blockSignals(True)
        box.clear()
        box.addItems([names[kind] for kind in kinds])
        box.setCurrentIndex(kinds.index(chosen) if chosen in kinds else 0)
        box.blockSignals(False)

    def _preselect(self) -> None:
        """The first ROI, where none is chosen: often it is the only one."""
        if self.kind == ROI and self.ui.roiSelector.currentNode() is None:
            rois = [one for one in slicer.util.getNodesByClass("vtkMRMLMarkupsROINode") if not one.GetHideFromEditors()]
            if rois:
                self.ui.roiSelector.setCurrentNode(rois[0])

    def _preselectSlices(self) -> None:
        """All slices, where those that are chosen are not of this volume or were never chosen."""
        stack = self.logic.stackOf(self._query) if self._query is not None else None
        first, last = self.ui.firstSliceSpinBox, self.ui.lastSliceSpinBox
        if self.kind == SLICES and stack is not None and (last.value == 1 or last.value > stack.count):
            first.value, last.value = 1, stack.count

    def _placeRoi(self, node: Any) -> None:
        """Half of the query volume's extent, around its middle; its handles are there to drag."""
        if isinstance(self._query, str) or self._query is None:
            return
        bounds = [0.0] * 6
        self._query.GetRASBounds(bounds)
        node.SetCenterWorld(*[(bounds[2 * axis] + bounds[2 * axis + 1]) / 2 for axis in range(3)])
        node.SetSizeWorld(*[(bounds[2 * axis + 1] - bounds[2 * axis]) / 2 for axis in range(3)])
        node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().SetHandlesInteractive(True)

    def _onKindChosen(self, *_ignored: Any) -> None:
        self._notice = ""
        self.fillSegments()
        self._preselect()
        self._preselectSlices()
        self._onChanged()

    def _onChanged(self, *_ignored: Any) -> None:
        self._notice = ""
        self._update()
        self.onChanged()

    def _update(self) -> None:
        kind = self.kind
        self.ui.regionStack.setCurrentIndex(_PAGES[kind])
        self.ui.regionStack.visible = kind != WHOLE_VOLUME
        # In the scene a view shows the query; of a series of the database no view does.
        self.ui.fromViewButton.visible = kind in (WHOLE_VOLUME, SLICES) and not isinstance(self._query, str)
        self.ui.fromViewButton.enabled = self._query is not None
        self._info.text = self._notice or (self._stackInWords() if kind == SLICES else "")

    def _stackInWords(self) -> str:
        stack = self.logic.stackOf(self._query) if self._query is not None else None
        if stack is None:
            return ""
        return _("{plane} {slices} of {n} ({first} to {last})").format(
            plane=Texts.planeName(stack.plane),
            slices=Texts.slicesInWords(self.ui.firstSliceSpinBox.value - 1, self.ui.lastSliceSpinBox.value - 1),
            n=stack.count,
            first=stack.firstEnd,
            last=stack.lastEnd,
        )


def _segments() -> list[tuple[Any, str]]:
    """Every segment of the scene, as its segmentation node and its ID."""
    found = []
    for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
        if not node.GetHideFromEditors():
            segmentation = node.GetSegmentation()
            found += [
                (node, segmentation.GetNthSegmentID(index)) for index in range(segmentation.GetNumberOfSegments())
            ]
    return found


def _isDrawnOn(segmentation: Any, query: Any) -> bool:
    """Whether the query is the volume whose geometry the segmentation has."""
    if query is None or isinstance(query, str):
        return False
    return segmentation.GetNodeReferenceID(segmentation.GetReferenceImageGeometryReferenceRole()) == query.GetID()
