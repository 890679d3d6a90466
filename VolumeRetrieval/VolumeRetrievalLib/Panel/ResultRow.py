"""One result as a picture: thumbnail, patient and series, similarity and place, on two lines.

A row is painted into an icon, because Python cannot paint cells (delegates written in Python crash Slicer, issue 9127).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import qt
from slicer.i18n import tr as _

from .Pictures import pixmapFromData

#: Height of a row, and of the picture in it, in device-independent pixels.
ROW_HEIGHT = 48
PICTURE_HEIGHT = 44
_GAP = 8
_BAR_WIDTH, _BAR_HEIGHT = 54, 7
#: Advances are rounded: a text that just fits would be elided.
_SLACK = 2
#: Narrower text columns have no room for the date.
_DATE_FROM_WIDTH = 170
#: And these none for the number next to the likeness.
_NUMBER_FROM_WIDTH = 260
#: And these none for the likeness next to whose volume it is: it takes the place of the series, of which as good as
#: nothing would be left.
_LIKENESS_FROM_WIDTH = 235


@dataclass(frozen=True)
class ResultRow:
    """What a row shows.

    `similarity` is -1 to 1. `likeness` says in words how unusual that is; where that is not known, a bar that begins at
    0 is painted. `isUnlike`: nothing like the query, which is painted pale. `mark` is "like", "unlike" or empty.
    `thumbnail` is an encoded image, empty where there is none.
    """

    title: str
    series: str
    date: str
    similarity: float
    place: str
    likeness: str = ""
    isUnlike: bool = False
    mark: str = ""
    thumbnail: bytes = b""

    @property
    def text(self) -> str:
        """The same as one line, for a screen reader."""
        marks = {"like": _("marked as fitting"), "unlike": _("marked as not fitting")}
        parts = (self.title, self.series, self.date, self.likeness, self.number, self.place, marks.get(self.mark, ""))
        return ", ".join(part for part in parts if part)

    @property
    def number(self) -> str:
        return f"{self.similarity:.2f}"


def paintIcon(row: ResultRow, width: int, widget: Any, isPale: bool) -> Any:
    """A QIcon of this width for the row, in the colors of the widget's palette, unselected and selected."""
    icon = qt.QIcon()
    icon.addPixmap(_paint(row, width, widget, isPale, False), qt.QIcon.Normal)
    # Without a picture of its own a selected row's icon is tinted.
    icon.addPixmap(_paint(row, width, widget, isPale, True), qt.QIcon.Selected)
    return icon


def _paint(row: ResultRow, width: int, widget: Any, isPale: bool, isSelected: bool) -> Any:
    ratio = widget.devicePixelRatioF()
    pixmap = qt.QPixmap(round(width * ratio), round(PICTURE_HEIGHT * ratio))
    pixmap.setDevicePixelRatio(ratio)
    pixmap.fill(qt.QColor(0, 0, 0, 0))
    painter = qt.QPainter()
    painter.begin(pixmap)
    painter.setRenderHint(qt.QPainter.Antialiasing)
    painter.setRenderHint(qt.QPainter.SmoothPixmapTransform)
    try:
        _Painting(painter, row, width, widget, isPale or row.isUnlike, isSelected).paint()
    finally:
        painter.end()
    return pixmap


