"""Labels of several lines that neither widen the panel nor grow over their neighbors."""

from __future__ import annotations

from typing import Any

import qt

from .Events import Events


class WrappedLabel:
    """A word-wrapped QLabel whose height follows its width; hidden while it has no text.

    The module panel's scroll area asks for minimum sizes only, which know nothing of heightForWidth. The label's
    horizontal policy is Ignored (in the .ui file): otherwise the size hint of a long text is the panel's minimum.
    """

    def __init__(self, label: Any):
        self._label = label
        self._fitted: tuple[str, int] | None = None
        self._events = Events(label, {qt.QEvent.Resize: lambda event: self._fit()})
        self.text = label.text

    @property
    def text(self) -> str:
        return self._label.text

    @text.setter
    def text(self, text: str) -> None:
        self._label.text = text
        self._label.visible = bool(text)
        self._fit()

    def _fit(self) -> None:
        label = self._label
        if (label.text, label.width) == self._fitted:
            return
        self._fitted = (label.text, label.width)
        label.setMinimumHeight(0)  # a minimum is what the next line answers at least (QLabelPrivate::sizeForWidth)
        # Fixed, not only minimum: the size hint of a wrapped label is that of a narrower one, with more lines.
        label.setFixedHeight(label.heightForWidth(max(label.width, 1)) if label.text else 0)
