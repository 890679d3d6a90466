"""Formats and geometries of image files: what ITK reads is read as it does, and what it does not read rightly."""

from __future__ import annotations

import bz2
import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from engine.dicom_files import stored_values
from VolumeRetrievalEngine.patients import PatientTokens
from VolumeRetrievalEngine.reading import Roots, discover, read_volume
from VolumeRetrievalEngine.volume import LPS_TO_RAS

STORED = stored_values((6, 8, 10))
VOXELS = STORED.astype("<i2").tobytes()
BIG_ENDIAN = STORED.astype(">i2").tobytes()
SFORM = (-1.5, 0, 0, 30, 0, 1.5, 0, -20, 0, 0, 3, -10)
RAS = np.array([[-1.5, 0, 0, 30], [0, 1.5, 0, -20], [0, 0, 3, -10], [0, 0, 0, 1.0]])
NRRD = (
    "NRRD0005\ntype: short\ndimension: 3\nspace: LPS\nsizes: 10 8 6\nspace directions: (1.5,0,0) (0,-1.5,0) (0,0,3)\n"
    "space origin: (-30,20,-10)\nendian: little\n"
)
META = (
    "ObjectType = Image\nNDims = 3\nDimSize = 10 8 6\nElementType = MET_SHORT\nElementSpacing = 1.5 1.5 3\n"
    "TransformMatrix = 1 0 0 0 -1 0 0 0 1\nOffset = -30 20 -10\n"
)


def nifti(
    sform=SFORM, quaternion=(0.0,) * 6, codes=(0, 1), pixdim=(1, 1.5, 1.5, 3), units=2, magic=b"n+1\0", scale=(1, 0)
) -> bytes:
    """A NIfTI-1 header; codes of the qform and the sform."""
    head = bytearray(352)
    struct.pack_into("<i", head, 0, 348)
    struct.pack_into("<8h", head, 40, 3, 10, 8, 6, 1, 1, 1, 1)
    struct.pack_into("<2h", head, 70, 4, 16)
    struct.pack_into("<4f", head, 76, *pixdim)
    struct.pack_into("<3f", head, 108, 352 if magic[1:2] == b"+" else 0, *scale)
    head[123] = units
    struct.pack_into("<2h", head, 252, *codes)
    struct.pack_into("<6f", head, 256, *quaternion)
    struct.pack_into("<12f", head, 280, *sform)
    head[344:348] = magic
    return bytes(head)


def nifti2(order: str = "<", magic: bytes = b"n+2\0\r\n\x1a\n") -> bytes:
    """A NIfTI-2 header."""
    head = bytearray(544)
    struct.pack_into(f"{order}i8s2h8q", head, 0, 540, magic, 4, 16, 3, 10, 8, 6, 1, 1, 1, 1)
    struct.pack_into(f"{order}8d", head, 104, 1, 1.5, 1.5, 3, 1, 1, 1, 1)
    struct.pack_into(f"{order}q2d", head, 168, 544 if b"+" in magic else 0, 1, 0)
    struct.pack_into(f"{order}2i", head, 344, 0, 1)
    struct.pack_into(f"{order}12d", head, 400, *SFORM)
    struct.pack_into(f"{order}i", head, 500, 2)
    return bytes(head)


def slices(prefix: str, first: int) -> dict[str, bytes]:
    return {f"{prefix}{first + k:03}.raw": STORED[k].astype("<i2").tobytes() for k in range(6)}


