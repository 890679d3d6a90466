"""Stored pixel values of single frames, in every transfer syntax that pydicom or GDCM (in SimpleITK) can decode.

They are what the standard calls stored values: taken from the bits that BitsStored and HighBit name (PS3.5 8.1.1), in
the sign of PixelRepresentation, and neither inverted nor rescaled.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels import get_decoder
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGTransferSyntaxes,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from .codestream import size_in
from .decoding_process import SHARED, DecoderDiedError
from .values import uid_in_words, whole

#: GE's own: implicit little-endian, but the pixel data big-endian.
GE_BIG_ENDIAN_PIXELS = "1.2.840.113619.5.2"
#: So many zeros at the end of a compressed frame were not written by an encoder: the file was not copied to its end.
_UNWRITTEN = 64
#: An image in the right byte order is smoother than in the wrong one by this factor at least.
_FAR_SMOOTHER = 100.0
_END_OF_IMAGE = b"\xff\xd9"  # JPEG, JPEG-LS and JPEG 2000 alike


class UndecodableError(Exception):
    """Why the pixel data of a frame cannot be had; the text holds no value of the file but bits and syntaxes."""


@dataclass(frozen=True)
class Bits:
    """How a pixel lies in its cell (PS3.5 8.1.1)."""

    allocated: int
    stored: int
    high: int
    signed: bool

    @classmethod
    def of(cls, data_set: Dataset) -> Bits:
        """UndecodableError if BitsAllocated, BitsStored and HighBit contradict each other."""
        allocated = whole(data_set, "BitsAllocated", 16)
        stored = whole(data_set, "BitsStored", allocated)
        high = whole(data_set, "HighBit", stored - 1)
        if not 0 < stored <= high + 1 <= allocated:
            raise UndecodableError(
                f"BitsAllocated {allocated}, BitsStored {stored} and HighBit {high} contradict each other"
            )
        return cls(allocated, stored, high, whole(data_set, "PixelRepresentation") == 1)

    @property
    def range(self) -> tuple[int, int]:
        """The lowest and the highest stored value."""
        return (-(1 << self.stored - 1), (1 << self.stored - 1) - 1) if self.signed else (0, (1 << self.stored) - 1)


@dataclass(frozen=True)
class StoredFrame:
    """Stored values [j, i]; and the unsigned cells that they were in, None where they were compressed or are floats."""

    values: np.ndarray
    cells: np.ndarray | None = None


def stored_frames(data_set: Dataset, frames: list[int]) -> Iterator[StoredFrame | Exception]:
    """These frames (0-based), each decoded or why not. `data_set` is changed: what its pixels need is completed."""
    syntax = _transfer_syntax(data_set)
    if "PixelData" not in data_set:
        if "FloatPixelData" not in data_set and "DoubleFloatPixelData" not in data_set:
            raise UndecodableError("there is none, or it is cut off; copy or export it again")
        for values, _ in get_decoder(syntax).iter_array(data_set, indices=frames, raw=True):
            yield StoredFrame(values)
        return
    bits = Bits.of(data_set)
    data_set.BitsAllocated, data_set.BitsStored, data_set.HighBit = bits.allocated, bits.stored, bits.high
    data_set.PixelRepresentation = int(bits.signed)
    # pydicom needs these, and scanning let nothing through that says otherwise.
    data_set.SamplesPerPixel, data_set.PhotometricInterpretation = 1, "MONOCHROME2"
    for frame in frames:
        try:
            yield _stored(data_set, syntax, bits, frame)
        except (MemoryError, OSError):
            raise
        except Exception as error:  # pydicom and its decoders raise many kinds
            yield error


def _stored(data_set: Dataset, syntax: UID, bits: Bits, frame: int) -> StoredFrame:
    if syntax.is_compressed and not syntax.is_deflated:
        encoded = get_frame(data_set.PixelData, frame, number_of_frames=whole(data_set, "NumberOfFrames", 1))
        _check_written_to_its_end(encoded)
    if not syntax.is_compressed or syntax.is_deflated or syntax == RLELossless:
        cells = _packed_12(data_set, frame) if bits.allocated == 12 else _cells(data_set, syntax, frame)
        return StoredFrame(_from_cells(cells, bits), cells)
    if bits.high != bits.stored - 1:
        raise UndecodableError(
            f"BitsStored {bits.stored} with HighBit {bits.high} is not defined for {uid_in_words(syntax)}"
        )
    size, announced = size_in(encoded), (whole(data_set, "Rows"), whole(data_set, "Columns"))
    if size != announced:
        found = f"an image of {size[0]} x {size[1]}" if size else "something else"
        raise UndecodableError(
            f"its header announces {announced[0]} x {announced[1]} {uid_in_words(syntax)}, it holds {found}"
        )
    return StoredFrame(_with_sign(_decompressed(data_set, syntax, frame, encoded), bits))


def _transfer_syntax(data_set: Dataset) -> UID:
    """Files without preamble often lack it; how pydicom could read their header tells it."""
    syntax = getattr(data_set.file_meta, "TransferSyntaxUID", None)
    if not syntax:
        syntax = ImplicitVRLittleEndian if data_set.original_encoding[0] else ExplicitVRLittleEndian
    elif syntax == GE_BIG_ENDIAN_PIXELS:
        syntax = ExplicitVRBigEndian
    elif not syntax.is_transfer_syntax or syntax.is_private:
        raise UndecodableError(f"its transfer syntax is not one of the standard's ({uid_in_words(syntax)}); convert it")
    data_set.file_meta.TransferSyntaxUID = syntax
    return syntax


def _cells(data_set: Dataset, syntax: UID, frame: int) -> np.ndarray:
    """Unsigned [j, i]: all bits that are allocated to each pixel."""
    array, _ = get_decoder(syntax).as_array(data_set, index=frame, raw=True, correct_unused_bits=False)  # type: ignore[arg-type]
    if array.dtype.isnative:
        return array.view(f"u{array.dtype.itemsize}")
    # Some writers of big-endian files do not swap the bytes of 32-bit pixels, which then are noise in the right order.
    other = array.view(array.dtype.newbyteorder())
    swapped = array.dtype.itemsize == 4 and _roughness(other) * _FAR_SMOOTHER < _roughness(array)
    return (other if swapped else array).astype(f"u{array.dtype.itemsize}")


def _roughness(pixels: np.ndarray) -> float:
    """How much neighbors in a row differ, on average."""
    return float(np.abs(np.diff(pixels.astype(np.float64))).mean()) if pixels.shape[-1] > 1 else 0.0


def _packed_12(data_set: Dataset, frame: int) -> np.ndarray:
    """Two pixels in three bytes (PS3.5 8.1.1 before 2007, still in old archives); little-endian."""
    rows, columns = whole(data_set, "Rows"), whole(data_set, "Columns")
    packed = np.frombuffer(data_set.PixelData, np.uint8)
    packed = packed[: len(packed) // 3 * 3].reshape(-1, 3).astype(np.uint16)
    even, odd = packed[:, 0] | (packed[:, 1] & 0x0F) << 8, packed[:, 1] >> 4 | packed[:, 2] << 4
    every = np.stack([even, odd], axis=1).reshape(-1)
    return every[frame * rows * columns :][: rows * columns].reshape(rows, columns)


def _from_cells(cells: np.ndarray, bits: Bits) -> np.ndarray:
    """The stored values in these cells, without what other bits of the cell hold (overlays, say)."""
    values = cells >> (bits.high + 1 - bits.stored) if bits.high + 1 > bits.stored else cells
    width = 8 * cells.dtype.itemsize
    if bits.stored < width and bits.allocated > 1:
        values = values & cells.dtype.type((1 << bits.stored) - 1)
    return _sign_extended(values, bits.stored) if bits.signed else values


def _sign_extended(values: np.ndarray, stored: int) -> np.ndarray:
    shift = 8 * values.dtype.itemsize - stored
    return (values << shift).view(f"i{values.dtype.itemsize}") >> shift


def _with_sign(values: np.ndarray, bits: Bits) -> np.ndarray:
    """Decoders differ in whether they know the sign of a stream; none says more than the stored bits."""
    low, high = bits.range
    if bits.signed and values.max() > high:
        return _sign_extended(values.astype(np.int64).view(np.uint64) & np.uint64((1 << bits.stored) - 1), bits.stored)
    if not bits.signed and values.min() < low:
        return values.astype(np.int64) & ((1 << bits.stored) - 1)
    return values


def _check_written_to_its_end(encoded: bytes) -> None:
    written = encoded.rstrip(b"\0")
    if len(encoded) - len(written) >= _UNWRITTEN and not written.endswith(_END_OF_IMAGE):
        raise UndecodableError("truncated: the end of its compressed pixel data is empty; copy or export it again")


def _decompressed(data_set: Dataset, syntax: UID, frame: int, encoded: bytes) -> np.ndarray:
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise UndecodableError(f"{uid_in_words(syntax)} is not decoded here; convert it") from None
    if decoder.is_available:
        try:
            return decoder.as_array(data_set, index=frame, raw=True)[0]
        except (MemoryError, OSError):
            raise
        except Exception:
            if syntax not in JPEGTransferSyntaxes:
                raise
            # Of JPEG the installed decoder may know less than GDCM: of 8 bits only, say.
    return _decompressed_by_gdcm(data_set, syntax, encoded)


def _decompressed_by_gdcm(data_set: Dataset, syntax: UID, encoded: bytes) -> np.ndarray:
    """GDCM inverts and rescales what headers say, so it is given a file with nothing but the compressed pixels."""
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = SecondaryCaptureImageStorage, "1.2.826.0.1.3680043.8.498.1"
    for keyword in ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"):
        setattr(made, keyword, data_set[keyword].value)
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.PixelData = encapsulate([encoded])
    made["PixelData"].VR = "OB"
    made["PixelData"].is_undefined_length = True
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = syntax
    with tempfile.TemporaryDirectory(prefix="volumeretrieval-") as folder:
        path = Path(folder) / "frame.dcm"
        made.save_as(path, enforce_file_format=True)
        try:
            pixels = SHARED.pixels(path)
        except DecoderDiedError:
            raise UndecodableError(
                f"its compressed pixel data is damaged ({uid_in_words(syntax)}): the decoder crashed, or did not come "
                "back; copy or export it again"
            ) from None
        except RuntimeError:
            raise UndecodableError(
                f"neither GDCM nor pydicom can decode it ({uid_in_words(syntax)}): install the Python packages "
                "pylibjpeg and pylibjpeg-openjpeg, or convert it"
            ) from None
    return pixels.reshape(pixels.shape[-2:])
