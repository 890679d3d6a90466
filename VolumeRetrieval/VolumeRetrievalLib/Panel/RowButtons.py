"""The small buttons at the right of a result: it fits, it does not fit, search with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _

#: Of a button and of the picture on it, in device-independent pixels. Two and one below them are as high as a row.
_BUTTON, _ICON = 21, 13
#: What the three need.
WIDTH = 2 * _BUTTON + 4
#: On any background: as strong as needed to be told apart, also by those who see no red and green (the shapes differ).
_GREEN, _RED = (46, 160, 67), (218, 54, 51)


class RowButtons:
    """A widget for a cell of the table. `onMark` gets "like", "unlike" or "", `onSearch` is called for the third."""

    def __init__(self, onMark: Callable[[str], None], onSearch: Callable[[], None]):
        self._onMark = onMark
        self.widget = qt.QWidget()
        layout = qt.QGridLayout(self.widget)
        layout.setContentsMargins(0, 1, 2, 1)
        layout.spacing = 1
        self.like = self._button(_("It fits: Refine ranks more like it first (+)."), _check, _GREEN)
        self.unlike = self._button(_("It does not fit: Refine ranks what is like it last (-)."), _cross, _RED)
        self.search = self._button(_("Search with this result: it becomes the query."), _lens, None)
        self.like.checkable = self.unlike.checkable = True
        layout.addWidget(self.like, 0, 0)
        layout.addWidget(self.unlike, 0, 1)
        layout.addWidget(self.search, 1, 0, 1, 2)
        self.like.connect("clicked(bool)", lambda checked: self._onMark("like" if checked else ""))
        self.unlike.connect("clicked(bool)", lambda checked: self._onMark("unlike" if checked else ""))
        self.search.connect("clicked(bool)", lambda checked: onSearch())

    def setMark(self, mark: str) -> None:
        """Show "like", "unlike" or no mark."""
        self.like.checked = mark == "like"
        self.unlike.checked = mark == "unlike"

    def _button(self, toolTip: str, draw: Callable[[Any, float], None], color: tuple[int, int, int] | None) -> Any:
        button = qt.QToolButton()
        button.autoRaise = True
        button.focusPolicy = qt.Qt.NoFocus  # the table keeps it: its keys are + and -
        button.toolTip = toolTip
        button.setAccessibleName(toolTip)
        button.iconSize = qt.QSize(_ICON, _ICON)
        button.setFixedHeight(_BUTTON)
        button.setMinimumWidth(_BUTTON)
        text = qt.QColor(button.palette.color(qt.QPalette.Active, qt.QPalette.ButtonText))
        icon = qt.QIcon()
        icon.addPixmap(_drawn(draw, text, button), qt.QIcon.Normal, qt.QIcon.Off)
        if color is not None:
            icon.addPixmap(_drawn(draw, qt.QColor(*color), button), qt.QIcon.Normal, qt.QIcon.On)
        button.setIcon(icon)
        return button


def _drawn(draw: Callable[[Any, float], None], color: Any, widget: Any) -> Any:
    ratio = widget.devicePixelRatioF()
    pixmap = qt.QPixmap(round(_ICON * ratio), round(_ICON * ratio))
    pixmap.setDevicePixelRatio(ratio)
    pixmap.fill(qt.QColor(0, 0, 0, 0))
    painter = qt.QPainter()
    painter.begin(pixmap)
    painter.setRenderHint(qt.QPainter.Antialiasing)
    pen = qt.QPen(color)
    pen.setWidthF(2.0)
    painter.setPen(pen)
    try:
        draw(painter, float(_ICON))
    finally:
        painter.end()
    return pixmap


def _check(painter: Any, size: float) -> None:
    painter.drawLine(qt.QPointF(0.1 * size, 0.55 * size), qt.QPointF(0.38 * size, 0.85 * size))
    painter.drawLine(qt.QPointF(0.38 * size, 0.85 * size), qt.QPointF(0.9 * size, 0.15 * size))


def _cross(painter: Any, size: float) -> None:
    low, high = 0.15 * size, 0.85 * size
    painter.drawLine(qt.QPointF(low, low), qt.QPointF(high, high))
    painter.drawLine(qt.QPointF(low, high), qt.QPointF(high, low))


def _lens(painter: Any, size: float) -> None:
    painter.drawEllipse(qt.QRectF(0.1 * size, 0.1 * size, 0.55 * size, 0.55 * size))
    painter.drawLine(qt.QPointF(0.6 * size, 0.6 * size), qt.QPointF(0.92 * size, 0.92 * size))
