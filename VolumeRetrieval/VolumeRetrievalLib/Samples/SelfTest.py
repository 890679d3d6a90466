"""The whole story, in a running Slicer: phantoms are imported, indexed, searched, loaded, shown and tidied up.

It presses the panel's buttons where there are some, needs no network and no packages beyond Slicer's own, and touches
neither the user's database nor settings. Every step says what it expected and what it found.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import slicer
from VolumeRetrievalEngine.searching.match import SearchResult

from ..Settings import Settings
from ..Views import CompareLayout, RangeMarks
from ..Views.CompareLayout import Column
from .SampleArchive import importArchive, loadQuery

#: Small enough for a minute, fine enough that a liver is found: pixel spacing and slice distance of the phantoms in mm.
_SPACING_MM = (6.0, 6.0)
_VIEWS = ("chest-abdomen", "head")
_PATIENTS = 2
_PATIENCE_SECONDS = 180


class NotHere(Exception):
    """A step needs something that this Slicer does not have; its text says what."""


class SelfTest:
    """The steps share what they made, so that they run in order, and the first that fails is the last."""

    def __init__(self, widget: Any, say: Callable[[str], Any] = logging.info):
        """`widget` is the module's VolumeRetrievalWidget; a temporary DICOM database must be open."""
        self.widget = widget
        self.ui = widget.ui
        self.logic = widget.logic
        self._say = say
        self._series: list[str] = []
        self._query: Any = None
        self._result: SearchResult | None = None
        self._nodesBefore: set[str] = set()
        self._layoutBefore = 0

    def steps(self) -> list[tuple[str, Callable[[], None]]]:
        return [
            ("import phantom patients into the DICOM database", self.importPhantoms),
            ("the panel notices the new series", self.noticeSeries),
            ("the encoders are listed with their terms, and the one that runs here is named", self.listEncoders),
            ("index them", self.index),
            ("search with the liver of a patient who is not in the database", self.search),
            ("search with a series of the database", self.searchWithSeries),
            ("load the best match, once", self.load),
            ("show the three best matches next to the query", self.show),
            ("the matched ranges are marked in the views of their own volume", self.marks),
            ("scrolling the query moves the results along", self.follow),
            ("export the results to a table", self.export),
            ("remove what was shown", self.removeShown),
            ("Find similar volumes is in the context menu of volumes", self.contextMenu),
            ("remove a series from the index", self.removeFromIndex),
        ]

    def run(self) -> list[str]:
        """Run all steps; returns what was skipped, and why. AssertionError if a step fails."""
        steps = self.steps()
        skipped = []
        with _defaultSettings():
            for number, (title, step) in enumerate(steps, 1):
                self._say(f"Step {number} of {len(steps)}: {title}")
                try:
                    step()
                except NotHere as reason:
                    skipped.append(f"{title}: {reason}")
                except Exception as error:
                    raise AssertionError(f"Step {number} of {len(steps)}, {title}: {error}\n{self._state()}") from error
        return skipped

    def importPhantoms(self) -> None:
        self._series = importArchive(_PATIENTS, _SPACING_MM, _VIEWS)
        _expect("series in the database", len(self._series), _PATIENTS * len(_VIEWS))

    def noticeSeries(self) -> None:
        self._wait("all series to be noticed", lambda: self.logic.status().notIndexed == len(self._series))
        _expect("the button Update index is enabled", self.ui.updateIndexButton.enabled, True)

    def listEncoders(self) -> None:
        section = self.widget.panel.encoders
        wasCollapsed = self.ui.encodersCollapsibleButton.collapsed
        self.ui.advancedCollapsibleButton.collapsed = False
        self.ui.encodersCollapsibleButton.collapsed = False
        catalogue = [one for one in self.logic.encoders() if one.weights is not None]
        _expect("rows of the table", self.ui.encodersTree.topLevelItemCount, len(catalogue))
        _expect("the catalogue has encoders", bool(catalogue), True)
        section.select(catalogue[0].name)
        _expect("the licence's address is a link", 'href="http' in self.ui.encoderDetailsLabel.text, True)
        label = self.ui.defaultEncoderLabel
        # It may be known before: the panel asks once.
        self._wait("the encoder that runs here", lambda: not section.isLooking)
        _expect("it is known", "\n" in label.text, True, label.text)
        self.ui.encodersCollapsibleButton.collapsed = wasCollapsed
        self.ui.advancedCollapsibleButton.collapsed = True

    def index(self) -> None:
        self.ui.updateIndexButton.click()
        _expect("the button Cancel is shown while it runs", self.ui.cancelIndexingButton.isHidden(), False)
        self._wait("indexing to end", self.ui.cancelIndexingButton.isHidden)
        status = self.logic.status()
        _expect("indexed volumes", status.volumes, len(self._series))
        _expect("series not indexed", status.notIndexed, 0)

    def search(self) -> None:
        self._query, segmentation = loadQuery(_SPACING_MM)
        self.widget.initializeParameterNode()
        self.widget.panel.query.useVolume(self._query)
        self.widget.panel.region.chooseSegment(segmentation, segmentation.GetSegmentation().GetNthSegmentID(0))
        button = self.ui.searchButton
        _expect("the button Find similar volumes is enabled", button.enabled, True, button.toolTip)
        self._pressSearch()
        _expect("rows of the result table", self.ui.resultsTable.rowCount, len(self._series))
        best = self._result.matches[0]
        trunks = set(self._series[:: len(_VIEWS)])  # of every patient, the first
        _expect("the best match is a trunk, not a head", best.series_uid in trunks, True, best.path)
        _expect("it has matched ranges", bool(best.ranges), True)

    def searchWithSeries(self) -> None:
        result = self.logic.search(self._series[0], top=3)
        volumes = {match.series_uid for match in result.matches}
        _expect("the series itself is not among its results", self._series[0] in volumes, False)
        similar = result.matches[0].series_uid
        _expect("the other patient's scan of the same part comes first", similar, self._series[len(_VIEWS)])
        self._pressSearch()  # results are shown for the last search

    def load(self) -> None:
        match = self._result.matches[0]
        self._nodesBefore = _nodeIDs()
        node = self.logic.loadMatch(match)
        _expect("slices loaded", node.GetImageData().GetDimensions()[2], match.n_slices)
        _expect("loading it again gives the same node", self.logic.loadMatch(match) is node, True)
        slicer.mrmlScene.RemoveNode(node)

    def show(self) -> None:
        self._needViews()
        manager = slicer.app.layoutManager()
        self._layoutBefore = manager.layout
        self._nodesBefore = _nodeIDs()
        self.ui.compareButton.click()
        slicer.app.processEvents()
        _expect("the layout", manager.layout, CompareLayout.LAYOUT_ID, self._messages())
        for number in range(4):
            composite = manager.sliceWidget(Column(number).main).mrmlSliceCompositeNode()
            _expect(f"view {number + 1} shows a volume", bool(composite.GetBackgroundVolumeID()), True)

    def marks(self) -> None:
        self._needViews()
        marks = RangeMarks.marks()
        expected = sorted(Column(number).main for number in range(4))  # one for each column
        _expect("marks", sorted(mark.GetAttribute(RangeMarks.ATTRIBUTE) for mark in marks), expected)
        for mark in marks:
            _expect(f"{mark.GetName()} is locked", bool(mark.GetLocked()), True)
            display = mark.GetDisplayNode()
            _expect(f"{mark.GetName()} is restricted to one view", display.GetNumberOfViewNodeIDs(), 1)

    def follow(self) -> None:
        self._needViews()
        self.ui.followMatchCheckBox.checked = True
        before = self._offsetOf(Column(1).main)
        positions = self._result.query_table.position
        queryView = slicer.app.layoutManager().sliceWidget(Column(0).main).mrmlSliceNode()
        for position in (positions[0], positions[-1]):
            queryView.JumpSliceByOffsetting(0, 0, float(position))
            slicer.app.processEvents()
        _expect("the first result has moved", abs(self._offsetOf(Column(1).main) - before) > 1.0, True)

    def export(self) -> None:
        table = self.logic.exportToTable(self._result.matches)
        _expect("rows of the table", table.GetNumberOfRows(), len(self._result.matches))
        slicer.mrmlScene.RemoveNode(table)

    def removeShown(self) -> None:
        self._needViews()
        self.ui.removeShownButton.click()
        slicer.app.processEvents()
        _expect("the layout", slicer.app.layoutManager().layout, self._layoutBefore)
        left = [slicer.mrmlScene.GetNodeByID(one) for one in _nodeIDs() - self._nodesBefore]
        data = [one.GetName() for one in left if one.IsA("vtkMRMLVolumeNode") or one.IsA("vtkMRMLMarkupsNode")]
        _expect("volumes and marks left in the scene", data, [])

    def contextMenu(self) -> None:
        if not hasattr(slicer, "qSlicerSubjectHierarchyPluginHandler"):
            raise NotHere("no subject hierarchy plugins")
        plugin = getattr(slicer, "VolumeRetrievalSubjectHierarchyPlugin", None)
        _expect("the plugin is registered", plugin is not None, True)
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        plugin.showContextMenuActionsForItem(hierarchy.GetItemByDataNode(self._query))
        _expect("it offers its action for a volume", plugin.findSimilarAction.visible, True)

    def removeFromIndex(self) -> None:
        _expect("volumes removed", self.logic.removeSeries([self._series[0]]), 1)
        _expect("volumes left", self.logic.status().volumes, len(self._series) - 1)

    def _pressSearch(self) -> None:
        self.ui.searchButton.click()
        self._wait("the search to end", lambda: not self.widget.panel.search.isRunning)
        result = self.widget.panel.result
        _expect("a result", result is not None, True, self._messages())
        self._result = result

    def _needViews(self) -> None:
        if slicer.app.layoutManager() is None:
            raise NotHere("no views: Slicer runs without a main window")

    def _offsetOf(self, view: str) -> float:
        return slicer.app.layoutManager().sliceWidget(view).mrmlSliceNode().GetSliceToRAS().GetElement(2, 3)

    def _wait(self, what: str, condition: Callable[[], Any]) -> None:
        until = time.monotonic() + _PATIENCE_SECONDS
        while not condition():
            if time.monotonic() > until:
                raise AssertionError(f"waited {_PATIENCE_SECONDS} s for {what}")
            slicer.app.processEvents()
            time.sleep(0.01)

    def _messages(self) -> str:
        """What the panel says."""
        texts = (self.ui.indexStatusLabel.text, self.widget.panel.status.text, self.ui.resultsEmptyLabel.text)
        return " / ".join(text for text in texts if text)

    def _state(self) -> str:
        folder = Path(self.logic.status().directory or ".")
        return (
            f"The panel says: {self._messages() or 'nothing'}\n"
            f"Status: {self.logic.status()}\n"
            f"Child processes: {self.logic.pids}\n"
            f"In {folder}: {sorted(one.name for one in folder.glob('*'))}\n"
            "What the children wrote to standard error is in the application log."
        )


def _expect(what: str, found: Any, expected: Any, explanation: str = "") -> None:
    if found != expected:
        raise AssertionError(f"{what}: expected {expected!r}, found {found!r}. {explanation}".rstrip())


def _nodeIDs() -> set[str]:
    nodes = slicer.mrmlScene
    return {nodes.GetNthNode(index).GetID() for index in range(nodes.GetNumberOfNodes())}


@contextmanager
def _defaultSettings() -> Iterator[None]:
    """The descriptor encoder, which needs no packages, and everything else as it comes; the user's come back."""
    before = Settings.load()
    Settings(encoder="descriptor").save()
    try:
        yield
    finally:
        before.save()
