"""The samples in the Sample Data module: phantoms made here and imported into the DICOM database."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import slicer
from slicer_application.modules import loadModule
from slicer_application.sample_data import clickSample
from VolumeRetrievalEngine.progress import Cancelled
from VolumeRetrievalLib.Samples import SampleArchive
from VolumeRetrievalLib.Samples.Aside import runAside
from VolumeRetrievalLib.Samples.SampleArchive import importArchive, loadQuery

MODULE_FILE = Path(__file__).parents[3] / "VolumeRetrieval" / "VolumeRetrieval.py"
COARSE = (12.0, 14.0)


@pytest.fixture
def database(tmp_path):
    slicer.dicomDatabase.openDatabase(str(tmp_path / "database" / "ctkDICOM.sql"))
    return slicer.dicomDatabase


@pytest.fixture
def smallArchive(monkeypatch):
    """What the sample's button makes, small."""

    def make(progress=None):
        return importArchive(2, COARSE, ("chest",), progress)

    monkeypatch.setattr(SampleArchive, "importArchive", make)


def leftovers():
    return list(Path(slicer.app.temporaryPath).glob("VolumeRetrieval*-*"))


def startUp():
    loadModule(MODULE_FILE)
    slicer.app._qt.startupCompleted.emit()


def test_both_samples_are_registered_when_slicer_has_started(database):
    startUp()
    names = [one.sampleName for one in slicer.modules.sampleDataSources["VolumeRetrieval"]]
    assert names == ["PhantomArchive", "PhantomQuery"]
    assert slicer.modules.sampleDataSourceCategories["VolumeRetrieval"]["title"] == "Volume Retrieval"


def test_starting_twice_registers_once(database):
    startUp()
    startUp()
    assert len(slicer.modules.sampleDataSources["VolumeRetrieval"]) == 2


def test_the_archive_comes_into_the_dicom_database_and_stays_when_its_folder_is_gone(database, smallArchive):
    startUp()
    clickSample("VolumeRetrieval", "PhantomArchive")
    assert len(database.patients()) == 2 and database.seriesCount() == 2
    patient = database.patients()[0]
    series = database.seriesForStudy(database.studiesForPatient(patient)[0])[0]
    files = database.filesForSeries(series)
    assert files and all(Path(file).is_file() for file in files)
    assert leftovers() == []


def test_doing_it_again_adds_nothing(database):
    first = importArchive(2, COARSE, ("chest",))
    assert importArchive(2, COARSE, ("chest",)) == first
    assert database.seriesCount() == 2


def test_without_an_open_database_it_says_what_to_do():
    with pytest.raises(RuntimeError, match="Create new database"):
        importArchive(1, COARSE, ("chest",))
    assert leftovers() == []


@pytest.mark.parametrize(("stage", "there"), [("phantoms", 0), ("import", 1)])
def test_cancelling_leaves_nothing_behind(database, stage, there):
    def cancel(step):
        if step.stage == stage and step.done == 1:
            raise Cancelled

    assert importArchive(2, COARSE, ("chest",), cancel) == []
    assert database.seriesCount() == there and leftovers() == []


def test_the_application_goes_on_while_phantoms_are_made(database):
    import qt

    events, steps = [], []
    timer = qt.QTimer()
    timer.connect("timeout()", lambda: events.append(threading.current_thread()))
    timer.start(5)
    importArchive(2, COARSE, ("chest",), steps.append)
    timer.stop()
    assert len(events) > 2 and {"phantoms", "import"} == {step.stage for step in steps}


def test_what_a_crash_left_behind_is_removed(database):
    left = Path(slicer.app.temporaryPath) / "VolumeRetrieval-999999999-abc"
    left.mkdir()
    importArchive(1, COARSE, ("chest",))
    assert leftovers() == []


def test_the_dialog_of_the_sample_can_be_cancelled(database, smallArchive, monkeypatch):
    dialogs = []
    make = slicer.util.createProgressDialog

    def record(**values):
        dialogs.append(make(**values))
        dialogs[0].cancel()
        return dialogs[0]

    monkeypatch.setattr(slicer.util, "createProgressDialog", record)
    startUp()
    clickSample("VolumeRetrieval", "PhantomArchive")
    assert len(dialogs) == 1 and database.seriesCount() == 0


def test_an_error_on_the_other_thread_reaches_the_caller():
    def fail(report):
        raise ValueError("no such organ")

    with pytest.raises(ValueError, match="no such organ"):
        runAside(fail)


def test_the_query_is_a_volume_with_its_liver_marked():
    volume, segmentation = loadQuery((6.0, 6.0))
    (identifier,) = segmentation.GetSegmentation().GetSegmentIDs()
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, identifier, volume)
    liver = slicer.util.arrayFromVolume(volume)[mask > 0]
    assert mask.shape == slicer.util.arrayFromVolume(volume).shape
    assert liver.size > 500 and 20 < np.median(liver) < 160  # HU of a liver, with or without contrast
