"""Attribute filters: what they keep, and what they say when they make no sense."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from engine.store_samples import RECIPE, new_volume, volume_id
from VolumeRetrievalEngine.errors import FilterError
from VolumeRetrievalEngine.store import VolumeStore
from VolumeRetrievalEngine.store.attribute_filter import ATTRIBUTES, AttributeFilter
from VolumeRetrievalEngine.volume import Attributes, Identity

VOLUMES = [
    Attributes("CT", "dicom", "CHEST", "20200131", "SIEMENS", "Iomeron", "Thorax Lunge 1.0"),
    Attributes("CT", "dicom", "ABDOMEN", "20191231", "GE MEDICAL SYSTEMS", "", "Abdomen venös"),
    Attributes("MR", "csv", "Knee", "20210615", "Siemens Healthineers", "", "PD fs 100%_cor"),
    Attributes("PT", "option", "", "", "", "", "WB Lung_AC"),
    Attributes(),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VolumeStore]:
    with VolumeStore.create(tmp_path_factory.mktemp("filter") / "recipe", RECIPE) as store:
        for number, attributes in enumerate(VOLUMES):
            token = f"token {number}" if number < 3 else ""  # of 3 and 4 nothing is known
            store.add(new_volume(number, attributes=attributes, patient_token=token, study_token=token))
        yield store


def kept(store: VolumeStore, keep: AttributeFilter) -> list[int]:
    """The numbers of the volumes that a filter keeps, which listing and keys agree on."""
    records = store.listing(keep)
    keys = store.keys(keep)
    assert keys.dtype == np.int64
    assert keys.tolist() == [record.key for record in records]
    return [int(record.volume_id, 16) for record in records]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], [0, 1, 2, 3, 4]),
        (["modality=CT"], [0, 1]),
        (["modality=ct"], [0, 1]),
        (["Modality = CT"], [0, 1]),
        (["modality=CT,PT"], [0, 1, 3]),
        (["modality=CT , mr"], [0, 1, 2]),
        (["modality!=CT"], [2, 3, 4]),
        (["modality!=CT,MR"], [3, 4]),
        (["body_part=chest"], [0]),
        (["body-part=KNEE"], [2]),
        (["modality=CT", "body_part=ABDOMEN"], [1]),
        (["modality=CT", "modality=MR"], []),
        (["manufacturer=siemens"], [0]),
        (["manufacturer~siemens"], [0, 2]),
        (["manufacturer~siemens,ge"], [0, 1, 2]),
        (["series_description~lung"], [0, 3]),
        (["series_description~VENÖS"], [1]),
        (["series_description~%"], [2]),
        (["series_description~_"], [2, 3]),
        (["contrast_agent=iomeron"], [0]),
        (["study_date>=20200101"], [0, 2]),
        (["study_date>20200131"], [2]),
        (["study_date>=20200131"], [0, 2]),
        (["study_date<20200131"], [1]),
        (["study_date<=2020-01-31"], [0, 1]),
        (["study_date=20200101..20201231"], [0]),
        (["study_date=2019..202001"], [0, 1]),
        (["study_date=2020.."], [0, 2]),
        (["study_date=..2019"], [1]),
        (["study_date=2020"], [0]),
        (["study_date=202106"], [2]),
        (["study_date=2019,2021"], [1, 2]),
        (["study_date!=2020"], [1, 2, 3, 4]),
        (["study_date>2019"], [0, 2]),
        (["study_date<2021"], [0, 1]),
        (["study_date<=2021"], [0, 1, 2]),
        (["plane=axial"], [0, 1, 2, 3, 4]),
        (["series_uid=1.2.3"], [3]),
        (["path~series 2"], [2]),
        (["modality='; DROP TABLE volumes; --"], []),
    ],
)
def test_a_filter_keeps_what_it_says(store: VolumeStore, texts: list[str], expected: list[int]) -> None:
    assert kept(store, AttributeFilter.parse(texts)) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("organ=liver", "body_part"),
        ("patient_name=Doe", "unknown attribute"),
        ("modality", "ATTRIBUTE=VALUE"),
        ("=CT", "ATTRIBUTE=VALUE"),
        ("modality=", "no value"),
        ("modality=CT,,MR", "no value"),
        ("modality>CT", "study_date"),
        ("study_date~2020", "study_date=2020"),
        ("study_date>=2019,2020", "one date"),
        ("study_date=yesterday", "YYYYMMDD"),
        ("study_date=20200", "YYYYMMDD"),
        ("study_date=..", "at least one end"),
        ("study_date=2020..now", "YYYYMMDD"),
    ],
)
def test_a_filter_that_makes_no_sense_says_what_would(text: str, said: str) -> None:
    with pytest.raises(FilterError) as raised:
        AttributeFilter.parse([text])
    assert said in str(raised.value)


def test_an_unknown_attribute_is_answered_with_the_known_ones() -> None:
    with pytest.raises(FilterError) as raised:
        AttributeFilter.parse(["organ=liver"])
    assert all(name in str(raised.value) for name in ATTRIBUTES)


@pytest.mark.parametrize(
    ("leave_out", "expected"),
    [
        ({}, [0, 1, 2, 3, 4]),
        ({"volume": True}, [1, 2, 3, 4]),
        ({"series": True}, [2, 3, 4]),
        ({"study": True}, [3, 4]),
        ({"patient": True}, [4]),
    ],
)
def test_the_querys_own_volumes_can_be_left_out(tmp_path: Path, leave_out: dict, expected: list[int]) -> None:
    known = [
        ("1.2", "study", "patient"),  # the query
        ("1.2", "study", "patient"),  # another volume of its series
        ("1.3", "study", "patient"),  # another series of its study
        ("1.4", "earlier study", "patient"),  # another study of its patient
        ("1.5", "other study", "other patient"),
    ]
    with VolumeStore.create(tmp_path / "recipe", RECIPE) as own:
        for number, (series, study, patient) in enumerate(known):
            identity = Identity(volume_id(number), f"fingerprint {number}", series, patient, study)
            own.add(dataclasses.replace(new_volume(number), identity=identity))
        keep = AttributeFilter().excluding(own.find(volume_id(0)).identity, **leave_out)
        assert kept(own, keep) == expected


def test_unknown_never_equals_unknown(store: VolumeStore) -> None:
    stranger = Identity(volume_id(77), "fingerprint")  # no series, no study, no patient, as volumes 3 and 4
    assert kept(store, AttributeFilter().excluding(stranger, patient=True)) == [0, 1, 2, 3, 4]


def test_leaving_out_an_unknown_patient_still_leaves_out_the_volume_itself(store: VolumeStore) -> None:
    identity = store.find(volume_id(4)).identity
    assert identity.patient_token == ""
    assert kept(store, AttributeFilter().excluding(identity, patient=True)) == [0, 1, 2, 3]


def test_conditions_and_exclusions_hold_together(store: VolumeStore) -> None:
    identity = store.find(volume_id(0)).identity
    keep = AttributeFilter.parse(["modality=CT,MR"]).excluding(identity, volume=True)
    assert kept(store, keep) == [1, 2]
    assert keep
    assert not AttributeFilter()
    assert str(keep) == "modality=CT,MR"


@pytest.mark.parametrize(
    ("uids", "expected"),
    [
        ([], [0, 1, 2, 3, 4]),
        (["1.2.1"], [0, 2, 3, 4]),
        (["1.2.1", "1.2.3"], [0, 2, 4]),
        (["1.2", "2.1", "1.2.10", ""], [0, 1, 2, 3, 4]),  # a part of an id is another id
        ([f"1.2.{number}" for number in range(2, 5000)], [0, 1]),  # more than SQLite takes parameters
    ],
)
def test_volumes_of_listed_series_are_left_out(store, uids, expected):
    assert kept(store, AttributeFilter().without_series(uids)) == expected
    both = AttributeFilter.parse(["modality=CT"]).without_series(uids[:1]).without_series(uids[1:])
    assert kept(store, both) == [number for number in expected if number < 2]


def test_files_without_a_series_are_never_left_out_by_one(tmp_path):
    with VolumeStore.create(tmp_path / "recipe", RECIPE) as store:
        volume = new_volume(0)
        store.add(dataclasses.replace(volume, identity=dataclasses.replace(volume.identity, series_uid="")))
        assert len(store.keys(AttributeFilter().without_series(["", "1.2.3"]))) == 1
