"""Whatever one file is or does: it is reported with its reason, and the files next to it are read."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import numpy as np
import pytest
from engine.dicom_files import multiframe_data_set, slice_data_set, stored_values, write, write_series
from pydicom.encaps import encapsulate
from pydicom.uid import DeflatedExplicitVRLittleEndian, RLELossless
from VolumeRetrievalEngine.errors import MetadataError, UnreadableFileError
from VolumeRetrievalEngine.patients import PatientTokens
from VolumeRetrievalEngine.reading import Discovery, MetadataTable, Roots, ScanCache, discover, discovery, memory

NRRD = "NRRD0004\ntype: short\ndimension: 3\nsizes: 10 8 6\nendian: little\nencoding: raw\n"
META = "ObjectType = Image\nNDims = 3\nDimSize = 10 8 6\nElementType = MET_SHORT\n"
LOCAL = "ElementDataFile = LOCAL\n"
VOXELS = stored_values((6, 8, 10)).astype("<i2").tobytes()


def scan(folder: Path, **options) -> Discovery:
    return discover([folder], root=Roots(), tokens=PatientTokens(b"k" * 32), **options)


def reasons(found: Discovery) -> dict[str, str]:
    return {one.path.name: one.reason for one in found.failures}


#: Headers of NRRD and MetaImage files, and what is said of them. A header without an empty line at its end gets one.
ODD_HEADERS = {
    "a.nhdr": (f"{NRRD}data file:\n", "names no file of voxels"),
    "b.nhdr": (f"{NRRD}data file: /dev/zero\n", "a file of another name, which is no file"),
    "i.nhdr": (f"{NRRD}data file: \0patient:=Kirnberger\n", "a file of another name, which is not there"),
    "c.nhdr": (f"{NRRD}data file: gone.raw\n", "gone.raw, which is not there"),
    "d.nhdr": (f"{NRRD}data file: s%03d%s.raw 1 6 1\n", "no pattern such as"),
    "e.nhdr": (f"{NRRD}data file: s%03d.raw 1 999999999 1\n", "names 999999999 files"),
    "h.nhdr": (f"{NRRD}data file: s%999999999d.raw 1 6 1\n", "no pattern such as"),
    "f.nhdr": (f"{NRRD}data file: s%03d.raw 1 6 0\n", "in steps of 0"),
    "g.nhdr": (f"{NRRD}data file: LIST\n\n", "names no file of voxels"),
    "a.nrrd": (NRRD.replace("dimension: 3", "dimension: -1"), "-1 dimensions, but 3 sizes"),
    "b.nrrd": (NRRD.replace("10 8 6", "10 -8 6"), "sizes is 10 -8 6, expected positive"),
    "c.nrrd": (NRRD.replace("10 8 6", "10 eight 6"), "not given in whole numbers"),
    "d.nrrd": (NRRD.replace("10 8 6", "100000 100000 100000"), "truncated: "),
    "e.nrrd": (NRRD.replace("raw", "gzip").replace("10 8 6", "99999 9999 9999"), "cannot hold"),
    "f.nrrd": (NRRD.replace("raw", "bzip2").replace("10 8 6", "999999 99999 99999"), "of memory"),
    "g.nrrd": (NRRD.replace("raw", "zrl"), "the encoding zrl is not read; save it as raw or gzip"),
    "h.nrrd": (NRRD.replace("type: short", "type: block"), "none of NRRD's numbers"),
    "i.nrrd": (NRRD.replace("endian: little\n", ""), "byte order"),
    "j.nrrd": (f"{NRRD}space: nonsense\nspace directions: (1,0,0) (0,1,0) (0,0,1)\n", "save it in LPS or RAS"),
    "k.nrrd": (f"{NRRD}space directions: (1,0,0) (0,1,0)\n", "2 space directions"),
    "l.nrrd": (f"{NRRD}space: LPS\nspace directions: (1,0,0) (0,nan,0) (0,0,1)\n", "expected millimeters"),
    "m.nrrd": (f"{NRRD}space: LPS\nspace directions: (1,0,0) (0,1e300,0) (0,0,1)\n", "expected millimeters"),
    "n.nrrd": (f"{NRRD}byte skip: -5\n", "byte skip -5"),
    "o.nrrd": (f"{NRRD}kinds: domain\n", "1 kinds"),
    "a.mha": (META.replace("NDims = 3", "NDims = -1") + LOCAL, "NDims is -1"),
    "b.mha": (META.replace("10 8 6", "10 -8 6") + LOCAL, "DimSize is 10 -8 6"),
    "c.mha": (META.replace("10 8 6", "10 8") + LOCAL, "DimSize has 2 numbers"),
    "d.mha": (META.replace("MET_SHORT", "MET_STRING") + LOCAL, "none of MetaImage's numbers"),
    "e.mha": (f"{META}CompressedData = True\nDimSize = 10 8 6\n{LOCAL}".replace("10 8 6", "9999 9999 9999"), "hold"),
    "f.mha": (f"{META}TransformMatrix = 1 0 0\n{LOCAL}", "transformmatrix has 3 numbers, expected 9"),
    "g.mha": (f"{META}ElementSpacing = 1 inf 1\n{LOCAL}", "expected millimeters"),
    "h.mha": (f"{META}ElementNumberOfChannels = -3\n{LOCAL}", "expected positive"),
    "i.mha": (META, "damaged, truncated or another kind of file"),
    "a.mhd": (f"{META}ElementDataFile =\n", "names no file of voxels"),
    "b.mhd": (f"{META}ElementDataFile = .\n", "is no file"),
    "c.mhd": (f"{META}ElementDataFile = s%d.raw 1 -6\n", "names no file"),
    "d.mhd": (f"{META}ElementDataFile = \0.raw\n", "which is not there"),
    "e.mhd": (META.replace("ObjectType = Image", "ObjectType = Tube") + LOCAL, "its ObjectType is no Image"),
}


def test_a_header_that_no_native_reader_should_see_is_reported_and_the_rest_is_read(tmp_path: Path):
    (tmp_path / "good.nrrd").write_bytes(f"{NRRD}\n".encode() + VOXELS)
    (tmp_path / "good.mha").write_bytes(f"{META}{LOCAL}".encode() + VOXELS)
    for name, (header, _) in ODD_HEADERS.items():
        (tmp_path / name).write_bytes(header.encode() + (b"\n" if "nrrd" in name else b"") + VOXELS)
    found = scan(tmp_path)
    assert [one.path.name for one in found.sources] == ["good.mha", "good.nrrd"]
    said = reasons(found)
    assert said.keys() == ODD_HEADERS.keys()
    for name, (_, expected) in ODD_HEADERS.items():
        assert expected in said[name], name


def test_a_volume_larger_than_the_memory_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "x.nrrd").write_bytes(f"{NRRD}\n".encode() + VOXELS)
    write_series(tmp_path / "series", stored_values((3, 20, 20)))
    monkeypatch.setattr(memory, "physical_memory", lambda: 1000)
    found = scan(tmp_path)
    (reason,) = reasons(found).values()
    assert "10 x 8 x 6 voxels, which take 2.9 kB of memory, and this computer has 1.0 kB" in reason
    with pytest.raises(UnreadableFileError, match=r"3 x 20 x 20 voxels, which take 7\.2 kB of memory"):
        found.sources[0].read()


def test_a_deflated_file_of_more_than_the_memory_is_refused_before_it_is_decompressed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write_series(tmp_path / "good", stored_values((3, 8, 8)), syntax=DeflatedExplicitVRLittleEndian)
    large = slice_data_set(np.zeros((2000, 2000), np.int16), series="1.2.3")
    write(tmp_path / "large.dcm", large, DeflatedExplicitVRLittleEndian)
    monkeypatch.setattr(memory, "physical_memory", lambda: 8_000_000)
    found = scan(tmp_path)
    assert [one.path.name for one in found.sources] == ["good"]
    (reason,) = reasons(found).values()
    assert reason.startswith("its data set decompresses to more than 1.0 MB, too much for this computer's memory")


def test_more_frames_than_a_file_can_hold_are_refused_before_they_are_counted(tmp_path: Path):
    """Of compressed pixel data the length tells nothing; a list of two thousand million slices ends the process."""
    frames = multiframe_data_set(stored_values((4, 8, 8)), SpacingBetweenSlices=3.0)
    for keyword in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        delattr(frames, keyword)
    frames.ImagePositionPatient, frames.ImageOrientationPatient = [0, 0, 0], [1, 0, 0, 0, 1, 0]
    frames.PixelSpacing, frames.NumberOfFrames = [1, 1], 2**31 - 1
    frames.PixelData = encapsulate([frames.PixelData])
    write(tmp_path / "frames.dcm", frames, RLELossless)
    (reason,) = reasons(scan(tmp_path)).values()
    assert reason.startswith("damaged header: 2147483647 frames cannot be in a file")


@pytest.mark.parametrize("kind", [RecursionError, MemoryError, KeyError, ZeroDivisionError, OverflowError, OSError])
@pytest.mark.parametrize("step", ["read_dicom_facts", "read_image_facts", "volumes_of_series", "read_sidecar"])
def test_whatever_a_file_raises_the_others_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[Exception], step: str
):
    write_series(tmp_path / "series", stored_values((3, 4, 4)))
    (tmp_path / "x.nrrd").write_bytes(f"{NRRD}\n".encode() + VOXELS)

    def raises(*_: object) -> None:
        raise kind("Kirnberger")

    monkeypatch.setattr(discovery, step, raises)
    found = scan(tmp_path)
    dicom = step in ("read_dicom_facts", "volumes_of_series")
    assert [one.path.name for one in found.sources] == ["x.nrrd" if dicom else "series"]
    assert len(found.failures) == (3 if dicom else 1)
    assert all(one.reason and "Kirnberger" not in one.reason for one in found.failures)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_pipes_sockets_and_devices_are_passed_over(tmp_path: Path):
    write_series(tmp_path / "good", stored_values((3, 4, 4)))
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(tmp_path / "pipe.dcm")
    os.mkfifo(tmp_path / "x.json")
    (tmp_path / "x.nrrd").write_bytes(f"{NRRD}\n".encode() + VOXELS)
    (tmp_path / "zero.nii").symlink_to("/dev/zero")
    (tmp_path / "to the pipe.nii.gz").symlink_to("pipe")
    (tmp_path / "voxels.raw").symlink_to("pipe")
    (tmp_path / "y.nhdr").write_text(f"{NRRD}data file: voxels.raw\n")
    with socket.socket(socket.AF_UNIX) as listening:
        here = Path.cwd()
        os.chdir(tmp_path)  # the name of a socket may not be long
        try:
            listening.bind("socket")
        finally:
            os.chdir(here)
        found = scan(tmp_path)
    assert [one.path.name for one in found.sources] == ["good", "x.nrrd"]
    assert found.sources[1].notes[-1] == "sidecar x.json is no file"
    passed = {one.path.name for one in found.skipped if "a pipe, a socket or a device" in one.reason}
    assert passed == {"pipe", "pipe.dcm", "x.json", "zero.nii", "to the pipe.nii.gz", "voxels.raw", "socket"}
    assert reasons(found) == {
        "y.nhdr": "its voxels should be in voxels.raw, which is no file; copy it next to the header"
    }


@pytest.mark.skipif(sys.platform != "linux", reason="other file systems keep no such dates")
@pytest.mark.parametrize("seconds", [10_413_792_000, -10_413_792_000, 1 << 33])
def test_a_date_that_sqlite_cannot_keep_stops_no_scan(tmp_path: Path, seconds: int):
    paths = write_series(tmp_path / "good", stored_values((3, 4, 4)))
    os.utime(paths[1], (seconds, seconds))
    found = []
    for expected in (0, 3):
        with ScanCache(tmp_path / "cache") as cache:
            found.append(scan(tmp_path / "good", scan_cache=cache))
            assert cache.hits == expected
    assert len(found[0].sources) == 1
    assert found[0].sources[0].identity == found[1].sources[0].identity


def test_a_sidecar_nested_too_deep_is_noted(tmp_path: Path):
    (tmp_path / "x.nrrd").write_bytes(f"{NRRD}\n".encode() + VOXELS)
    (tmp_path / "x.json").write_text("[" * 100_000)
    (source,) = scan(tmp_path).sources
    assert source.notes[-1] == "sidecar x.json is not readable JSON"
    assert np.array_equal(source.read().voxels, stored_values((6, 8, 10)))


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        (['a.nii,"CT', "b.nii,CT", "c.nii,MR"], 2),
        (["a.nii,CT", 'b.nii,"CT', *[f"{n}.nii,CT" for n in range(9000)]], 3),
        (["a.nii,CT", 'b.nii,"CT', "c.nii,CT", 'd.nii,"MR"'], 3),
        (["a.nii,CT", 'b.nii,"'], 3),
    ],
)
def test_a_quote_that_is_never_closed_is_an_error_that_says_where(tmp_path: Path, rows: list[str], line: int):
    table = tmp_path / "table.csv"
    table.write_text("\n".join(["path,modality", *rows]))
    with pytest.raises(MetadataError, match=rf"table.csv: a quote that opens in line {line} or just after") as caught:
        MetadataTable.from_csv(table)
    assert "close it" in str(caught.value)


def test_quotes_as_spreadsheets_write_them_are_read(tmp_path: Path):
    table = tmp_path / "table.csv"
    table.write_text('path,modality,body_part\n"a, b.nii","CT" ,"the ""head"""\n"c.nii",MR,"two\nlines"\n')
    assert len(MetadataTable.from_csv(table)) == 2
