"""The header of NIfTI-1 and NIfTI-2 files, of pairs of .hdr and .img, and of Analyze 7.5.

Sources: nifti1.h and nifti2.h (https://nifti.nimh.nih.gov); what they leave open is done as niftilib does it, which ITK
and so Slicer read with.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import numpy as np

from ...errors import NotAVolumeError, UnreadableFileError
from .image_header import (
    NO_ORIENTATION,
    Encoding,
    ImageHeader,
    VoxelData,
    checked_numbers,
    checked_sizes,
    damaged,
    existing_files,
    wrong,
)

_GZIP_MAGIC = b"\x1f\x8b"
_HEAD_BYTES = 540
#: sizeof_hdr of each version.
_SIZE_OF_HEADER = {1: 348, 2: 540}
#: NIfTI's codes of data types, and how many values they are for each voxel.
_TYPES = {
    2: ("u1", 1),
    4: ("i2", 1),
    8: ("i4", 1),
    16: ("f4", 1),
    64: ("f8", 1),
    128: ("u1", 3),
    256: ("i1", 1),
    512: ("u2", 1),
    768: ("u4", 1),
    1024: ("i8", 1),
    1280: ("u8", 1),
    2304: ("u1", 4),
}
_COMPLEX = (32, 1792, 2048)
_NOT_READ = {1: "single bits", 1536: "128-bit floating point"}
#: Where two orientations of one file are this far apart at a corner, in voxels, they contradict each other.
_CONTRADICTION = 0.5
#: Where the lengths of the sform's columns differ from the spacing by more than this share, they contradict each other.
_OTHER_SPACING = 0.02
OTHER_SPACING = "two spacings in the file (pixdim, sform): read as 3D Slicer reads it, with pixdim"


@dataclass(frozen=True)
class _Fields:
    """What the two versions have in common, by nifti1.h's names."""

    version: int
    magic: bytes
    dim: tuple[int, ...]
    datatype: int
    pixdim: tuple[float, ...]
    vox_offset: float
    scl_slope: float
    scl_inter: float
    xyzt_units: int
    qform_code: int
    sform_code: int
    quatern: tuple[float, ...]
    srow: tuple[float, ...]


def is_nifti_header(head: bytes) -> bool:
    """Whether these first bytes of a .hdr file can be of a NIfTI or Analyze header; other programs use this ending."""
    return any(int.from_bytes(head[:4], order) in _SIZE_OF_HEADER.values() for order in ("little", "big"))


def nifti_header(path: Path, ending: str) -> ImageHeader:
    """The checked header of a .nii, .nii.gz or .hdr file.

    Raises:
        UnreadableFileError: not such a file, damaged, or of a kind that is not read. NotAVolumeError: complex numbers.
    """
    head, compressed = _head(path, ending)
    fields, order = _fields(path, head, ending)
    sizes = _sizes(path, fields)
    if fields.datatype in _COMPLEX:
        raise NotAVolumeError(path, "complex numbers; save the magnitude as a file of its own")
    if fields.datatype in _NOT_READ:
        what = _NOT_READ[fields.datatype]
        raise UnreadableFileError(path, f"voxels of {what} are not read; save it as 16-bit integers or 32-bit float")
    if fields.datatype not in _TYPES:
        raise wrong(path, f"the data type {fields.datatype} is none of NIfTI's")
    code, components = _TYPES[fields.datatype]
    last = components == 1 and len(sizes) > 4 and sizes[4] > 1
    if last:
        components, sizes = sizes[4], (*sizes[:4], *sizes[5:])
    fields = _with_usable_orientations(path, fields)
    slope = fields.scl_slope if math.isfinite(fields.scl_slope) and fields.scl_slope != 0 else 1.0
    return ImageHeader(
        path=path,
        sizes=sizes,
        value_type=np.dtype(order + code),
        data=_data(path, ending, fields, compressed),
        geometry=(".nii", _clean(fields)),
        components=components,
        components_last=last,
        slope=slope,
        intercept=fields.scl_inter if math.isfinite(fields.scl_inter) else 0.0,
        notes=_notes(fields, sizes),
    )


