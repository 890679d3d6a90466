"""Both ways of doing long work: with callbacks, which are told later, or waiting for the result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import qt

from ..Values import Callbacks, Job
from .Waiting import waitFor


class _NoJob:
    """The job of work that could not be started."""

    isRunning = False

    def cancel(self) -> None:
        """There is nothing to stop."""


class _KnownResult:
    """The job of a result that is there already: it is told from the event loop, as every other."""

    def __init__(self, callbacks: Callbacks, result: Any):
        self.isRunning = True
        self._callbacks = callbacks
        self._result = result
        qt.QTimer.singleShot(0, self._finish)

    def cancel(self) -> None:
        if self.isRunning:
            self.isRunning = False
            self._callbacks.cancelled()

    def _finish(self) -> None:
        if self.isRunning:
            self.isRunning = False
            self._callbacks.finished(self._result)


def run(
    start: Callable[[Callbacks], Job],
    convert: Callable[[Any], Any] | None,
    callbacks: Callbacks | None,
) -> Any:
    """Start work whose result is converted.

    Returns:
        With callbacks the job, and they are told; also what prevents the start. Without, the result.
    """
    if callbacks is None:
        result = waitFor(start)
        return convert(result) if convert else result
    try:
        return start(
            callbacks
            if convert is None
            else replace(callbacks, finished=lambda result: callbacks.finished(convert(result)))
        )
    except (ValueError, TypeError, RuntimeError) as error:
        callbacks.failed(error)
        return _NoJob()


def known(result: Any, callbacks: Callbacks | None) -> Any:
    """A result that is there already, handed on as that of :func:`run`."""
    return result if callbacks is None else _KnownResult(callbacks, result)
