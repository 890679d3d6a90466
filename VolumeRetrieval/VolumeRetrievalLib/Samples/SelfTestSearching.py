"""Steps of the self test: queries of every kind, and what must not be among their results."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk
from VolumeRetrievalEngine.searching.match import Match
from VolumeRetrievalEngine.slicer_database.series_list import INDEX_FOLDER

from ..Processes import ProcessIDs
from ..Scene.LoadedVolumes import seriesUID
from ..Values import Callbacks, SceneRegion, SearchCriteria
from .SelfTestStory import OwnWarnings, Step, Story, expect


class SearchingSteps:
    def __init__(self, story: Story, warnings: OwnWarnings):
        self.story = story
        self.warnings = warnings

    def steps(self) -> list[Step]:
        return [
            ("the panel searches with a whole volume of the scene", self.searchWholeVolume),
            ("the panel searches with a segment: a liver is found in trunks", self.searchSegment),
            ("a search with an ROI", self.searchROI),
            (
                "a search with slices takes those slices and no others",
                self.searchSlices,
            ),
            ("the slice that a view shows becomes the region, or it says why not", self.takeFromView),
            ("a search with a series of the database leaves it out", self.searchSeries),
            ("a search with a volume that was loaded in the same event leaves its series out", self.searchLoaded),
            ("and so it does under a transform", self.searchTransformed),
            ("its patient is known for Exclude this patient", self.excludePatient),
            ("filters leave out what does not pass, also everything", self.filter),
            (
                "another index folder is searched, too, and what is found there is loaded from outside the database",
                self.otherIndex,
            ),
            ("a search can be canceled, and the next one works", self.cancel),
            ("a search process that is killed is noticed, and the next search works", self.killWorker),
            ("what cannot be a query or a region is refused with a readable text", self.refuse),
            ("the similarity of a match's slices can be had", self.similarity),
            ("results are exported to a table", self.export),
            ("Find similar volumes is in the context menu of volumes", self.contextMenu),
        ]

    def searchWholeVolume(self) -> None:
        story = self.story
        story.makeQuery()
        result = story.pressSearch()
        expect("results", len(result.matches), len(story.series))
        expect("the best match is a trunk", result.matches[0].series_uid in story.trunks, True)
        scores = [match.score for match in result.matches]
        expect("the most similar come first", scores, sorted(scores, reverse=True))

    def searchSegment(self) -> None:
        story = self.story
        segment = story.segmentation.GetSegmentation().GetNthSegmentID(0)
        story.widget.panel.region.chooseSegment(story.segmentation, segment)
        result = story.pressSearch()
        best = result.matches[0]
        expect("the best match is a trunk, not a head", best.series_uid in story.trunks, True, best.path)
        expect("it says where it matches", best.place is not None, True)
        story.widget.panel.region.choose("volume")

    def searchROI(self) -> None:
        story = self.story
        roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "SelfTest")
        try:
            bounds = [0.0] * 6
            story.query.GetRASBounds(bounds)
            roi.SetCenterWorld(*[(bounds[2 * axis] + bounds[2 * axis + 1]) / 2 for axis in range(3)])
            roi.SetSizeWorld(*[(bounds[2 * axis + 1] - bounds[2 * axis]) / 3 for axis in range(3)])
            result = story.searchBy(region=SceneRegion("roi", roi=roi))
            expect("results", bool(result.matches), True)
            count = story.logic.stackOf(story.query).count
            expect("slices that were searched with", 0 < len(result.query_table.index) < count, True)
        finally:
            slicer.mrmlScene.RemoveNode(roi)

    def searchSlices(self) -> None:
        story = self.story
        stack = story.logic.stackOf(story.query)
        region = SceneRegion("slices", firstSlice=1, lastSlice=stack.count // 3)
        story.logic.showRegionPreview(story.query, region)
        result = story.searchBy(region=region)
        numbers = np.asarray(result.query_table.index)
        expect("first slice", int(numbers.min()) >= region.firstSlice, True, str(numbers))
        expect("last slice", int(numbers.max()) <= region.lastSlice, True, str(numbers))
        story.logic.hideRegionPreview()

    def takeFromView(self) -> None:
        story = self.story
        manager = story.needViews()
        widget = manager.sliceWidget("Red")
        widget.mrmlSliceCompositeNode().SetBackgroundVolumeID(story.query.GetID())
        node = widget.mrmlSliceNode()
        before = node.GetOrientation()
        node.SetOrientation("Axial")
        widget.sliceLogic().FitSliceToAll()
        found = story.logic.rangeOfView(story.query, node)
        expect("an axial view shows slices of an axial scan", isinstance(found, str), False, str(found))
        node.SetOrientation("Sagittal")
        found = story.logic.rangeOfView(story.query, node)
        expect("a sagittal one says why it shows none", isinstance(found, str) and bool(found), True, str(found))
        node.SetOrientation(before)

    def searchSeries(self) -> None:
        story = self.story
        own = story.series[0]
        matches = story.logic.search(own).matches
        expect("the series is not among its results", own in [one.series_uid for one in matches], False)
        expect("another patient's trunk comes first", matches[0].series_uid in story.trunks, True)

    def searchLoaded(self) -> None:
        self._expectLeftOut(self._load(self.story.series[0]))

    def searchTransformed(self) -> None:
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "SelfTest")
        try:
            matrix = vtk.vtkMatrix4x4()
            matrix.SetElement(0, 3, 25.0)
            transform.SetMatrixTransformToParent(matrix)
            node = self._load(self.story.series[0])
            node.SetAndObserveTransformNodeID(transform.GetID())
            self._expectLeftOut(node)
        finally:
            slicer.mrmlScene.RemoveNode(transform)

    def excludePatient(self) -> None:
        story = self.story
        node = self._load(story.series[0])
        try:
            matches = story.logic.search(node, criteria=SearchCriteria(excludeSamePatient=True)).matches
        finally:
            slicer.mrmlScene.RemoveNode(node)
        own = story.series[:2]  # both views of the first patient
        expect("series of the patient", [one.series_uid for one in matches if one.series_uid in own], [])
        expect("others", len(matches), len(story.series) - len(own))

    def filter(self) -> None:
        story = self.story
        none = story.logic.search(story.query, criteria=SearchCriteria(filters={"modality": "MR"}))
        expect("MR volumes", len(none.matches), 0)
        heads = story.logic.search(story.query, criteria=SearchCriteria(filters={"body_part": "HEAD"}))
        expect("heads", len(heads.matches), len(story.series) - len(story.trunks))
        expect("two of them", len(story.logic.search(story.query, criteria=SearchCriteria(top=2)).matches), 2)

    def otherIndex(self) -> None:
        """A copy of the index is the other one, and only there is a series that is taken out of the database's. It is
        loaded from copies of its files, which the database does not know."""
        story, moved = self.story, self.story.series[-1]
        with tempfile.TemporaryDirectory(dir=slicer.app.temporaryPath, ignore_cleanup_errors=True) as scratch:
            index = Path(slicer.dicomDatabase.databaseDirectory) / INDEX_FOLDER
            other = str(shutil.copytree(index, Path(scratch) / "other"))
            story.logic.removeSeries([moved])
            try:
                (state,) = story.logic.examineIndexFolders([other])
                expect("what is there", (state.volumes, state.problem), (len(story.series), ""))
                result = story.logic.search(story.query, stores=[other])
                match = next(one for one in result.matches if one.series_uid == moved)
                expect("where it is from", match.store, other)
                expect("it has a picture", bool(story.logic.thumbnails([match])[0]), True)
                with story.watch.paused():
                    node = story.logic.loadMatch(_moved(match, Path(scratch) / "archive"))
                expect("the node's series", seriesUID(node), moved)
                expect("its slices", node.GetImageData().GetDimensions()[2], len(match.files.paths))
                slicer.mrmlScene.RemoveNode(node)
            finally:
                story.logic.indexSeries([moved])
        expect("it is in the database's index again", story.logic.status(wait=True).volumes, len(story.series))

    def cancel(self) -> None:
        story = self.story
        told: list[str] = []
        callbacks = Callbacks(
            lambda result: told.append("finished"),
            lambda error: told.append(str(error)),
            lambda: told.append("canceled"),
        )
        story.logic.search(story.query, callbacks=callbacks).cancel()
        story.wait("the search to be canceled", lambda: told)
        expect("how it ended", told[0] in ("canceled", "finished"), True, told[0])
        story.searchBy()

    def killWorker(self) -> None:
        story = self.story
        with self.warnings.expected():
            for pid in story.logic.pids:
                ProcessIDs.kill(pid)
            story.wait("the process to be gone", lambda: not any(map(ProcessIDs.isRunning, story.logic.pids)))
            try:
                story.searchBy()
            except RuntimeError as error:  # it was noticed by this search: that is what it says
                expect("it says what happened", bool(str(error)), True)
        expect("results", len(story.searchBy().matches), len(story.series))

    def refuse(self) -> None:
        story = self.story
        labels = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "SelfTest")
        slicer.util.updateVolumeFromArray(labels, np.ones((3, 3, 3), np.uint8))
        try:
            for query in (None, 5, "", "1.2.3", labels):
                self._expectRefused(repr(query), query)
            self._expectRefused("a word as region", story.query, region="liver")
        finally:
            slicer.mrmlScene.RemoveNode(labels)

    def similarity(self) -> None:
        story = self.story
        match = story.searchBy().matches[0]
        matrix = story.logic.similarity(match)
        expect("its shape", matrix.shape, (len(story.result.query_table.index), match.n_rows))
        expect("values of cosines", bool(np.all(np.abs(matrix) <= 1.01)), True)

    def export(self) -> None:
        matches = self.story.needResult().matches
        table = self.story.logic.exportToTable(matches)
        expect("rows of the table", table.GetNumberOfRows(), len(matches))
        slicer.mrmlScene.RemoveNode(table)

    def contextMenu(self) -> None:
        plugin = getattr(slicer, "VolumeRetrievalSubjectHierarchyPlugin", None)
        expect("the plugin is registered", plugin is not None, True)
        assert plugin is not None
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        plugin.showContextMenuActionsForItem(hierarchy.GetItemByDataNode(self.story.query))
        expect("it offers its action for a volume", plugin.findSimilarAction.visible, True)

    def _load(self, series: str) -> Any:
        """As the DICOM module does, not through the logic."""
        from DICOMLib import DICOMUtils

        with self.story.watch.paused():
            (identifier,) = DICOMUtils.loadSeriesByUID([series])
        return slicer.mrmlScene.GetNodeByID(identifier)

    def _expectLeftOut(self, node: Any) -> None:
        story = self.story
        try:
            matches = story.logic.search(node).matches
        finally:
            slicer.mrmlScene.RemoveNode(node)
        expect("its own series", story.series[0] in [one.series_uid for one in matches], False)
        expect("the others", len(matches), len(story.series) - 1)

    def _expectRefused(self, what: str, query: Any, **keywords: Any) -> None:
        try:
            self.story.logic.search(query, **keywords)
        except (ValueError, TypeError, RuntimeError) as error:
            expect(f"{what}: there is a text", bool(str(error)), True)
        else:
            raise AssertionError(f"{what} was searched with")


def _moved(match: Match, folder: Path) -> Match:
    """This match, as if its archive were in this folder: with copies of its files there."""
    for file, path in zip(match.file_paths, match.files.paths, strict=True):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, folder / path)
    return replace(match, path=str(folder / match.files.label))
