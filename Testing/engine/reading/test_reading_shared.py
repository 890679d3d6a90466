"""The real volumes: every one is found, read, and lies where its header says."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pydicom
import pytest
from VolumeRetrievalEngine.patients import PatientTokens
from VolumeRetrievalEngine.reading import Discovery, Roots, discover, read_volume
from VolumeRetrievalEngine.volume import dicom_volume_id


@pytest.fixture(scope="module")
def manifest(shared: Path) -> dict[str, dict[str, str]]:
    with (shared / "data" / "manifest.csv").open(encoding="utf-8") as file:
        return {row["path"]: row for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def found(shared: Path) -> Discovery:
    return discover([shared / "data"], root=Roots(), exclude=["*/labels/*"], tokens=PatientTokens.ephemeral())


def test_every_volume_is_found_and_nothing_else(shared: Path, manifest: dict, found: Discovery):
    paths = [source.path.relative_to(shared / "data").as_posix() for source in found.sources]
    assert sorted(paths) == sorted(manifest)
    assert found.failures == []
    assert {one.path.name for one in found.skipped} == {"README.md", "manifest.csv"}
    assert len({source.identity.volume_id for source in found.sources}) == len(manifest)


def test_an_ordinary_series_is_one_volume_with_the_id_of_the_series(found: Discovery):
    """Ids of the first edition: an index that was made with it stays valid."""
    series = [source for source in found.sources if source.identity.series_uid]
    assert len(series) > 10
    for source in series:
        assert source.identity.volume_id == dicom_volume_id(source.identity.series_uid, ""), source.path


def test_every_volume_is_read_with_the_geometry_of_the_manifest(shared: Path, manifest: dict, found: Discovery):
    for source in found.sources:
        row = manifest[source.path.relative_to(shared / "data").as_posix()]
        volume = source.read()
        shape = tuple(int(length) for length in row["file_shape"].split("x"))
        assert volume.voxels.shape == shape[::-1], row["id"]
        assert source.n_slices == shape[2]
        spacing = [float(length) for length in row["file_spacing_mm"].split("x")]
        np.testing.assert_allclose(volume.spacing[:2], spacing[:2], atol=0.006, err_msg=row["id"])
        # The manifest gives the mean distance between neighboring slices' origins.
        steps = np.linalg.norm(np.diff(volume.slices.origin, axis=0), axis=1)
        np.testing.assert_allclose(steps.mean(), spacing[2], atol=0.006, err_msg=row["id"])
        assert np.all(np.diff(volume.slices.position) > 0)
        assert np.isfinite(volume.voxels).all()
        if row["format"] == "DICOM series":
            assert volume.attributes.modality == row["modality"]


def test_voxels_and_places_of_every_dicom_series_are_those_pydicom_reads(shared: Path):
    for folder in sorted((shared / "data").glob("*/dicom")):
        volume = read_volume(folder)
        row_of = {uid: row for row, uid in enumerate(volume.slices.sop_uid)}
        files = sorted(path for path in folder.rglob("*.dcm"))
        assert len(row_of) == len(files)
        for path in files[:: max(1, len(files) // 12)]:
            instance = pydicom.dcmread(path)
            row = row_of[instance.SOPInstanceUID]
            slope, intercept = float(instance.get("RescaleSlope", 1)), float(instance.get("RescaleIntercept", 0))
            expected = instance.pixel_array * slope + intercept
            if (padding := instance.get("PixelPaddingValue")) is not None and volume.attributes.modality == "CT":
                expected[instance.pixel_array == padding] = -1000
            np.testing.assert_allclose(volume.voxels[row], expected, rtol=1e-6, atol=1e-6, err_msg=str(path))
            place = np.array(instance.ImagePositionPatient, dtype=float) * [-1, -1, 1]
            np.testing.assert_allclose(volume.slices.origin[row], place, atol=1e-9)
            # The corner opposite to the origin, by the equation of PS3.3 C.7.6.2.1.1.
            along_row, along_column = np.array(instance.ImageOrientationPatient, dtype=float).reshape(2, 3)
            between_rows, between_columns = (float(value) for value in instance.PixelSpacing)
            last_column, last_row = instance.Columns - 1, instance.Rows - 1
            corner = np.array(instance.ImagePositionPatient, dtype=float)
            corner = corner + along_row * between_columns * last_column + along_column * between_rows * last_row
            steps = volume.affine[:3, :2] @ [last_column, last_row]
            np.testing.assert_allclose(volume.slices.origin[row] + steps, corner * [-1, -1, 1], atol=0.01)
        regular = not volume.notes
        if regular:
            fitted = volume.affine[:3, 3] + np.arange(len(files))[:, None] * volume.affine[:3, 2]
            np.testing.assert_allclose(fitted, volume.slices.origin, atol=0.1)


def test_the_head_scan_with_two_slice_gaps_and_a_tilted_gantry_says_so(shared: Path):
    volume = read_volume(shared / "data" / "ct_head_dcmqa_GE" / "dicom")
    assert volume.notes == (
        "irregular spacing: slices lie 1.081 to 6.999 mm apart",
        "gantry tilt of 18.5 degrees: slices are shifted in plane",
    )
    table_steps = np.diff(volume.slices.origin[:, 2])
    np.testing.assert_allclose(table_steps[:13], 4.22, atol=1e-6)
    np.testing.assert_allclose(table_steps[13], 1.14, atol=1e-6)
    np.testing.assert_allclose(table_steps[14:], 7.38, atol=1e-6)


def test_positron_emission_values_differ_in_scale_from_slice_to_slice_and_are_right(shared: Path):
    """Every slice of these has its own rescale slope: the first one's for all would be off by up to a factor of ten."""
    for name in ("pt_wb_STS_001", "pt_ext_STS_001", "pt_ext_STS_003"):
        folder = shared / "data" / name / "dicom"
        slopes = set()
        peaks = {}
        for path in folder.rglob("*.dcm"):
            instance = pydicom.dcmread(path)
            slopes.add(float(instance.RescaleSlope))
            peaks[str(instance.SOPInstanceUID)] = float(instance.pixel_array.max()) * float(instance.RescaleSlope)
        volume = read_volume(folder)
        assert len(slopes) > 10
        expected = [peaks[uid] for uid in volume.slices.sop_uid]
        np.testing.assert_allclose(volume.voxels.max(axis=(1, 2)), expected, rtol=1e-5)
