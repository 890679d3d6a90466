"""What goes wrong in a child process, as exceptions of the scripting interface."""

from __future__ import annotations


class EngineError(RuntimeError):
    """The engine could not do what was asked. The text can be shown; `type` is the engine's class of error, or
    ENDED for a process that stopped by itself."""

    ENDED = "ProcessEnded"

    def __init__(self, text: str, type: str = ""):
        super().__init__(text)
        self.type = type


class WorkCancelled(RuntimeError):
    """Somebody stopped the work that a script was waiting for."""
