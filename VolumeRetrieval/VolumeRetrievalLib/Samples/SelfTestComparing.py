"""Steps of the self test: results next to their query, and what is left when the comparison is closed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk

from ..Views import CompareLayout
from ..Views.CompareLayout import Column
from .SelfTestOverlay import OverlaySteps
from .SelfTestStory import NotHere, Snapshot, Step, Story, expect

_AXES = {"Axial": 2, "Coronal": 1, "Sagittal": 0}


class ComparingSteps:
    def __init__(self, story: Story):
        self.story = story
        self.before: Snapshot | None = None

    def steps(self) -> list[Step]:
        return [
            ("a match is loaded as it was indexed, once", self.load),
            ("one result is shown next to the query", lambda: self.compare(1)),
            ("three results are shown, by the panel's button", self.pressCompare),
            ("the main window fits the screen, or is not wider than before", self.windowWidth),
            ("each volume has views and a view group of its own", self.ownViews),
            ("marks are locked, and seen in views of one volume only", self.marks),
            ("the query's segmentation is not seen in the results' views", self.userSegmentation),
            ("scrolling the query moves the results along", lambda: self.scroll(0, 1)),
            ("scrolling a result moves the query along", lambda: self.scroll(1, 0)),
            ("nothing moves along when scrolling together is off", self.scrollAlone),
            *OverlaySteps(self.story).steps(),
            ("five results are shown", lambda: self.compare(5)),
            ("closing the comparison leaves no trace", self.close),
            ("a maximized view does not hide the comparison, and comes back", self.maximized),
            ("a coronal query is shown coronally, its axial results axially", self.ownPlanes),
            ("where files of one result are gone, the others are shown, and a sentence names it", self.missingOne),
            ("where nothing can be shown, everything is as before", self.missingAll),
            ("where the query was deleted, the panel says so below its button, and nothing changes", self.deletedQuery),
        ]

    def load(self) -> None:
        story = self.story
        story.needViews()
        match = story.needResult().matches[0]
        node = story.logic.loadMatch(match)
        expect("slices loaded", node.GetImageData().GetDimensions()[2], match.n_slices)
        expect("loading it again gives the same node", story.logic.loadMatch(match) is node, True)
        slicer.mrmlScene.RemoveNode(node)

    def compare(self, count: int) -> None:
        self._begin()
        matches = self._matches(count)
        expect("what could not be shown", self.story.logic.showMatches(matches), [])
        self._expectShown(count)

    def pressCompare(self) -> None:
        story = self.story
        self._begin()
        story.pressSearch()
        story.ui.resultsTable.clearSelection()
        story.ui.compareButton.click()
        slicer.app.processEvents()
        self._expectShown(3)

    def windowWidth(self) -> None:
        window = slicer.util.mainWindow()
        if window is None or not window.visible:
            raise NotHere("no main window")
        if self._widthBefore:
            screen = window.screen().availableGeometry.width()
            width = window.width
            explanation = f"{width} pixels, before {self._widthBefore}, of the screen {screen}"
            expect("the window's width", width <= max(self._widthBefore, screen), True, explanation)

    def ownViews(self) -> None:
        manager = self._needShown()
        groups = set()
        for number in range(4):
            names = CompareLayout.viewNames(Column(number), 4)
            volumes = {manager.sliceWidget(name).mrmlSliceCompositeNode().GetBackgroundVolumeID() for name in names}
            expect(f"volumes in the views of column {number + 1}", len(volumes - {None, ""}), 1)
            groups |= {manager.sliceWidget(name).mrmlSliceNode().GetViewGroup() for name in names}
        expect("view groups", len(groups), 4)

    def marks(self) -> None:
        self._needShown()
        marks = [
            node
            for node in slicer.util.getNodesByClass("vtkMRMLMarkupsROINode")
            if node.GetID() not in self._snapshot().nodes
        ]
        expect("there are marks", bool(marks), True)
        for mark in marks:
            expect(f"{mark.GetName()} is locked", bool(mark.GetLocked()), True)
            display = mark.GetDisplayNode()
            expect(f"{mark.GetName()} is restricted to one view", display.GetNumberOfViewNodeIDs(), 1)

    def userSegmentation(self) -> None:
        manager = self._needShown()
        display = self.story.segmentation.GetDisplayNode()
        for number, expected in ((0, True), (1, False), (2, False)):
            view = manager.sliceWidget(Column(number).main).mrmlSliceNode()
            isSeen = bool(display.IsDisplayableInView(view.GetID()))
            expect(f"it is seen in column {number + 1}", isSeen, expected)

    def scroll(self, moved: int, other: int) -> None:
        manager = self._needShown()
        self.story.ui.followMatchCheckBox.checked = True
        expect("the other moves", self._moves(manager, moved, other), True)

    def scrollAlone(self) -> None:
        manager = self._needShown()
        self.story.ui.followMatchCheckBox.checked = False
        try:
            expect("the result moves", self._moves(manager, 0, 1), False)
        finally:
            self.story.ui.followMatchCheckBox.checked = True

    def close(self) -> None:
        story = self.story
        self._needShown()
        story.ui.removeShownButton.click()
        slicer.app.processEvents()
        self._snapshot().expectSame()
        expect("something is shown", story.logic.isShown, False)
        expect("the button to close it is enabled", story.ui.removeShownButton.enabled, False)

    def maximized(self) -> None:
        manager = self.story.needViews()
        layoutNode = manager.layoutLogic().GetLayoutNode()
        layoutNode.AddMaximizedViewNode(manager.sliceWidget("Red").mrmlSliceNode())
        try:
            with self._compared(1):
                expect("maximized views", layoutNode.GetNumberOfMaximizedViewNodes(), 0)
                view = manager.sliceWidget(Column(1).main).mrmlSliceNode()
                expect("the result's view is in the layout", bool(view.IsMappedInLayout()), True)
        finally:
            layoutNode.RemoveAllMaximizedViewNodes()

    def ownPlanes(self) -> None:
        story = self.story
        query, result = story.query, story.needResult()
        coronal = _coronal(query)
        try:
            story.query = coronal
            story.searchBy()
            with self._compared(1) as manager:
                for number in (0, 1):
                    expected = "Coronal" if number == 0 else "Axial"
                    node = manager.sliceWidget(Column(number).main).mrmlSliceNode()
                    normal = [abs(node.GetSliceToRAS().GetElement(row, 2)) for row in range(3)]
                    expect(f"plane of column {number + 1}", int(np.argmax(normal)), _AXES[expected])
        finally:
            story.query, story.result = query, result
            slicer.mrmlScene.RemoveNode(coronal)
            story.searchBy()

    def missingOne(self) -> None:
        story = self.story
        before = Snapshot()
        matches = self._matches(3)
        with _gone([matches[1].series_uid]):
            problems = story.logic.showMatches(matches)
        slicer.app.processEvents()
        expect("sentences", len(problems), 1)
        self._expectShown(2)
        story.logic.removeShown()
        slicer.app.processEvents()
        before.expectSame()

    def missingAll(self) -> None:
        story = self.story
        before = Snapshot()
        matches = self._matches(2)
        with _gone([one.series_uid for one in matches]):
            try:
                story.logic.showMatches(matches)
            except RuntimeError as error:
                expect("it says why", bool(str(error)), True)
            else:
                raise AssertionError("results without files were shown")
        slicer.app.processEvents()
        before.expectSame()

    def deletedQuery(self) -> None:
        story = self.story
        story.pressSearch()
        slicer.mrmlScene.RemoveNode(story.query)
        slicer.app.processEvents()
        before = Snapshot()
        story.ui.compareButton.click()
        slicer.app.processEvents()
        expect("the panel says an error", story.widget.panel.status.isError, True, story.says())
        before.expectSame()
        slicer.mrmlScene.RemoveNode(story.segmentation)
        story.makeQuery()
        story.searchBy()

    def _begin(self) -> None:
        self.story.needViews()
        if not CompareLayout.isShown():
            self.before = Snapshot()
            window = slicer.util.mainWindow()
            self._widthBefore = window.width if window is not None else 0

    def _matches(self, count: int) -> list[Any]:
        matches = list(self.story.needResult().matches)
        if len(matches) < count:
            raise NotHere(f"only {len(matches)} results")
        return matches[:count]

    def _snapshot(self) -> Snapshot:
        if self.before is None:
            raise NotHere("nothing was shown")
        return self.before

    def _needShown(self) -> Any:
        manager = self.story.needViews()
        if not CompareLayout.isShown():
            raise NotHere("nothing is shown")
        return manager

    def _expectShown(self, count: int) -> None:
        manager = self.story.needViews()
        slicer.app.processEvents()
        expect("the layout", manager.layout, CompareLayout.LAYOUT_ID, self.story.says())
        expect("something is shown", self.story.logic.isShown, True)
        expect("the button to close it is enabled", self.story.ui.removeShownButton.enabled, True)
        for number in range(count + 1):
            widget = manager.sliceWidget(Column(number).main)
            expect(f"view {number + 1} is in the layout", bool(widget.mrmlSliceNode().IsMappedInLayout()), True)
            volume = widget.mrmlSliceCompositeNode().GetBackgroundVolumeID()
            expect(f"view {number + 1} shows a volume", bool(volume), True)
        widget = manager.sliceWidget(Column(count + 1).main)
        isMore = widget is not None and bool(widget.mrmlSliceNode().IsMappedInLayout())
        expect("there are more views", isMore, False)

    @contextmanager
    def _compared(self, count: int) -> Iterator[Any]:
        """Show so many results, and expect afterward that everything is as before."""
        manager = self.story.needViews()
        before = Snapshot()
        expect("what could not be shown", self.story.logic.showMatches(self._matches(count)), [])
        slicer.app.processEvents()
        try:
            yield manager
        finally:
            self.story.logic.removeShown()
            slicer.app.processEvents()
        before.expectSame()

    def _moves(self, manager: Any, moved: int, other: int) -> bool:
        """Whether scrolling one column from end to end moves another."""
        logic = manager.sliceWidget(Column(moved).main).sliceLogic()
        positions = []
        bounds = [0.0] * 6
        logic.GetLowestVolumeSliceBounds(bounds)
        for share in (0.25, 0.75):
            logic.SetSliceOffset(bounds[4] + share * (bounds[5] - bounds[4]))
            for _round in range(20):
                slicer.app.processEvents()
            positions.append(manager.sliceWidget(Column(other).main).sliceLogic().GetSliceOffset())
        return abs(positions[1] - positions[0]) > 1.0


def _coronal(volume: Any) -> Any:
    """The same patient as a scan of thick coronal slices: two axes exchanged, and of four slices three left out."""
    ijkToRas = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(ijkToRas)
    matrix = slicer.util.arrayFromVTKMatrix(ijkToRas)[:, [0, 2, 1, 3]]
    matrix[:, 2] *= 4
    voxels = slicer.util.arrayFromVolume(volume).transpose(1, 0, 2)[::4]
    return slicer.util.addVolumeFromArray(np.ascontiguousarray(voxels), ijkToRAS=matrix, name="SelfTest coronal")


@contextmanager
def _gone(series: Sequence[str]) -> Iterator[None]:
    """The files of these series of the temporary database are not there meanwhile."""
    files = [Path(file) for one in series for file in slicer.dicomDatabase.filesForSeries(one)]
    moved = [file.rename(file.with_name(f"{file.name}.gone")) for file in files]
    try:
        yield
    finally:
        for file, away in zip(files, moved, strict=True):
            away.rename(file)
