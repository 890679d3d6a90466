"""How much memory the computer has: what takes more is refused before the system ends the process for it."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ..errors import UnreadableFileError
from ..readable import readable_size


def check_memory(path: Path, shape: Sequence[int], stored_bytes: int = 2) -> None:
    """UnreadableFileError if this computer cannot hold voxels of this shape as float32 next to the stored ones."""
    needed = math.prod(shape) * (4 + stored_bytes)
    if needed > (memory := physical_memory()):
        raise UnreadableFileError(
            path,
            f"its header announces {' x '.join(map(str, shape))} voxels, which take {readable_size(needed)} of memory, "
            f"and this computer has {readable_size(memory)}; if that is right, save it smaller",
        )


def physical_memory() -> int:
    """Bytes of memory; where the system does not say, more than any volume takes."""
    if sys.platform == "win32":
        return _of_windows()
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 1 << 62


def _of_windows() -> int:
    import ctypes

    class MemoryStatus(ctypes.Structure):  # MEMORYSTATUSEX, sysinfoapi.h
        _fields_ = [("length", ctypes.c_ulong), ("load", ctypes.c_ulong)] + [
            (name, ctypes.c_ulonglong)
            for name in ("total", "available", "total_page", "available_page", "total_virtual", "virtual", "extended")
        ]

    status = MemoryStatus(length=ctypes.sizeof(MemoryStatus))
    windll = getattr(ctypes, "windll")  # noqa: B009 - only Windows has it
    return int(status.total) if windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)) else 1 << 62
