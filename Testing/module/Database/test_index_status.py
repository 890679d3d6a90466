"""What is told of the index while others work on it: automatic runs, other processes, files that are gone."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from time import monotonic

import pytest
from children import Told, cleanUp, fakeCommand, realCommand, waitUntil
from engine.bundled_editions import FIRST_FOLDER, bundle, copy_edition, only_onnxruntime
from phantom_database import PhantomReader, importSeries, indexDatabase, openDatabase, writePhantoms
from VolumeRetrievalEngine.errors import NoStoreError, StoreReadOnlyError
from VolumeRetrievalLib import IndexLogic, Texts
from VolumeRetrievalLib.Processes import EngineErrors
from VolumeRetrievalLib.Processes.EngineErrors import EngineError
from VolumeRetrievalLib.RetrievalLogic import RetrievalLogic
from VolumeRetrievalLib.Settings import Settings
from VolumeRetrievalLib.Values import Callbacks, DatabaseStatus, Progress

LATER = 50

#: An indexing run that tells where it stands, and goes on until its input is closed.
_SLOW_RUN = """
hello()
for number in range(40):
    say(type="progress", stage="index", done=number, total=40, item="/dicom/ab12", series=SERIES)
sys.stdin.buffer.read()
say(type="result", result={"cancelled": True})
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return writePhantoms(tmp_path_factory.mktemp("phantoms"), views=("chest",))


@pytest.fixture
def database(archive, tmp_path) -> Path:
    """An open database with two series, nothing indexed."""
    openDatabase(tmp_path / "database")
    importSeries(archive)
    return tmp_path / "database"


@pytest.fixture
def makeLogic():
    Settings(encoder="descriptor").save()
    made = []

    def make(command=realCommand):
        made.append(RetrievalLogic(makeCommand=command, reader=PhantomReader(), quietMilliseconds=LATER))
        return made[-1]

    yield make
    cleanUp(made)


@pytest.fixture
def slowLogic(makeLogic, database, archive, tmp_path):
    return makeLogic(lambda: fakeCommand(tmp_path / "engine", f"SERIES = {archive[0].series_uid!r}\n" + _SLOW_RUN))


class TestRuns:
    def test_a_run_that_nobody_in_the_panel_started_is_told_of_and_can_be_cancelled(self, slowLogic):
        Settings(encoder="descriptor", indexAutomatically=True).save()
        told, began = [], monotonic()
        slowLogic.onStatusChanged(lambda: told.append(slowLogic.status().indexing))
        waitUntil(lambda: any(step is not None and step.done == 39 for step in told))

        step = slowLogic.status().indexing
        assert "Phantom" in step.item and (step.stage, step.total) == ("index", 40)
        assert len(told) < 5 + (monotonic() - began) / 0.09, "every single step was told"

        slowLogic.cancelIndexing()
        assert slowLogic.status().indexing.stage == "stopping"
        waitUntil(lambda: told[-1] is None)
        assert slowLogic.pids == ()

    def test_automatic_indexing_waits_for_another_process_and_then_goes_on(
        self, makeLogic, database, tmp_path, monkeypatch, caplog
    ):
        monkeypatch.setattr(IndexLogic, "AGAIN_MILLISECONDS", LATER)
        Settings(encoder="descriptor", indexAutomatically=True).save()
        said = {"added": 2, "replaced": 0, "moved": 0, "pruned": 0, "superseded": 0, "unchanged": 0, "failed": []}
        body = f"""
import pathlib
hello()
runs = pathlib.Path({str(tmp_path / "runs")!r})
number = len(runs.read_text()) if runs.exists() else 0
runs.write_text("x" * (number + 1))
if number < 2:
    say(type="error", error={{"type": "StoreLockedError", "text": "locked", "fields": {{}}}})
else:
    say(type="result", result={said | {"skipped": [], "store": {"volumes": 2}}})
"""
        logic = makeLogic(lambda: fakeCommand(tmp_path / "engine", body))
        waitUntil(lambda: logic.status().lastReport is not None)
        Settings(encoder="descriptor").save()

        assert logic.status().lastReport.added == 2
        assert len((tmp_path / "runs").read_text()) >= 3
        assert "failed" not in caplog.text

    def test_whoever_turns_automatic_indexing_on_need_not_wait_for_an_import(self, makeLogic, database, tmp_path):
        logic = makeLogic(lambda: fakeCommand(tmp_path / "engine", "hello(); sys.stdin.buffer.read()"))
        logic.status(wait=True)
        logic.indexAutomatically()
        assert logic.status().indexing is None  # it is off
        Settings(encoder="descriptor", indexAutomatically=True).save()
        logic.indexAutomatically()
        job = logic._indexing.job
        assert logic.status().indexing is not None
        logic.indexAutomatically()
        assert logic._indexing.job is job

    def test_cancelling_what_does_not_run_does_nothing(self, slowLogic):
        slowLogic.cancelIndexing()
        assert slowLogic.status().indexing is None

    def test_the_last_news_is_of_this_database_only(self, makeLogic, database, tmp_path):
        said = {"added": 2, "replaced": 0, "moved": 0, "pruned": 0, "superseded": 0, "unchanged": 0, "failed": []}
        body = f'hello(); say(type="result", result={said | {"skipped": [], "store": {"volumes": 2}}})'
        logic = makeLogic(lambda: fakeCommand(tmp_path / "engine", body))
        logic.indexDatabase()
        assert logic.status().lastReport.added == 2
        openDatabase(tmp_path / "other")
        assert (logic.status().lastReport, logic.status().lastFailure) == (None, "")

    def test_a_failure_is_kept_until_the_next_run(self, makeLogic, database, tmp_path):
        bodies = [
            'hello(); say(type="error", error={"type": "StoreError", "text": "the disk is full"})',
            'hello(); say(type="progress", stage="scan", done=0, total=0); sys.stdin.buffer.read()',
        ]
        logic = makeLogic(lambda: fakeCommand(tmp_path / "engine", bodies.pop(0)))
        with pytest.raises(EngineError):
            logic.indexDatabase()
        assert logic.status().lastFailure == "the disk is full"
        told = Told()
        logic.indexDatabase(Callbacks(*told.arguments()))
        assert logic.status().lastFailure == "" and logic.status().indexing is not None
        logic.cancelIndexing()
        waitUntil(lambda: told.isOver)


