"""Ways in which the bytes of a good input are spoilt."""

from __future__ import annotations

import gzip
import io
import random
import re
import struct
import warnings
from collections.abc import Callable

import pydicom

from .planted import NAME
from .seeds import Files

#: What a damaged or hostile number may be.
_INTEGERS = (
    0,
    1,
    -1,
    2,
    3,
    7,
    127,
    128,
    255,
    256,
    32767,
    32768,
    65535,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63 - 1,
    -(2**31),
)
_WORDS = (
    *("-1", "0", "1", "3", "1e308", "-1e308", "nan", "inf", "1e-320", "99999999999", "2147483648", "-2147483648"),
    *("", "x", "9" * 400, "0x10", "1 2 3 4 5 6 7 8 9", "LIST", "%d", "%999d", "a.raw 1 9", "\0"),
    *("../../../etc/passwd", "/dev/zero", "."),
)
_HEADER_BYTES = 1000

_KEYWORDS = (
    *("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel"),
    *("NumberOfFrames", "InstanceNumber", "AcquisitionNumber", "PixelSpacing", "ImagePositionPatient"),
    *("ImageOrientationPatient", "SliceThickness", "RescaleSlope", "RescaleIntercept", "ImageType", "Modality"),
    *("PhotometricInterpretation", "SOPInstanceUID", "SOPClassUID", "EchoTime", "TriggerTime", "StudyDate"),
    *("TemporalPositionIdentifier", "SpecificCharacterSet", "BodyPartExamined", "Manufacturer", "PixelPaddingValue"),
    *("WindowCenter", "SmallestImagePixelValue", "PatientName", "PatientID", "SeriesDescription", "ContrastBolusAgent"),
)
_VALUES: tuple[object, ...] = (
    *(
        0,
        1,
        -1,
        3,
        7,
        65535,
        2**31 - 1,
        1e308,
        -1e308,
        "",
        "nan",
        "x",
        "\x1b[2J",
        "a\\b",
        "9" * 300,
        NAME,
        NAME.replace("^", " "),
    ),
    *([0, 0], [1e308, 1e308], [0, 0, 0], [1, 0, 0, 1, 0, 0], [0.5] * 6, [1e30] * 3, ["a", "b"], None, b"\xff\xfe\x00"),
)


def mutated(files: Files, kind: str, chance: random.Random) -> Files:
    """The files with one of them spoilt, in one to four ways."""
    name = chance.choice(sorted(files))
    content = files[name]
    if kind.startswith("DICOM") and chance.random() < 0.35:
        return {**files, name: _element_replaced(content, chance)}
    inside = name.endswith(".gz") and chance.random() < 0.6
    spoilt = bytearray(gzip.decompress(content) if inside else content)
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 4))):
        text = name.endswith((".nrrd", ".nhdr", ".mha", ".mhd", ".json")) and chance.random() < 0.6
        (_word_replaced if text else chance.choice(_BINARY))(spoilt, chance)
    return {**files, name: gzip.compress(bytes(spoilt), mtime=0) if inside else bytes(spoilt)}


def _place(content: bytearray, chance: random.Random) -> int:
    """Somewhere in the content; mostly in its first bytes, where headers are."""
    size = len(content) if chance.random() < 0.25 else min(len(content), _HEADER_BYTES)
    return chance.randrange(max(1, size))


def _bit(content: bytearray, chance: random.Random) -> None:
    if content:
        content[_place(content, chance)] ^= 1 << chance.randrange(8)


def _byte(content: bytearray, chance: random.Random) -> None:
    if content:
        content[_place(content, chance)] = chance.randrange(256)


def _number(content: bytearray, chance: random.Random) -> None:
    size = chance.choice((2, 4, 8))
    at = _place(content, chance) // 2 * 2
    value = chance.choice(_INTEGERS) & ((1 << 8 * size) - 1)
    content[at : at + size] = value.to_bytes(size, chance.choice(("little", "big")))


def _float(content: bytearray, chance: random.Random) -> None:
    value = chance.choice((float("nan"), float("inf"), -float("inf"), 1e38, -1e38, 1e-40, 0.0, -1.0))
    at = _place(content, chance) // 4 * 4
    packed = struct.pack(chance.choice("<>") + chance.choice("fd"), value)
    content[at : at + len(packed)] = packed


def _cut(content: bytearray, chance: random.Random) -> None:
    del content[chance.randrange(len(content) + 1) :]


def _removed(content: bytearray, chance: random.Random) -> None:
    at = _place(content, chance)
    del content[at : at + chance.choice((1, 2, 4, 8, 100))]


def _inserted(content: bytearray, chance: random.Random) -> None:
    at = _place(content, chance)
    content[at:at] = chance.randbytes(chance.choice((1, 2, 4, 8, 100)))


def _repeated(content: bytearray, chance: random.Random) -> None:
    at, size = _place(content, chance), chance.choice((2, 8, 64, 500))
    content[at:at] = content[at : at + size] * chance.choice((1, 1, 2, 50))


def _moved(content: bytearray, chance: random.Random) -> None:
    size = chance.choice((2, 4, 8, 60))
    one, other = _place(content, chance), _place(content, chance)
    content[one : one + size], content[other : other + size] = content[other : other + size], content[one : one + size]


def _zeros(content: bytearray, chance: random.Random) -> None:
    at, size = _place(content, chance), chance.choice((2, 8, 64))
    content[at : at + size] = bytes(size)


_BINARY: tuple[Callable[[bytearray, random.Random], None], ...] = (
    *(_bit, _bit, _byte, _byte, _number, _number, _number, _float),
    *(_cut, _removed, _inserted, _repeated, _moved, _zeros),
)


def _word_replaced(content: bytearray, chance: random.Random) -> None:
    """Another word for one of a text header, or another field for one."""
    words = list(re.finditer(rb"[^\s:=(),]+", bytes(content[:_HEADER_BYTES])))
    if words:
        found = chance.choice(words)
        others = [*(word.encode() for word in _WORDS), chance.choice(words).group()]
        content[found.start() : found.end()] = chance.choice(others)


def _element_replaced(content: bytes, chance: random.Random) -> bytes:
    """Another value for an element of a DICOM file; the file as it was, with a byte spoilt, if it cannot be written."""
    with pydicom.config.disable_value_validation(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _with_odd_elements(content, chance)


def _with_odd_elements(content: bytes, chance: random.Random) -> bytes:
    data_set = pydicom.dcmread(io.BytesIO(content), force=True)
    for _ in range(chance.choice((1, 1, 2, 3))):
        keyword, value = chance.choice(_KEYWORDS), chance.choice(_VALUES)
        try:
            if value is None and keyword in data_set:
                delattr(data_set, keyword)
            elif value is not None:
                setattr(data_set, keyword, value)
        except Exception:  # what pydicom does not even take
            continue
    file = io.BytesIO()
    try:
        pydicom.dcmwrite(file, data_set, enforce_file_format=False)
    except Exception:
        spoilt = bytearray(content)
        _bit(spoilt, chance)
        return bytes(spoilt)
    return file.getvalue()
