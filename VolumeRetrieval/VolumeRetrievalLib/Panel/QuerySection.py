"""The section Query: which volume, which part of it, which results; and searching."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _
from VolumeRetrievalEngine.searching.match import SearchResult

from ..Texts import planeName
from ..Values import (
    CURRENT_SLICE,
    REGION_KINDS,
    ROI,
    SEGMENT,
    SLICES,
    Callbacks,
    Job,
    Region,
    SearchCriteria,
)
from .EnabledReason import EnabledReason
from .LogicProtocol import LogicProtocol

_FROM_SCENE, _FROM_DATABASE = 0, 1
_MODALITIES = ("", "CT", "MR", "PT")


class QuerySection:
    """Collects the query from the widgets and hands the result on."""

    def __init__(
        self,
        ui: Any,
        logic: LogicProtocol,
        showError: Callable[[str], None],
        onResult: Callable[[SearchResult], None],
    ):
        self.ui = ui
        self.logic = logic
        self.showError = showError
        self.onResult = onResult
        self._job: Job | None = None
        self._searchButton = EnabledReason(ui.searchButton)
        self._seriesFilled = False
        ui.querySourceComboBox.connect("currentIndexChanged(int)", self._onSourceChanged)
        ui.regionComboBox.connect("currentIndexChanged(int)", self._onRegionChanged)
        ui.querySeriesFilter.connect("textChanged(QString)", self._filterSeries)
        ui.querySeriesTree.connect("itemSelectionChanged()", self.refresh)
        ui.queryVolumeSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._onVolumeChanged)
        ui.roiSelector.connect("currentNodeChanged(vtkMRMLNode*)", self.refresh)
        ui.segmentSelector.connect("currentSegmentChanged(QString)", self.refresh)
        for box in (ui.firstSliceSpinBox, ui.lastSliceSpinBox):
            box.connect("valueChanged(int)", self.refresh)
        for edit in (ui.dateFromLineEdit, ui.dateToLineEdit):
            edit.connect("textChanged(QString)", self.refresh)
        ui.currentSliceViewComboBox.connect("currentIndexChanged(int)", self.refresh)
        ui.searchButton.connect("clicked(bool)", self.search)
        ui.cancelSearchButton.connect("clicked(bool)", self.cancel)
        ui.querySeriesTree.setColumnWidth(0, 230)
        self._fillSliceViews()
        self.say("")
        self._onSourceChanged(ui.querySourceComboBox.currentIndex)
        self._onRegionChanged(ui.regionComboBox.currentIndex)

    def hidePreview(self) -> None:
        """Take the drawn region out of the scene, when the module is left or the scene closed."""
        self.logic.hideRegionPreview()

    def query(self) -> Any:
        """The volume node or the SeriesInstanceUID that is chosen; None if none is."""
        if self._isFromScene():
            return self.ui.queryVolumeSelector.currentNode()
        selected = self.ui.querySeriesTree.selectedItems()
        return (selected[0].data(0, qt.Qt.UserRole) or None) if selected else None

    def _isFromScene(self) -> bool:
        return self.ui.querySourceComboBox.currentIndex == _FROM_SCENE

    def region(self) -> Region:
        """The region as chosen; slice numbers are 0-based."""
        kind = REGION_KINDS[self.ui.regionComboBox.currentIndex]
        return Region(
            kind,
            roi=self.ui.roiSelector.currentNode() if kind == ROI else None,
            segmentation=self.ui.segmentSelector.currentNode() if kind == SEGMENT else None,
            segmentID=self.ui.segmentSelector.currentSegmentID() if kind == SEGMENT else "",
            firstSlice=self.ui.firstSliceSpinBox.value - 1 if kind == SLICES else 0,
            lastSlice=self.ui.lastSliceSpinBox.value - 1 if kind == SLICES else 0,
            sliceView=self.ui.currentSliceViewComboBox.currentText if kind == CURRENT_SLICE else "",
        )

    def criteria(self) -> SearchCriteria:
        filters = {
            "modality": _MODALITIES[self.ui.modalityFilterComboBox.currentIndex],
            "body_part": self.ui.bodyPartFilterLineEdit.text.strip().upper(),
            "date_from": self.ui.dateFromLineEdit.text.strip().replace("-", ""),
            "date_to": self.ui.dateToLineEdit.text.strip().replace("-", ""),
        }
        return SearchCriteria(
            top=self.ui.topSpinBox.value,
            filters={name: value for name, value in filters.items() if value},
            excludeSamePatient=self.ui.excludePatientCheckBox.checked,
        )

    def problem(self) -> str:
        """Why a search cannot start now; "" if it can."""
        if self._job is not None:
            return _("A search is running.")
        if not self.logic.status().volumes:
            return _("Nothing is indexed yet: press Update index first.")
        if self.query() is None:
            return _("Select a query volume.")
        region = self.region()
        if region.kind == ROI and region.roi is None:
            return _("Select the ROI that marks the region.")
        if region.kind == SEGMENT and not region.segmentID:
            return _("Select the segment that marks the region.")
        if region.kind == SLICES and region.firstSlice > region.lastSlice:
            return _("The region's first slice comes after its last one.")
        for edit in (self.ui.dateFromLineEdit, self.ui.dateToLineEdit):
            if edit.text.strip() and not re.fullmatch(r"\d{4}-?\d{2}-?\d{2}", edit.text.strip()):
                return _("Study date {text}: expected YYYY-MM-DD.").format(text=edit.text)
        return ""

    def refresh(self, *_ignored: Any) -> None:
        """Enable and disable what can and cannot be done now."""
        running = self._job is not None
        self._searchButton.update(self.problem())
        self.logic.showRegionPreview(self.query(), self.region())
        self.ui.cancelSearchButton.visible = running

    def say(self, text: str) -> None:
        """Show this below the buttons; "" hides the line."""
        self.ui.searchStatusLabel.text = text
        self.ui.searchStatusLabel.visible = bool(text)

    def search(self) -> None:
        if problem := self.problem():
            self.say(problem)
            return
        self.say(_("Searching..."))
        callbacks = Callbacks(self._onFinished, self._onFailed, self._onCancelled)
        job = self.logic.search(self.query(), self.region(), self.criteria(), callbacks)
        self._job = job if job.isRunning else None
        self.refresh()

    def cancel(self) -> None:
        if self._job is not None:
            self._job.cancel()

    def searchWith(self, volumeNode: Any) -> None:
        """Search with this whole volume; what "Find similar volumes" in the Data module does."""
        self.ui.querySourceComboBox.setCurrentIndex(_FROM_SCENE)
        self.ui.regionComboBox.setCurrentIndex(0)
        self.ui.queryVolumeSelector.setCurrentNode(volumeNode)
        self.search()

    def fillSeries(self) -> None:
        """List the series of the DICOM database again."""
        tree = self.ui.querySeriesTree
        tree.clear()
        self._seriesFilled = True
        groups: dict[str, Any] = {}
        for one in self.logic.series():
            parent = tree.invisibleRootItem()
            for level, text in ((one.patient, one.patient), (f"{one.patient}\0{one.study}", one.study)):
                if level not in groups:
                    groups[level] = qt.QTreeWidgetItem()
                    groups[level].setText(0, text)
                    groups[level].setFlags(qt.Qt.ItemIsEnabled)
                    parent.addChild(groups[level])
                    groups[level].setExpanded(True)
                parent = groups[level]
            item = qt.QTreeWidgetItem()
            item.setText(0, one.series)
            item.setText(1, one.modality)
            item.setToolTip(0, one.series)
            item.setData(0, qt.Qt.UserRole, one.seriesUID)
            parent.addChild(item)
        self._filterSeries(self.ui.querySeriesFilter.text)
        self.refresh()

    def _onSourceChanged(self, index: int) -> None:
        self.ui.querySourceStack.setCurrentIndex(index)
        # A stacked widget is as high as its highest page.
        height = self.ui.queryVolumeSelector.sizeHint.height()
        self.ui.querySourceStack.maximumHeight = height if index == _FROM_SCENE else 260
        self.ui.queryVolumeLabel.text = _("Volume:") if index == _FROM_SCENE else _("Series:")
        if index == _FROM_DATABASE and not self._seriesFilled:
            self.fillSeries()
        self.refresh()

    def _onRegionChanged(self, index: int) -> None:
        self.ui.regionStack.setCurrentIndex(index)
        self.ui.regionStack.visible = index != 0
        self.refresh()

    def _onVolumeChanged(self, *_ignored: Any) -> None:
        node = self.ui.queryVolumeSelector.currentNode()
        self.ui.slicesOfLabel.text = ""
        stack = self.logic.stackOf(node) if node is not None else None
        if stack is not None:
            self.ui.slicesOfLabel.text = _("of {n} {plane} slices").format(n=stack.count, plane=planeName(stack.plane))
        self.refresh()

    def _fillSliceViews(self) -> None:
        manager = slicer.app.layoutManager()
        names = manager.sliceViewNames() if manager is not None else ("Red", "Yellow", "Green")
        self.ui.currentSliceViewComboBox.addItems([name for name in names if not name.startswith("VolumeRetrieval")])

    def _filterSeries(self, text: str) -> None:
        wanted = text.strip().lower()
        root = self.ui.querySeriesTree.invisibleRootItem()
        for patient in _children(root):
            for study in _children(patient):
                above = f"{patient.text(0)} {study.text(0)}".lower()
                for series in _children(study):
                    series.setHidden(wanted not in above and wanted not in series.text(0).lower())
                study.setHidden(all(one.isHidden() for one in _children(study)))
            patient.setHidden(all(one.isHidden() for one in _children(patient)))

    def _onFinished(self, result: SearchResult) -> None:
        self._job = None
        seconds = sum(result.seconds.values())
        text = _("{found} results from {volumes} volumes in {seconds} s").format(
            found=len(result.matches), volumes=f"{result.n_volumes:,}", seconds=f"{seconds:.1f}"
        )
        encoder = [_("Encoder: {encoder}").format(encoder=result.encoder)] if result.encoder else []
        self.say("\n".join([text, *encoder, *result.notes]))
        self.refresh()
        self.onResult(result)

    def _onFailed(self, error: Exception) -> None:
        self._job = None
        self.say("")
        self.refresh()
        self.showError(str(error))

    def _onCancelled(self) -> None:
        self._job = None
        self.say(_("The search was stopped."))
        self.refresh()


def _children(item: Any) -> list[Any]:
    return [item.child(index) for index in range(item.childCount())]
