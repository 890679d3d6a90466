"""The stored voxels of an image file whose header was checked."""

from __future__ import annotations

import bz2
import gzip
import zlib
from pathlib import Path
from typing import IO, cast

import numpy as np

from ...errors import UnreadableFileError
from ..reasons import not_readable
from .image_header import Encoding, ImageHeader, VoxelData, truncated

_BLOCK_BYTES = 1 << 20
#: What may follow the voxels in a compressed stream; it is gone through for the checksum at its end.
_REST_BLOCKS = 64
#: Of a number that is written in text, with the blanks behind it.
_MOST_DIGITS = 64


def stored_values(header: ImageHeader) -> np.ndarray:
    """The values as stored: [..., k, j, i], or [..., k, j, i, value] where a voxel has several.

    Raises:
        UnreadableFileError: truncated, or damaged. MemoryError.
    """
    header.check_extent()
    shape = header.sizes[::-1]
    data, kind = header.data, header.value_type
    if data.encoding is Encoding.TEXT:
        values = _written_values(header)
    else:
        buffer = np.empty(header.n_bytes, np.uint8)
        each, rest = divmod(header.n_bytes, len(data.files))
        if rest:
            raise UnreadableFileError(
                header.path, f"{header.n_bytes} bytes of voxels cannot be in {len(data.files)} files of one size"
            )
        for number, file in enumerate(data.files):
            _fill(buffer.data[number * each : (number + 1) * each], file, data, header.path)
        values = buffer.view(kind)
    if header.components == 1:
        return values.reshape(shape)
    if header.components_last:
        return np.moveaxis(values.reshape(header.components, *shape), 0, -1)
    return values.reshape(*shape, header.components)


def scaled_values(header: ImageHeader) -> np.ndarray:
    """float32, as :func:`stored_values`, with the header's slope and intercept applied."""
    stored = stored_values(header)
    with np.errstate(over="ignore", invalid="ignore"):
        if header.slope == 1.0 and header.intercept == 0.0:
            return stored.astype(np.float32)
        scaled = np.empty(stored.shape, np.float32)
        for part, whole in zip(scaled, stored, strict=True):  # slice by slice: in float64, as ITK does
            part[...] = whole.astype(np.float64) * header.slope + header.intercept
        return scaled


def _fill(target: memoryview, file: Path, data: VoxelData, path: Path) -> None:
    try:
        with file.open("rb") as opened:
            if data.start < 0:
                opened.seek(-len(target), 2)
            else:
                opened.seek(data.start)
            for _ in range(data.lines):
                opened.readline()
            stream = _decompressed(opened, data.encoding)
            _leave_out(stream, data.inside)
            done = 0
            while done < len(target) and (block := stream.read(min(_BLOCK_BYTES, len(target) - done))):
                target[done : done + len(block)] = block
                done += len(block)
            if done < len(target):
                raise UnreadableFileError(path, truncated(len(target) - done))
            if data.encoding is not Encoding.RAW:
                _check_rest(stream)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _cannot_be_decompressed(path) from error
    except OSError as error:
        if error.errno is None:  # bz2 raises a plain OSError for damaged data
            raise _cannot_be_decompressed(path) from error
        raise UnreadableFileError(path, not_readable(error)) from error


def _cannot_be_decompressed(path: Path) -> UnreadableFileError:
    return UnreadableFileError(path, "truncated or damaged: it cannot be decompressed; copy or export it again")


def _decompressed(file: IO[bytes], encoding: Encoding) -> IO[bytes]:
    if encoding is Encoding.GZIP:
        return cast(IO[bytes], gzip.GzipFile(fileobj=file, mode="rb"))
    if encoding is Encoding.BZIP2:
        return cast(IO[bytes], bz2.BZ2File(file))
    return cast(IO[bytes], _ZlibStream(file)) if encoding is Encoding.ZLIB else file


class _ZlibStream:
    """Reads a zlib (or gzip) stream; what gzip.GzipFile is for gzip alone."""

    def __init__(self, file: IO[bytes]):
        self._file = file
        self._stream = zlib.decompressobj(zlib.MAX_WBITS | 32)

    def read(self, size: int) -> bytes:
        while not self._stream.eof:
            block = self._stream.unconsumed_tail or self._file.read(_BLOCK_BYTES)
            if not block:
                raise EOFError
            if out := self._stream.decompress(block, size):
                return out
        return b""


def _leave_out(stream: IO[bytes], count: int) -> None:
    while count > 0:
        block = stream.read(min(count, _BLOCK_BYTES))
        if not block:
            raise EOFError
        count -= len(block)


def _check_rest(stream: IO[bytes]) -> None:
    for _ in range(_REST_BLOCKS):
        if not stream.read(_BLOCK_BYTES):
            return


def _written_values(header: ImageHeader) -> np.ndarray:
    """Of a file whose voxels are written as numbers in text."""
    count = header.n_bytes // header.value_type.itemsize
    words: list[bytes] = []
    for file in header.data.files:
        with file.open("rb") as opened:
            opened.seek(max(header.data.start, 0))
            for _ in range(header.data.lines):
                opened.readline()
            words += opened.read(count * _MOST_DIGITS + _BLOCK_BYTES).replace(b",", b" ").split()
    if len(words) < count:
        raise UnreadableFileError(header.path, f"truncated: {count - len(words)} numbers are missing; export it again")
    try:
        return np.array(words[:count], np.float64)
    except ValueError:
        raise UnreadableFileError(header.path, "damaged: among its voxels is something that is no number") from None