#: Files that hold STORED at RAS; the first is the one that is read.
FORMATS: dict[str, dict[str, bytes]] = {
    "NIfTI-2": {"a.nii": nifti2() + VOXELS},
    "NIfTI-2, big-endian": {"a.nii": nifti2(">") + BIG_ENDIAN},
    "NIfTI-2, compressed": {"a.nii.gz": gzip.compress(nifti2() + VOXELS)},
    "NIfTI-2 pair": {"a.hdr": nifti2(magic=b"ni2\0\r\n\x1a\n"), "a.img": VOXELS},
    "NIfTI-1 pair": {"a.hdr": nifti(magic=b"ni1\0"), "a.img": VOXELS},
    "NIfTI-1 pair of 348 bytes": {"a.hdr": nifti(magic=b"ni1\0")[:348], "a.img": VOXELS},
    "NIfTI-1 pair, compressed": {"a.hdr": nifti(magic=b"ni1\0"), "a.img.gz": gzip.compress(VOXELS)},
    "NRRD, bzip2": {"a.nrrd": f"{NRRD}encoding: bzip2\n\n".encode() + bz2.compress(VOXELS)},
    "NRRD, gzip": {"a.nrrd": f"{NRRD}encoding: gz\n\n".encode() + gzip.compress(VOXELS)},
    "NRRD, text": {"a.nrrd": f"{NRRD}encoding: ascii\n\n{' '.join(map(str, STORED.ravel()))}\n".encode()},
    "NRRD, big-endian": {"a.nrrd": f"{NRRD}encoding: raw\n\n".replace("little", "big").encode() + BIG_ENDIAN},
    "NRRD, list": {"a.nhdr": f"{NRRD}encoding: raw\ndata file: LIST\n{chr(10).join(slices('s', 1))}\n".encode()}
    | slices("s", 1),
    "NRRD, pattern": {"a.nhdr": f"{NRRD}encoding: raw\ndata file: s%03d.raw 4 9 1\n".encode()} | slices("s", 4),
    "NRRD, skipped bytes": {
        "a.nhdr": f"{NRRD}encoding: raw\nbyte skip: -1\ndata file: v.raw\n".encode(),
        "v.raw": b"something" + VOXELS,
    },
    "NRRD, skipped line": {
        "a.nhdr": f"{NRRD}encoding: raw\nline skip: 1\ndatafile: v.raw\n".encode(),
        "v.raw": b"something\n" + VOXELS,
    },
    "MetaImage, compressed": {
        "a.mha": f"{META}CompressedData = True\nElementDataFile = LOCAL\n".encode() + zlib.compress(VOXELS)
    },
    "MetaImage, big-endian": {
        "a.mha": f"{META}BinaryDataByteOrderMSB = True\nElementDataFile = LOCAL\n".encode() + BIG_ENDIAN
    },
    "MetaImage, text": {
        "a.mha": f"{META}BinaryData = False\nElementDataFile = LOCAL\n{' '.join(map(str, STORED.ravel()))}".encode()
    },
    "MetaImage, list": {"a.mhd": f"{META}ElementDataFile = LIST\n{chr(10).join(slices('s', 0))}\n".encode()}
    | slices("s", 0),
    "MetaImage, pattern": {"a.mhd": f"{META}ElementDataFile = s%03d.raw 1 6 1\n".encode()} | slices("s", 1),
    "MetaImage, header to skip": {
        "a.mhd": f"{META}HeaderSize = -1\nElementDataFile = v.raw\n".encode(),
        "v.raw": b"something" + VOXELS,
    },
}


def written(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder / next(iter(files))


@pytest.mark.parametrize("name", FORMATS)
def test_every_way_to_write_a_volume_is_read(tmp_path: Path, name: str):
    path = written(tmp_path, FORMATS[name])
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.voxels, STORED)
    np.testing.assert_allclose(volume.affine, RAS, atol=1e-5)
    assert volume.notes == ()
    found = discover([tmp_path], root=Roots(), tokens=PatientTokens.ephemeral())
    assert len(found.sources) == 1 and found.failures == []
    companions = [one for one in found.skipped if one.path.name.startswith("a.img")]
    assert [one.reason for one in companions] == ["the voxels of a.hdr"] * (".hdr" in path.name)


