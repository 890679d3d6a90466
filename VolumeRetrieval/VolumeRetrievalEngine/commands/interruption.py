"""Ctrl-C and politeness: long work stops between two volumes, and leaves the computer usable meanwhile."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import SimpleITK as sitk

from ..progress import Cancelled, ProgressCallback, Step


@contextmanager
def stoppable(report: ProgressCallback) -> Iterator[Callable[[Step], None]]:
    """A progress callback that ends the work at its next step once Ctrl-C (or SIGTERM) came.

    A second Ctrl-C ends it at once; what is stored is whole either way, because each volume is one transaction.
    """
    asked = False

    def ask(number: int, _: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    def step(one: Step) -> None:
        report(one)
        if asked:
            raise Cancelled

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield step
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
