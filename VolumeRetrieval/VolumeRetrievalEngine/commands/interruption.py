"""Ctrl-C and politeness: long work stops between two volumes, and leaves the computer usable meanwhile."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import SimpleITK as sitk

from ..progress import Cancelled, ProgressCallback, Step


@contextmanager
def stoppable(report: ProgressCallback, input_stream: int | None = None) -> Iterator[Callable[[Step], None]]:
    """A progress callback that ends the work at its next step once Ctrl-C (or SIGTERM) came.

    A second Ctrl-C ends it at once; what is stored is whole either way, because each volume is one transaction.

    Args:
        input_stream: a file descriptor; its end stops the work, too: whoever started it is gone, or wants it to stop.
    """
    asked = threading.Event()

    def ask(number: int, _: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    def step(one: Step) -> None:
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


def _wait_for_end(stream: int, asked: threading.Event) -> None:
    # Not sys.stdin: Python aborts if a daemon thread holds its lock when the process ends.
    with contextlib.suppress(OSError):
        while os.read(stream, 4096):
            pass
    asked.set()


def be_polite() -> None:
    """Give this process a low priority, so that the person at the computer does not notice it."""
    if hasattr(os, "nice"):
        os.nice(10)
        return
    import ctypes

    below_normal = 0x4000  # BELOW_NORMAL_PRIORITY_CLASS, winbase.h
    kernel = ctypes.windll.kernel32
    kernel.SetPriorityClass(kernel.GetCurrentProcess(), below_normal)


def limit_threads(count: int) -> None:
    """Use this many threads for arithmetic. Torch and faiss read the variable when they are first imported."""
    os.environ.setdefault("OMP_NUM_THREADS", str(count))
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(count)
