"""One run of the engine in a process of its own: messages instead of bytes, and an end that leaves nothing behind."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _
from VolumeRetrievalEngine.errors import MessageTooLongError
from VolumeRetrievalEngine.worker.messages import LineSplitter, decode, encode

from . import ProcessIDs
from .ChildProcess import ProcessListener, ProcessProtocol, QtProcess
from .EngineErrors import EngineError

#: Milliseconds for ending by itself after its input is closed, and after it was asked to terminate; and after it was
#: killed, which on a busy computer takes the system a while.
_STOP_WAITS = (1500, 500, 20_000)

#: The folder that holds the package VolumeRetrievalEngine.
_ENGINE_FOLDER = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class EngineCommand:
    """How the engine is started: with which Python, where it lies, and where weights are ("": where it keeps them)."""

    program: str
    folder: Path = _ENGINE_FOLDER
    weightsFolder: str = ""

    @classmethod
    def ofSlicer(cls) -> EngineCommand:
        """PythonSlicer, found as slicer.util.executePythonModule finds it (Slicer 5.12, slicer/util.py)."""
        program = shutil.which("PythonSlicer")
        if not program:
            raise EngineError(_("PythonSlicer, which is part of Slicer, was not found: reinstall Slicer."))
        return cls(program)

    def environment(self) -> dict[str, str]:
        """PythonSlicer does not know the additional module paths of the application."""
        paths = [str(self.folder), os.environ.get("PYTHONPATH", "")]
        weights = {"VOLUME_RETRIEVAL_WEIGHTS": self.weightsFolder} if self.weightsFolder else {}
        return {
            "PYTHONPATH": os.pathsep.join(path for path in paths if path),
            "PYTHONIOENCODING": "utf-8",  # of what goes to the log; messages are bytes
            **weights,
        }


class EngineProcess:
    """Starts the engine once; tells what it says and that it ended. What it writes to standard error is logged."""

    def __init__(
        self,
        command: EngineCommand,
        name: str,
        onMessage: Callable[[dict[str, Any]], None],
        onEnded: Callable[[str], None],
        process: ProcessProtocol | None = None,
    ):
        """`onEnded` gets "" or why it ended, as ProcessListener.ended. `name` is for the log."""
        self.command = command
        self.name = name
        self.isRunning = False
        self._process = process or QtProcess()
        self._onMessage = onMessage
        self._onEnded = onEnded
        self._output = LineSplitter()
        self._log = LineSplitter()
        self._problem = ""  # why we ended it, if we did
        self._enginePID = 0
        self._startedPID = 0

    def start(self, arguments: Sequence[str]) -> None:
        """Run `python -m VolumeRetrievalEngine <arguments>`."""
        self.isRunning = True
        self._process.start(
            self.command.program,
            ["-m", "VolumeRetrievalEngine", *arguments],
            self.command.environment(),
            ProcessListener(self._onOutput, self._onErrorOutput, self._onProcessEnded),
        )

    @property
    def pids(self) -> tuple[int, ...]:
        """Of what Qt started, and of what really works as its first message said."""
        return tuple({pid for pid in (self._process.pid, self._enginePID) if pid})

    def send(self, message: dict[str, Any]) -> None:
        if self.isRunning:
            self._process.write(encode(message))

    def closeInput(self) -> None:
        """Tell it that nothing more will come: it ends when it can."""
        if self.isRunning:
            self._process.closeInput()

    def kill(self) -> None:
        """End it at once: what was started, and what that started."""
        if self.isRunning:
            launcher = self._process.pid
            self._process.kill()
        else:
            launcher = self._startedPID
        # A launcher may be gone and what it launched not; the number of a process that Qt waited for may be another's.
        if self._enginePID != launcher:
            ProcessIDs.kill(self._enginePID)

    def stop(self) -> None:
        """End it, waiting a little for it to do so by itself; afterwards no process is left."""
        if self.isRunning:
            self._process.closeInput()
            if not self._process.waitForEnd(_STOP_WAITS[0]):
                self._process.terminate()
                if not self._process.waitForEnd(_STOP_WAITS[1]):
                    self.kill()
                    self._process.waitForEnd(_STOP_WAITS[2])
        self.kill()

    def _onOutput(self, data: bytes) -> None:
        if self._problem:
            return  # it is being ended
        try:
            lines = self._output.feed(data)
        except MessageTooLongError as error:
            logging.error(f"VolumeRetrieval, {self.name}: {error}")
            self._problem = str(error)
            self.kill()
            return
        for line in lines:
            message = decode(line)
            if message is None or "type" not in message:
                logging.warning(f"VolumeRetrieval, {self.name}: a line of {len(line)} bytes that is no message")
            elif message["type"] == "hello":
                self._enginePID = int(message.get("pid") or 0)
                self._startedPID = self._process.pid
                logging.debug(f"VolumeRetrieval, {self.name}: process {self._enginePID}")
            else:
                self._onMessage(message)

    def _onErrorOutput(self, data: bytes) -> None:
        try:
            lines = self._log.feed(data)
        except MessageTooLongError:
            logging.warning(f"VolumeRetrieval, {self.name}: a line for the log that is too long")
            return
        for line in lines:
            self._logLine(line)

    def _logLine(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").rstrip()
        # The engine's log lines begin with their level (commands/__init__.py).
        level = {"ERROR": logging.ERROR, "CRITICAL": logging.ERROR, "WARNING": logging.WARNING}
        logging.log(level.get(text.partition(" ")[0], logging.INFO), f"VolumeRetrieval, {self.name}: {text}")

    def _onProcessEnded(self, problem: str) -> None:
        self.isRunning = False
        if self._log.unfinished:
            self._logLine(self._log.unfinished)
        self._onEnded(self._problem or problem)
