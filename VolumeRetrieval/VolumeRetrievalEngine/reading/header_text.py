"""What ITK does not tell about NIfTI, NRRD and MetaImage headers: their raw files, and whether they give a geometry."""

from __future__ import annotations

import gzip
import math
import re
import struct
from pathlib import Path

import SimpleITK as sitk

_HEADER_BYTES = 64 * 1024
_NIFTI_HEADER = 352
_BLOCK_BYTES = 1 << 20
_GZIP_MAGIC = b"\x1f\x8b"


def raw_files(path: Path) -> list[Path]:
    """The files that hold the voxels of a .nhdr or .mhd header; [] for all other files.

    Names made by a pattern ("slice%03d.raw 1 50 1") are not followed.
    """
    ending = path.suffix.lower()
    if ending not in (".nhdr", ".mhd"):
        return []
    key = "data file" if ending == ".nhdr" else "elementdatafile"
    lines = _header_lines(path)
    for number, line in enumerate(lines):
        name, _, value = line.partition(":" if ending == ".nhdr" else "=")
        if name.strip().lower() not in (key, key.replace(" ", "")):
            continue
        value = value.strip()
        if value.upper() == "LOCAL" or "%" in value:
            return []
        names = [one.strip() for one in lines[number + 1 :] if one.strip()] if value.split()[0] == "LIST" else [value]
        return [path.parent / one for one in names]
    return []


def has_geometry(path: Path, header: sitk.ImageFileReader) -> bool:
    """Whether the file says how its axes lie in the patient."""
    ending = path.suffix.lower()
    if ending in (".nii", ".gz"):
        codes = [header.GetMetaData(key) for key in ("qform_code", "sform_code") if header.HasMetaDataKey(key)]
        return any(code.strip() not in ("", "0") for code in codes)
    wanted = ("space directions",) if ending in (".nrrd", ".nhdr") else ("transformmatrix", "orientation", "rotation")
    names = [re.split(r":=|:|=", line, maxsplit=1)[0].strip().lower() for line in _header_lines(path)]
    return any(name in wanted for name in names)


def nifti_bytes_missing(path: Path) -> int:
    """How many bytes a NIfTI file lacks; 0 if none, or if it is no NIfTI file.

    ITK reads what is there of a truncated .nii.gz and leaves the rest 0, without an error: so the file is decompressed
    once for its length and checksum. EOFError, OSError or zlib.error if it cannot be.
    """
    if path.suffix.lower() not in (".nii", ".gz"):
        return 0
    with path.open("rb") as file:
        head = file.read(_NIFTI_HEADER)
    if head[:2] != _GZIP_MAGIC:  # ITK goes by this too, whatever the name says
        return max(0, _nifti_length(head) - path.stat().st_size)
    with gzip.open(path, "rb") as file:
        head = file.read(_NIFTI_HEADER)
        length = len(head)
        while block := file.read(_BLOCK_BYTES):
            length += len(block)
    return max(0, _nifti_length(head) - length)


def _nifti_length(head: bytes) -> int:
    """The length that a NIfTI-1 or NIfTI-2 header (352 bytes of it) announces, in bytes."""
    order = "<" if head[:4] in (struct.pack("<i", 348), struct.pack("<i", 540)) else ">"
    if len(head) < _NIFTI_HEADER:
        return _NIFTI_HEADER
    if struct.unpack(f"{order}i", head[:4])[0] == 348:
        dimensions = struct.unpack(f"{order}8h", head[40:56])
        bits = struct.unpack(f"{order}h", head[72:74])[0]
        offset = int(struct.unpack(f"{order}f", head[108:112])[0])
    else:
        dimensions = struct.unpack(f"{order}8q", head[16:80])
        bits = struct.unpack(f"{order}h", head[14:16])[0]
        offset = struct.unpack(f"{order}q", head[168:176])[0]
    lengths = [max(1, length) for length in dimensions[1 : 1 + max(0, min(dimensions[0], 7))]]
    return offset + math.prod(lengths) * bits // 8


def _header_lines(path: Path) -> list[str]:
    with path.open("rb") as file:
        head = file.read(_HEADER_BYTES)
    text = head.decode("latin-1")
    # The header of .nrrd ends at an empty line, that of .mha with the line that names the data.
    end = re.search(r"\r?\n\r?\n|ElementDataFile\s*=\s*LOCAL", text)
    return (text[: end.start()] if end else text).splitlines()
