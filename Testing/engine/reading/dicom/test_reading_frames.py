"""Multi-frame objects of every age, and mosaics: where their frames lie, or the true reason why they are no volume."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from engine.dicom_files import AXIAL, item, multiframe_data_set, slice_data_set, stored_values, write, write_series
from pydicom.dataset import Dataset
from pydicom.uid import (
    CTImageStorage,
    EnhancedMRImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    MRImageStorage,
    NuclearMedicineImageStorage,
)
from VolumeRetrievalEngine.patients import PatientTokens
from VolumeRetrievalEngine.reading import Discovery, Roots, discover

STORED = stored_values((6, 8, 10))


def found_in(folder: Path) -> Discovery:
    return discover([folder], root=Roots(), tokens=PatientTokens(b"k" * 32))


def classic(stored: np.ndarray = STORED, **attributes: Any) -> Dataset:
    """A multi-frame instance without functional groups, its first frame at LPS (-20, -30, 5)."""
    made = slice_data_set(stored[0], (-20, -30, 5), **attributes)
    made.NumberOfFrames = len(stored)
    made.PixelData = stored.tobytes()
    made["PixelData"].VR = "OW"
    return made


def nuclear(stored: np.ndarray = STORED, image_type: str = "RECON TOMO", **attributes: Any) -> Dataset:
    values: dict[str, Any] = {"SpacingBetweenSlices": 3, "SliceVector": list(range(1, len(stored) + 1)), **attributes}
    given = {keyword: value for keyword, value in values.items() if value is not None}
    made = classic(stored, Modality="NM", image_type=("ORIGINAL", "PRIMARY", image_type, "EMISSION"), **given)
    made.SOPClassUID = NuclearMedicineImageStorage
    detector = item(ImagePositionPatient=[-20, -30, 5], ImageOrientationPatient=list(AXIAL))
    del made.ImagePositionPatient, made.ImageOrientationPatient
    made.DetectorInformationSequence = [detector]
    return made


@pytest.mark.parametrize(
    ("made", "positions", "frames"),
    [
        (lambda: nuclear(), [5, 8, 11, 14, 17, 20], range(6)),
        (lambda: nuclear(SpacingBetweenSlices=-3), [-10, -7, -4, -1, 2, 5], range(5, -1, -1)),
        (lambda: nuclear(SliceVector=[6, 5, 4, 3, 2, 1]), [5, 8, 11, 14, 17, 20], range(5, -1, -1)),
        (lambda: nuclear(SliceVector=None), [5, 8, 11, 14, 17, 20], range(6)),
        (lambda: nuclear(SpacingBetweenSlices=None, SliceThickness=2), [5, 7, 9, 11, 13, 15], range(6)),
        (lambda: classic(SpacingBetweenSlices=2.5), [5, 7.5, 10, 12.5, 15, 17.5], range(6)),
        (lambda: classic(GridFrameOffsetVector=[0, 1, 2, 4, 5, 6]), [5, 6, 7, 9, 10, 11], range(6)),
        (lambda: classic(GridFrameOffsetVector=[9, 8, 7, 6, 5, 4]), [0, 1, 2, 3, 4, 5], range(5, -1, -1)),
        (lambda: classic(SliceLocationVector=[50, 52, 54, 56, 58, 60]), [5, 7, 9, 11, 13, 15], range(6)),
    ],
)
def test_frames_lie_where_the_header_says(
    tmp_path: Path, made: Callable[[], Dataset], positions: list[float], frames: range
):
    write(tmp_path / "a.dcm", made())
    (source,) = found_in(tmp_path).sources
    volume = source.read()
    np.testing.assert_allclose(volume.slices.origin, [[20, 30, z] for z in positions])
    assert volume.slices.frame.tolist() == list(frames)
    np.testing.assert_array_equal(volume.voxels, STORED[list(frames)])


def test_the_time_slots_and_energy_windows_of_nuclear_medicine_are_volumes_of_their_own(tmp_path: Path):
    stored = stored_values((16, 8, 10))
    made = nuclear(
        stored,
        "RECON GATED TOMO",
        SliceVector=[1, 2, 3, 4] * 4,
        TimeSlotVector=[1] * 4 + [2] * 4 + [1] * 4 + [2] * 4,
        EnergyWindowVector=[1] * 8 + [2] * 8,
    )
    write(tmp_path / "a.dcm", made)
    found = found_in(tmp_path).sources
    by_note = {source.notes[0].partition("divided by ")[2]: source.read().voxels for source in found}
    for number, (window, slot) in enumerate(((1, 1), (1, 2), (2, 1), (2, 2))):
        voxels = by_note[f"energy window: {window}; time slot: {slot}"]
        np.testing.assert_array_equal(voxels, stored[4 * number : 4 * number + 4])


def test_nuclear_medicine_with_a_file_for_each_slice(tmp_path: Path):
    for k, pixels in enumerate(STORED):
        made = nuclear(pixels[None], SliceVector=1, instance=k + 1)
        made.DetectorInformationSequence[0].ImagePositionPatient = [-20, -30, 3 * k]
        write(tmp_path / f"{k}.dcm", made)
    (source,) = found_in(tmp_path).sources
    np.testing.assert_array_equal(source.read().voxels, STORED)


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (lambda: nuclear(image_type="TOMO"), "planar or projection images of nuclear medicine"),
        (lambda: nuclear(image_type="WHOLE BODY"), "planar or projection images of nuclear medicine"),
        (lambda: classic(), "a multi-frame image of the older kind"),
        (lambda: classic(FrameTime=40, SpacingBetweenSlices=3), "a multi-frame image over time"),
    ],
)
def test_multi_frame_objects_that_are_no_volume_say_why(tmp_path: Path, made: Callable[[], Dataset], reason: str):
    write(tmp_path / "a.dcm", made())
    found = found_in(tmp_path)
    assert [(one.failed, one.reason[: len(reason)]) for one in found.skipped] == [(False, reason)]
    assert found.sources == []


def test_an_instance_that_describes_other_frames_than_it_announces_is_a_failure(tmp_path: Path):
    made = multiframe_data_set(STORED)
    del made.PerFrameFunctionalGroupsSequence[5]
    write(tmp_path / "a.dcm", made)
    (failure,) = found_in(tmp_path).failures
    assert failure.reason.startswith("its header describes 5 frames where it announces 6")


@pytest.mark.parametrize("sop_class", [EnhancedMRImageStorage, LegacyConvertedEnhancedCTImageStorage])
@pytest.mark.parametrize("one_file", [True, False])
def test_frames_beat_a_position_at_the_top_level(tmp_path: Path, sop_class: str, one_file: bool):
    files = [STORED] if one_file else [pixels[None] for pixels in STORED]
    for number, pixels in enumerate(files):
        positions = [(-20, -30, 3.0 * (k + number)) for k in range(len(pixels))]
        made = multiframe_data_set(pixels, sop_class=sop_class, positions=positions, instance=number + 1)
        made.ImagePositionPatient, made.ImageOrientationPatient = [1, 2, 3], list(AXIAL)
        made.PixelSpacing = [9, 9]
        write(tmp_path / f"{number}.dcm", made)
    (source,) = found_in(tmp_path).sources
    volume = source.read()
    np.testing.assert_array_equal(volume.voxels, STORED)
    np.testing.assert_allclose(volume.slices.position, [0, 3, 6, 9, 12, 15])
    np.testing.assert_allclose(volume.spacing, [0.5, 0.75, 3])


def test_frames_are_told_apart_by_their_dimensions(tmp_path: Path):
    """The meaning of the second dimension is the maker's own: it is not called what it is."""
    stored = stored_values((12, 8, 10))

    def groups(k: int) -> dict[str, Dataset]:
        return {"FrameContent": item(DimensionIndexValues=[1 + k % 6, 1 + k // 6])}

    made = multiframe_data_set(stored, positions=[(0, 0, 2.0 * (k % 6)) for k in range(12)], per_frame=groups)
    made.DimensionIndexSequence = [item(DimensionIndexPointer=0x00209057), item(DimensionIndexPointer=0x00191111)]
    write(tmp_path / "a.dcm", made)
    found = {source.notes[0].partition("divided by ")[2]: source for source in found_in(tmp_path).sources}
    assert sorted(found) == ["dimension 2: 1", "dimension 2: 2"]
    for number, source in sorted(found.items()):
        first = 6 * (int(number[-1]) - 1)
        np.testing.assert_array_equal(source.read().voxels, stored[first : first + 6])


def test_interleaved_packages_of_an_enhanced_object_are_one_volume(tmp_path: Path):
    def groups(k: int) -> dict[str, Dataset]:
        package = 1 + k % 2
        return {"FrameContent": item(FrameAcquisitionNumber=package, DimensionIndexValues=[package, 1 + k])}

    made = multiframe_data_set(STORED, per_frame=groups)
    made.DimensionIndexSequence = [item(DimensionIndexPointer=0x00209156), item(DimensionIndexPointer=0x00209057)]
    write(tmp_path / "a.dcm", made)
    assert [source.n_slices for source in found_in(tmp_path).sources] == [6]


def csa_header(name: bytes, value: bytes) -> bytes:
    """A CSA image header of Siemens with one element."""
    element = struct.pack("<64siiiii", name, 1, 0, 6, 6, 77)
    return b"SV10\4\3\2\1" + struct.pack("<II", 1, 77) + element + struct.pack("<4i", *[len(value)] * 4) + value


def as_siemens(**elements: tuple[int, str, Any]) -> Callable[[Dataset], None]:
    def change(made: Dataset) -> None:
        made.Manufacturer = "SIEMENS"
        for tag, kind, value in elements.values():
            made.add_new(tag, kind, value)

    return change


def as_uih(made: Dataset) -> None:
    made.Manufacturer = "UIH"
    made.add_new(0x00650010, "LO", "Image Private Header")
    made.add_new(0x00651050, "DS", "36")


MATRIX = (0x00181310, "US", [4, 0, 0, 4])
MOSAICS: dict[str, Callable[[Dataset], None]] = {
    "its type": lambda made: setattr(made, "ImageType", ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]),
    "the number of tiles": as_siemens(tiles=(0x0019100A, "US", 36)),
    "the number of tiles, without representation": as_siemens(tiles=(0x0019100A, "UN", b"36")),
    "the number of tiles, in a later block": as_siemens(
        other=(0x00190010, "LO", "ELSE"), creator=(0x00190011, "LO", "SIEMENS MR HEADER"), tiles=(0x0019110A, "US", 36)
    ),
    "the CSA header": as_siemens(
        matrix=MATRIX, csa=(0x00291010, "OB", csa_header(b"NumberOfImagesInMosaic", b"      36\0"))
    ),
    "the grid of another maker": as_uih,
}


@pytest.mark.parametrize("name", MOSAICS)
def test_a_mosaic_is_named_and_never_a_slice(tmp_path: Path, name: str):
    """Also where its files lie at different places, as after a correction of motion: they would look like a volume."""
    for number, pixels in enumerate(STORED):
        made = slice_data_set(pixels, (0, 0, 0.3 * number), instance=number + 1)
        made.SOPClassUID = MRImageStorage
        MOSAICS[name](made)
        write(tmp_path / f"{number}.dcm", made)
    found = found_in(tmp_path)
    assert found.sources == []
    assert {(one.failed, one.reason.partition(":")[0]) for one in found.skipped} == {(False, "a mosaic")}


@pytest.mark.parametrize(
    "change",
    [
        as_siemens(matrix=MATRIX),
        as_siemens(matrix=MATRIX, csa=(0x00291010, "OB", csa_header(b"NumberOfImagesInMosaic", b""))),
        as_siemens(matrix=MATRIX, csa=(0x00291010, "OB", b"NumberOfImagesInMosaic\0")),
        as_siemens(tiles=(0x0019100A, "US", 1)),
    ],
)
def test_an_interpolated_image_of_the_same_maker_is_no_mosaic(tmp_path: Path, change: Callable[[Dataset], None]):
    for number, pixels in enumerate(STORED):
        made = slice_data_set(pixels, (0, 0, 3.0 * number), instance=number + 1)
        change(made)
        write(tmp_path / f"{number}.dcm", made)
    assert [source.n_slices for source in found_in(tmp_path).sources] == [6]


def test_the_uid_of_the_meta_information_stands_for_one_that_is_missing(tmp_path: Path):
    paths = write_series(tmp_path, STORED)
    uids = []
    for path in paths:
        made = pydicom.dcmread(path)
        uids.append(str(made.file_meta.MediaStorageSOPInstanceUID))
        made.SOPInstanceUID = ""
        made.save_as(path)
    (source,) = found_in(tmp_path).sources
    assert list(source.read().slices.sop_uid) == uids


def test_classic_ct_with_one_frame_announced_is_a_slice(tmp_path: Path):
    for number, pixels in enumerate(STORED):
        made = slice_data_set(pixels, (0, 0, 3.0 * number), instance=number + 1, NumberOfFrames=1)
        assert made.SOPClassUID == CTImageStorage
        write(tmp_path / f"{number}.dcm", made)
    assert [source.n_slices for source in found_in(tmp_path).sources] == [6]
