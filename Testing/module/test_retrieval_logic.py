"""The logic with the real engine in real children, on a database of phantoms."""

from __future__ import annotations

import os
import stat
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import slicer
import vtk
from children import Told, cleanUp, fakeCommand, realCommand, waitUntil
from fake_logic import aMatch
from phantom_database import (
    COARSE,
    PhantomReader,
    importSeries,
    makeIndexedDatabase,
    nodeOf,
    openDatabase,
    writePhantoms,
)
from VolumeRetrievalEngine.method.directions import combined
from VolumeRetrievalEngine.phantoms import make_query
from VolumeRetrievalEngine.volume import Volume
from VolumeRetrievalLib.Database.DatabaseIndex import DatabaseIndex
from VolumeRetrievalLib.Encoders.Encoders import canRun
from VolumeRetrievalLib.Processes import ProcessIDs
from VolumeRetrievalLib.Processes.EngineErrors import EngineError, WorkCancelled
from VolumeRetrievalLib.RetrievalLogic import RetrievalLogic
from VolumeRetrievalLib.Settings import Settings
from VolumeRetrievalLib.Values import Callbacks, SceneRegion, SearchCriteria

LATER = 50  # milliseconds without news until the database is read again


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Two patients, each with a chest and a head."""
    return writePhantoms(tmp_path_factory.mktemp("phantoms"))


@pytest.fixture(scope="module")
def indexedFolder(tmp_path_factory, archive):
    """The folder of a database that holds the archive and is indexed; tests that change it take a copy."""
    return makeIndexedDatabase(tmp_path_factory.mktemp("database"), archive)


@pytest.fixture
def makeLogic():
    """Logics that index with the encoder whose children start fastest, unless a test chooses another one."""
    Settings(encoder="descriptor").save()
    made = []

    def make(**values):
        made.append(
            RetrievalLogic(
                **{"makeCommand": realCommand, "reader": PhantomReader(), "quietMilliseconds": LATER, **values}
            )
        )
        return made[-1]

    yield make
    cleanUp(made)
    assert not list(Path(slicer.app.temporaryPath).glob("VolumeRetrieval-*")), "voxels are left"


@pytest.fixture
def logic(makeLogic, indexedFolder):
    """Searches the indexed database. Do not change it."""
    openDatabase(indexedFolder)
    made = makeLogic()
    waitUntil(lambda: made._index.watcher.present is not None)
    return made


@pytest.fixture
def fresh(makeLogic, archive, tmp_path):
    """A database of its own with one series, nothing indexed."""
    openDatabase(tmp_path / "database")
    importSeries(archive[:1])
    made = makeLogic()
    waitUntil(lambda: made._index.watcher.present is not None)
    return made


@pytest.fixture(scope="module")
def phantomQuery():
    return make_query(organ="heart", field_of_view="chest", spacing_mm=COARSE)


def aQueryNode(query):
    return nodeOf(Volume.from_array(query.scan.voxels, query.scan.affine), "unseen")


def called(told: Told) -> Callbacks:
    return Callbacks(*told.arguments())


class TestIndexing:
    def test_a_script_indexes_the_database_and_searches_in_ten_lines(self, fresh, archive):
        importSeries(archive[1:])

        report = fresh.indexDatabase()
        result = fresh.search(archive[0].series_uid, top=2)

        assert (report.added, report.failed) == (4, 0)
        assert result.matches[0].series_uid == archive[2].series_uid
        assert len(result.matches) == 2
        assert (Path(slicer.dicomDatabase.databaseDirectory) / "VolumeRetrieval").is_dir()

    def test_what_is_not_indexed_is_counted_when_the_database_is_quiet(self, fresh, archive):
        changes = []
        fresh.onStatusChanged(lambda: changes.append(fresh.status().notIndexed))
        importSeries(archive[1:3])
        importSeries(archive[3:])
        waitUntil(lambda: fresh.status().notIndexed == 4)
        assert changes == [4]

    def test_the_status_tells_numbers(self, logic, indexedFolder):
        status = logic.status()
        assert (status.volumes, status.expected, status.notIndexed, status.problem) == (4, 4, 0, "")
        assert status.slices > 50 and status.sizeBytes > 10000
        assert status.directory == str(indexedFolder)

    def test_progress_and_the_report_come_while_the_event_loop_runs(self, fresh):
        told = Told()
        job = fresh.indexDatabase(called(told))
        assert job.isRunning and not told.isOver
        waitUntil(lambda: told.isOver)
        assert told.results[0].added == 1
        assert {step.stage for step in told.steps} == {"scan", "index"}
        assert fresh.status().volumes == 1

    def test_only_the_series_that_are_asked_for_are_indexed_and_removed(self, fresh, archive):
        importSeries(archive[1:])
        uids = [one.series_uid for one in archive]

        added = fresh.indexSeries(uids[:2]).added
        before = fresh.status(wait=True)
        removed = fresh.removeSeries(uids[:1])
        after = fresh.status(wait=True)

        assert (added, removed) == (2, 1)
        assert (before.volumes, before.notIndexed) == (2, 2)
        assert (after.volumes, after.notIndexed) == (1, 3)

    def test_a_series_that_the_database_does_not_have_is_named(self, fresh):
        with pytest.raises(ValueError, match=r"1\.2\.3\.4"):
            fresh.indexSeries(["1.2.3.4"])

    def test_nothing_is_removed_from_an_index_that_is_not_there(self, fresh, archive):
        assert fresh.removeSeries([archive[0].series_uid]) == 0

    def test_a_folder_of_any_files_is_indexed(self, fresh, archive):
        assert fresh.indexFolder(str(archive[1].folder)).added == 1
        status = fresh.status(wait=True)
        assert (status.volumes, status.notIndexed) == (1, 1)  # the database's own series is not indexed by that

    def test_what_cannot_be_a_volume_is_skipped_with_its_reason(self, fresh, archive, tmp_path):
        import pydicom

        header = pydicom.dcmread(archive[1].files[0])
        header.SeriesInstanceUID, header.SOPInstanceUID = "1.2.3.99", "1.2.3.99.1"
        header.ImageType, header.SeriesDescription = ["ORIGINAL", "PRIMARY", "LOCALIZER"], "Scout"
        header.save_as(tmp_path / "scout.dcm")
        slicer.dicomDatabase._qt.importFiles([tmp_path / "scout.dcm"])

        fresh.indexDatabase()

        status = fresh.status(wait=True)
        assert [(one.reason, one.failed) for one in status.skipped] == [("a localizer", False)]
        assert "Scout" in status.skipped[0].series
        assert status.notIndexed == 0

    def test_only_one_job_runs_at_a_time(self, fresh):
        first, second = Told(), Told()
        fresh.indexDatabase(called(first))
        job = fresh.indexDatabase(called(second))
        assert not job.isRunning and "running already" in str(second.errors[0])
        with pytest.raises(RuntimeError, match="running already"):
            fresh.removeSeries(["1"]) or fresh.indexDatabase()
        waitUntil(lambda: first.isOver)

    def test_a_cancelled_job_goes_on_next_time(self, makeLogic, archive, tmp_path):
        openDatabase(tmp_path / "database")
        importSeries(archive)
        fresh = makeLogic()
        told = Told()
        job = fresh.indexDatabase(called(told))
        waitUntil(lambda: told.steps)
        job.cancel()
        waitUntil(lambda: told.isOver)
        assert told.cancellations + len(told.results) == 1
        fresh.indexDatabase()
        assert fresh.status(wait=True).volumes == 4

    def test_a_crash_is_told_and_the_next_job_works(self, makeLogic, archive, tmp_path):
        openDatabase(tmp_path / "database")
        importSeries(archive[:1])
        commands = [fakeCommand(tmp_path, "os.abort()"), realCommand()]
        fresh = makeLogic(makeCommand=lambda: commands.pop(0))
        with pytest.raises(EngineError, match="kept"):
            fresh.indexDatabase()
        assert fresh.indexDatabase().added == 1

    def test_a_failure_is_forgotten_when_another_process_has_changed_the_index(self, makeLogic, archive, tmp_path):
        openDatabase(tmp_path / "database")
        importSeries(archive[:1])
        failing = makeLogic(makeCommand=lambda: fakeCommand(tmp_path, "os.abort()"))
        with pytest.raises(EngineError):
            failing.indexDatabase()
        assert failing.status(wait=True).lastFailure
        makeLogic().indexDatabase()
        assert failing.refresh()
        assert (failing.status().lastFailure, failing.status().volumes) == ("", 1)

    def test_new_series_are_indexed_by_themselves_if_the_user_wants_that(self, fresh, archive):
        Settings(encoder="descriptor", indexAutomatically=True).save()
        importSeries(archive[1:2])
        waitUntil(lambda: fresh.status().volumes == 2 and fresh._indexing.job is None)

    def test_a_series_that_left_the_database_is_not_found_any_more(self, fresh, archive):
        importSeries(archive[1:])
        fresh.indexDatabase()
        slicer.dicomDatabase.removeSeries(archive[2].series_uid)
        waitUntil(lambda: fresh._index.removed())

        result = fresh.search(archive[0].series_uid, top=2)

        assert archive[2].series_uid not in [match.series_uid for match in result.matches]
        assert [match.rank for match in result.matches] == [1, 2]
        assert fresh.status().removed == 1 and result.n_volumes == 2
        assert fresh.indexDatabase().removed == 1


class TestSearching:
    def test_any_volume_of_the_scene_is_a_query(self, logic, archive, phantomQuery):
        result = logic.search(aQueryNode(phantomQuery), top=2)
        chests = {one.series_uid for one in archive if one.field_of_view == "chest"}
        assert {match.series_uid for match in result.matches} == chests
        assert result.query_path == "unseen"

    def test_its_transform_moves_the_region_with_it(self, logic, phantomQuery):
        node = aQueryNode(phantomQuery)
        low, high = phantomQuery.box
        roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
        roi.SetCenterWorld(*((low + high) / 2))
        roi.SetSizeWorld(*(high - low))
        plain = logic.search(node, SceneRegion("roi", roi=roi))
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        matrix = vtk.vtkMatrix4x4()
        matrix.SetElement(2, 3, 1000.0)
        transform.SetMatrixTransformToParent(matrix)
        node.SetAndObserveTransformNodeID(transform.GetID())
        with pytest.raises(EngineError, match="misses the volume"):
            logic.search(node, SceneRegion("roi", roi=roi))

        roi.SetAndObserveTransformNodeID(transform.GetID())
        moved = logic.search(node, SceneRegion("roi", roi=roi))

        assert np.array_equal(moved.query_table.index, plain.query_table.index)
        assert moved.query_table.position[0] == pytest.approx(plain.query_table.position[0] + 1000, abs=0.01)

    def test_a_transform_that_bends_has_to_be_hardened(self, logic, phantomQuery):
        node = aQueryNode(phantomQuery)
        bend = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLBSplineTransformNode", "bend")
        node.SetAndObserveTransformNodeID(bend.GetID())
        with pytest.raises(ValueError, match=r"bend.*harden"):
            logic.search(node)

    def test_an_indexed_volume_uses_what_is_stored_until_it_is_changed(self, logic, archive):
        match = logic.search(archive[0].series_uid, top=1).matches[0]
        node = logic.loadMatch(match)
        sent = []
        request = logic._client.request
        logic._client.request = lambda method, params, answer: sent.append(params) or request(method, params, answer)

        unchanged = logic.search(node, top=1)
        slicer.util.arrayFromVolume(node)[:] = 0
        slicer.util.arrayFromVolumeModified(node)
        logic.search(node, top=1)

        assert [sorted(set(one) & {"query", "volume"}) for one in sent] == [["query"], ["volume"]]
        assert unchanged.matches[0].volume_id != match.volume_id

    def test_the_similarity_of_a_match_comes_when_it_is_asked_for(self, logic, archive):
        result = logic.search(archive[0].series_uid, top=2)
        best, second = result.matches
        matrix, told = logic.similarity(best), Told()

        assert matrix.dtype == np.float32 and matrix.shape == (len(result.query_table), best.n_rows)
        both = np.array([[matrix.max(axis=1).mean()], [matrix.max(axis=0).mean()]])
        assert combined(both)[0] == pytest.approx(best.score, abs=1e-3)  # nothing is centered in a small archive
        logic.similarity(second, called(told))
        assert not told.isOver  # never before the caller knows the job
        waitUntil(lambda: told.isOver)
        assert told.results[0].shape == (len(result.query_table), second.n_rows)
        asked = logic._client._lastNumber
        logic.similarity(best, called(told))
        waitUntil(lambda: len(told.results) == 2)
        assert told.results[1] is matrix and logic._client._lastNumber == asked

    def test_what_is_no_match_is_named(self, logic):
        told = Told()
        for ask in (logic.similarity, logic.loadMatch, lambda match: logic.showMatches([match])):
            with pytest.raises(TypeError, match=r"^None is not a match: expected .*result\.matches\[0\]"):
                ask(None)
        logic.similarity("1", called(told))
        assert str(told.errors[0]).startswith("'1' is not a match")

    def test_a_similarity_that_cannot_be_had_any_more_says_why(self, logic, archive):
        with pytest.raises(ValueError, match="search first"):
            logic.similarity(aMatch(1))
        match = logic.search(archive[0].series_uid, top=1).matches[0]
        with pytest.raises(ValueError, match="not a result of the last search"):
            logic.similarity(aMatch(1))
        logic._client.release()
        with pytest.raises(EngineError, match="no longer knows this search"):
            logic.similarity(match)

    def test_a_match_is_registered_on_request_and_what_is_shown_of_it_follows(self, logic, phantomQuery):
        matches = logic.search(aQueryNode(phantomQuery), top=2).matches
        logic.showMatches(matches)
        found, told = logic.registerMatch(matches[0]), Told()

        assert found.matrix.shape == (4, 4) and found.success == (found.reason == "")
        assert [one.refinement for one in logic.shownMatches] == [found, None]
        asked = logic._client._lastNumber
        logic.registerMatch(matches[0], called(told))
        waitUntil(lambda: told.isOver)
        assert told.results == [found] and logic._client._lastNumber == asked
        logic.setOverlay(True)
        assert logic.isOverlaid
        logic.removeShown()
        logic.showMatches(matches[:1])
        assert logic.shownMatches[0].refinement == found and not logic.isOverlaid
        logic.removeShown()
        with pytest.raises(ValueError, match="not a result of the last searches"):
            logic.registerMatch(aMatch(1))

    def test_a_series_that_is_not_indexed_is_read_by_the_worker(self, fresh, archive):
        fresh.indexDatabase()
        importSeries(archive[2:3])
        result = fresh.search(archive[2].series_uid)
        assert [match.series_uid for match in result.matches] == [archive[0].series_uid]

    def test_filters_and_the_same_patient(self, logic, archive):
        uid = archive[0].series_uid
        assert logic.search(uid, criteria=SearchCriteria(filters={"modality": "MR"})).matches == ()
        others = logic.search(uid, criteria=SearchCriteria(excludeSamePatient=True)).matches
        assert {match.series_uid for match in others} == {one.series_uid for one in archive[2:]}

    @pytest.mark.parametrize("how", ["before the logic", "same event", "transform", "copy", "changed", "reopened"])
    def test_the_querys_own_series_and_patient_are_left_out_however_it_was_loaded(
        self, makeLogic, indexedFolder, archive, how, tmp_path
    ):
        openDatabase(indexedFolder)
        made = makeLogic() if how not in ("before the logic", "reopened") else None
        node = PhantomReader().load([str(file) for file in archive[0].files])
        logic = made or makeLogic()
        if how == "transform":
            transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
            node.SetAndObserveTransformNodeID(transform.GetID())
        elif how == "copy":
            copy = nodeOf(Volume.from_array(slicer.util.arrayFromVolume(node), np.eye(4)))
            copy.SetAttribute("DICOM.instanceUIDs", node.GetAttribute("DICOM.instanceUIDs"))
            node = copy
        elif how == "reopened":
            scene, file = slicer.mrmlScene, str(tmp_path / "scene.mrb")
            assert scene.WriteToMRB(file)
            scene.Clear(0)
            assert scene.ReadFromMRB(file)
            (node,) = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
        elif how == "changed":
            slicer.app.processEvents()
            slicer.util.arrayFromVolume(node)[:] += 1
            slicer.util.arrayFromVolumeModified(node)

        found = {match.series_uid for match in logic.search(node).matches}
        others = logic.search(node, criteria=SearchCriteria(excludeSamePatient=True)).matches

        assert found == {one.series_uid for one in archive[1:]}
        assert {match.series_uid for match in others} == {one.series_uid for one in archive[2:]}

    def test_the_patient_of_a_series_that_is_not_indexed_is_known(self, fresh, archive):
        importSeries(archive[1:])
        fresh.indexSeries([one.series_uid for one in archive[1:]])
        for query in (archive[0].series_uid, PhantomReader().load([str(file) for file in archive[0].files])):
            found = fresh.search(query, criteria=SearchCriteria(excludeSamePatient=True)).matches
            assert {match.series_uid for match in found} == {one.series_uid for one in archive[2:]}

    @pytest.mark.parametrize(
        ("query", "error", "text"),
        [
            ("1.2.3.4", ValueError, "no files"),
            ("", ValueError, "There is no query"),
            (None, ValueError, "There is no query"),
            (5, TypeError, "5 cannot be used as a query"),
            ("vtkMRMLScalarVolumeNode", ValueError, "no voxels"),
            ("vtkMRMLLabelMapVolumeNode", ValueError, "is a label map"),
            ("vtkMRMLModelNode", ValueError, "no scalar volume"),
        ],
    )
    def test_a_query_that_is_none_says_why(self, logic, query, error, text):
        if str(query).startswith("vtkMRML"):
            query = slicer.mrmlScene.AddNewNodeByClass(query)
        with pytest.raises(error, match=text):
            logic.search(query)
        told = Told()
        assert not logic.search(query, callbacks=called(told)).isRunning
        assert text in str(told.errors[0])

    def test_what_is_no_region_or_list_of_series_says_so(self, logic, archive):
        with pytest.raises(TypeError, match="'liver' is not a region"):
            logic.search(archive[0].series_uid, region="liver")
        for method in (logic.indexSeries, logic.removeSeries):
            with pytest.raises(TypeError, match=r"\['1\.2\.3'\]"):
                method("1.2.3")

    def test_searching_before_anything_is_indexed_says_so(self, fresh, phantomQuery):
        with pytest.raises(EngineError, match="Nothing is indexed yet"):
            fresh.search(aQueryNode(phantomQuery))

    def test_a_running_search_can_be_cancelled(self, logic, phantomQuery):
        told = Told()
        job = logic.search(aQueryNode(phantomQuery), callbacks=called(told))
        job.cancel()
        waitUntil(lambda: told.isOver)
        assert (told.cancellations, told.results, told.errors) == (1, [], [])

    def test_searching_goes_on_while_indexing_runs(self, fresh, archive):
        fresh.indexDatabase()
        importSeries(archive[1:])
        indexing, searching = Told(), Told()
        fresh.indexDatabase(called(indexing))
        fresh.search(archive[0].series_uid, callbacks=called(searching))
        waitUntil(lambda: indexing.isOver and searching.isOver)
        assert indexing.results[0].added == 3
        assert searching.errors == [] and len(searching.results) == 1

    def test_voxels_lie_in_a_private_folder_and_only_while_they_are_needed(self, logic, phantomQuery):
        told = Told()
        logic.search(aQueryNode(phantomQuery), callbacks=called(told))
        folders = list(Path(slicer.app.temporaryPath).glob("VolumeRetrieval-*"))
        assert [stat.S_IMODE(one.stat().st_mode) for one in folders] == [0o700]
        assert [file.name for file in folders[0].iterdir()] == ["query.npy"]
        waitUntil(lambda: told.isOver)
        assert not folders[0].exists()

    def test_what_a_crashed_slicer_left_behind_is_removed_at_the_next_start(self, makeLogic):
        parent = Path(slicer.app.temporaryPath)
        gone, running = parent / "VolumeRetrieval-999999999-abc", parent / f"VolumeRetrieval-{os.getppid()}-abc"
        for folder in (gone, running):
            folder.mkdir()
            (folder / "query.npy").write_bytes(b"voxels")
        makeLogic()
        assert not gone.exists() and running.exists()
        (running / "query.npy").unlink()
        running.rmdir()

    def test_a_worker_that_crashed_is_started_again(self, logic, archive):
        logic.search(archive[0].series_uid)
        pid = logic._client._worker._enginePID
        ProcessIDs.kill(pid)
        waitUntil(lambda: not logic._client.isRunning)
        assert logic.search(archive[0].series_uid).matches
        assert logic._client._worker._enginePID != pid


class TestLoading:
    def test_exactly_the_files_that_were_indexed_are_loaded_once(self, logic, archive):
        match = logic.search(archive[0].series_uid, top=1).matches[0]
        node = logic.loadMatch(match)
        series = next(one for one in archive if one.series_uid == match.series_uid)
        assert {Path(file) for file in logic._loader._reader.loaded[0]} == set(series.files)
        assert logic.loadMatch(match) is node
        assert len(logic._loader._reader.loaded) == 1

    def test_a_volume_that_the_user_has_loaded_is_used(self, logic, archive):
        node = PhantomReader().load([str(file) for file in archive[2].files])
        match = logic.search(archive[0].series_uid, top=1).matches[0]
        assert match.series_uid == archive[2].series_uid
        assert logic.loadMatch(match) is node

    def test_a_part_of_the_series_is_not_the_volume(self, logic, archive):
        PhantomReader().load([str(file) for file in archive[2].files[:-2]])
        match = logic.search(archive[0].series_uid, top=1).matches[0]
        assert len(logic.loadMatch(match).GetAttribute("DICOM.instanceUIDs").split()) == len(archive[2].files)

    def test_files_that_are_gone_are_a_message(self, fresh, tmp_path):
        series = writePhantoms(tmp_path / "own", 2, ("chest",))
        importSeries(series)
        fresh.indexDatabase()
        match = next(
            one for one in fresh.search(series[0].series_uid).matches if one.series_uid == series[1].series_uid
        )
        series[1].files[0].unlink()
        with pytest.raises(RuntimeError, match=rf"1 of {len(series[1].files)} files .*{series[1].files[0].name}"):
            fresh.loadMatch(match)

    def test_files_that_are_not_dicom_are_loaded_as_they_are(self, fresh, phantomQuery, tmp_path):
        from engine.archives import write_image

        scan = phantomQuery.scan
        file = write_image(tmp_path / "images" / "scan.nii.gz", scan.voxels.astype(np.int16), scan.affine)
        fresh.indexFolder(str(file.parent))
        match = fresh.search(aQueryNode(phantomQuery)).matches[0]
        node = fresh.loadMatch(match)
        assert node.GetImageData().GetDimensions() == scan.voxels.shape[::-1]
        assert fresh.loadMatch(match) is node

    def test_a_volume_that_left_the_index_is_a_message(self, logic):
        with pytest.raises(RuntimeError, match="no longer in the index"):
            logic.loadMatch(aMatch(1))

    def test_thumbnail_description_and_table(self, logic, archive):
        match = logic.search(archive[0].series_uid, top=1).matches[0]
        assert logic.thumbnails([match])[0][:2] == b"\xff\xd8"
        assert "Phantom" in logic.describe(match).patient
        table = logic.exportToTable([match])
        assert table.GetTable().GetNumberOfRows() == 1
        assert table.GetCellText(0, 7) == match.series_uid

    def test_a_match_is_shown_beside_a_query_of_the_scene(self, logic, phantomQuery):
        with pytest.raises(RuntimeError, match="search first"):
            logic.showMatches([aMatch(1)])
        found = logic.search(aQueryNode(phantomQuery), top=2).matches
        logic.showMatches(found)
        assert len(slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")) == 3
        logic.removeShown()
        assert len(slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")) == 1

    def test_matches_are_shown_beside_the_query_of_the_search_that_found_them(self, logic, archive, phantomQuery):
        """Seen in a real Slicer 5.12.3: what the panel lists was shown beside the query of a script's later search."""
        node = aQueryNode(phantomQuery)
        found = logic.search(node, top=2).matches
        logic.search(archive[0].series_uid, top=3)
        logic.showMatches(found)
        shown = slicer.app.layoutManager().sliceWidget("Query").mrmlSliceCompositeNode().GetBackgroundVolumeID()
        assert shown == node.GetID()
        assert logic.similarity(found[0]).shape[0] == len(logic.search(node, top=2).query_table)
        logic.removeShown()

    def test_what_cannot_be_loaded_is_named_and_the_others_are_shown(self, logic, phantomQuery):
        found = logic.search(aQueryNode(phantomQuery), top=2).matches
        changes, steps = [], []
        logic.onShownChanged(lambda: changes.append(logic.isShown))
        gone = aMatch(7)

        problems = logic.showMatches([gone, found[0]], steps.append)
        with pytest.raises(RuntimeError, match=r"7: Thorax.*no longer in the index"):
            logic.showMatches([gone])
        logic.removeShown()

        assert len(problems) == 1 and problems[0].startswith("7: Thorax")
        assert [(one.stage, one.done) for one in steps] == [("load", 0), ("load", 0), ("load", 1), ("arrange", 2)]
        assert changes[0] is True and changes[-1] is False

    def test_a_query_from_the_database_is_loaded_to_be_shown(self, logic, archive):
        logic.showMatches(logic.search(archive[0].series_uid, top=1).matches)
        assert len(slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")) == 2
        logic.removeShown()


class TestLife:
    def test_without_a_database_there_is_a_sentence_and_no_process(self, makeLogic):
        logic = makeLogic()
        assert "No DICOM database" in logic.status().problem
        told = Told()
        logic.indexDatabase(called(told))
        assert "No DICOM database" in str(told.errors[0])
        with pytest.raises(RuntimeError, match="No DICOM database"):
            logic.loadMatch(aMatch(1))
        assert (logic.pids, logic.series(), logic.thumbnails([aMatch(1)])) == ((), [], [b""])

    def test_opening_and_switching_the_database_switches_the_index(self, makeLogic, indexedFolder, tmp_path):
        logic = makeLogic()
        openDatabase(indexedFolder)
        assert logic.status(wait=True).volumes == 4
        openDatabase(tmp_path / "other")
        assert logic.status(wait=True).volumes == 0
        assert logic.status().directory == str(tmp_path / "other")

    @pytest.mark.parametrize("how", ["close", "switch"])
    def test_a_database_that_goes_away_ends_what_works_in_it(self, fresh, archive, tmp_path, how):
        fresh.indexDatabase()
        importSeries(archive[1:])
        indexing, searching = Told(), Told()
        fresh.indexDatabase(called(indexing))
        fresh.search(archive[0].series_uid, callbacks=called(searching))
        slicer.dicomDatabase.closeDatabase() if how == "close" else openDatabase(tmp_path / "other")
        waitUntil(lambda: indexing.isOver and searching.isOver)
        assert searching.cancellations == 1
        assert indexing.errors == []
        waitUntil(lambda: not any(ProcessIDs.isRunning(pid) for pid in fresh.pids))

    def test_the_application_ends_both_children(self, fresh, archive):
        fresh.indexDatabase()
        importSeries(archive[1:])
        indexing, searching = Told(), Told()
        fresh.indexDatabase(called(indexing))
        fresh.search(archive[0].series_uid, callbacks=called(searching))
        waitUntil(lambda: indexing.steps and fresh._client._worker._enginePID)
        pids = fresh.pids
        slicer.app._qt.aboutToQuit.emit()
        assert len(pids) >= 2 and not any(ProcessIDs.isRunning(pid) for pid in pids)
        assert searching.isOver and indexing.isOver

    def test_a_script_that_waits_is_told_when_the_application_ends(self, fresh):
        import qt

        qt.QTimer.singleShot(200, fresh.cleanUp)
        with pytest.raises(WorkCancelled):
            fresh.indexDatabase()

    def test_closing_the_scene_meanwhile_harms_neither(self, fresh, archive, phantomQuery):
        fresh.indexDatabase()
        importSeries(archive[1:])
        indexing, searching = Told(), Told()
        fresh.indexDatabase(called(indexing))
        fresh.search(aQueryNode(phantomQuery), callbacks=called(searching))
        slicer.mrmlScene.Clear(0)
        waitUntil(lambda: indexing.isOver and searching.isOver)
        assert indexing.results[0].added == 3 and searching.results
        with pytest.raises(RuntimeError, match="no longer in the scene"):
            fresh.showMatches(searching.results[0].matches)

    def test_encoders_say_what_they_need(self, logic):
        choices = {one.name: one for one in logic.encoders()}
        assert choices["descriptor"].problem == "" and not choices["descriptor"].needsWeights
        assert ("torch" in choices["torchscript"].problem) == (find_spec("torch") is None)
        assert choices["torchscript"].needsWeights
        assert choices["dinov2-vits14"].weights.license and not choices["dinov2-vits14"].needsWeights

    def test_another_encoder_has_an_index_of_its_own(self, logic):
        assert logic.status().volumes == 4
        Settings(encoder="torchscript").save()
        assert (logic.status().volumes, logic.status().notIndexed) == (0, 4)

    def test_two_indexes_of_one_encoder_are_both_searched(self, fresh, archive):
        fresh.indexDatabase()
        importSeries(archive[1:])
        Settings(encoder="descriptor", sliceStepMm=20.0).save()
        fresh.indexDatabase()
        assert {(one.encoder, one.title) for one in fresh.stores()} == {
            ("descriptor", "step 3 mm"),
            ("descriptor", "step 20 mm"),
        }
        assert fresh.status(wait=True).volumes == 4
        assert len(fresh.search(archive[0].series_uid).matches) == 3
        Settings(encoder="descriptor", sliceStepMm=3.0).save()
        assert fresh.status(wait=True).volumes == 1
        assert fresh.search(archive[0].series_uid).matches == ()

    def test_an_index_of_before_stays_usable_and_a_better_encoder_is_offered(self, fresh, archive, monkeypatch):
        report = fresh.indexDatabase()
        assert report.encoder == "descriptor" and fresh.status(wait=True).better == ""  # it was chosen
        Settings().save()
        status = fresh.status(wait=True)
        assert status.encoder.startswith("Descriptor") and sum(status.madeOn.values()) == 1
        assert status.better == ("radiology-resnet" if canRun("radiology-resnet") else "")
        assert fresh.search(archive[0].series_uid).encoder.startswith("descriptor")
        monkeypatch.setattr("VolumeRetrievalLib.Database.DatabaseIndex.canRun", lambda name: False)
        assert fresh.status(wait=True).better == ""

    def test_another_encoder_than_the_settings_can_be_indexed_with(self, makeLogic, tmp_path, monkeypatch):
        openDatabase(tmp_path / "database")
        body = 'hello(); say(type="error", error={"type": "E", "text": " ".join(sys.argv)}); sys.exit(1)'
        logic = makeLogic(makeCommand=lambda: fakeCommand(tmp_path / "engine", body))
        with pytest.raises(EngineError, match=r"--encoder radiology-resnet.*--renew --slicer-database"):
            logic.indexDatabase(encoder="radiology-resnet")
        # Made from the index that is there, so that it can be searched at once.
        monkeypatch.setattr(DatabaseIndex, "presentStore", lambda self: "descriptor-1234")
        with pytest.raises(EngineError, match="--renew --from descriptor-1234 --slicer-database"):
            logic.indexDatabase(encoder="radiology-resnet")

    def test_children_know_the_folder_of_weights(self, makeLogic, tmp_path):
        openDatabase(tmp_path / "database")
        Settings(weightsFolder=str(tmp_path / "weights")).save()
        body = 'hello(); say(type="error", error={"type": "E", "text": os.environ["VOLUME_RETRIEVAL_WEIGHTS"]})'
        logic = makeLogic(makeCommand=lambda: fakeCommand(tmp_path / "engine", body))
        with pytest.raises(EngineError, match=str(tmp_path / "weights")):
            logic.indexDatabase()

    @pytest.mark.parametrize("weights", ["", "/no/such/network.pt"])
    def test_a_network_without_its_file_is_not_started(self, fresh, weights):
        Settings(encoder="torchscript", weights=weights).save()
        told = Told()
        fresh.indexDatabase(called(told))
        assert "choose" in str(told.errors[0]) and weights in str(told.errors[0]) and fresh.pids == ()

    @pytest.mark.parametrize("encoder", ["torchscript", "descriptor", ""])
    def test_the_indexing_job_gets_the_networks_file(self, makeLogic, tmp_path, encoder):
        openDatabase(tmp_path / "database")
        weights = tmp_path / "network.pt"
        weights.write_bytes(b"")
        Settings(encoder=encoder, weights=str(weights)).save()
        body = 'hello(); say(type="error", error={"type": "E", "text": " ".join(sys.argv)}); sys.exit(1)'
        logic = makeLogic(makeCommand=lambda: fakeCommand(tmp_path / "engine", body))
        with pytest.raises(EngineError) as told:
            logic.indexDatabase()
        assert (f"--weights {weights}" in str(told.value)) == (encoder == "torchscript")

    def test_series_can_be_chosen(self, logic, archive):
        assert {one.seriesUID for one in logic.series()} == {one.series_uid for one in archive}
