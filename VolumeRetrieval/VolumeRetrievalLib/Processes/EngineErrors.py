"""What goes wrong in the engine, as exceptions of the scripting interface and in the words of the panel."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

if TYPE_CHECKING:
    from VolumeRetrievalEngine.errors import VolumeRetrievalError


class EngineError(RuntimeError):
    """The engine could not do what was asked. The text can be shown; `type` is the engine's class of error (errors.py),
    or ENDED for a process that stopped by itself."""

    ENDED = "ProcessEnded"

    def __init__(self, text: str, type: str = ""):
        super().__init__(text)
        self.type = type

    @classmethod
    def ofMessage(cls, error: Mapping[str, Any]) -> EngineError:
        """Of the `error` that a child process has sent (worker/PROTOCOL.md)."""
        kind = str(error.get("type", ""))
        return cls(_worded(kind, str(error.get("text", "")), error.get("fields") or {}), kind)


class WorkCancelled(RuntimeError):
    """Somebody stopped the work that a script was waiting for."""


def inWords(error: VolumeRetrievalError) -> str:
    """An error of the engine in this process, for the panel."""
    return _worded(type(error).__name__, error.text, error.fields)


def _worded(kind: str, text: str, fields: Mapping[str, Any]) -> str:
    """Where the engine's text speaks of processes and stores, what a user of the panel knows instead."""
    if kind == "NoStoreError":
        return _("Nothing is indexed yet: index the database first.")
    if kind == "StoreLockedError":
        host = str(fields.get("host") or "")
        if host and host != socket.gethostname():
            text = _(
                "Another Slicer or a nightly run on the computer {host} is indexing this database. Try again when it "
                "has ended; searching goes on."
            )
            return text.format(host=host)
        return _(
            "Another Slicer or a nightly run is indexing this database. Try again when it has ended; searching goes on."
        )
    if kind == "StoreReadOnlyError" and "folder" in fields:
        text = _("The index cannot be changed, because its folder is not writable: {folder}. It can still be searched.")
        return text.format(folder=fields["folder"])
    if kind == "MissingPackageError" and "package" in fields:
        text = _("{purpose} needs the Python package {package}, which is not installed.")
        return text.format(purpose=_capital(str(fields["purpose"])), package=fields["package"])
    return text


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
