"""What ITK hides about the voxels of a NIfTI file.

ITK (niftilib) reads what is there of a truncated .nii.gz and leaves the rest 0, without an error, and it reads voxels
that are not finite as 0, which in a CT is water. So the file is gone through once more: for its length and checksum,
and where its values are floating point for NaN and infinity.
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

from ...errors import UnreadableFileError

_HEADER_BYTES = 352
_BLOCK_BYTES = 1 << 20
_GZIP_MAGIC = b"\x1f\x8b"
#: NIfTI's codes of floating-point types (nifti1.h).
_FLOATS = {16: "f4", 64: "f8"}


@dataclass(frozen=True)
class _Layout:
    """Where the voxels of a file lie, and of what type they are; float_type is "" for whole numbers."""

    offset: int
    length: int
    float_type: str


def voxels_not_finite(path: Path) -> np.ndarray:
    """int64 [n]: the voxels of a NIfTI file that are NaN or infinite, numbered with i running fastest.

    UnreadableFileError if the file is truncated or its compressed data is damaged.
    """
    try:
        with path.open("rb") as file:
            compressed = file.read(2) == _GZIP_MAGIC  # ITK goes by this too, whatever the name says
        with cast(IO[bytes], gzip.open(path, "rb") if compressed else path.open("rb")) as file:
            layout = _layout(file.read(_HEADER_BYTES))
            if not compressed and not layout.float_type:
                missing, places = layout.offset + layout.length - path.stat().st_size, np.zeros(0, np.int64)
            else:
                missing, places = _gone_through(file, layout)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UnreadableFileError(path, "truncated or damaged: it cannot be decompressed; copy it again") from error
    except OSError as error:
        raise UnreadableFileError(path, f"not readable: {error.strerror or type(error).__name__}") from error
    if missing > 0:
        raise UnreadableFileError(path, f"truncated: {missing} bytes are missing; copy or export it again")
    return places


def _gone_through(file: IO[bytes], layout: _Layout) -> tuple[int, np.ndarray]:
    """How many bytes are missing behind the header, and the voxels that are not finite."""
    file.seek(layout.offset)
    done, places = 0, []
    while block := file.read(_BLOCK_BYTES):
        if layout.float_type and done < layout.length:
            size = np.dtype(layout.float_type).itemsize
            values = np.frombuffer(block[: min(len(block), layout.length - done) // size * size], layout.float_type)
            found = np.flatnonzero(~np.isfinite(values))
            if len(found):
                places.append(found + done // size)
        done += len(block)
    return layout.length - done, np.concatenate(places) if places else np.zeros(0, np.int64)


def _layout(head: bytes) -> _Layout:
    """From the first 352 bytes of a NIfTI-1 or NIfTI-2 file."""
    if len(head) < _HEADER_BYTES:
        return _Layout(_HEADER_BYTES, 0, "")
    order = "<" if head[:4] in (struct.pack("<i", 348), struct.pack("<i", 540)) else ">"
    if struct.unpack(f"{order}i", head[:4])[0] == 348:
        dimensions = struct.unpack(f"{order}8h", head[40:56])
        code, bits = struct.unpack(f"{order}2h", head[70:74])
        start = struct.unpack(f"{order}f", head[108:112])[0]
        offset = int(start) if math.isfinite(start) else 0
    else:
        code, bits = struct.unpack(f"{order}2h", head[12:16])
        dimensions = struct.unpack(f"{order}8q", head[16:80])
        offset = struct.unpack(f"{order}q", head[168:176])[0]
    lengths = [max(1, length) for length in dimensions[1 : 1 + max(0, min(dimensions[0], 7))]]
    float_type = order + _FLOATS[code] if code in _FLOATS else ""
    return _Layout(max(offset, 348), math.prod(lengths) * max(bits, 0) // 8, float_type)
