"""The header of NRRD files (.nrrd, and .nhdr with the voxels in other files).

Source: http://teem.sourceforge.net/nrrd/format.html; which axes are of space is decided as ITK's NrrdImageIO does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import UnreadableFileError
from .image_header import (
    NO_ORIENTATION,
    Encoding,
    ImageHeader,
    VoxelData,
    checked_numbers,
    checked_sizes,
    damaged,
    existing_files,
    numbered_files,
    one_whole_number,
    real_numbers,
    whole_numbers,
    wrong,
)

#: Headers of segmentations and sequences are long, but not longer.
_HEADER_BYTES = 1 << 24
_TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "signed long long int", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
_ENCODINGS = {
    "raw": Encoding.RAW,
    "gz": Encoding.GZIP,
    "gzip": Encoding.GZIP,
    "bz2": Encoding.BZIP2,
    "bzip2": Encoding.BZIP2,
    "txt": Encoding.TEXT,
    "text": Encoding.TEXT,
    "ascii": Encoding.TEXT,
}
_OTHER_ENCODINGS = ("hex", "zrl", "zstd", "lz4")
_SPACES = (
    *("right-anterior-superior", "ras", "left-anterior-superior", "las", "left-posterior-superior", "lps"),
    *("scanner-xyz", "3d-right-handed", "3d-left-handed"),
)
#: Kinds of axes along which a voxel moves; along all others it has several values.
_SPATIAL_KINDS = ("domain", "space", "time", "???", "none", "")
#: Fields with one value for each axis that tell where it lies.
_BY_AXIS = ("spacings", "axismins", "axismaxs", "centerings")


@dataclass(frozen=True)
class _Axes:
    """Which axes of the file are of space, and which one has the values of a voxel (None: there is one value)."""

    sizes: tuple[int, ...]
    spatial: tuple[int, ...]
    values: int | None


def nrrd_header(path: Path, ending: str) -> ImageHeader:
    """The checked header of a .nrrd or .nhdr file.

    Raises:
        UnreadableFileError: not such a file, damaged, or with an encoding that is not read.
    """
    lines, end = _lines(path, ending)
    fields, listed = _fields(lines)
    dimension = one_whole_number(path, fields.get("dimension", ""), "dimension")
    sizes = checked_sizes(path, whole_numbers(path, fields.get("sizes", ""), "sizes"), "sizes")
    if len(sizes) != dimension:
        raise wrong(path, f"{dimension} dimensions, but {len(sizes)} sizes")
    axes = _axes(path, fields, sizes)
    spatial = tuple(sizes[axis] for axis in axes.spatial)
    return ImageHeader(
        path=path,
        sizes=spatial,
        value_type=_value_type(path, fields),
        data=_data(path, fields, listed, end, dimension),
        geometry=(".nrrd", _clean(path, fields, axes)),
        components=1 if axes.values is None else sizes[axes.values],
        components_last=axes.values == dimension - 1 and dimension > 1,
        notes=_notes(fields),
    )


def _notes(fields: dict[str, str]) -> tuple[str, ...]:
    if "spacedirections" not in fields:
        return (NO_ORIENTATION,)
    given_twice = any(word.lower() not in ("nan", "none") for word in fields.get("spacings", "").split())
    return ("spacings in the file besides its space directions: the directions are used",) if given_twice else ()


def _lines(path: Path, ending: str) -> tuple[list[str], int]:
    """The lines of the header, and where behind it the file goes on."""
    lines: list[str] = []
    with path.open("rb") as file:
        if file.read(4) != b"NRRD":
            raise damaged(path, ending)
        file.readline(1024)
        while file.tell() < _HEADER_BYTES:
            line = file.readline(_HEADER_BYTES)
            if not line.strip(b"\r\n"):
                return lines, file.tell()
            lines.append(line.decode("utf-8", "surrogateescape").rstrip("\r\n"))  # as file names are
    raise wrong(path, "it does not end")


def _fields(lines: list[str]) -> tuple[dict[str, str], list[str]]:
    """The fields by name, in small letters without blanks; and the lines behind "data file: LIST"."""
    fields: dict[str, str] = {}
    for number, line in enumerate(lines):
        name, colon, value = line.partition(":")
        if line.startswith("#") or not colon or value.startswith("="):  # a comment, or a key/value pair
            continue
        key = re.sub(r"[\s_]", "", name).lower()
        key = {"centers": "centerings", "encodings": "encoding"}.get(key, key)
        fields[key] = value.strip()
        if key == "datafile" and value.split()[:1] == ["LIST"]:
            return fields, [one.strip() for one in lines[number + 1 :] if one.strip()]
    return fields, []


def _axes(path: Path, fields: dict[str, str], sizes: tuple[int, ...]) -> _Axes:
    kinds = fields.get("kinds", "").lower().split() or [""] * len(sizes)
    if len(kinds) != len(sizes):
        raise wrong(path, f"{len(sizes)} dimensions, but {len(kinds)} kinds")
    directions = _directions(path, fields, len(sizes))
    # Three axes with a direction are those of space, whatever the kind of a fourth one without says.
    full = directions is not None and sum(one is not None for one in directions) == 3
    spatial = [
        axis
        for axis, kind in enumerate(kinds)
        if kind in _SPATIAL_KINDS and not (full and directions is not None and directions[axis] is None)
    ]
    others = [axis for axis in range(len(sizes)) if axis not in spatial]
    telling = [axis for axis in others if sizes[axis] > 1]
    if len(telling) > 1 or (telling and telling[0] not in (0, len(sizes) - 1)):
        raise UnreadableFileError(
            path, f"several values for each voxel along {len(telling)} axes: save one volume as a file of its own"
        )
    return _Axes(sizes, tuple(spatial), telling[0] if telling else None)


def _directions(path: Path, fields: dict[str, str], dimension: int) -> list[tuple[float, ...] | None] | None:
    """The direction of each axis, None for "none"; None if the file gives no directions."""
    if "spacedirections" not in fields:
        return None
    words = re.findall(r"\([^)]*\)|\S+", fields["spacedirections"])
    if len(words) != dimension:
        raise wrong(path, f"{dimension} dimensions, but {len(words)} space directions")
    return [None if word.lower() == "none" else _vector(path, word, "space directions") for word in words]


def _vector(path: Path, word: str, name: str) -> tuple[float, ...]:
    return real_numbers(path, word.strip("()").replace(",", " "), name)


def _value_type(path: Path, fields: dict[str, str]) -> np.dtype:
    name = " ".join(fields.get("type", "").lower().split())
    code = next((code for code, names in _TYPES.items() if name in names), "")
    if not code:
        raise wrong(path, "its type is none of NRRD's numbers")
    order = {"little": "<", "big": ">"}.get(fields.get("endian", "").lower(), "")
    text = _ENCODINGS.get(fields.get("encoding", "").lower()) is Encoding.TEXT
    if not order and code[1] != "1" and not text:
        raise wrong(path, "it does not say the byte order (endian: little or big)")
    return np.dtype((order or "<") + code)


def _data(path: Path, fields: dict[str, str], listed: list[str], end: int, dimension: int) -> VoxelData:
    name = fields.get("encoding", "").lower()
    if name not in _ENCODINGS:
        known = f"the encoding {name}" if name in _OTHER_ENCODINGS else "its encoding"
        raise UnreadableFileError(path, f"{known} is not read; save it as raw or gzip")
    encoding = _ENCODINGS[name]
    lines, skip = (one_whole_number(path, fields.get(field, "0"), field) for field in ("lineskip", "byteskip"))
    if lines < 0 or skip < -1 or (skip == -1 and encoding is not Encoding.RAW):
        raise wrong(path, f"line skip {lines} and byte skip {skip}")
    where = fields.get("datafile")
    if where is None:
        return VoxelData((path,), encoding, start=-1 if skip == -1 else end, inside=max(skip, 0), lines=lines)
    files = existing_files(path, _data_files(path, where, listed))
    return VoxelData(files, encoding, start=min(skip, 0), inside=max(skip, 0), lines=lines)


def _data_files(path: Path, where: str, listed: list[str]) -> list[Path]:
    words = where.split()
    if not words:
        raise wrong(path, "it names no file of voxels")
    if words[0] == "LIST":
        return [path.parent / name for name in listed]
    if "%" in words[0] and len(words) >= 4:
        first, last, step = whole_numbers(path, " ".join(words[1:4]), "data file")
        if step == 0:
            raise wrong(path, "it counts its files of voxels in steps of 0")
        return numbered_files(path, words[0], range(first, last + (1 if step > 0 else -1), step))
    return [path.parent / where]


def _clean(path: Path, fields: dict[str, str], axes: _Axes) -> bytes:
    """A NRRD file of one voxel with the geometry of these fields for the first three axes of space."""
    chosen = axes.spatial[:3]
    lines = ["NRRD0004", "type: uchar", f"dimension: {len(chosen)}", "sizes:" + " 1" * len(chosen)]
    directions = _directions(path, fields, len(axes.sizes))
    if directions is not None:
        lines += _space_lines(path, fields, [directions[axis] for axis in chosen])
    else:
        for name in _BY_AXIS:
            words = fields.get(name, "").split()
            if len(words) == len(axes.sizes):
                values = " ".join(_axis_value(path, name, words[axis]) for axis in chosen)
                lines.append(f"{name.replace('axis', 'axis ')}: {values}")
    return ("\n".join([*lines, "encoding: raw", "", ""])).encode() + b"\0"


def _space_lines(path: Path, fields: dict[str, str], directions: list[tuple[float, ...] | None]) -> list[str]:
    space = fields.get("space", "").lower()
    if space and space not in _SPACES:
        raise UnreadableFileError(
            path, "its space is none of a patient or scanner in three dimensions; save it in LPS or RAS"
        )
    if len(directions) != 3 or any(one is None or len(one) != 3 for one in directions):
        raise wrong(path, "its space directions are not three vectors of three numbers")
    lines = [f"space: {space}" if space else "space dimension: 3"]
    lines.append("space directions: " + " ".join(_written(one) for one in directions if one is not None))
    if "spaceorigin" in fields:
        origin = _vector(path, fields["spaceorigin"], "space origin")
        if len(origin) != 3:
            raise wrong(path, f"its space origin has {len(origin)} numbers")
        lines.append(f"space origin: {_written(origin)}")
    return lines


def _written(vector: tuple[float, ...]) -> str:
    return f"({','.join(map(repr, vector))})"


def _axis_value(path: Path, name: str, word: str) -> str:
    if name == "centerings":
        return word if word in ("cell", "node") else "???"
    if word.lower() == "nan":
        return "NaN"
    (value,) = checked_numbers(path, real_numbers(path, word, name), name)
    return repr(value)