def _head(path: Path, ending: str) -> tuple[bytes, bool]:
    """The first bytes, decompressed, and whether the file is compressed, whatever its name says (as ITK does)."""
    try:
        with path.open("rb") as file:
            compressed = file.read(2) == _GZIP_MAGIC
        with cast(IO[bytes], gzip.open(path, "rb") if compressed else path.open("rb")) as file:
            return file.read(_HEAD_BYTES), compressed
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise damaged(path, ending) from None


def _fields(path: Path, head: bytes, ending: str) -> tuple[_Fields, str]:
    found = [
        (version, order)
        for version, size in _SIZE_OF_HEADER.items()
        for order in "<>"
        if head[:4] == struct.pack(f"{order}i", size)
    ]
    if not found or len(head) < _SIZE_OF_HEADER[found[0][0]]:
        raise damaged(path, ending)
    version, order = found[0]

    def values(form: str, at: int) -> tuple:
        return struct.unpack_from(order + form, head, at)

    if version == 1:
        fields = _Fields(
            version=1,
            magic=head[344:347],
            dim=values("8h", 40),
            datatype=values("h", 70)[0],
            pixdim=values("8f", 76),
            vox_offset=values("f", 108)[0],
            scl_slope=values("f", 112)[0],
            scl_inter=values("f", 116)[0],
            xyzt_units=head[123],
            qform_code=values("h", 252)[0],
            sform_code=values("h", 254)[0],
            quatern=values("6f", 256),
            srow=values("12f", 280),
        )
    else:
        fields = _Fields(
            version=2,
            magic=head[4:7],
            dim=values("8q", 16),
            datatype=values("h", 12)[0],
            pixdim=values("8d", 104),
            vox_offset=float(values("q", 168)[0]),
            scl_slope=values("d", 176)[0],
            scl_inter=values("d", 184)[0],
            xyzt_units=values("i", 500)[0] & 0xFF,
            qform_code=values("i", 344)[0],
            sform_code=values("i", 348)[0],
            quatern=values("6d", 352),
            srow=values("12d", 400),
        )
    return _checked_magic(path, fields, ending), order


def _checked_magic(path: Path, fields: _Fields, ending: str) -> _Fields:
    single, pair = (b"n+1", b"ni1") if fields.version == 1 else (b"n+2", b"ni2")
    if fields.magic == (pair if ending == ".hdr" else single):
        return fields
    if ending == ".hdr" and fields.version == 1 and fields.magic not in (single, pair):
        # Analyze 7.5: its bytes where NIfTI has scaling and orientation mean something else.
        return _Fields(**{**vars(fields), "scl_slope": 1.0, "scl_inter": 0.0, "qform_code": 0, "sform_code": 0})
    raise wrong(path, f"its magic is not {(pair if ending == '.hdr' else single).decode()}")


def _sizes(path: Path, fields: _Fields) -> tuple[int, ...]:
    count = fields.dim[0]
    if not 1 <= count <= 7:
        raise wrong(path, f"it has {count} dimensions, expected 1 to 7")
    first, *others = fields.dim[1 : count + 1]
    return checked_sizes(path, (first, *(max(1, size) for size in others)), "dim")


def _data(path: Path, ending: str, fields: _Fields, compressed: bool) -> VoxelData:
    offset = fields.vox_offset
    if not math.isfinite(offset) or not 0 <= offset < 2**53:
        raise wrong(path, f"its voxels should begin at byte {offset:g}")
    if ending != ".hdr":
        offset = max(int(offset), _SIZE_OF_HEADER[fields.version])
        encoding = Encoding.GZIP if compressed else Encoding.RAW
        return VoxelData((path,), encoding, **({"inside": offset} if compressed else {"start": offset}))
    names = [path.with_suffix(one) for one in (".img", ".IMG", ".img.gz")]
    file = next((one for one in names if one.is_file()), names[0])
    existing_files(path, [file])
    with file.open("rb") as opened:
        packed = opened.read(2) == _GZIP_MAGIC and file.name.lower().endswith(".gz")
    encoding = Encoding.GZIP if packed else Encoding.RAW
    return VoxelData((file,), encoding, **({"inside": int(offset)} if packed else {"start": int(offset)}))


