"""Ctrl-C and politeness: long work stops between two volumes, and leaves the computer usable meanwhile."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import SimpleITK as sitk

from ..encoders.networks.device import CONCURRENT_CALLS
from ..progress import Cancelled, Progress, ProgressCallback

_LESS_IMPORTANT = 10  # "nice" levels below a normal process
_STOPPING = "\nstopping after the volume in work (Ctrl-C again: at once; the volume in work is then lost)\n"


@contextmanager
def stoppable(
    report: ProgressCallback, input_stream: int | None = None, said: str = _STOPPING
) -> Iterator[Callable[[Progress], None]]:
    """A progress callback that ends the work at its next step once Ctrl-C (or SIGTERM) came.

    A second Ctrl-C ends it at once; what is stored is whole either way, because each volume is one transaction.

    Args:
        input_stream: a file descriptor; its end stops the work, too: whoever started it is gone, or wants it to stop.
        said: on standard error, when a signal came.
    """
    asked = threading.Event()

    def ask(number: int, _: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        with contextlib.suppress(OSError):
            os.write(2, said.encode())  # not print, which a signal may have interrupted

    def step(one: Progress) -> None:
        report(one)
        if asked.is_set():
            raise Cancelled

    if input_stream is not None:
        threading.Thread(target=_wait_for_end, args=(input_stream, asked), name="input", daemon=True).start()
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield step
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def termination_as_interrupt() -> Iterator[None]:
    """Within it, SIGTERM (of `timeout`, a service manager, a shutdown) does what Ctrl-C does: locks are given back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)


def _wait_for_end(stream: int, asked: threading.Event) -> None:
    # Not sys.stdin: Python aborts if a daemon thread holds its lock when the process ends.
    with contextlib.suppress(OSError):
        while os.read(stream, 4096):
            pass
    asked.set()


def be_polite() -> None:
    """Give this process a low priority, so that the person at the computer does not notice it."""
    if sys.platform == "win32":
        import ctypes

        below_normal = 0x4000  # BELOW_NORMAL_PRIORITY_CLASS, winbase.h
        kernel = ctypes.windll.kernel32
        kernel.SetPriorityClass(kernel.GetCurrentProcess(), below_normal)
        return
    for thread in _threads():
        with contextlib.suppress(OSError):
            level = os.getpriority(os.PRIO_PROCESS, thread) + _LESS_IMPORTANT
            os.setpriority(os.PRIO_PROCESS, thread, min(level, 19))


def use_cores(count: int, asked: bool) -> None:
    """Use this many processor cores and no more; where the system binds no process to cores, as many threads.

    Torch and faiss read the variable when they are first imported.

    Args:
        asked: whether the user asked for this number; otherwise OMP_NUM_THREADS of the environment stands.
    """
    if asked or "OMP_NUM_THREADS" not in os.environ:
        os.environ["OMP_NUM_THREADS"] = str(count)
    os.environ[CONCURRENT_CALLS] = os.environ["OMP_NUM_THREADS"]
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(count)
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))[:count]
        for thread in _threads():
            with contextlib.suppress(OSError):
                os.sched_setaffinity(thread, cores)


def _threads() -> list[int]:
    """All threads of this process: Linux has priority and cores for each, and numpy's are there since its import."""
    try:
        return [int(path.name) for path in Path("/proc/self/task").iterdir()]
    except OSError:
        return [0]
