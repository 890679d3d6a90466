"""Recognizes mosaics: MR images whose tiles are the slices of a whole volume, so that the image is no slice itself."""

from __future__ import annotations

import struct
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

from .private_elements import PrivateElement
from .values import numbers, raw, text, texts

MOSAIC = (
    "a mosaic: the slices of a whole volume as tiles of one image, whose place in space is not that of a slice; export "
    "the series as enhanced MR or with mosaic off, or convert it with dcm2niix"
)
SIEMENS_TILES = PrivateElement(0x0019100A, "SIEMENS MR HEADER")
SIEMENS_CSA = PrivateElement(0x00291010, "SIEMENS CSA HEADER")
UIH_GRID = PrivateElement(0x00651050, "Image Private Header")
ELEMENTS: tuple[str | int, ...] = (
    "ImageType",
    "Manufacturer",
    "AcquisitionMatrix",
    "Rows",
    "Columns",
    *SIEMENS_TILES.elements,
    *UIH_GRID.elements,
)
_CSA_NAME = b"NumberOfImagesInMosaic\0"


def is_mosaic(data_set: Dataset, path: Path) -> bool:
    """Whether the header says so: in ImageType, or where its maker keeps the number of tiles.

    De-identifiers may leave only the Siemens CSA header, which is read from `path` if the image is larger than what
    was acquired.
    """
    if any(value.upper() == "MOSAIC" for value in texts(data_set, "ImageType")):
        return True
    manufacturer = text(data_set, "Manufacturer").upper()
    if manufacturer.startswith(("UIH", "UNITED IMAGING")):
        return _more_than_one(numbers(data_set, UIH_GRID.tag(data_set), 1))
    tiles = numbers(data_set, SIEMENS_TILES.tag(data_set), 1)
    if "SIEMENS" not in manufacturer and tiles is None:
        return False
    return _more_than_one(tiles) or (_has_room_for_tiles(data_set) and csa_tiles(path) > 1)


def _more_than_one(tiles: tuple[float, ...] | None) -> bool:
    return tiles is not None and tiles[0] > 1


def _has_room_for_tiles(data_set: Dataset) -> bool:
    acquired = numbers(data_set, "AcquisitionMatrix", 4)
    size = numbers(data_set, "Rows", 1), numbers(data_set, "Columns", 1)
    if acquired is None or size[0] is None or size[1] is None or not any(acquired):
        return False
    return min(size[0][0], size[1][0]) >= 2 * max(acquired)


def csa_tiles(path: Path) -> int:
    """NumberOfImagesInMosaic of the CSA image header (Siemens, private); 0 if there is none.

    A CSA element is 64 bytes of name, then multiplicity, representation, type, number of items and a mark, 4 bytes
    each; an item is four numbers, the second of which is its length, and its text.
    """
    data_set = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(SIEMENS_CSA.elements), force=True)
    header = raw(data_set, SIEMENS_CSA.tag(data_set))
    at = header.find(_CSA_NAME) if isinstance(header, bytes) else -1
    if at < 0:
        return 0
    try:
        (length,) = struct.unpack_from("<i", header, at + 64 + 20 + 4)
        return int(float(header[at + 100 : at + 100 + length].split(b"\0")[0].strip() or 0))
    except (struct.error, ValueError):
        return 0
