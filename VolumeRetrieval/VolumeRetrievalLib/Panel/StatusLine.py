"""The line below the search button: what the results are, what is being done, or what went wrong."""

from __future__ import annotations

from typing import Any

import qt

from .Events import Events

_ICON_SIZE = 16


class StatusLine:
    """Shows one line, elided where the panel is narrow; the tooltip has all of it.

    An error stays until the next text.
    """

    def __init__(self, label: Any, iconLabel: Any):
        self._label = label
        self._icon = iconLabel
        self._text = self._details = ""
        self.isError = False
        self._events = Events(label, {qt.QEvent.Resize: lambda event: self._elide()})
        self._update()

    @property
    def text(self) -> str:
        """All of what is shown, also of what the panel has no room for."""
        return self._text

    def say(self, text: str, details: str = "") -> None:
        """Show news; `details` are for the tooltip."""
        self._text, self._details, self.isError = text, details, False
        self._update()

    def showError(self, text: str) -> None:
        self._text, self._details, self.isError = text, "", True
        self._update()

    def clearError(self) -> None:
        """What was asked for last succeeded."""
        if self.isError:
            self.say("")

    def _update(self) -> None:
        self._icon.visible = self.isError
        if self.isError:
            warning = self._icon.style().standardIcon(qt.QStyle.SP_MessageBoxWarning)
            self._icon.setPixmap(warning.pixmap(_ICON_SIZE, _ICON_SIZE))
        self._label.toolTip = "\n".join(one for one in (self.text, self._details) if one)
        self._elide()

    def _elide(self) -> None:
        firstLine = self.text.partition("\n")[0]
        metrics = self._label.fontMetrics()
        self._label.text = metrics.elidedText(firstLine, qt.Qt.ElideRight, max(self._label.width, 40))
