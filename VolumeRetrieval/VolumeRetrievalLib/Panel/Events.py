"""Listening to a widget's events: what PythonQt offers instead of overriding a method of a C++ object."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import qt


class Events(qt.QObject):
    """Calls a function for each of these kinds of event (qt.QEvent.Resize ...), before the widget gets the event.

    A function that returns True keeps the event from the widget. Lives as long as the widget, its parent.
    """

    def __init__(self, widget: Any, handlers: Mapping[int, Callable[[Any], bool | None]]):
        qt.QObject.__init__(self, widget)
        self._handlers = {int(kind): handler for kind, handler in handlers.items()}
        widget.installEventFilter(self)

    def eventFilter(self, watched: Any, event: Any) -> bool:
        handler = self._handlers.get(int(event.type()))
        return bool(handler(event)) if handler is not None else False
