"""Dates as the DICOM module shows them, and phases that can be told apart."""

from __future__ import annotations

import pytest
import slicer
from phantom_database import importSeries, openDatabase, writePhantoms
from VolumeRetrievalLib.Database import SeriesWords
from VolumeRetrievalLib.Database.DatabaseSeries import DatabaseSeries


@pytest.mark.parametrize(
    ("value", "shown"), [("20241027", "2024-10-27"), ("2024.10.27", "2024-10-27"), ("", ""), ("autumn", "autumn")]
)
def test_a_date(value, shown):
    assert SeriesWords.date(value) == shown


@pytest.mark.parametrize(
    ("part", "shown"),
    [
        ("", ""),
        ("TemporalPositionIdentifier: 2", "phase 2"),
        ("EchoTime: 80", "echo time 80 ms"),
        ("b-value and direction: b=800", "b=800"),
        ("EchoTime: 20; TemporalPositionIdentifier: 2", "echo time 20 ms, phase 2"),
        ("FlipAngle: 15; StackID: 3", "flip angle 15°, stack 3"),
        ("InstanceNumber order: repeat 3", "repeat 3"),
        ("TriggerTime: none", ""),
        ("ImageType: ORIGINAL/PRIMARY/M; AcquisitionNumber: 2", "ORIGINAL/PRIMARY/M, acquisition 2"),
    ],
)
def test_what_tells_a_volume_from_the_others_of_its_series(part, shown):
    assert SeriesWords.part(part) == shown


def test_both_are_in_the_description_of_a_match(tmp_path):
    series = writePhantoms(tmp_path / "phantoms", 1, ("chest",))
    openDatabase(tmp_path / "database")
    importSeries(series)
    database = DatabaseSeries(slicer.dicomDatabase)
    plain = database.describe(series[0].series_uid)
    assert database.describe(series[0].series_uid, "TemporalPositionIdentifier: 2").series == f"{plain.series}, phase 2"
    assert plain.study[4] == plain.study[7] == "-"
