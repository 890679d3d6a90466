"""The indexing job: a process that indexes and ends (VolumeRetrievalEngine/worker/PROTOCOL.md)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import qt
from slicer.i18n import tr as _

from .ChildProcess import ProcessProtocol
from .EngineErrors import EngineError
from .EngineProcess import EngineCommand, EngineProcess
from .SearchWorkerClient import Answer, progressOf


class IndexingJob:
    """One run of `index --json-progress`. Whatever ends it, finished volumes are kept and the next run goes on."""

    def __init__(
        self,
        command: EngineCommand,
        answer: Answer,
        process: ProcessProtocol | None = None,
        cancelMilliseconds: int = 60000,
    ):
        """`answer.finished` gets what `index --json` prints. `cancelMilliseconds`: how long the volume that is being
        read when the job is cancelled may take; each is stored in one transaction, so ending it then loses nothing."""
        self._answer = answer
        self._process = EngineProcess(command, "indexing", self._onMessage, self._onEnded, process)
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
        """Start it with these arguments of `index`."""
        self._process.start(["index", "--json-progress", *arguments])

    def cancel(self) -> None:
        """Stop after the volume that is being read now."""
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
                self._answer.progress(progressOf(message))
        elif message["type"] == "result":
            result = message.get("result") or {}
            self._outcome = self._answer.cancelled if result.get("cancelled") else lambda: self._answer.finished(result)
        elif message["type"] == "error":
            error = message.get("error") or {}
            failure = EngineError(str(error.get("text", "")), str(error.get("type", "")))
            self._outcome = lambda: self._answer.failed(failure)

    def _onEnded(self, problem: str) -> None:
        """Told only now, so that the process has given up the store's lock for whatever comes next."""
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
            logging.warning(f"VolumeRetrieval, indexing ended by itself: {problem or 'exit code 0'}")
            text = _(
                "Indexing ended unexpectedly ({problem}). What was finished is kept: update the index again to go on. "
                "The application log may say why."
            )
            self._answer.failed(EngineError(text.format(problem=problem or _("exit code 0")), EngineError.ENDED))
