"""Waiting for work in a child process without freezing the application, for scripts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _

from ..Values import Callbacks
from .EngineErrors import EngineError, WorkCancelled


def waitFor(start: Callable[[Callbacks], Any]) -> Any:
    """Start some work and return its result; the event loop goes on meanwhile.

    Raises:
        EngineError: it failed. WorkCancelled: it was stopped.
    """
    loop = qt.QEventLoop()
    outcome: list[Any] = []

    def settle(value: Any) -> None:
        outcome.append(value)
        loop.exit(0)

    start(
        Callbacks(
            finished=lambda result: settle(("result", result)),
            failed=lambda error: settle(("error", error)),
            cancelled=lambda: settle(("error", WorkCancelled(_("The work was stopped.")))),
        )
    )
    if not outcome:
        loop.exec_()
    if not outcome:  # the application is closing
        raise WorkCancelled(_("The work was stopped."))
    kind, value = outcome[0]
    if kind == "error":
        assert isinstance(value, EngineError | WorkCancelled)
        raise value
    return value
