"""Loading volumes whose files the DICOM database does not hold."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace

import pydicom
import pytest
import slicer
from phantom_database import importSeries, openDatabase, writePhantoms
from VolumeRetrievalEngine.united.answering import AnsweringFolders
from VolumeRetrievalEngine.volume import SourceFiles
from VolumeRetrievalLib.Database import OtherIndex
from VolumeRetrievalLib.Scene.MatchLoader import MatchLoader, SlicerReader

_POSITION, _ORIENTATION, _SPACING = "0020,0032", "0020,0037", "0028,0030"


def test_slicer_knows_where_the_slices_of_files_outside_its_database_lie(tmp_path):
    """By this it corrects a tilted gantry and uneven distances (DICOMScalarVolumePlugin.py, sliceCornersFromDICOM)."""
    held, outside = writePhantoms(tmp_path, 2, ("head",))
    openDatabase(tmp_path / "database")
    importSeries([held])
    header = pydicom.dcmread(outside.files[0])
    instance = str(header.SOPInstanceUID)
    assert slicer.dicomDatabase.instanceValue(instance, _POSITION) == ""

    node = SlicerReader().load([str(file) for file in outside.files])

    assert instance in node.GetAttribute("DICOM.instanceUIDs").split()
    known = {
        tag: [float(one) for one in slicer.dicomDatabase.instanceValue(instance, tag).split("\\")]
        for tag in (_POSITION, _ORIENTATION, _SPACING)
    }
    assert known[_POSITION] == list(header.ImagePositionPatient)
    assert known[_ORIENTATION] == list(header.ImageOrientationPatient)
    assert known[_SPACING] == list(header.PixelSpacing)


def test_without_a_database_files_are_loaded_all_the_same(tmp_path):
    (series,) = writePhantoms(tmp_path, 1, ("head",))
    assert not slicer.dicomDatabase.isOpen
    assert SlicerReader().load([str(file) for file in series.files]) is not None


def test_an_archive_on_a_share_that_hangs_is_waited_for_once_and_not_for_each_series():
    answers, asked = threading.Event(), []

    def hang(folder):
        asked.append(folder)
        answers.wait()
        return folder

    def match(*paths):
        files = tuple(Path("/mnt/archive") / one for one in paths)
        named = {"volume_id": paths[0], "series_uid": "1.2", "place": None, "store": "/mnt/index"}
        return SimpleNamespace(files=SourceFiles("archive", paths), file_paths=files, **named)

    loader = MatchLoader(SimpleNamespace(find=lambda volume: None))
    loader._answering = AnsweringFolders(0.05, hang)
    for one in (match("a/ct/1.dcm", "a/ct/2.dcm"), match("b.dcm")):
        with pytest.raises(RuntimeError, match="does not answer"):
            loader.loadMatch(one, SimpleNamespace(folder=Path("/data/index")))
    answers.set()
    assert asked == [Path("/mnt/archive")]


def test_the_archive_of_files_whose_folder_the_index_does_not_know_is_no_folder():
    match = SimpleNamespace(files=SourceFiles("archive", ("a/ct/1.dcm",)), file_paths=(Path("a/ct/1.dcm"),))
    assert OtherIndex.archiveOf(match) == Path()
