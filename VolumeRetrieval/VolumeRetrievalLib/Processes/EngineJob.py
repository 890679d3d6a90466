"""A run of the engine that works, tells of it and ends (VolumeRetrievalEngine/worker/PROTOCOL.md)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import qt
from slicer.i18n import tr as _
from VolumeRetrievalEngine.progress import Progress

from ..Values import Callbacks
from .ChildProcess import ProcessProtocol
from .EngineErrors import EngineError
from .EngineProcess import EngineCommand, EngineProcess


class EngineJob:
    """One run. It is a job of LogicProtocol; its process stops when its standard input is closed."""

    def __init__(
        self,
        command: EngineCommand,
        name: str,
        answer: Callbacks,
        endedText: str,
        process: ProcessProtocol | None = None,
        cancelMilliseconds: int = 60000,
    ):
        """`name` is for the log, `endedText` for the user when it ends without an answer ("{problem}" says how).
        `answer.finished` gets what the command's result message holds. `cancelMilliseconds`: how long it may go on
        after it was cancelled."""
        self.name = name
        self._answer = answer
        self._endedText = endedText
        self._process = EngineProcess(command, name, self._onMessage, self._onEnded, process)
        self._cancelMilliseconds = cancelMilliseconds
        self._isCancelled = False
        self._isOver = False
        self._outcome: Callable[[], None] | None = None
        self._timer: Any = None

    @property
    def isRunning(self) -> bool:
        return not self._isOver

    @property
    def pids(self) -> tuple[int, ...]:
        return self._process.pids

    def start(self, arguments: Sequence[str]) -> None:
        """Start it: a command of the engine and its arguments."""
        self._process.start(arguments)

    def cancel(self) -> None:
        """Ask it to stop where it can."""
        if self._isOver or self._isCancelled:
            return
        self._isCancelled = True
        self._process.closeInput()
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.connect("timeout()", self._process.kill)
        self._timer.start(self._cancelMilliseconds)

    def stop(self) -> None:
        """End it now and wait until it is gone."""
        self._isCancelled = True
        self._process.stop()
        self._onEnded("")

    def _onMessage(self, message: dict[str, Any]) -> None:
        if message["type"] == "progress":
            if not self._isCancelled:
                self._answer.progress(Progress.from_dict(message))
        elif message["type"] == "result":
            result = message.get("result") or {}
            self._outcome = self._answer.cancelled if result.get("cancelled") else lambda: self._answer.finished(result)
        elif message["type"] == "error":
            failure = EngineError.ofMessage(message.get("error") or {})
            isCancelled = failure.type == "Cancelled"
            self._outcome = self._answer.cancelled if isCancelled else lambda: self._answer.failed(failure)

    def _onEnded(self, problem: str) -> None:
        """Told only now, so that the process has given up its locks for whatever comes next."""
        if self._isOver:
            return
        self._isOver = True
        if self._timer is not None:
            self._timer.stop()
        self._process.kill()  # what a launcher that is gone may have left behind
        if self._outcome is not None:
            self._outcome()
        elif self._isCancelled:
            self._answer.cancelled()
        else:
            logging.warning(f"VolumeRetrieval, {self.name} ended unexpectedly: {problem or 'exit code 0'}")
            text = self._endedText.format(problem=problem or _("exit code 0"))
            self._answer.failed(EngineError(text, EngineError.ENDED))


class RunningJobs:
    """The jobs that were started and are not over."""

    def __init__(self) -> None:
        self._jobs: list[EngineJob] = []

    def add(self, job: EngineJob) -> None:
        """A job that is about to start."""
        self._jobs = [*self._running(), job]

    def stop(self) -> None:
        """End what is running and wait until it is gone."""
        for job in self._running():
            job.stop()

    @property
    def pids(self) -> tuple[int, ...]:
        """Of the processes that may be running."""
        return tuple(pid for job in self._running() for pid in job.pids)

    def _running(self) -> list[EngineJob]:
        return [one for one in self._jobs if one.isRunning]
