"""The search worker: a process that keeps network and index warm and answers requests one after another."""

from __future__ import annotations

import logging
import queue
import threading
from typing import Any, BinaryIO

from ..errors import MessageTooLongError, QueryError, VolumeRetrievalError
from ..progress import Cancelled, Progress
from .messages import Message, MessageWriter, read_messages
from .requests import METHODS
from .retriever_pool import RetrieverPool

logger = logging.getLogger(__name__)


class SearchWorker:
    """Reads requests on one thread and works on them on another, so that a request can be cancelled meanwhile.

    It ends when it is told to, or when the stream of requests does: a child must not outlive the program that started
    it.
    """

    def __init__(self, retrievers: RetrieverPool, requests: BinaryIO, answers: MessageWriter):
        self._retrievers = retrievers
        self._requests = requests
        self._answers = answers
        self._waiting: queue.Queue[Message | None] = queue.Queue()
        self._lock = threading.Lock()
        self._known: set[int] = set()  # requests that were not answered yet
        self._cancelled: set[int] = set()

    def run(self) -> None:
        """Serve until the end."""
        self._answers.hello()
        threading.Thread(target=self._read, name="requests", daemon=True).start()
        while (message := self._waiting.get()) is not None:
            self._answer(message)
        self._retrievers.close()

    def _read(self) -> None:
        try:
            self._take_requests()
        except MessageTooLongError as error:  # whose request it was cannot be known
            logger.error("%s", error)
            self._answers.error(error)
        with self._lock:  # whatever is being worked on is of no use to anybody
            self._cancelled |= self._known
        self._waiting.put(None)

    def _take_requests(self) -> None:
        for message in read_messages(self._requests):
            if message is None or not isinstance(message.get("id"), int) or "method" not in message:
                logger.warning("a line that is no request was passed over")
            elif message["method"] == "cancel":
                self._answers.result(self._cancel(message.get("params") or {}), message["id"])
            elif message["method"] == "shutdown":
                self._answers.result(True, message["id"])
                break
            else:
                with self._lock:
                    self._known.add(message["id"])
                self._waiting.put(message)

    def _cancel(self, params: Message) -> bool:
        with self._lock:
            if params.get("id") not in self._known:
                return False
            self._cancelled.add(params["id"])
            return True

    def _answer(self, message: Message) -> None:
        request = message["id"]

        def progress(step: Progress) -> None:
            self._stop_if_cancelled(request)
            self._answers.progress(step, request)

        try:
            self._stop_if_cancelled(request)
            self._answers.result(self._result(message, progress), request)
        except (VolumeRetrievalError, Cancelled) as error:
            self._answers.error(error, request)
        except BrokenPipeError:
            raise
        except Exception as error:  # a defect of ours must not end the worker for the next request
            logger.exception("request %s failed", message.get("method"))
            self._answers.error(error, request)
        finally:
            with self._lock:
                self._known.discard(request)
                self._cancelled.discard(request)

    def _result(self, message: Message, progress: Any) -> Any:
        if message["method"] not in METHODS:
            raise QueryError(f"method {message['method']!r}: expected one of {', '.join(METHODS)}, cancel, shutdown")
        params = message.get("params") or {}
        encoder, stores = str(params.get("encoder", "")), [str(one) for one in params.get("stores") or ()]
        if stores:
            retriever = self._retrievers.united(stores, encoder, is_asked_again="search" in params)
        else:
            retriever = self._retrievers.get(encoder)
        return METHODS[message["method"]](retriever, params, progress)

    def _stop_if_cancelled(self, request: int) -> None:
        with self._lock:
            if request in self._cancelled:
                raise Cancelled("cancelled")
