"""How long a deflated data set is (PS3.5 A.5): pydicom decompresses all of it at once, and a few bytes may be many."""

from __future__ import annotations

import zlib
from pathlib import Path

from ...errors import UnreadableFileError
from ...readable import readable_size
from .. import memory

_SYNTAX = b"1.2.840.10008.1.2.1.99"
_HEAD_BYTES = 1024
_BLOCK_BYTES = 1 << 20
#: No deflate stream holds more (https://zlib.net/zlib_tech.html).
_RATIO = 1032
#: What a data set may take of the memory.
_SHARE = 8


def check_deflated(path: Path, size: int) -> None:
    """UnreadableFileError if a file of `size` bytes is deflated and decompresses to more than memory is there for."""
    most = memory.physical_memory() // _SHARE
    if size * _RATIO <= most:
        return
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        # The length of the group of elements before the data set is their first value (PS3.10 7.1).
        if head[128:136] != b"DICM\x02\x00\x00\x00" or _SYNTAX not in head:
            return
        file.seek(144 + int.from_bytes(head[140:144], "little"))
        stream = zlib.decompressobj(-zlib.MAX_WBITS)
        length = 0
        while block := stream.unconsumed_tail or file.read(_BLOCK_BYTES):
            length += len(stream.decompress(block, _BLOCK_BYTES))
            if length > most:
                raise UnreadableFileError(
                    path,
                    f"its data set decompresses to more than {readable_size(most)}, too much for this computer's "
                    "memory; if that is right, export it uncompressed",
                )
            if stream.eof:
                return
