"""NIfTI, NRRD and MetaImage files: geometry, and everything that can be wrong with them."""

from __future__ import annotations

import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from VolumeRetrievalEngine.errors import NotAVolumeError, UnreadableFileError, VolumeRetrievalError
from VolumeRetrievalEngine.patients import PatientTokens
from VolumeRetrievalEngine.reading import Roots, discover, read_volume

ENDINGS = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")


def intensities(shape: tuple[int, ...] = (6, 8, 10), kind: type = np.int16) -> np.ndarray:
    return np.random.default_rng(3).integers(-1000, 1000, shape).astype(kind)


def save(path: Path, voxels: np.ndarray, compressed: bool = False, vector: bool = False) -> Path:
    """Voxels [k, j, i] with a geometry that has no symmetry: turned by 30 degrees about z, LPS origin (10, 20, 30)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(voxels, isVector=vector)
    dimension = image.GetDimension()
    turn = np.eye(dimension)
    turn[:2, :2] = [[np.cos(np.pi / 6), -np.sin(np.pi / 6)], [np.sin(np.pi / 6), np.cos(np.pi / 6)]]
    image.SetDirection(turn.ravel().tolist())
    image.SetSpacing([0.5, 0.75, 2.0, 1.0][:dimension])
    image.SetOrigin([10.0, 20.0, 30.0, 0.0][:dimension])
    sitk.WriteImage(image, str(path), useCompression=compressed or path.name.endswith(".gz"))
    return path


def fails_with(path: Path, message: str) -> None:
    """Reading fails as unreadable, naming the file and the reason, wherever in the process it is noticed."""
    with pytest.raises(UnreadableFileError, match=message) as caught:
        read_volume(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("kind", [np.int16, np.uint16, np.uint8, np.float32, np.float64, np.int32])
def test_every_format_gives_values_and_geometry(tmp_path: Path, ending: str, kind: type):
    voxels = np.abs(intensities()).astype(kind)
    volume = read_volume(save(tmp_path / f"ct{ending}", voxels))
    assert volume.voxels.dtype == np.float32
    np.testing.assert_array_equal(volume.voxels, voxels.astype(np.float32))
    cos, sin = np.cos(np.pi / 6), np.sin(np.pi / 6)
    lps = np.array([[0.5 * cos, -0.75 * sin, 0, 10], [0.5 * sin, 0.75 * cos, 0, 20], [0, 0, 2, 30], [0, 0, 0, 1]])
    np.testing.assert_allclose(volume.affine, np.diag([-1, -1, 1, 1]) @ lps, atol=1e-4)
    np.testing.assert_allclose(volume.slices.origin[2], [-10, -20, 34], atol=1e-4)
    np.testing.assert_allclose(volume.slices.position, 30 + 2.0 * np.arange(6), atol=1e-4)
    assert volume.notes == ()
    assert volume.identity.series_uid == "" and volume.identity.patient_token == ""


@pytest.mark.parametrize("ending", ENDINGS)
def test_paths_with_blanks_and_letters_of_any_alphabet_are_read(tmp_path: Path, ending: str):
    path = save(tmp_path / "Zwölf Köpfe" / "頭部 CT (1)" / f"bild é{ending}", intensities())
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.voxels, intensities())
    assert volume.files.paths == (path.name,)


def test_nan_and_infinite_voxels_become_the_least_finite_value_and_are_noted(tmp_path: Path):
    voxels = intensities(kind=np.float32)
    voxels[2, 3, 4], voxels[5, 0, 0], voxels[1, 1, 1] = np.nan, np.inf, -np.inf
    voxels[0, 0, 0] = -1500.5
    volume = read_volume(save(tmp_path / "x.nii.gz", voxels))
    assert volume.voxels[2, 3, 4] == volume.voxels[5, 0, 0] == volume.voxels[1, 1, 1] == np.float32(-1500.5)
    np.testing.assert_array_equal(volume.voxels[3:5], voxels[3:5])
    assert volume.notes == ("3 voxels NaN or infinite, read as -1500.5",)


def test_a_volume_of_nan_only_is_unreadable(tmp_path: Path):
    fails_with(save(tmp_path / "x.nii", np.full((4, 5, 6), np.nan, np.float32)), "every voxel is NaN or infinite")


def test_a_constant_volume_is_refused_with_its_value(tmp_path: Path):
    path = save(tmp_path / "x.nrrd", np.full((4, 5, 6), -1024, np.int16))
    with pytest.raises(NotAVolumeError, match="no contrast: every voxel has the value -1024"):
        read_volume(path)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 30, 30), (30, 2, 30), (30, 30, 1)])
@pytest.mark.parametrize("ending", [".nii.gz", ".mha", ".nrrd"])
def test_fewer_than_three_slices_are_no_volume(tmp_path: Path, shape: tuple, ending: str):
    path = save(tmp_path / f"x{ending}", intensities(shape))
    with pytest.raises(NotAVolumeError, match="fewer than 3 slices"):
        read_volume(path)
    found = discover([tmp_path], root=Roots(), tokens=PatientTokens.ephemeral())
    assert [one.failed for one in found.skipped] == [False]


def test_a_four_dimensional_file_is_refused_with_what_to_do(tmp_path: Path):
    path = save(tmp_path / "bold.nii.gz", intensities((7, 6, 8, 10)))
    with pytest.raises(NotAVolumeError, match=r"4D \(10x8x6x7\).*save the time point or channel you want"):
        read_volume(path)


def test_a_fourth_dimension_of_one_is_no_obstacle(tmp_path: Path):
    volume = read_volume(save(tmp_path / "x.nii.gz", intensities((1, 6, 8, 10))))
    np.testing.assert_array_equal(volume.voxels, intensities((1, 6, 8, 10))[0])
    np.testing.assert_allclose(volume.spacing, [0.5, 0.75, 2.0], atol=1e-5)


def test_a_color_image_is_refused(tmp_path: Path):
    path = save(tmp_path / "rgb.nrrd", np.abs(intensities((6, 8, 10, 3))).astype(np.uint8), vector=True)
    with pytest.raises(NotAVolumeError, match="3 values for each voxel"):
        read_volume(path)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kept", [0.0, 0.01, 0.3, 0.7, 0.999])
def test_a_truncated_file_is_unreadable_however_much_is_left(
    tmp_path: Path, ending: str, compressed: bool, kept: float
):
    path = save(tmp_path / f"x{ending}", intensities((10, 20, 20)), compressed=compressed)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    fails_with(path, "empty file" if kept == 0 else "truncated")


@pytest.mark.parametrize("ending", ENDINGS)
def test_another_kind_of_file_under_an_image_name_is_unreadable(tmp_path: Path, ending: str):
    path = tmp_path / f"x{ending}"
    path.write_bytes(b"<html>404 not found</html>" * 100)
    fails_with(path, "damaged, truncated or another kind of file")


def test_damaged_compressed_voxels_are_unreadable(tmp_path: Path):
    path = save(tmp_path / "x.nii.gz", intensities((30, 80, 80)))
    content = bytearray(path.read_bytes())
    content[-6] ^= 0xFF  # the checksum
    path.write_bytes(content)
    fails_with(path, "cannot be decompressed")


def test_a_plain_file_under_a_compressed_name_is_read(tmp_path: Path):
    path = save(tmp_path / "x.nii", intensities())
    path.rename(tmp_path / "x.nii.gz")
    np.testing.assert_array_equal(read_volume(tmp_path / "x.nii.gz").voxels, intensities())


@pytest.mark.parametrize("ending", [".nhdr", ".mhd"])
def test_a_header_without_its_voxel_file_is_unreadable_and_names_it(tmp_path: Path, ending: str):
    path = save(tmp_path / f"x{ending}", intensities())
    (tmp_path / "x.raw").unlink()
    fails_with(path, "its voxels should be in x.raw, which is not there")


def test_missing_geometry_of_a_nifti_file_is_noted(tmp_path: Path):
    path = save(tmp_path / "x.nii", intensities())
    content = bytearray(path.read_bytes())
    struct.pack_into("<2h", content, 252, 0, 0)  # qform_code, sform_code
    path.write_bytes(content)
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.voxels, intensities())
    np.testing.assert_allclose(volume.spacing, [0.5, 0.75, 2.0], atol=1e-5)
    assert volume.notes == ("no orientation in the file: its axes are taken for left, back and up",)


def test_missing_geometry_of_nrrd_and_metaimage_files_is_noted(tmp_path: Path):
    voxels = intensities().astype("<i2")
    (tmp_path / "x.nrrd").write_bytes(
        b"NRRD0004\ntype: short\ndimension: 3\nsizes: 10 8 6\nendian: little\nencoding: raw\n\n" + voxels.tobytes()
    )
    (tmp_path / "x.mha").write_bytes(
        b"ObjectType = Image\nNDims = 3\nDimSize = 10 8 6\nElementType = MET_SHORT\nElementDataFile = LOCAL\n"
        + voxels.tobytes()
    )
    for name in ("x.nrrd", "x.mha"):
        volume = read_volume(tmp_path / name)
        np.testing.assert_array_equal(volume.voxels, voxels)
        assert len(volume.notes) == 1 and "no orientation in the file" in volume.notes[0]


def test_a_sheared_orientation_is_made_perpendicular_and_noted(tmp_path: Path):
    path = save(tmp_path / "x.nii", intensities())
    content = bytearray(path.read_bytes())
    struct.pack_into("<2h", content, 252, 0, 2)
    struct.pack_into("<12f", content, 280, 1, 0, 0.6, 5, 0, 2, 0, 6, 0, 0, 3, 7)
    path.write_bytes(content)
    before = os.environ.get("ITK_NIFTI_SFORM_PERMISSIVE")
    volume = read_volume(path)
    assert os.environ.get("ITK_NIFTI_SFORM_PERMISSIVE") == before
    np.testing.assert_array_equal(volume.voxels, intensities())
    directions = volume.affine[:3, :3] / np.linalg.norm(volume.affine[:3, :3], axis=0)
    np.testing.assert_allclose(directions.T @ directions, np.eye(3), atol=1e-5)
    assert volume.notes == (
        "two spacings in the file (pixdim, sform): read as 3D Slicer reads it, with pixdim",
        "sheared orientation in the file: the nearest perpendicular one is used",
    )


def test_scaled_nifti_values_are_scaled_in_float(tmp_path: Path):
    path = save(tmp_path / "x.nii", intensities())
    content = bytearray(path.read_bytes())
    struct.pack_into("<2f", content, 112, 0.125, -7.5)
    path.write_bytes(content)
    np.testing.assert_allclose(read_volume(path).voxels, intensities() * 0.125 - 7.5, rtol=1e-6)


def test_a_big_endian_nifti_file_is_read(tmp_path: Path):
    path = tmp_path / "x.nii"
    header = bytearray(352)
    struct.pack_into(">i", header, 0, 348)
    struct.pack_into(">8h", header, 40, 3, 10, 8, 6, 1, 1, 1, 1)
    struct.pack_into(">2h", header, 70, 4, 16)
    struct.pack_into(">8f", header, 76, 1, 0.5, 0.75, 2, 0, 0, 0, 0)
    struct.pack_into(">f", header, 108, 352)
    struct.pack_into(">2h", header, 252, 1, 0)
    header[344:348] = b"n+1\0"
    path.write_bytes(bytes(header) + intensities().astype(">i2").tobytes())
    np.testing.assert_array_equal(read_volume(path).voxels, intensities())
    path.write_bytes((bytes(header) + intensities().astype(">i2").tobytes())[:-2])
    fails_with(path, "truncated: 2 bytes are missing")


class TestFingerprint:
    def of(self, path: Path) -> str:
        (source,) = discover([path.parent], root=Roots(), tokens=PatientTokens.ephemeral()).sources
        return source.identity.fingerprint

    def test_it_stays_when_the_file_moves(self, tmp_path: Path):
        path = save(tmp_path / "a" / "x.nii.gz", intensities())
        before = self.of(path)
        moved = tmp_path / "b" / "other name.nii.gz"
        moved.parent.mkdir()
        path.rename(moved)
        assert self.of(moved) == before

    @pytest.mark.parametrize("place", [360, -3])
    def test_it_changes_with_the_first_and_last_bytes(self, tmp_path: Path, place: int):
        path = save(tmp_path / "x.nii", intensities((60, 40, 40)))
        assert path.stat().st_size > 2 * 64 * 1024
        before, state = self.of(path), path.stat()
        content = bytearray(path.read_bytes())
        content[place] ^= 1
        path.write_bytes(content)
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
        assert self.of(path) != before

    def test_it_changes_with_the_time_and_the_size(self, tmp_path: Path):
        path = save(tmp_path / "x.nii", intensities())
        before, state = self.of(path), path.stat()
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 5_000_000_000))
        assert self.of(path) != before
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
        assert self.of(path) == before
        with path.open("ab") as file:
            file.write(b"\0")
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
        assert self.of(path) != before

    @pytest.mark.parametrize("ending", [".nhdr", ".mhd"])
    def test_it_changes_with_the_voxel_file_of_a_header(self, tmp_path: Path, ending: str):
        path = save(tmp_path / f"x{ending}", intensities())
        before = self.of(path)
        content = bytearray((tmp_path / "x.raw").read_bytes())
        content[10] ^= 1
        (tmp_path / "x.raw").write_bytes(content)
        assert self.of(path) != before


def test_every_error_of_reading_is_one_of_ours(tmp_path: Path):
    """Whatever bytes a file holds: never an exception that a batch would not report."""
    generator = np.random.default_rng(0)
    valid = {ending: save(tmp_path / f"x{ending}", intensities()).read_bytes() for ending in (".nii", ".nrrd", ".mha")}
    valid[".nii.gz"] = gzip.compress(valid[".nii"], mtime=0)
    for ending, content in valid.items():
        for _ in range(25):
            damaged = bytearray(content)
            for place in generator.integers(0, 352, 6):
                damaged[place] = generator.integers(0, 256)
            path = tmp_path / f"damaged{ending}"
            path.write_bytes(damaged)
            try:
                volume = read_volume(path)
            except VolumeRetrievalError:
                continue
            assert np.isfinite(volume.voxels).all()