class _Painting:
    """Where everything goes, from the left and from the right; what is left is the text's."""

    def __init__(self, painter: Any, row: ResultRow, width: int, widget: Any, isPale: bool, isSelected: bool):
        self.painter = painter
        self.row = row
        self.width = width
        palette = widget.palette
        group = qt.QPalette.Active
        # Copies: PythonQt hands out the palette's own colors.
        text = qt.QColor(palette.color(group, qt.QPalette.HighlightedText if isSelected else qt.QPalette.Text))
        bar = text if isSelected else qt.QColor(palette.color(group, qt.QPalette.Highlight))
        self.strong = _faded(text, 0.55 if isPale else 1.0)
        self.dim = _faded(text, 0.45 if isPale else 0.7)
        self.groove = _faded(text, 0.15)
        self.bar = _faded(text, 0.3) if isPale else bar
        self.isPale = isPale
        self.font = qt.QFont(widget.font)
        self.bold = qt.QFont(widget.font)
        self.bold.setBold(True)

    def paint(self) -> None:
        lineHeight = PICTURE_HEIGHT // 2
        left = self._thumbnail() + _GAP
        room = self.width - left - _GAP
        titleRoom = max(room - self._similarity(lineHeight, room), 20)
        self._text(self.row.title, left, 0, titleRoom, self.bold, self.strong)
        if self.row.likeness and room < _LIKENESS_FROM_WIDTH:
            width = qt.QFontMetrics(self.font).horizontalAdvance(self.row.likeness) + _SLACK
            self._text(self.row.likeness, left, lineHeight, width, self.font, self.strong)
            self._place(lineHeight, max(room - width, 20))
            return
        seriesRoom = max(room - self._place(lineHeight, room), 20)
        self._text(self._series(seriesRoom), left, lineHeight, seriesRoom, self.font, self.dim)

    def _thumbnail(self) -> int:
        pixmap = pixmapFromData(self.row.thumbnail)
        self.painter.setOpacity(0.55 if self.isPale else 1.0)
        if pixmap.isNull():
            self.painter.fillRect(0, 0, PICTURE_HEIGHT, PICTURE_HEIGHT, self.groove)
        else:
            # Square and never stretched: the thumbnails are square.
            self.painter.drawPixmap(0, 0, PICTURE_HEIGHT, PICTURE_HEIGHT, pixmap)
        self.painter.setOpacity(1.0)
        return PICTURE_HEIGHT

    def _similarity(self, lineHeight: int, room: int) -> int:
        """The likeness, or a bar, and the number at the right of the first line, in which there is this room; returns
        the width that they take. Whose volume it is matters more than the bar, which says the same as the number, and
        in a narrow row more than the number, which is in the tooltip."""
        metrics = qt.QFontMetrics(self.bold)
        numberWidth = metrics.horizontalAdvance("-0.00") + _SLACK
        if self.row.likeness and room >= _LIKENESS_FROM_WIDTH:
            width = min(qt.QFontMetrics(self.font).horizontalAdvance(self.row.likeness) + _SLACK, room - 40)
            right = self.width
            if room >= _NUMBER_FROM_WIDTH:
                right -= numberWidth + 4
                self._number(metrics)
            self._text(self.row.likeness, right - width, 0, width, self.font, self.strong)
            return self.width - right + width
        self._number(metrics)
        hasRoom = metrics.horizontalAdvance(self.row.title) + _SLACK <= room - numberWidth - _BAR_WIDTH - 4
        if self.row.likeness or not hasRoom:
            return numberWidth
        left = self.width - numberWidth - _BAR_WIDTH - 4
        top = (lineHeight - _BAR_HEIGHT) // 2
        filled = round(_BAR_WIDTH * min(max(self.row.similarity, 0.0), 1.0))
        self.painter.setPen(qt.Qt.NoPen)
        for width, color in ((_BAR_WIDTH, self.groove), (filled, self.bar)):
            if width:
                self.painter.setBrush(qt.QBrush(color))
                self.painter.drawRoundedRect(left, top, width, _BAR_HEIGHT, 2, 2)
        return self.width - left

    def _number(self, metrics: Any) -> None:
        width = metrics.horizontalAdvance(self.row.number) + _SLACK
        self._text(self.row.number, self.width - width, 0, width, self.bold, self.strong)

    def _place(self, lineHeight: int, room: int) -> int:
        width = min(qt.QFontMetrics(self.font).horizontalAdvance(self.row.place) + _SLACK, room)
        self._text(self.row.place, self.width - width, lineHeight, width, self.font, self.dim)
        return width

    def _series(self, room: int) -> str:
        """Series and date in this room; where both do not fit, the end of the series is left out."""
        metrics = qt.QFontMetrics(self.font)
        date = f", {self.row.date}" if self.row.date else ""
        if room < _DATE_FROM_WIDTH and metrics.horizontalAdvance(self.row.series + date) > room:
            date = ""
        room -= metrics.horizontalAdvance(date)
        return metrics.elidedText(self.row.series, qt.Qt.ElideRight, room) + date

    def _text(self, text: str, left: int, top: int, room: int, font: Any, color: Any) -> None:
        metrics = qt.QFontMetrics(font)
        self.painter.setFont(font)
        self.painter.setPen(qt.QPen(color))
        # The baseline, so that the line is in the middle of its half of the row.
        baseline = top + (PICTURE_HEIGHT // 2 + metrics.ascent() - metrics.descent()) // 2
        self.painter.drawText(left, baseline, metrics.elidedText(text, qt.Qt.ElideRight, room))


def _faded(color: Any, opacity: float) -> Any:
    faded = qt.QColor(color)
    faded.setAlpha(round(255 * opacity))
    return faded
