"""Requests to the search worker (VolumeRetrievalEngine/worker/PROTOCOL.md), a process that stays warm between them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import qt
from slicer.i18n import tr as _
from VolumeRetrievalEngine.progress import Progress

from ..Values import Callbacks
from .ChildProcess import ProcessProtocol, QtProcess
from .EngineErrors import EngineError
from .EngineProcess import EngineCommand, EngineProcess


@dataclass
class Request:
    """A request that was sent. It is a job of LogicProtocol."""

    number: int
    answer: Callbacks
    _client: SearchWorkerClient = field(repr=False)
    isRunning: bool = True
    isCancelled: bool = False
    timer: Any = None

    def cancel(self) -> None:
        """Ask the worker to stop working on it; if it does not answer, it is ended."""
        if self.isRunning and not self.isCancelled:
            self.isCancelled = True
            self._client.cancel(self)


class SearchWorkerClient:
    """Starts the worker with the first request, and again with the next one after it has ended."""

    def __init__(
        self,
        makeCommand: Callable[[], EngineCommand] = EngineCommand.ofSlicer,
        makeProcess: Callable[[], ProcessProtocol] = QtProcess,
        cancelMilliseconds: int = 10000,
    ):
        """`cancelMilliseconds`: how long a cancelled request may go on before its worker counts as hanging."""
        self._makeCommand = makeCommand
        self._makeProcess = makeProcess
        self._cancelMilliseconds = cancelMilliseconds
        self._arguments: list[str] = []
        self._worker: EngineProcess | None = None
        self._ending: list[EngineProcess] = []
        self._requests: dict[int, Request] = {}
        self._lastNumber = 0

    @property
    def isRunning(self) -> bool:
        return self._worker is not None

    @property
    def pids(self) -> tuple[int, ...]:
        """Of every process that may still be there."""
        running = [self._worker] if self._worker is not None else []
        return tuple(pid for worker in (*running, *self._ending) for pid in worker.pids)

    def configure(self, arguments: Sequence[str]) -> None:
        """Use a worker with these arguments of `serve` from now on, and the command that is made now (another folder of
        weights, say); one with others ends, its requests with it."""
        isOutdated = self._worker is not None and self._worker.command != self._makeCommand()
        if isOutdated or list(arguments) != self._arguments:
            self._arguments = list(arguments)
            self.release()

    def request(self, method: str, params: dict[str, Any], answer: Callbacks) -> Request:
        """Ask for something; the answer comes later, from the event loop."""
        self._lastNumber += 1
        request = Request(self._lastNumber, answer, self)
        self._requests[request.number] = request
        try:
            worker = self._runningWorker()
        except EngineError as error:
            self._settle(request).failed(error)
            return request
        if worker is not None:
            worker.send({"id": request.number, "method": method, "params": params})
        return request

    def cancel(self, request: Request) -> None:
        if self._worker is None:
            return
        self._lastNumber += 1
        self._worker.send({"id": self._lastNumber, "method": "cancel", "params": {"id": request.number}})
        request.timer = qt.QTimer()
        request.timer.setSingleShot(True)
        request.timer.connect("timeout()", lambda: self._onNoAnswer(request))
        request.timer.start(self._cancelMilliseconds)

    def release(self) -> None:
        """Let the worker end by itself, without waiting; requests that are not answered are cancelled."""
        worker, self._worker = self._worker, None
        if worker is not None:
            self._ending.append(worker)
            worker.closeInput()
        for request in list(self._requests.values()):
            self._settle(request).cancelled()

    def stop(self) -> None:
        """End every process and wait until it is gone."""
        self.release()
        for worker in list(self._ending):
            worker.stop()
        self._ending.clear()

    def _runningWorker(self) -> EngineProcess | None:
        """None if it could not be started and has said so at once, as on Windows: then _onEnded has told everybody."""
        if self._worker is None:
            worker = EngineProcess(
                self._makeCommand(),
                "search worker",
                lambda message: self._onMessage(message),
                lambda problem: self._onEnded(worker, problem),
                self._makeProcess(),
            )
            self._worker = worker
            worker.start(["serve", *self._arguments])
        return self._worker

    def _onMessage(self, message: dict[str, Any]) -> None:
        if message["type"] == "error" and "id" not in message:  # the worker cannot tell whose it is, and ends
            for one in list(self._requests.values()):
                self._onMessage({**message, "id": one.number})
            return
        request = self._requests.get(message.get("id", -1))
        if request is None:
            return
        if message["type"] == "progress" and not request.isCancelled:
            request.answer.progress(Progress.from_dict(message))
        elif message["type"] == "result":
            answer = self._settle(request)
            answer.cancelled() if request.isCancelled else answer.finished(message.get("result"))
        elif message["type"] == "error":
            error = message.get("error") or {}
            answer = self._settle(request)
            if request.isCancelled or error.get("type") == "Cancelled":
                answer.cancelled()
            else:
                answer.failed(EngineError.ofMessage(error))

    def _onEnded(self, worker: EngineProcess, problem: str) -> None:
        if worker in self._ending:
            self._ending.remove(worker)
            return
        self._worker = None
        worker.kill()  # what a launcher that is gone may have left behind
        logging.warning(f"VolumeRetrieval, the search worker ended unexpectedly: {problem or 'exit code 0'}")
        text = _("The search process ended unexpectedly ({problem}). The application log may say why. Search again.")
        for request in list(self._requests.values()):
            answer = self._settle(request)
            if request.isCancelled:
                answer.cancelled()
            else:
                answer.failed(EngineError(text.format(problem=problem or _("exit code 0")), EngineError.ENDED))

    def _onNoAnswer(self, request: Request) -> None:
        if request.isRunning and self._worker is not None:
            logging.warning("VolumeRetrieval, the search worker does not answer and is ended")
            self._worker.kill()

    def _settle(self, request: Request) -> Callbacks:
        """The request is over; whom to tell."""
        self._requests.pop(request.number, None)
        request.isRunning = False
        if request.timer is not None:
            request.timer.stop()
        return request.answer
