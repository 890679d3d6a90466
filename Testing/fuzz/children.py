"""Runs of the engine in forked children, which may die: cheap, because the parent has everything imported."""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from VolumeRetrievalEngine.commands import main

#: A run with more than this is refused memory, so that the machine is not.
_MEMORY_BYTES = 6 << 30


for name in ("faiss", "scipy.ndimage", "PIL.Image"):  # or every child would import them for itself
    with contextlib.suppress(ImportError):
        importlib.import_module(name)


@dataclass(frozen=True)
class Ended:
    """How a child ended: exit code, or minus the signal; and whether it had to be ended for taking too long."""

    code: int
    out: str
    err: str
    too_long: bool
    seconds: float


def run(words: Sequence[object], folder: Path, *, cpu_seconds: int, wall_seconds: float) -> Ended:
    """Run a command in a child; what it prints is kept in the folder."""
    child = started(words, folder, cpu_seconds)
    begun = time.monotonic()
    too_long = False
    while (status := _status(child)) is None:
        if time.monotonic() - begun > wall_seconds:
            too_long = True
            os.kill(child, signal.SIGKILL)
            status = os.waitpid(child, 0)[1]
            break
        time.sleep(0.005)
    code = os.waitstatus_to_exitcode(status)
    too_long = too_long or code == -signal.SIGXCPU
    out, err = (text_of(folder / name) for name in ("out", "err"))
    return Ended(code, out, err, too_long, time.monotonic() - begun)


def started(words: Sequence[object], folder: Path, cpu_seconds: int = 600) -> int:
    """Start a command in a child; returns its process id."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        _end_with(lambda: _command(words, folder, cpu_seconds))
    return child


def _command(words: Sequence[object], folder: Path, cpu_seconds: int) -> int:
    for name, stream in (("out", 1), ("err", 2)):
        file = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(file, stream)
    faulthandler.enable(all_threads=True)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 5))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return main([str(word) for word in words])


def _end_with(work: Callable[[], int]) -> None:
    code = 70
    try:
        code = work()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _status(child: int) -> int | None:
    ended, status = os.waitpid(child, os.WNOHANG)
    return status if ended else None


def text_of(path: Path) -> str:
    """What a child printed so far."""
    try:
        return path.read_text(encoding="utf-8", errors="backslashreplace")
    except FileNotFoundError:
        return ""
