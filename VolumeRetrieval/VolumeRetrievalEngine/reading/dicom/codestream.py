"""The size that a compressed frame says of itself, to be compared with the header before a native decoder sees it."""

from __future__ import annotations

import struct

#: Start of frame in JPEG (T.81 B.1.1.3) and JPEG-LS (T.87 C.2.2): 0xC0 to 0xCF without tables, and 0xF7.
_FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
_JPEG_2000 = b"\xff\x4f\xff\x51"
_JP2 = b"jP  "


def size_in(encoded: bytes) -> tuple[int, int] | None:
    """(rows, columns) that a JPEG, JPEG-LS or JPEG 2000 stream announces; None if it does not begin as one."""
    try:
        if encoded[4:8] == _JP2:
            encoded = encoded[encoded.index(_JPEG_2000) :]
        if encoded.startswith(_JPEG_2000):  # T.800 A.5.1: then length and capabilities
            right, bottom, left, top = struct.unpack_from(">IIII", encoded, 8)
            return bottom - top, right - left
        return _size_in_jpeg(encoded)
    except (struct.error, ValueError, IndexError):
        return None


def _size_in_jpeg(encoded: bytes) -> tuple[int, int] | None:
    if not encoded.startswith(b"\xff\xd8"):
        return None
    at = 2
    while encoded[at] == 0xFF:
        marker = encoded[at + 1]
        if marker == 0xFF:  # fill
            at += 1
            continue
        if marker in _FRAMES:
            rows, columns = struct.unpack_from(">HH", encoded, at + 5)
            return rows, columns
        at += 2 + struct.unpack_from(">H", encoded, at + 2)[0]
    return None
