"""DICOM series: the right values at the right place, whatever the files look like."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from engine.dicom_files import (
    SAGITTAL,
    slice_data_set,
    stored_values,
    write,
    write_series,
    write_without_preamble,
)
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)
from VolumeRetrievalEngine.errors import NotAVolumeError, UnreadableFileError
from VolumeRetrievalEngine.patients import PatientTokens
from VolumeRetrievalEngine.reading import Roots, discover, read_volume


def scan(folder: Path, **options):
    options.setdefault("tokens", PatientTokens(b"k" * 32))
    return discover([folder], root=Roots(), **options)


def test_a_series_is_read_with_its_values_geometry_and_instances(tmp_path: Path):
    stored = stored_values()
    write_series(tmp_path, stored, RescaleSlope=2, RescaleIntercept=-1024)
    volume = read_volume(tmp_path)
    assert volume.voxels.dtype == np.float32
    np.testing.assert_array_equal(volume.voxels, stored * 2.0 - 1024)
    # LPS (-20, -30, 0) is RAS (20, 30, 0); columns run toward the patient's left, rows toward the back.
    expected = [[-0.5, 0, 0, 20], [0, -0.75, 0, 30], [0, 0, 2.5, 0], [0, 0, 0, 1]]
    np.testing.assert_allclose(volume.affine, expected, atol=1e-9)
    np.testing.assert_allclose(volume.slices.position, [0, 2.5, 5, 7.5, 10])
    np.testing.assert_allclose(volume.slices.origin[3], [20, 30, 7.5])
    np.testing.assert_allclose(volume.slices.normal, np.tile([0, 0, 1.0], (5, 1)))
    np.testing.assert_allclose(volume.spacing, [0.5, 0.75, 2.5])
    assert len(set(volume.slices.sop_uid)) == 5
    assert volume.slices.frame.tolist() == [-1] * 5
    assert volume.notes == ()
    known = volume.attributes
    assert (known.modality, known.modality_from, known.body_part, known.study_date) == (
        "CT",
        "dicom",
        "CHEST",
        "20200102",
    )


def test_slices_are_ordered_by_position_and_keep_their_own_uid(tmp_path: Path):
    stored = stored_values()
    # Acquired from top to bottom, and files named in no order.
    paths = write_series(tmp_path, stored, gap=-2.0, start=100, names=lambda number: f"{(number * 7) % 5}_{number}.dcm")
    volume = read_volume(tmp_path)
    np.testing.assert_array_equal(volume.voxels, stored[::-1])
    np.testing.assert_allclose(volume.slices.position, [92, 94, 96, 98, 100])
    assert list(volume.files.paths) == [path.name for path in paths[::-1]]
    from_list = read_volume(paths).identity
    assert (from_list.volume_id, from_list.fingerprint) == (volume.identity.volume_id, volume.identity.fingerprint)


@pytest.mark.parametrize("invert", [False, True])
def test_a_sagittal_series_lies_where_its_headers_say(tmp_path: Path, invert: bool):
    stored = stored_values()
    step = -3.0 if invert else 3.0
    write_series(tmp_path, stored, orientation=SAGITTAL, position=lambda k: (-30.0 + step * k, -80.0, 90.0))
    volume = read_volume(tmp_path)
    # SAGITTAL's normal points to -x in LPS, that is to the patient's right.
    order = slice(None) if invert else slice(None, None, -1)
    np.testing.assert_array_equal(volume.voxels, stored[order])
    assert np.all(np.diff(volume.slices.position) > 0)
    for k in range(5):
        true = np.array([30.0 - step * (k if invert else 4 - k), 80.0, 90.0])
        np.testing.assert_allclose(volume.slices.origin[k], true)
        np.testing.assert_allclose((volume.affine @ [0, 0, k, 1])[:3], true, atol=1e-9)
    # i runs to the back (RAS -y), j to the feet.
    np.testing.assert_allclose(volume.affine[:3, 0], [0, -0.5, 0], atol=1e-12)
    np.testing.assert_allclose(volume.affine[:3, 1], [0, 0, -0.75], atol=1e-12)


def test_every_slice_keeps_its_own_rescale(tmp_path: Path):
    stored = stored_values()
    slopes, intercepts = [1, 0.35, 2.5, 1e-4, 17.25], [0, -3.5, 12, 0, 1000]
    write_series(
        tmp_path,
        stored,
        RescaleSlope=lambda k: slopes[k],
        RescaleIntercept=lambda k: intercepts[k],
        Modality="PT",
    )
    expected = stored * np.array(slopes)[:, None, None] + np.array(intercepts)[:, None, None]
    np.testing.assert_allclose(read_volume(tmp_path).voxels, expected, rtol=1e-6, atol=1e-6)


def test_signed_and_unsigned_slices_keep_their_values_in_one_series(tmp_path: Path):
    signed, unsigned = stored_values(), stored_values(seed=1, signed=False)
    unsigned[0, 0, 0] = 4095
    for k in range(5):
        pixels = signed[k] if k % 2 else unsigned[k]
        write(tmp_path / f"{k}", slice_data_set(pixels, (0, 0, k), instance=k))
    volume = read_volume(tmp_path)
    for k in range(5):
        np.testing.assert_array_equal(volume.voxels[k], signed[k] if k % 2 else unsigned[k])


def test_twelve_stored_bits_without_sign_extension_are_negative_where_they_should(tmp_path: Path):
    stored = stored_values()
    masked = (stored.astype(np.uint16) & 0x0FFF).astype(np.uint16)
    write_series(tmp_path, masked, BitsStored=12, HighBit=11, PixelRepresentation=1)
    np.testing.assert_array_equal(read_volume(tmp_path).voxels, stored)


def test_twelve_bit_packed_pixels_are_read(tmp_path: Path):
    stored = stored_values(signed=False)
    for k, pixels in enumerate(stored):
        even, odd = pixels.ravel()[::2].astype(np.uint16), pixels.ravel()[1::2].astype(np.uint16)
        packed = np.stack([even & 0xFF, (even >> 8) | ((odd & 0x0F) << 4), odd >> 4], axis=1).astype(np.uint8)
        made = slice_data_set(pixels, (0, 0, 2 * k), instance=k, BitsAllocated=12, BitsStored=12, HighBit=11)
        made.PixelData = packed.tobytes()
        made["PixelData"].VR = "OW"
        write(tmp_path / f"{k}.dcm", made)
    np.testing.assert_array_equal(read_volume(tmp_path).voxels, stored)


@pytest.mark.parametrize("syntax", [ExplicitVRBigEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_every_byte_order_and_encoding_gives_the_same_values(tmp_path: Path, syntax: str):
    stored = stored_values()
    write_series(tmp_path, stored, syntax=syntax)
    np.testing.assert_array_equal(read_volume(tmp_path).voxels, stored)


def test_run_length_encoded_slices_are_read(tmp_path: Path):
    stored = stored_values()
    for k, pixels in enumerate(stored):
        made = slice_data_set(pixels, (0, 0, 2 * k), instance=k)
        write(tmp_path / f"{k}", made)
        made.compress(RLELossless, generate_instance_uid=False)
        made.save_as(tmp_path / f"{k}")
    np.testing.assert_array_equal(read_volume(tmp_path).voxels, stored)


def test_inverted_display_does_not_invert_the_values(tmp_path: Path):
    stored = stored_values()
    write_series(tmp_path, stored, PhotometricInterpretation="MONOCHROME1", RescaleSlope=lambda k: 1 + k)
    expected = stored * np.arange(1, 6)[:, None, None]
    np.testing.assert_array_equal(read_volume(tmp_path).voxels, expected)


def test_files_without_preamble_and_extension_are_known_for_dicom(tmp_path: Path):
    stored = stored_values()
    for k, pixels in enumerate(stored):
        write_without_preamble(tmp_path / f"IM{k}", slice_data_set(pixels, (0, 0, k), instance=k))
    np.testing.assert_array_equal(read_volume(tmp_path).voxels, stored)


def test_missing_slices_are_noted_and_positions_stay_true(tmp_path: Path):
    paths = write_series(tmp_path, stored_values((9, 12, 10)), gap=2.0)
    for gone in (3, 4, 7):
        paths[gone].unlink()
    volume = read_volume(tmp_path)
    np.testing.assert_allclose(volume.slices.position, [0, 2, 4, 10, 12, 16])
    assert volume.notes == ("3 slices missing (slices lie 2 mm apart)",)


def test_irregular_spacing_is_noted_and_positions_stay_true(tmp_path: Path):
    places = [0.0, 4.2, 8.4, 12.6, 13.7, 21.1, 28.5]
    write_series(tmp_path, stored_values((7, 12, 10)), position=lambda k: (0, 0, places[k]))
    volume = read_volume(tmp_path)
    np.testing.assert_allclose(volume.slices.position, places)
    assert volume.notes == ("irregular spacing: slices lie 1.1 to 7.4 mm apart",)
    # The affine is the line that leaves the least squared distance to the true places.
    slope, offset = np.polyfit(np.arange(7), places, 1)
    np.testing.assert_allclose([volume.affine[2, 2], volume.affine[2, 3]], [slope, offset])


def test_rounded_positions_are_no_irregular_spacing(tmp_path: Path):
    write_series(tmp_path, stored_values((9, 12, 10)), position=lambda k: (0, 0, round(3.27 * k, 1)))
    assert read_volume(tmp_path).notes == ()


def test_gantry_tilt_keeps_every_slices_true_origin_and_is_noted(tmp_path: Path):
    tilt = np.radians(20)
    orientation = (1, 0, 0, 0, np.cos(tilt), -np.sin(tilt))
    write_series(tmp_path, stored_values(), orientation=orientation, position=lambda k: (0.0, -50.0, 5.0 * k))
    volume = read_volume(tmp_path)
    np.testing.assert_allclose(volume.slices.origin, [[0, 50, 5 * k] for k in range(5)], atol=1e-9)
    np.testing.assert_allclose(np.diff(volume.slices.position), 5 * np.cos(tilt))
    assert volume.notes == ("gantry tilt of 20.0 degrees: slices are shifted in plane",)
    np.testing.assert_allclose(volume.affine[:3, 2], [0, 0, 5], atol=1e-9)


def test_no_voxels_stay_in_a_source_after_reading(tmp_path: Path):
    write_series(tmp_path, stored_values())
    source = scan(tmp_path).sources[0]
    before = dict(vars(source))
    first = source.read()
    assert dict(vars(source)) == before
    assert source.read().voxels is not first.voxels


def test_a_constant_series_is_refused_with_its_value(tmp_path: Path):
    write_series(tmp_path, np.full((4, 8, 8), 7, np.int16), RescaleIntercept=-1024)
    with pytest.raises(NotAVolumeError, match="every voxel has the value -1017"):
        read_volume(tmp_path)


def test_files_that_went_away_or_changed_after_the_scan_are_named(tmp_path: Path):
    paths = write_series(tmp_path, stored_values())
    source = scan(tmp_path).sources[0]
    paths[2].unlink()
    with pytest.raises(UnreadableFileError, match=r"slice003\.dcm: not readable: No such file"):
        source.read()
    write(paths[2], slice_data_set(np.zeros((6, 6), np.int16), (-20, -30, 5.0), instance=3))
    with pytest.raises(UnreadableFileError):
        source.read()


def test_the_whole_stack_agrees_with_simpleitk_s_own_geometry(tmp_path: Path):
    oblique = np.array([0.9, 0.3, 0.1, -0.2, 0.8, 0.5])
    row = oblique[:3] / np.linalg.norm(oblique[:3])
    column = oblique[3:] - row * (row @ oblique[3:])
    column /= np.linalg.norm(column)
    normal = np.cross(row, column)
    paths = write_series(
        tmp_path,
        stored_values(),
        orientation=(*row, *column),
        position=lambda k: tuple(np.round([10, 20, 30] + 2.5 * k * normal, 9)),
    )
    image = sitk.ReadImage([str(path) for path in paths], sitk.sitkFloat32)
    volume = read_volume(tmp_path)
    for index in ((0, 0, 0), (9, 0, 0), (0, 11, 0), (3, 5, 4)):
        x, y, z = image.TransformIndexToPhysicalPoint(index)
        np.testing.assert_allclose((volume.affine @ [*index, 1])[:3], [-x, -y, z], atol=1e-5)
