"""One series can hold several volumes: how it is divided, and which ids the parts have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine.dicom_files import item, multiframe_data_set, slice_data_set, stored_values, write, write_series
from VolumeRetrievalEngine.patients import PatientTokens
from VolumeRetrievalEngine.reading import Roots, discover
from VolumeRetrievalEngine.volume import dicom_volume_id

SERIES = "1.2.826.0.1.1"


def sources_of(folder: Path) -> list:
    return discover([folder], root=Roots(), tokens=PatientTokens(b"k" * 32)).sources


def ids(folder: Path) -> set[str]:
    return {source.identity.volume_id for source in sources_of(folder)}


def by_first_instance(folder: Path) -> list:
    """The volumes of a folder whose files are named by instance number, in the order of their first instance."""
    return sorted(sources_of(folder), key=lambda source: min(source.files.paths))


def write_stacks(folder: Path, values: list[dict[str, Any]], slices: int = 4, interleaved: bool = False) -> np.ndarray:
    """One stack of slices at the same positions for each dict of attributes; stored values [stack, k, j, i]."""
    stored = np.stack([stored_values((slices, 8, 8), seed) for seed in range(len(values))])
    for number, attributes in enumerate(values):
        for k in range(slices):
            instance = 1 + (k * len(values) + number if interleaved else number * slices + k)
            path = folder / f"{instance:03d}.dcm"
            write(path, slice_data_set(stored[number, k], (0, 0, 2.0 * k), **{"instance": instance, **attributes}))
    return stored


def test_an_undivided_series_has_the_id_of_the_series_alone(tmp_path: Path):
    write_series(tmp_path, stored_values())
    assert ids(tmp_path) == {dicom_volume_id(SERIES, "")}


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ([{"EchoTime": 10}, {"EchoTime": 80.5}], "EchoTime"),
        ([{"DiffusionBValue": 0.0}, {"DiffusionBValue": 1000.0}], "b-value and direction"),
        (
            [
                {"DiffusionBValue": 1000.0, "DiffusionGradientOrientation": [1.0, 0.0, 0.0]},
                {"DiffusionBValue": 1000.0, "DiffusionGradientOrientation": [0.0, 1.0, 0.0]},
            ],
            "b-value and direction",
        ),
        ([{"TemporalPositionIdentifier": 1}, {"TemporalPositionIdentifier": 2}], "TemporalPositionIdentifier"),
        ([{"TriggerTime": 0}, {"TriggerTime": 45.5}, {"TriggerTime": 91}], "TriggerTime"),
        ([{"AcquisitionNumber": 1}, {"AcquisitionNumber": 2}], "AcquisitionNumber"),
        ([{}, {}], "InstanceNumber order"),
        ([{"image_type": ("ORIGINAL", "PRIMARY", "M")}, {"image_type": ("ORIGINAL", "PRIMARY", "P")}], "ImageType"),
        ([{"spacing": (1, 1)}, {"spacing": (0.5, 0.5)}], "pixel spacing"),
    ],
)
@pytest.mark.parametrize("interleaved", [False, True])
def test_a_series_is_divided_by(tmp_path: Path, values: list[dict], named: str, interleaved: bool):
    stored = write_stacks(tmp_path, values, interleaved=interleaved)
    found = by_first_instance(tmp_path)
    assert len(found) == len(values)
    for number, source in enumerate(found):
        assert f"divided by {named}: " in source.notes[0]
        assert source.notes[0].startswith(f"one of {len(values)} volumes of its series")
        np.testing.assert_array_equal(source.read().voxels, stored[number])
    assert len(ids(tmp_path)) == len(values)


def test_different_orientations_are_different_volumes(tmp_path: Path):
    stored = stored_values()
    write_series(tmp_path / "axial", stored)
    coronal = (1, 0, 0, 0, 0, -1)
    write_series(tmp_path / "coronal", -stored, first=10, orientation=coronal, position=lambda k: (0.0, 2.0 * k, 0.0))
    axial, found = sources_of(tmp_path)
    assert all("divided by orientation" in source.notes[0] for source in (axial, found))
    np.testing.assert_array_equal(axial.read().voxels, stored)
    np.testing.assert_array_equal(found.read().voxels, -stored)


def test_different_matrices_are_different_volumes(tmp_path: Path):
    write_series(tmp_path, stored_values((4, 8, 8)))
    write_series(tmp_path, stored_values((5, 8, 6)), first=10)
    assert sorted(source.n_slices for source in sources_of(tmp_path)) == [4, 5]
    assert all("divided by matrix" in source.notes[0] for source in sources_of(tmp_path))


@pytest.mark.parametrize(
    ("maker", "tag", "kind", "values"),
    [
        ("SIEMENS", 0x0019100C, "IS", ["0", "800"]),
        ("SIEMENS", 0x0019100C, "UN", [b"0 ", b"800 "]),
        ("GE MEDICAL SYSTEMS", 0x00431039, "IS", [["1000000000", "8", "0", "0"], ["1000000800", "8", "0", "0"]]),
        ("Philips Medical Systems", 0x20011003, "FL", [0.0, 800.0]),
        ("Philips Medical Systems", 0x20011003, "UN", [np.float32(0).tobytes(), np.float32(800).tobytes()]),
    ],
)
def test_the_makers_own_b_values_divide_too(tmp_path: Path, maker: str, tag: int, kind: str, values: list):
    for number, b_value in enumerate(values):
        for k in range(4):
            instance = 1 + number * 4 + k
            made = slice_data_set(stored_values()[k], (0, 0, k), instance=instance, Manufacturer=maker)
            made.add_new(tag, kind, b_value)
            write(tmp_path / f"{instance}.dcm", made)
    notes = {source.notes[0].partition("volumes of its series, ")[2] for source in sources_of(tmp_path)}
    assert notes == {f"divided by b-value and direction: b={b}" for b in (0, 800)}


def test_criteria_divide_together(tmp_path: Path):
    """EchoTime divides one time point from the others, which it leaves repeated; then the time point divides these."""
    write_stacks(
        tmp_path, [{"EchoTime": echo, "TemporalPositionIdentifier": time} for time, echo in ((1, 5), (2, 5), (3, 6))]
    )
    start = "one of 3 volumes of its series, divided by EchoTime"
    assert sorted(source.notes[0] for source in sources_of(tmp_path)) == [
        f"{start}: 5; TemporalPositionIdentifier: 1",
        f"{start}: 5; TemporalPositionIdentifier: 2",
        f"{start}: 6",
    ]


def test_a_value_that_differs_for_every_slice_divides_nothing(tmp_path: Path):
    """A trigger time with jitter makes positions unique, one slice to a group; the acquisition is what was meant."""
    for instance in range(1, 13):
        attributes = {"TriggerTime": 3.7 * instance, "AcquisitionNumber": 1 + (instance > 6)}
        pixels = stored_values((8, 8), instance)
        write(
            tmp_path / f"{instance}.dcm", slice_data_set(pixels, (0, 0, instance % 6), instance=instance, **attributes)
        )
    found = sources_of(tmp_path)
    assert [source.n_slices for source in found] == [6, 6]
    assert all("AcquisitionNumber" in source.notes[0] for source in found)


def test_values_that_vary_along_an_undivided_stack_do_not_divide_it(tmp_path: Path):
    write_series(
        tmp_path,
        stored_values(),
        AcquisitionNumber=lambda k: k,
        EchoTime=lambda k: 10 + k,
        spacing=lambda k: (0.75, 0.5 + 1e-5 * k),
        orientation=lambda k: (1, 0, 0, 0, 1, 1e-6 * k),
    )
    assert [source.n_slices for source in sources_of(tmp_path)] == [5]


def test_summed_slices_belong_to_the_stack_they_were_acquired_in(tmp_path: Path):
    """A GE sequential head scan: the thin slices of the posterior fossa are added in pairs, and marked ADD."""
    write_series(
        tmp_path,
        stored_values((8, 8, 8)),
        image_type=lambda k: ("ORIGINAL", "PRIMARY", "AXIAL", "ADD")[: 4 if k < 4 else 3],
    )
    assert [source.n_slices for source in sources_of(tmp_path)] == [8]


def test_an_indexed_volume_keeps_its_id_when_its_series_becomes_divided(tmp_path: Path):
    write_stacks(tmp_path, [{"EchoTime": 10}])
    (alone,) = ids(tmp_path)
    fingerprint = sources_of(tmp_path)[0].identity.fingerprint
    for k in range(4):
        made = slice_data_set(stored_values()[k], (0, 0, 2.0 * k), instance=20 + k, EchoTime=80)
        write(tmp_path / f"second{k}.dcm", made)
    two = {source.identity.volume_id: source for source in sources_of(tmp_path)}
    assert len(two) == 2
    assert two[alone].identity.fingerprint == fingerprint
    for k in range(4):
        made = slice_data_set(stored_values()[k], (0, 0, 2.0 * k), instance=40 + k, EchoTime=120)
        write(tmp_path / f"third{k}.dcm", made)
    for k in range(4):
        made = slice_data_set(stored_values()[k][:6], (0, 0, 2.0 * k), instance=60 + k)
        write(tmp_path / f"matrix{k}.dcm", made)
    four = ids(tmp_path)
    assert set(two) < four
    assert len(four) == 4


def test_the_id_of_every_part_stays_when_slices_are_added_and_its_fingerprint_changes(tmp_path: Path):
    write_stacks(tmp_path, [{"EchoTime": 10}, {"EchoTime": 80}])
    before = {source.identity.volume_id: source.identity.fingerprint for source in sources_of(tmp_path)}
    write(tmp_path / "extra.dcm", slice_data_set(stored_values()[0][:8, :8], (0, 0, 20), instance=99, EchoTime=80))
    after = {source.identity.volume_id: source.identity.fingerprint for source in sources_of(tmp_path)}
    assert set(before) == set(after)
    assert sum(before[one] != after[one] for one in before) == 1


def test_a_few_stray_slices_do_not_take_the_id_of_the_series(tmp_path: Path):
    write_series(tmp_path, stored_values((6, 8, 8)), first=5)
    write_series(tmp_path, stored_values((2, 4, 4)), first=1)
    found = discover([tmp_path], root=Roots(), tokens=PatientTokens(b"k" * 32))
    assert [source.identity.volume_id for source in found.sources] == [dicom_volume_id(SERIES, "")]
    assert [(one.failed, one.reason) for one in found.skipped] == [
        (False, "fewer than 3 slices (2 of this image in the series)")
    ] * 2


def test_copies_of_an_instance_are_left_out_and_noted(tmp_path: Path):
    stored = stored_values()
    paths = write_series(tmp_path / "a", stored)
    for path in paths[:3]:
        (tmp_path / "b").mkdir(exist_ok=True)
        (tmp_path / "b" / path.name).write_bytes(path.read_bytes())
    (source,) = sources_of(tmp_path)
    assert source.n_slices == 5
    assert source.notes == ("3 files left out as copies of instances in the series",)
    assert all(path.startswith("a/") for path in source.files.paths)
    np.testing.assert_array_equal(source.read().voxels, stored)


def test_copies_that_lack_elements_are_copies_all_the_same(tmp_path: Path):
    stored = stored_values()
    write_series(tmp_path / "a", stored, EchoTime=10, AcquisitionNumber=1, SOPInstanceUID=lambda k: f"1.2.{k}")
    write_series(tmp_path / "b", stored, ContentTime="101500", SOPInstanceUID=lambda k: f"1.2.{k}")
    (source,) = sources_of(tmp_path)
    assert source.notes == ("5 files left out as copies of instances in the series",)


def test_echoes_that_share_sop_uids_are_no_copies(tmp_path: Path):
    stored = stored_values((2, 5, 12, 10))
    for number, echo in enumerate((10, 20)):
        write_series(tmp_path / str(echo), stored[number], EchoTime=echo, SOPInstanceUID=lambda k: f"1.2.{k}")
    found = by_first_instance(tmp_path)
    np.testing.assert_array_equal([source.read().voxels for source in found], stored)


def test_slices_that_share_one_sop_uid_are_no_copies(tmp_path: Path):
    stored = stored_values()
    write_series(tmp_path, stored, SOPInstanceUID="1.2.3.4")
    (source,) = sources_of(tmp_path)
    assert source.notes == ()
    np.testing.assert_array_equal(source.read().voxels, stored)


def test_a_repeated_slice_makes_no_volume_of_its_own(tmp_path: Path):
    write_series(tmp_path, stored_values((6, 8, 8)))
    write(tmp_path / "again.dcm", slice_data_set(stored_values()[0][:8, :8], (-20, -30, 5.0), instance=50))
    (source,) = sources_of(tmp_path)
    assert source.n_slices == 6
    assert source.identity.volume_id == dicom_volume_id(SERIES, "")


def test_frames_of_one_instance_are_divided_like_slices(tmp_path: Path):
    stored = stored_values((8, 8, 8))
    made = multiframe_data_set(
        stored,
        positions=[(0, 0, 2.0 * (k // 2)) for k in range(8)],
        per_frame=lambda k: {"MREcho": item(EffectiveEchoTime=[10.0, 80.0][k % 2])},
    )
    write(tmp_path / "enhanced.dcm", made)
    found = sources_of(tmp_path)
    assert {source.notes for source in found} == {
        (f"one of 2 volumes of its series, divided by EchoTime: {echo}",) for echo in (10, 80)
    }
    for source in found:
        first = 0 if "10" in source.notes[0] else 1
        np.testing.assert_array_equal(source.read().voxels, stored[first::2])
        assert source.read().slices.frame.tolist() == [first, first + 2, first + 4, first + 6]


@pytest.mark.parametrize("order", ["forward", "backward"])
def test_what_a_series_gives_does_not_depend_on_the_order_of_its_files(tmp_path: Path, order: str):
    write_stacks(tmp_path, [{"EchoTime": 10}, {"EchoTime": 80}], interleaved=True)
    files = sorted(tmp_path.iterdir(), reverse=order == "backward")
    found = discover(files, root=Roots(), tokens=PatientTokens(b"k" * 32)).sources
    assert [source.identity for source in found] == [source.identity for source in sources_of(tmp_path)]
