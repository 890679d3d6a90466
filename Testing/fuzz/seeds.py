"""Good inputs of every kind, made from a fixed seed: what is mutated, and what must survive next to it."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import struct
import zlib
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import pydicom
from engine.dicom_files import multiframe_data_set, slice_data_set
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from .planted import BIRTH_DATE, NAME, PATIENT_ID

#: Stands in every DICOM input for its series; replaced by one of the same length.
SERIES = "1.2.826.0.1.3680043.10.999.1000000"
SHAPE = (5, 24, 20)

#: The files of one input by name.
Files = dict[str, bytes]


def series_uid(number: int) -> bytes:
    """The series of the input of this number."""
    return f"{SERIES[:-7]}{1_000_000 + number}".encode()


@lru_cache(maxsize=1)
def voxels() -> np.ndarray:
    """int16 [k, j, i], a blob in noise."""
    k, j, i = np.mgrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    blob = 900 * np.exp(-(((j - 11) / 5.0) ** 2) - ((i - 9) / 6.0) ** 2) + 20 * k
    return (blob + np.random.default_rng(5).integers(0, 40, SHAPE)).astype(np.int16)


def _dicom(syntax: str, series: str = SERIES) -> Files:
    files = {}
    for k, pixels in enumerate(voxels()):
        data_set = _named(slice_data_set(pixels, (-10.0, -12.0, 3.0 * k), series=series, instance=k + 1))
        # Only of a series: where a mutation takes the name out of one file, the others still say whose it is.
        data_set.SeriesDescription = "thin 李明 QUIRINIUS"
        files[f"{k}.dcm"] = _written(data_set, syntax)
    return files


def _named(data_set: Dataset) -> Dataset:
    data_set.SpecificCharacterSet = "ISO_IR 192"
    data_set.PatientName, data_set.PatientID, data_set.PatientBirthDate = NAME, PATIENT_ID, BIRTH_DATE
    return data_set


def _written(data_set: Dataset, syntax: str) -> bytes:
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.MediaStorageSOPClassUID = data_set.SOPClassUID
    data_set.file_meta.MediaStorageSOPInstanceUID = data_set.SOPInstanceUID
    data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian if syntax == RLELossless else syntax
    if syntax == ExplicitVRBigEndian:
        data_set.PixelData = np.frombuffer(data_set.PixelData, "<u2").byteswap().tobytes()
        data_set["PixelData"].VR = "OW"
    if syntax == RLELossless:
        data_set.compress(RLELossless, encoding_plugin="pydicom", generate_instance_uid=False)
    file = io.BytesIO()
    pydicom.dcmwrite(file, data_set, enforce_file_format=True)
    return file.getvalue()


def _multi_frame(syntax: str) -> Files:
    data_set = _named(multiframe_data_set(voxels(), series=SERIES))
    return {"frames.dcm": _written(data_set, syntax)}


def _compressed(name: str) -> Files:
    """A compressed image of pydicom's as the slices of a series; what decodes it may be native code."""
    path = get_testdata_file(name, download=False)
    files = {}
    for k in range(4):
        data_set = pydicom.dcmread(path)
        syntax = data_set.file_meta.TransferSyntaxUID
        data_set.SeriesInstanceUID, data_set.SOPInstanceUID = SERIES, f"{SERIES}.{k}"
        data_set.file_meta.MediaStorageSOPInstanceUID = data_set.SOPInstanceUID
        data_set.ImagePositionPatient, data_set.InstanceNumber = [0, 0, 3.0 * k], k + 1
        data_set.ImageOrientationPatient, data_set.PixelSpacing = [1, 0, 0, 0, 1, 0], [1, 1]
        pixel_data, vr = data_set.PixelData, data_set["PixelData"].VR
        made = _named(data_set)
        made.PixelData = pixel_data
        made["PixelData"].VR = vr
        files[f"{k}.dcm"] = _written(made, syntax)
    return files


def nifti(single: bool = True) -> bytes:
    """A NIfTI-1 header with the patient's name in its text."""
    head = bytearray(352)
    struct.pack_into("<i", head, 0, 348)
    head[14:32] = b"Quirinius^Zebedea\0"
    struct.pack_into("<8h", head, 40, 3, *SHAPE[::-1], 1, 1, 1, 1)
    struct.pack_into("<2h", head, 70, 4, 16)
    struct.pack_into("<4f", head, 76, 1, 1.5, 1.5, 3)
    struct.pack_into("<3f", head, 108, 352 if single else 0, 1, 0)
    head[123] = 2
    head[148:166] = b"Quirinius^Zebedea\0"
    struct.pack_into("<2h", head, 252, 1, 1)
    struct.pack_into("<6f", head, 256, 0, 1, 0, 30, -20, -10)
    struct.pack_into("<12f", head, 280, -1.5, 0, 0, 30, 0, 1.5, 0, -20, 0, 0, 3, -10)
    head[344:348] = b"n+1\0" if single else b"ni1\0"
    return bytes(head)


