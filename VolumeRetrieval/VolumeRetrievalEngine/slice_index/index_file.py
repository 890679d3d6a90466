"""The index's file: FAISS's bytes, then which volume each row is of, then a footer, replaced in one step.

One file, because two could be of different generations after a crash. FAISS reads from the start and leaves the rest;
whoever opens the file looks at the footer first, so that a damaged file never reaches FAISS, which may crash on it.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import struct
import zlib
from pathlib import Path

import numpy as np

from .faiss_index import FaissIndex
from .row_map import RowMap

logger = logging.getLogger(__name__)

_FOOTER = struct.Struct("<8sQQII")  # magic, bytes of the index, bytes of the map, CRC-32 of each
_MAGIC = b"VRINDEX1"

#: Files above this size are memory-mapped where they are only read, and their checksum is not looked at.
MAP_ABOVE_BYTES = 1 << 30


def write_index_file(path: Path, index: FaissIndex, rows: RowMap, store_id: str) -> bool:
    """Replace the file by this index; False (and a line in the log) if that is impossible, e.g. on a full disk.

    The index can always be made from the store again, so a file that cannot be written is no error.
    """
    table = io.BytesIO()
    np.savez(
        table,
        keys=rows.keys,
        count=rows.count,
        alive=rows.alive,
        generation=np.int64(rows.generation),
        kind=np.array(index.kind),
        store_id=np.array(store_id),
    )
    content = table.getvalue()
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    _remove_left_behind(path)
    try:
        with temporary.open("wb") as file:
            checksum = index.write(file)
            length = file.tell()
            file.write(content)
            file.write(_FOOTER.pack(_MAGIC, length, len(content), checksum, zlib.crc32(content)))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, RuntimeError) as error:
        _remove_left_behind(path)
        logger.warning("%s: the index was not saved and will be made again when needed (%s)", path, error)
        return False
    except BaseException:  # Ctrl-C
        _remove_left_behind(path)
        raise
    return True


def _remove_left_behind(path: Path) -> None:
    """Remove unfinished files (gigabytes), also those of a process that was killed. There is one writer at most."""
    with contextlib.suppress(OSError):
        for unfinished in path.parent.glob(f"{path.name}.*.tmp"):
            unfinished.unlink()


def read_index_file(path: Path, store_id: str, map_large: bool) -> tuple[FaissIndex, RowMap] | None:
    """The index and its row map; None if there is none that is whole and belongs to this store."""
    try:
        with path.open("rb") as file:
            footer = _read_footer(file)
            if footer is None:
                logger.warning("%s: the index is damaged and is made again from the store", path)
                return None
            length, content, checksum = footer
            found = _row_map(content, store_id)
            if found is None:
                return None
            kind, rows = found
            if map_large and length > MAP_ABOVE_BYTES:
                index = FaissIndex.map(kind, os.fspath(path))
            elif _checksum(file, length) == checksum:
                file.seek(0)
                index = FaissIndex.read(kind, file)
            else:
                logger.warning("%s: the index is damaged and is made again from the store", path)
                return None
    except FileNotFoundError:
        return None
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        logger.warning("%s: the index cannot be read and is made again from the store (%s)", path, error)
        return None
    return (index, rows) if index.n_rows == rows.n_rows else None


def read_large_map(path: Path, store_id: str) -> RowMap | None:
    """The row map alone of a file that is large enough to be mapped; None for any other, or of another store."""
    try:
        with path.open("rb") as file:
            footer = _read_footer(file)
            if footer is None or footer[0] <= MAP_ABOVE_BYTES:
                return None
            found = _row_map(footer[1], store_id)
    except (OSError, ValueError, KeyError):
        return None  # whoever reads the index says what is wrong with it
    return None if found is None else found[1]


def _row_map(content: bytes, store_id: str) -> tuple[str, RowMap] | None:
    """The kind of the index and its row map; None if it is another store's."""
    with np.load(io.BytesIO(content)) as table:
        if str(table["store_id"]) != store_id:
            return None
        rows = RowMap(table["keys"], table["count"], int(table["generation"]))
        rows.alive = table["alive"].copy()
        return str(table["kind"]), rows


def _read_footer(file: io.BufferedReader) -> tuple[int, bytes, int] | None:
    """Bytes of the index, the map's bytes, and the checksum of the index; None if the file is not whole."""
    size = file.seek(0, os.SEEK_END)
    if size < _FOOTER.size:
        return None
    file.seek(size - _FOOTER.size)
    magic, length, map_length, checksum, map_checksum = _FOOTER.unpack(file.read(_FOOTER.size))
    if magic != _MAGIC or length + map_length + _FOOTER.size != size:
        return None
    file.seek(length)
    content = file.read(map_length)
    return (length, content, checksum) if zlib.crc32(content) == map_checksum else None


def _checksum(file: io.BufferedReader, length: int) -> int:
    file.seek(0)
    checksum = 0
    while length > 0 and (data := file.read(min(length, 1 << 24))):
        checksum = zlib.crc32(data, checksum)
        length -= len(data)
    return checksum
