"""Whether a file holds all of its pixel data, without reading them."""

from __future__ import annotations

import struct
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from .values import whole

_ITEM, _TAG = (0xFFFE, 0xE000), 4


def missing_bytes(path: Path, data_set: Dataset, size: int, pixels_at: int) -> int:
    """How many bytes of pixel data the file lacks, at least; 0 if none, or if that cannot be told from outside.

    Args:
        size, pixels_at: of the file, and where in it the element of the pixel data begins.
    """
    if is_deflated(data_set):
        return 0
    if not is_compressed(data_set):
        bits = whole(data_set, "Rows") * whole(data_set, "Columns") * whole(data_set, "BitsAllocated", 16)
        expected = bits * max(whole(data_set, "NumberOfFrames", 1), 1) // 8
        implicit = bool(data_set.original_encoding[0])
        return max(0, expected - (size - pixels_at - (8 if implicit else 12)))
    return _missing_of_fragments(path, size, pixels_at)


def is_compressed(data_set: Dataset) -> bool:
    syntax = getattr(getattr(data_set, "file_meta", None), "TransferSyntaxUID", None)
    if syntax is None:
        return False
    # pydicom cannot say it of a maker's own transfer syntax; then the length is left to the reader.
    return not syntax.is_transfer_syntax or syntax.is_private or syntax.is_compressed


def is_deflated(data_set: Dataset) -> bool:
    """Whether places in the data set are no places in the file."""
    return getattr(getattr(data_set, "file_meta", None), "TransferSyntaxUID", "") == DeflatedExplicitVRLittleEndian


def _missing_of_fragments(path: Path, size: int, pixels_at: int) -> int:
    """Follows the lengths of the items that hold the compressed frames (PS3.5 A.4) to where they leave the file."""
    at = pixels_at + 12  # tag, representation, length 0xFFFFFFFF
    with path.open("rb") as file:
        file.seek(pixels_at)
        if file.read(12)[8:] != b"\xff\xff\xff\xff":
            return 0  # no encapsulated pixel data (PS3.5 A.4), whatever the transfer syntax says
        while at + 8 <= size:
            file.seek(at)
            group, element, length = struct.unpack("<HHI", file.read(8))
            if (group, element) != _ITEM:  # the end, or what the decoder may judge
                return 0
            at += 8 + length
            if at > size:
                break
    return max(0, at + _TAG - size)  # without the tag that ends the items, pydicom finds no pixel data