def _nifti2() -> bytes:
    head = bytearray(544)
    struct.pack_into("<i8s2h8q", head, 0, 540, b"n+2\0\r\n\x1a\n", 4, 16, 3, *SHAPE[::-1], 1, 1, 1, 1)
    struct.pack_into("<8d", head, 104, 1, 1.5, 1.5, 3, 1, 1, 1, 1)
    struct.pack_into("<q2d", head, 168, 544, 1, 0)
    head[240:258] = b"Quirinius^Zebedea\0"
    struct.pack_into("<2i", head, 344, 0, 1)
    struct.pack_into("<12d", head, 400, -1.5, 0, 0, 30, 0, 1.5, 0, -20, 0, 0, 3, -10)
    struct.pack_into("<i", head, 500, 2)
    return bytes(head)


def _nrrd(encoding: str, more: str = "") -> bytes:
    i, j, k = SHAPE[::-1]
    return (
        "NRRD0005\n# Quirinius^Zebedea\ntype: short\ndimension: 3\nspace: left-posterior-superior\n"
        f"sizes: {i} {j} {k}\n"
        "space directions: (1.5,0,0) (0,1.5,0) (0,0,3)\nkinds: domain domain domain\nendian: little\n"
        f"encoding: {encoding}\nspace origin: (-30,20,-10)\n{more}patient:=Quirinius^Zebedea\n\n"
    ).encode()


def _meta(more: str, where: str) -> bytes:
    i, j, k = SHAPE[::-1]
    return (
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
        f"Comment = Quirinius^Zebedea\n{more}TransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = -30 20 -10\n"
        f"ElementSpacing = 1.5 1.5 3\nDimSize = {i} {j} {k}\nElementType = MET_SHORT\nElementDataFile = {where}\n"
    ).encode()


def _raw() -> bytes:
    return voxels().astype("<i2").tobytes()


def _sidecar() -> bytes:
    return json.dumps(
        {
            "Modality": "MR",
            "PatientName": "Quirinius^Zebedea",
            "PatientID": PATIENT_ID,
            "SeriesDescription": "T1",
        }
    ).encode()


_KINDS: dict[str, Callable[[], Files]] = {
    "DICOM explicit": lambda: _dicom(ExplicitVRLittleEndian),
    "DICOM implicit": lambda: _dicom(ImplicitVRLittleEndian),
    "DICOM big-endian": lambda: _dicom(ExplicitVRBigEndian),
    "DICOM deflated": lambda: _dicom(DeflatedExplicitVRLittleEndian),
    "DICOM RLE": lambda: _dicom(RLELossless),
    "DICOM multi-frame": lambda: _multi_frame(ExplicitVRLittleEndian),
    "DICOM multi-frame RLE": lambda: _multi_frame(RLELossless),
    "DICOM JPEG 2000": lambda: _compressed("MR_small_jp2klossless.dcm"),
    "DICOM JPEG-LS": lambda: _compressed("MR_small_jpeg_ls_lossless.dcm"),
    "DICOM JPEG lossless": lambda: _compressed("JPEG-LL.dcm"),
    "DICOM JPEG extended": lambda: _compressed("JPGExtended.dcm"),
    "NIfTI": lambda: {"a.nii": nifti() + _raw(), "a.json": _sidecar()},
    "NIfTI compressed": lambda: {"a.nii.gz": gzip.compress(nifti() + _raw(), mtime=0)},
    "NIfTI pair": lambda: {"a.hdr": nifti(single=False), "a.img": _raw()},
    "NIfTI-2": lambda: {"a.nii": _nifti2() + _raw()},
    "NRRD": lambda: {"a.nrrd": _nrrd("raw") + _raw()},
    "NRRD gzip": lambda: {"a.nrrd": _nrrd("gzip") + gzip.compress(_raw(), mtime=0)},
    "NRRD bzip2": lambda: {"a.nrrd": _nrrd("bzip2") + bz2.compress(_raw())},
    "NRRD detached": lambda: {"a.nhdr": _nrrd("raw", "data file: a.raw\n"), "a.raw": _raw()},
    "MetaImage": lambda: {"a.mha": _meta("", "LOCAL") + _raw()},
    "MetaImage compressed": lambda: {"a.mha": _meta("CompressedData = True\n", "LOCAL") + zlib.compress(_raw())},
    "MetaImage detached": lambda: {"a.mhd": _meta("", "a.raw"), "a.raw": _raw()},
}


def seed_of(kind: str, number: int) -> Files:
    """The good input of a kind, with a series of its own where that cannot be put in later."""
    if kind == "DICOM deflated":
        return _dicom(DeflatedExplicitVRLittleEndian, series_uid(number).decode())
    return seeds()[kind]


@lru_cache(maxsize=1)
def seeds() -> dict[str, Files]:
    """A good input of every kind that can be made here."""
    made = {}
    for kind, make in _KINDS.items():
        try:
            with pydicom.config.disable_value_validation():
                made[kind] = make()
        except (FileNotFoundError, TypeError, ValueError, AttributeError) as error:
            print(f"without {kind}: {error}")
    return made


def good_files() -> Files:
    """Volumes that lie next to every input and must come through: three, by their paths."""
    series = {
        f"good/series/{name}": content.replace(SERIES.encode(), series_uid(8_999_999))
        for name, content in seeds()["DICOM explicit"].items()
    }
    return {
        **series,
        "good/b.nii.gz": seeds()["NIfTI compressed"]["a.nii.gz"],
        "good/c.nrrd": seeds()["NRRD"]["a.nrrd"],
    }
