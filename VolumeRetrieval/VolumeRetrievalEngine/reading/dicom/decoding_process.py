"""Decodes compressed pixels by GDCM in a process that may die.

No check of a JPEG stream is complete, and what decodes it is native code: where it crashes or does not come back, the
process it runs in is lost. That shall be this one, which is started once and again after each death, and not the
indexing run. Where no such process can be started, GDCM is called here.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np
import SimpleITK as sitk

log = logging.getLogger(__name__)

#: Seconds in which a decoder has to come back; those that do need a fraction of one.
PATIENCE_S = 120.0

_READY = b"ready\n"


class DecoderDiedError(RuntimeError):
    """The process died of what it should decode, or had to be ended."""


class DecodingProcess:
    """A process that decodes files, one after the other.

    Args:
        command: what to start; for tests.
        patience: seconds for one file.
    """

    def __init__(self, command: Sequence[str] | None = None, patience: float = PATIENCE_S):
        # By its file, and without the folder of that in the path: it needs nothing of this package.
        self._command = list(command or (sys.executable, "-P", str(Path(__file__).resolve())))
        self._patience = patience
        self._process: subprocess.Popen[bytes] | None = None
        self._usable = bool(self._command[0])
        self._owner = os.getpid()
        self._lock = threading.Lock()

    def pixels(self, path: Path) -> np.ndarray:
        """The pixels of a file, [j, i] with or without dimensions of 1 in front.

        Raises:
            RuntimeError: GDCM cannot decode it. DecoderDiedError: it crashed or did not come back.
        """
        with self._lock:
            process = self._started()
            if process is None:
                return decoded(path)
            try:
                return self._asked(process, path)
            except (OSError, EOFError, ValueError) as error:
                self.close()
                raise DecoderDiedError("the decoder crashed, or did not come back") from error

    def close(self) -> None:
        """End the process; the next file starts another."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def _started(self) -> subprocess.Popen[bytes] | None:
        if self._owner != os.getpid():  # forked: the process is the parent's
            self._process, self._owner = None, os.getpid()
        if self._process is None and self._usable:
            try:
                self._process = _start(self._command)
                if self._within_patience(self._process, lambda out: out.readline()) != _READY:
                    raise OSError("it does not say that it is ready")
            except OSError as error:
                log.info("no process for decoding (%s): decoding here", error)
                self.close()
                self._usable = False
        return self._process

    def _asked(self, process: subprocess.Popen[bytes], path: Path) -> np.ndarray:
        assert process.stdin is not None
        process.stdin.write(json.dumps(str(path)).encode() + b"\n")
        process.stdin.flush()
        return self._within_patience(process, _received)

    def _within_patience(self, process: subprocess.Popen[bytes], receive):  # type: ignore[no-untyped-def]
        assert process.stdout is not None
        timer = threading.Timer(self._patience, process.kill)
        timer.daemon = True
        timer.start()
        try:
            return receive(process.stdout)
        finally:
            timer.cancel()


def decoded(path: Path) -> np.ndarray:
    """The pixels of a file, by GDCM in this process; RuntimeError if it cannot decode them."""
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path), imageIO="GDCMImageIO"))


def _start(command: Sequence[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # the native decoders write there what they think of a file
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )


def _received(out: IO[bytes]) -> np.ndarray:
    line = out.readline()
    if not line:
        raise EOFError
    answer = json.loads(line)
    if "error" in answer:
        raise RuntimeError(answer["error"])
    kind = np.dtype(answer["type"])
    values = np.empty(answer["shape"], kind)
    view = values.reshape(-1).view(np.uint8).data
    done = 0
    while done < len(view):
        block = out.read(min(1 << 20, len(view) - done))
        if not block:
            raise EOFError
        view[done : done + len(block)] = block
        done += len(block)
    return values


def main() -> None:
    """Decode the files that are named on standard input, until it ends."""
    # Ctrl-C and shutdowns reach this process, too: a run that finishes its volume before it stops still needs it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what native code prints must not come between
    out.write(_READY)
    out.flush()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    for line in sys.stdin.buffer:
        try:
            pixels = np.ascontiguousarray(decoded(Path(json.loads(line))))
        except (RuntimeError, MemoryError) as error:
            # Only that it failed: the text may quote the file.
            out.write(json.dumps({"error": type(error).__name__}).encode() + b"\n")
        else:
            out.write(json.dumps({"shape": pixels.shape, "type": pixels.dtype.str}).encode() + b"\n")
            out.write(pixels.tobytes())
        out.flush()


#: The one of this process.
SHARED = DecodingProcess()
atexit.register(SHARED.close)

if __name__ == "__main__":
    main()