def _with_usable_orientations(path: Path, fields: _Fields) -> _Fields:
    """Without an orientation of which a number is not finite, if there is another; checked."""
    codes = {"qform_code": fields.quatern, "sform_code": fields.srow}
    used = {name: values for name, values in codes.items() if getattr(fields, name) > 0}
    good = {name for name, values in used.items() if all(map(math.isfinite, values))}
    checked_numbers(path, fields.pixdim[1:4], "pixdim")
    for name, values in used.items():
        if name in good or not good:
            checked_numbers(path, values, "its orientation")
    dropped = {name: 0 for name in codes if name not in good}
    return _Fields(**{**vars(fields), **dropped})


def _notes(fields: _Fields, sizes: tuple[int, ...]) -> tuple[str, ...]:
    if fields.qform_code <= 0 and fields.sform_code <= 0:
        return (NO_ORIENTATION,)
    if fields.qform_code <= 0:
        lengths = np.linalg.norm(np.reshape(fields.srow, (3, 4))[:, :3], axis=0)
        spacing = np.array([abs(one) or 1.0 for one in fields.pixdim[1:4]])
        return (OTHER_SPACING,) if np.any(np.abs(lengths - spacing) > _OTHER_SPACING * spacing) else ()
    if fields.sform_code <= 0:
        return ()
    apart = _affine_of_quaternion(fields) - np.reshape(fields.srow, (3, 4))
    i, j, k = (*sizes, 1, 1)[:3]
    corners = np.array([[a * (i - 1), b * (j - 1), c * (k - 1), 1] for a in (0, 1) for b in (0, 1) for c in (0, 1)])
    distance = float(np.linalg.norm(corners @ apart.T, axis=1).max())
    smallest = min((abs(one) for one in fields.pixdim[1:4] if one), default=1.0)
    if distance <= _CONTRADICTION * smallest:
        return ()
    return (f"two orientations in the file (qform, sform), {distance:.3g} mm apart: read as 3D Slicer reads it",)


def _affine_of_quaternion(fields: _Fields) -> np.ndarray:
    """float64 [3, 4]: method 2 of nifti1.h."""
    b, c, d, *offset = fields.quatern
    a = math.sqrt(max(0.0, 1.0 - (b * b + c * c + d * d)))
    turn = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - c * c - b * b],
        ]
    )
    x, y, z = (abs(one) or 1.0 for one in fields.pixdim[1:4])
    return np.column_stack([turn * (x, y, -z if fields.pixdim[0] < 0 else z), offset])


def _clean(fields: _Fields) -> bytes:
    """A NIfTI-1 file of one voxel with the geometry of these fields."""
    head = bytearray(353)
    struct.pack_into("<i", head, 0, 348)
    struct.pack_into("<8h", head, 40, 3, 1, 1, 1, 1, 1, 1, 1)
    struct.pack_into("<2h", head, 70, 2, 8)
    struct.pack_into("<8f", head, 76, -1 if fields.pixdim[0] < 0 else 1, *fields.pixdim[1:4], 1, 1, 1, 1)
    struct.pack_into("<3f", head, 108, 352, 1, 0)
    head[123] = fields.xyzt_units
    codes = [min(max(code, 0), 99) for code in (fields.qform_code, fields.sform_code)]
    struct.pack_into("<2h", head, 252, *codes)
    struct.pack_into("<6f", head, 256, *(fields.quatern if codes[0] else (0,) * 6))
    struct.pack_into("<12f", head, 280, *(fields.srow if codes[1] else (0,) * 12))
    head[344:348] = b"n+1\0"
    return bytes(head)
