"""Processes by their id: PythonSlicer is a launcher, so the process that works is not the one that Qt started."""

from __future__ import annotations

import contextlib
import os
import signal
import sys


def isRunning(pid: int) -> bool:
    """Whether there is such a process; one of somebody else counts."""
    if pid <= 0:
        return False
    if sys.platform == "win32":  # os.kill(pid, 0) would end it there
        return _isRunningOnWindows(pid)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _isZombie(pid)


def kill(pid: int) -> None:
    """End it at once, if it is still there."""
    if isRunning(pid):
        with contextlib.suppress(OSError):
            os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))  # Windows: TerminateProcess, for any number


def _isZombie(pid: int) -> bool:
    """A child that has ended and was not waited for yet (Linux)."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - a short read of a kernel file
            return file.read().rpartition(b") ")[2][:1] == b"Z"
    except OSError:
        return False


if sys.platform == "win32":

    def _isRunningOnWindows(pid: int) -> bool:
        import ctypes

        synchronize, timeout = 0x00100000, 0x00000102  # SYNCHRONIZE (winnt.h), WAIT_TIMEOUT (winerror.h)
        kernel = ctypes.windll.kernel32
        handle = kernel.OpenProcess(synchronize, False, pid)
        if not handle:
            return False
        try:
            return kernel.WaitForSingleObject(handle, 0) == timeout
        finally:
            kernel.CloseHandle(handle)
