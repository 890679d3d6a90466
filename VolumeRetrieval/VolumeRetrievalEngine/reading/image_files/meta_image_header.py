"""The header of MetaImage files (.mha, and .mhd with the voxels in other files).

Source: https://itk.org/Wiki/ITK/MetaIO/Documentation, and for what it leaves open MetaIO's own code (metaImage.cxx).
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from .image_header import (
    NO_ORIENTATION,
    Encoding,
    ImageHeader,
    VoxelData,
    checked_sizes,
    damaged,
    existing_files,
    numbered_files,
    one_whole_number,
    real_numbers,
    whole_numbers,
    wrong,
)

_HEADER_BYTES = 1 << 20
_TYPES = {
    "CHAR": "i1",
    "UCHAR": "u1",
    "SHORT": "i2",
    "USHORT": "u2",
    "INT": "i4",
    "UINT": "u4",
    "LONG": "i4",  # MetaIO's are of 4 bytes everywhere
    "ULONG": "u4",
    "LONG_LONG": "i8",
    "ULONG_LONG": "u8",
    "FLOAT": "f4",
    "DOUBLE": "f8",
}
_DIRECTIONS = ("transformmatrix", "rotation", "orientation")
_POSITIONS = ("offset", "position", "origin")
_SPACINGS = ("elementspacing", "elementsize")
_LAST_FIELD = "elementdatafile"


def meta_image_header(path: Path, ending: str) -> ImageHeader:
    """The checked header of a .mha or .mhd file.

    Raises:
        UnreadableFileError: not such a file, or damaged.
    """
    fields, listed, end = _fields(path, ending)
    if fields.get("objecttype", "Image").lower() != "image":
        raise wrong(path, "its ObjectType is no Image")
    dimension = one_whole_number(path, fields.get("ndims", ""), "NDims")
    sizes = checked_sizes(path, whole_numbers(path, fields.get("dimsize", ""), "DimSize"), "DimSize")
    if len(sizes) != dimension:
        raise wrong(path, f"NDims is {dimension}, but DimSize has {len(sizes)} numbers")
    components = one_whole_number(path, fields.get("elementnumberofchannels", "1"), "ElementNumberOfChannels")
    checked_sizes(path, (components,), "ElementNumberOfChannels")
    return ImageHeader(
        path=path,
        sizes=sizes,
        value_type=_value_type(path, fields),
        data=_data(path, fields, listed, end),
        geometry=(".mha", _clean(path, fields, dimension)),
        components=components,
        notes=() if any(name in fields for name in _DIRECTIONS) else (NO_ORIENTATION,),
    )


def _fields(path: Path, ending: str) -> tuple[dict[str, str], list[str], int]:
    """The fields by name in small letters, the lines behind them, and where behind the last field the file goes on."""
    fields: dict[str, str] = {}
    with path.open("rb") as file:
        while file.tell() < _HEADER_BYTES and (line := file.readline(_HEADER_BYTES)):
            text = line.decode("utf-8", "surrogateescape").strip()  # as file names are
            name, sign, value = re.match(r"([^=:]*)([=:]?)(.*)", text).groups()  # type: ignore[union-attr]
            if not text:
                continue
            if not sign or not re.fullmatch(r"[A-Za-z_][\w .-]*", name.strip()):
                raise damaged(path, ending)
            fields.setdefault(name.strip().lower(), value.strip())
            if _LAST_FIELD in fields:
                end = file.tell()
                listed = []
                if fields[_LAST_FIELD].split()[:1] == ["LIST"]:
                    rest = file.read(_HEADER_BYTES).decode("utf-8", "surrogateescape")
                    listed = [one.strip() for one in rest.splitlines() if one.strip()]
                return fields, listed, end
    raise damaged(path, ending)


def _yes(fields: dict[str, str], name: str, default: bool = False) -> bool:
    return fields.get(name, str(default)).strip().lower()[:1] in ("t", "y", "1")  # as MetaIO does


def _value_type(path: Path, fields: dict[str, str]) -> np.dtype:
    name = fields.get("elementtype", "").upper()
    code = _TYPES.get(name.removeprefix("MET_").removesuffix("_ARRAY"), "")
    if not code:
        raise wrong(path, "its ElementType is none of MetaImage's numbers")
    big = _yes(fields, "elementbyteordermsb") or _yes(fields, "binarydatabyteordermsb")
    return np.dtype((">" if big else "<") + code)


def _data(path: Path, fields: dict[str, str], listed: list[str], end: int) -> VoxelData:
    skip = one_whole_number(path, fields.get("headersize", "0"), "HeaderSize")
    encoding = Encoding.ZLIB if _yes(fields, "compresseddata") else Encoding.RAW
    if not _yes(fields, "binarydata", default=True):
        encoding = Encoding.TEXT
    if skip < -1 or (skip == -1 and encoding is not Encoding.RAW):
        raise wrong(path, f"HeaderSize is {skip}")
    where = fields[_LAST_FIELD]
    if where.upper() == "LOCAL":
        return VoxelData((path,), encoding, start=skip if skip else end)
    return VoxelData(existing_files(path, _data_files(path, where, listed)), encoding, start=skip)


def _data_files(path: Path, where: str, listed: list[str]) -> list[Path]:
    words = where.split()
    if not words:
        raise wrong(path, "it names no file of voxels")
    if words[0] == "LIST":
        return [path.parent / name for name in listed]
    if "%" in words[0] and len(words) >= 3:
        numbers = (*whole_numbers(path, " ".join(words[1:4]), "ElementDataFile"), 1)
        first, last, step = numbers[:3]
        if step < 1:
            raise wrong(path, f"ElementDataFile counts its files in steps of {step}")
        return numbered_files(path, words[0], range(first, last + 1, step))
    return [path.parent / where]


def _clean(path: Path, fields: dict[str, str], dimension: int) -> bytes:
    """A MetaImage file of one voxel with the geometry of these fields for the first three axes."""
    kept = min(dimension, 3)
    lines = ["ObjectType = Image", f"NDims = {kept}"]
    for names, written in ((_DIRECTIONS, "TransformMatrix"), (_POSITIONS, "Offset"), (_SPACINGS, "ElementSpacing")):
        name = next((name for name in names if name in fields), None)
        if name is None:
            continue
        values = real_numbers(path, fields[name], name)
        expected = dimension**2 if names is _DIRECTIONS else dimension
        if len(values) < expected:
            raise wrong(path, f"{name} has {len(values)} numbers, expected {expected}")
        if names is _DIRECTIONS:
            values = tuple(np.reshape(values[:expected], (dimension, dimension))[:kept, :kept].ravel().tolist())
        else:
            values = values[:kept]
        lines.append(f"{written} = {' '.join(map(repr, values))}")
    lines += ["DimSize =" + " 1" * kept, "ElementType = MET_UCHAR", "ElementDataFile = LOCAL", ""]
    return "\n".join(lines).encode() + b"\0"