@pytest.mark.parametrize("name", FORMATS)
def test_one_that_lacks_its_end_is_reported(tmp_path: Path, name: str):
    files = FORMATS[name]
    last = list(files)[-1]
    path = written(tmp_path, {**files, last: files[last][: -max(8, len(files[last]) // 50)]})
    found = discover([tmp_path], root=Roots(), tokens=PatientTokens.ephemeral())
    if found.sources:  # how much a compressed stream holds shows on reading
        with pytest.raises(Exception, match="truncated"):
            found.sources[0].read()
    else:
        assert [one.path for one in found.failures] == [path]
        assert "truncated" in found.failures[0].reason


def test_an_analyze_pair_is_read_with_a_note(tmp_path: Path):
    volume = read_volume(written(tmp_path, {"a.hdr": nifti(magic=b"\0\0\0\0")[:348], "a.img": VOXELS}))
    np.testing.assert_array_equal(volume.voxels, STORED)
    assert volume.notes == ("no orientation in the file: its axes are taken for left, back and up",)


def test_a_hdr_file_of_another_program_is_no_image(tmp_path: Path):
    written(tmp_path, {"a.hdr": b"ENVI\nsamples = 100\n" * 30, "a.img": VOXELS})
    found = discover([tmp_path], root=Roots(), tokens=PatientTokens.ephemeral())
    assert {one.path.name: (one.reason, one.failed) for one in found.skipped} == {
        "a.hdr": ("not an image", False),
        "a.img": ("not an image", False),
    }


def test_a_hdr_file_without_its_voxels_names_them(tmp_path: Path):
    written(tmp_path, {"a.hdr": nifti(magic=b"ni1\0")})
    (left_out,) = discover([tmp_path], root=Roots(), tokens=PatientTokens.ephemeral()).failures
    assert "should be in a.img, which is not there" in left_out.reason


TURNED = (0.0, 0.0, 0.7071068, 1.0, 2.0, 3.0)
SHEARED = (-1.5, 0.15, 0, 30, 0, 1.5, 0, -20, 0, 0, 3, -10)
CONTRADICTION = "two orientations in the file (qform, sform)"

#: NIfTI headers that ITK reads, and how their note begins.
GEOMETRIES = {
    "both the same": (nifti(quaternion=(0, 1, 0, 30, -20, -10), codes=(1, 1), pixdim=(-1, 1.5, 1.5, 3)), ""),
    "contradictory, sform of the scanner": (nifti(quaternion=TURNED, codes=(1, 1)), CONTRADICTION),
    "contradictory, sform aligned": (nifti(quaternion=TURNED, codes=(1, 2)), CONTRADICTION),
    "contradictory, sform in MNI space": (nifti(quaternion=TURNED, codes=(1, 4)), CONTRADICTION),
    "qform alone": (nifti(quaternion=TURNED, codes=(1, 0)), ""),
    "sheared sform with a qform": (nifti(SHEARED, TURNED, codes=(1, 1)), CONTRADICTION),
    "sform of other spacing": (nifti(tuple(2 * value for value in SFORM)), "two spacings in the file"),
    "spacing of zero": (nifti(pixdim=(1, 0, 0, 0)), "two spacings in the file"),
    "negative spacing": (nifti(pixdim=(1, -1.5, 1.5, 3)), ""),
    "micrometers": (nifti(units=3), ""),
    "meters": (nifti(units=1), ""),
    "no orientation": (nifti(codes=(0, 0)), "no orientation"),
}
#: NRRD and MetaImage headers that ITK reads; as above.
GEOMETRIES_OF_TEXT = {
    "sheared": (NRRD.replace("(1.5,0,0)", "(1.5,0.2,0)"), META.replace("1 0 0 0 -1", "1 0.2 0 0 -1"), "sheared"),
    "left-handed": (NRRD.replace("(1.5,0,0)", "(-1.5,0,0)"), META.replace("= 1 0 0 0 -1", "= -1 0 0 0 -1"), ""),
    "another space": (NRRD.replace("LPS", "right-anterior-superior"), META.replace("= 1 0 0", "= 2 0 0"), ""),
    "another name": (
        NRRD.replace("space: LPS", "space dimension: 3"),
        META.replace("TransformMatrix", "Rotation").replace("Offset", "Position"),
        "",
    ),
    "no origin": (
        NRRD.replace("space origin: (-30,20,-10)\n", ""),
        META.replace("Offset = -30 20 -10\n", ""),
        "",
    ),
}


def as_itk_reads_it(path: Path) -> tuple[np.ndarray, np.ndarray]:
    image = sitk.ReadImage(str(path), sitk.sitkFloat32)
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return sitk.GetArrayFromImage(image), LPS_TO_RAS @ affine


def compared_with_itk(path: Path, note: str) -> None:
    volume = read_volume(path)
    voxels, affine = as_itk_reads_it(path)
    np.testing.assert_array_equal(volume.voxels, voxels)
    np.testing.assert_allclose(volume.affine, affine, atol=1e-6)
    assert (len(volume.notes) == 1 and volume.notes[0].startswith(note)) if note else volume.notes == ()


@pytest.mark.parametrize("name", GEOMETRIES)
def test_the_orientation_of_nifti_files_is_read_as_itk_reads_it(tmp_path: Path, name: str):
    header, note = GEOMETRIES[name]
    compared_with_itk(written(tmp_path, {"a.nii": header + VOXELS}), note)


@pytest.mark.parametrize("name", GEOMETRIES_OF_TEXT)
def test_the_orientation_of_nrrd_and_metaimage_files_is_read_as_itk_reads_it(tmp_path: Path, name: str):
    nrrd, meta, note = GEOMETRIES_OF_TEXT[name]
    compared_with_itk(written(tmp_path, {"a.nrrd": f"{nrrd}encoding: raw\n\n".encode() + VOXELS}), note)
    compared_with_itk(written(tmp_path, {"a.mha": f"{meta}ElementDataFile = LOCAL\n".encode() + VOXELS}), note)


def test_spacings_next_to_space_directions_are_noted(tmp_path: Path):
    """ITK refuses such a file."""
    nrrd = f"{NRRD}spacings: 9 9 9\nencoding: raw\n\n".encode() + VOXELS
    volume = read_volume(written(tmp_path, {"a.nrrd": nrrd}))
    np.testing.assert_allclose(volume.affine, RAS, atol=1e-6)
    assert volume.notes == ("spacings in the file besides its space directions: the directions are used",)


@pytest.mark.parametrize("scale", [(0, 5), (-2, 5), (0.5, -1000), (float("nan"), 5), (2, float("nan"))])
def test_scaling_of_nifti_files_is_applied_as_itk_applies_it(tmp_path: Path, scale: tuple[float, float]):
    compared_with_itk(written(tmp_path, {"a.nii": nifti(scale=scale) + VOXELS}), "")


def test_an_orientation_that_is_not_finite_is_left_out_for_the_other(tmp_path: Path):
    header = nifti(quaternion=(float("nan"),) * 6, codes=(1, 1))
    np.testing.assert_allclose(read_volume(written(tmp_path, {"a.nii": header + VOXELS})).affine, RAS, atol=1e-5)


@pytest.mark.parametrize(
    ("place", "form", "value", "reason"),
    [
        (40, "<h", 9, "9 dimensions"),
        (42, "<h", -5, "dim is -5 8 6"),
        (70, "<h", 77, "data type 77"),
        (70, "<h", 1536, "128-bit floating point are not read"),
        (70, "<h", 32, "complex numbers"),
        (70, "<h", 128, "3 values for each voxel"),
        (108, "<f", float("nan"), "should begin at byte nan"),
        (80, "<f", float("inf"), "pixdim is inf"),
        (284, "<f", float("nan"), "its orientation is"),
        (344, "<i", 0, "its magic is not n+1"),
    ],
)
def test_a_nifti_header_of_impossible_values_says_which(tmp_path: Path, place: int, form: str, value, reason: str):
    header = bytearray(nifti())
    struct.pack_into(form, header, place, value)
    written(tmp_path, {"a.nii": bytes(header) + VOXELS})
    found = discover([tmp_path], root=Roots(), tokens=PatientTokens.ephemeral())
    assert found.sources == []
    assert reason in found.skipped[0].reason