class TestChanges:
    def test_an_index_made_by_another_process_is_noticed_when_somebody_looks(self, makeLogic, database):
        logic = makeLogic()
        assert (logic.status(wait=True).volumes, logic.refresh()) == (0, False)
        told = []
        logic.onStatusChanged(lambda: told.append(logic.status().volumes))

        indexDatabase(database)

        assert logic.status().volumes == 0  # nothing is watched all the time
        assert logic.refresh() and not logic.refresh()
        assert told == [2]
        status = logic.status()
        assert (status.series, status.indexedSeries, status.notIndexed, status.removed) == (2, 2, 0, 0)

    def test_right_after_the_start_the_database_is_still_being_read(self, makeLogic, database):
        indexDatabase(database)
        logic = makeLogic()
        assert logic.status().reading and "Reading" in Texts.databaseStatus(logic.status())
        waitUntil(lambda: not logic.status().reading)
        assert logic.status().indexedSeries == 2

    def test_a_better_encoder_is_offered_as_soon_as_its_packages_are_there(self, makeLogic, database, monkeypatch):
        there = [False]
        monkeypatch.setattr("VolumeRetrievalLib.Database.DatabaseIndex.canRun", lambda name: there[0])
        Settings().save()
        indexDatabase(database)
        logic = makeLogic()
        assert logic.status().better == ""
        there[0] = True
        assert logic.status().better == "radiology-resnet"

    def test_an_index_whose_slices_an_earlier_version_made_is_kept_and_a_new_one_offered(self, makeLogic, database):
        Settings(encoder="descriptor").save()
        indexDatabase(database, preprocessing_version=1)
        logic = makeLogic()
        status = logic.status(wait=True)
        assert (status.better, status.isEarlier) == ("descriptor", True)
        assert "A new index" in Texts.databaseStatus(status)

        indexDatabase(database, renew=True)  # what the button starts, see test_retrieval_logic.py

        assert logic.refresh()
        status = logic.status()
        assert (status.better, status.isEarlier, status.volumes) == ("", False, 2)

    @pytest.mark.parametrize("chosen", ["", "radiology-resnet"])
    def test_an_index_of_an_earlier_edition_of_the_encoder_is_kept_and_a_new_one_offered(
        self, chosen, makeLogic, database, tmp_path, monkeypatch
    ):
        pytest.importorskip("onnxruntime")
        only_onnxruntime(monkeypatch)
        Settings(encoder=chosen).save()
        bundle(monkeypatch, FIRST_FOLDER)
        indexDatabase(database, "radiology-resnet")
        logic = makeLogic()
        assert (logic.status(wait=True).better, logic.status().isEarlierEdition) == ("", False)
        old = logic.status().store

        bundle(monkeypatch, copy_edition(tmp_path / "later"))  # the extension is updated
        indexDatabase(database, chosen)  # at Slicer's next start

        logic = makeLogic()
        status = logic.status(wait=True)
        assert (status.better, status.isEarlierEdition, status.isEarlier) == ("radiology-resnet", True, False)
        assert (status.store, status.volumes, status.notIndexed) == (old, 2, 0)
        assert "newer edition" in Texts.databaseStatus(status) and "A new index" in Texts.databaseStatus(status)
        assert "an earlier edition" in Texts.indexDetails(status)

        indexDatabase(database, status.better, renew=True)  # what the button starts, see test_retrieval_logic.py

        assert logic.refresh()
        status = logic.status()
        assert (status.better, status.isEarlierEdition, status.volumes) == ("", False, 2)
        assert status.store != old
        assert logic.stores() == []  # no setting tells the two apart

    def test_an_index_that_was_deleted_or_moved_is_a_sentence(self, makeLogic, database, archive):
        indexDatabase(database)
        logic = makeLogic()
        assert logic.status(wait=True).volumes == 2
        volume = logic._index.contents.volumesOfSeries(archive[0].series_uid)[0]
        shutil.rmtree(database / "VolumeRetrieval")

        assert logic.refresh() and logic.status().volumes == 0
        with pytest.raises(LookupError):
            logic._index.contents.volume(volume.volumeID)

    def test_a_closed_database_says_how_to_get_one(self, makeLogic):
        assert "Create new database" in makeLogic().status().problem


