"""How much memory the computer has: what takes more is refused before the system ends the process for it."""

from __future__ import annotations

import os
import sys


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
