"""The samples in the Sample Data module: phantoms made here and imported into the DICOM database."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import slicer
from slicer_application.modules import loadModule
from slicer_application.sample_data import clickSample
from VolumeRetrievalEngine.progress import Cancelled
from VolumeRetrievalLib.Samples import SampleArchive
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
    return list(Path(slicer.app.temporaryPath).glob("VolumeRetrievalPhantoms-*"))


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
    with pytest.raises(RuntimeError, match="open the DICOM module"):
        importArchive(1, COARSE, ("chest",))
    assert leftovers() == []


def test_cancelling_leaves_nothing_behind(database):
    def cancel(step):
        if step.done == 1:
            raise Cancelled

    assert importArchive(2, COARSE, ("chest",), cancel) == []
    assert database.seriesCount() == 0 and leftovers() == []


def test_the_query_is_a_volume_with_its_liver_marked():
    volume, segmentation = loadQuery((6.0, 6.0))
    (identifier,) = segmentation.GetSegmentation().GetSegmentIDs()
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, identifier, volume)
    liver = slicer.util.arrayFromVolume(volume)[mask > 0]
    assert mask.shape == slicer.util.arrayFromVolume(volume).shape
    assert liver.size > 500 and 20 < np.median(liver) < 160  # HU of a liver, with or without contrast
