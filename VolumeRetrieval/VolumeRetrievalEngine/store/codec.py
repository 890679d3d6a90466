"""How arrays lie in the store: little-endian blobs without headers, so that any language can read them.

Embeddings are unit rows in float16 and are brought back to unit length on reading. What that costs was measured on
1500 random, clustered and sparse unit rows of each length d: a row's cosine with what is read back is above 1 - 1e-6,
and the cosine of two rows moves by at most 2.5e-3 / sqrt(d) (by 2.4e-4 at d = 64, 9e-5 at 384, 3e-5 at 2048) and on
average by a tenth of that. A test repeats the measurement.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from ..volume import SliceTable

#: Between texts that are packed together: no path and no DICOM UID can hold it.
_SEPARATOR = "\0"

#: A stored row's length differs from 1 by no more than float16 rounding does (about 2^-11).
_UNIT_TOLERANCE = 1e-2


def pack_rows(rows: np.ndarray) -> bytes:
    """Unit rows [n, d] of any float type as a float16 blob; ValueError unless every row is finite and of length 1."""
    matrix = np.asarray(rows, dtype=np.float64)
    if matrix.ndim != 2 or not matrix.size:
        raise ValueError(f"expected a matrix [n, d] of embeddings, got shape {matrix.shape}")
    length = np.sqrt(np.einsum("ij,ij->i", matrix, matrix))
    wrong = ~(np.abs(length - 1.0) <= _UNIT_TOLERANCE)  # not (... > ...): also finds NaN
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(f"row {row} has length {length[row]:.4g}, expected finite rows of length 1")
    return (matrix / length[:, None]).astype("<f2").tobytes()


def unpack_rows(blob: bytes | np.ndarray, out: np.ndarray) -> None:
    """Fill `out` (float32 [n, d], C order) with the unit rows of a float16 blob of exactly its shape."""
    out[...] = np.frombuffer(blob, dtype="<f2").reshape(out.shape)
    normalize_rows(out)


def normalize_rows(rows: np.ndarray) -> None:
    """Make rows float32 [n, d] as they were stored, in half precision, unit rows again, in place."""
    length = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    # A row of zeros is damage that `verify` reports; here it must not become NaN and spread.
    np.divide(rows, np.maximum(length, np.finfo(np.float32).tiny)[:, None], out=rows)


def pack_outlines(outlines: np.ndarray) -> bytes:
    """Outlines [n, 4] as a float32 blob; ValueError for another shape."""
    matrix = np.asarray(outlines, dtype="<f4")
    if matrix.ndim != 2 or matrix.shape[1] != 4:
        raise ValueError(f"expected outlines [n, 4], got shape {matrix.shape}")
    return matrix.tobytes()


def unpack_outlines(blob: bytes) -> np.ndarray:
    """float32 [n, 4], what :func:`pack_outlines` packed; ValueError for a blob of another length."""
    return np.frombuffer(blob, dtype="<f4").reshape(-1, 4).astype(np.float32)


def checksum(blob: bytes) -> int:
    """CRC-32: finds every flip of up to 32 neighboring bits, at several gigabytes per second."""
    return zlib.crc32(blob)


def storable(text: str) -> str:
    """Bytes of a file name that are no text become a replacement character; the exact paths are kept as bytes."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def pack_texts(texts: Sequence[str]) -> bytes:
    """Texts as one compressed blob; undecodable bytes of file names survive. ValueError for a text with "\\0" in it."""
    joined = _SEPARATOR.join(texts)
    if joined.count(_SEPARATOR) != max(0, len(texts) - 1):
        raise ValueError("a path or UID with a null character cannot be stored")
    return zlib.compress(joined.encode("utf-8", "surrogateescape"), 6) if texts else b""


def unpack_texts(blob: bytes) -> tuple[str, ...]:
    """What :func:`pack_texts` packed; ValueError for anything else."""
    if not blob:
        return ()
    try:
        return tuple(zlib.decompress(blob).decode("utf-8", "surrogateescape").split(_SEPARATOR))
    except zlib.error as error:
        raise ValueError(f"texts that cannot be decompressed ({error})") from error


def pack_slices(table: SliceTable) -> dict[str, bytes]:
    """A slice table as the columns of `slice_geometry`."""
    return {
        "slice_index": np.asarray(table.index).astype("<i4").tobytes(),
        "frame": np.asarray(table.frame).astype("<i4").tobytes(),
        "origin": np.asarray(table.origin).astype("<f8").tobytes(),
        "normal": np.asarray(table.normal).astype("<f8").tobytes(),
        "position": np.asarray(table.position).astype("<f8").tobytes(),
        "sop_uids": pack_texts(table.sop_uid),
    }


def unpack_slices(columns: dict[str, bytes]) -> SliceTable:
    """The table that :func:`pack_slices` packed; ValueError where the columns do not fit together."""

    def column(name: str, stored: str, wanted: type) -> np.ndarray:
        return np.frombuffer(columns[name], dtype=stored).astype(wanted)

    return SliceTable(
        index=column("slice_index", "<i4", np.int32),
        sop_uid=unpack_texts(columns["sop_uids"]),
        frame=column("frame", "<i4", np.int32),
        origin=column("origin", "<f8", np.float64).reshape(-1, 3),
        normal=column("normal", "<f8", np.float64).reshape(-1, 3),
        position=column("position", "<f8", np.float64),
    )