class TestWords:
    @pytest.mark.parametrize(
        ("error", "expected", "absent"),
        [
            (
                {
                    "type": "StoreLockedError",
                    "text": "process 23129 on vm (...__main__.py index) is writing",
                    "fields": {},
                },
                "Another Slicer or a nightly run",
                "process",
            ),
            (
                {"type": "StoreLockedError", "text": "process 1", "fields": {"host": "nightly.example"}},
                "on the computer nightly.example",
                "process",
            ),
            (
                {"type": "NoStoreError", "text": "no store at /x: index something first"},
                "Nothing is indexed yet",
                "store",
            ),
            (
                {"type": "MissingPackageError", "text": "", "fields": {"package": "torch", "purpose": "the encoder x"}},
                "The encoder x needs the Python package torch",
                "pip",
            ),
            ({"type": "QueryError", "text": "a region that misses the volume"}, "misses the volume", "python"),
        ],
    )
    def test_the_panel_has_words_of_its_own(self, error, expected, absent):
        text = str(EngineError.ofMessage(error))
        assert expected in text and absent not in text

    def test_an_error_in_this_process_is_worded_alike(self):
        error = NoStoreError(
            "no store at /x: index something first", "python -m VolumeRetrievalEngine index", folder="/x"
        )
        assert "python -m" in str(error) and "python -m" not in EngineErrors.inWords(error)
        assert "/x" in EngineErrors.inWords(StoreReadOnlyError("cannot be made", "--store", folder="/x"))

    def test_progress_has_a_unit(self):
        assert Texts.progress(Progress("scan", 750, 1252)).startswith("750 of 1,252 files")
        assert Texts.progress(Progress("index", 3, 12, "Anna, Chest")) == "3 of 12 volumes\nAnna, Chest"
        building = Progress("build", 3000, 100000, "search index of volumes", remaining=70)
        assert Texts.progress(building).startswith("Search index: 3,000 of 100,000 volumes, ")
        assert Texts.searchProgress(building) == "Preparing search, 3,000 of 100,000"

    def test_what_is_better_about_a_new_index_is_said(self):
        status = DatabaseStatus("/data", volumes=2, better="radiology-resnet")
        assert "A better encoder can run here now." in Texts.databaseStatus(status)
        both = Texts.databaseStatus(replace(status, isEarlier=True, isEarlierEdition=True))
        assert "newer edition" in both and "Slices are prepared better" in both and "better encoder" not in both

    def test_another_slice_step_than_the_indexes_is_said(self):
        status = DatabaseStatus("/data", volumes=2, encoder="Descriptor", sliceStepMm=3.0, nextSliceStepMm=6.0)
        assert "3 mm" in Texts.databaseStatus(status)
        assert "3 mm" not in Texts.databaseStatus(replace(status, nextSliceStepMm=3.0))
