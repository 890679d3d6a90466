"""The section Match map: which slice of the query looks like which slice of the selected match."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import qt
from slicer.i18n import tr as _
from VolumeRetrievalEngine.searching.match import Match, SearchResult

from ..Values import Callbacks, Job, ShownPair
from . import MatchMapPicture
from .Events import Events
from .LogicProtocol import LogicProtocol
from .Pictures import pixmapFromArray

#: Pixels around the matrix, of the profile below it, and of all.
_LEFT, _TOP, _RIGHT, _BOTTOM, _GAP = 44, 6, 8, 34, 8
_PROFILE_HEIGHT = 44
_HEIGHT, _EMPTY_HEIGHT = 270, 48
_TICK_ROOM = 56


class MatchMapSection:
    """Draws the map of one match while the section is open, and moves the views to the pair that is chosen in it."""

    def __init__(self, ui: Any, logic: LogicProtocol, showError: Callable[[str], None]):
        self.ui = ui
        self.logic = logic
        self.showError = showError
        self.area: MatchMapPicture.MapArea | None = None
        self.pair: tuple[int, int] | None = None
        self._result: SearchResult | None = None
        self._match: Match | None = None
        self._similarity: np.ndarray | None = None
        self._news = ""
        self._job: Job | None = None
        self._events = Events(
            ui.matchMapLabel,
            {
                qt.QEvent.MouseButtonPress: self._onMousePress,
                qt.QEvent.KeyPress: lambda event: self._onKey(event.key()),
                qt.QEvent.Resize: lambda event: self._draw(),
                qt.QEvent.PaletteChange: lambda event: self._draw(),
            },
        )
        ui.matchMapCollapsibleButton.connect("contentsCollapsed(bool)", lambda collapsed: self._fetch())
        self.show(None, None)

    def show(self, result: SearchResult | None, match: Match | None) -> None:
        """Draw the map of this match of this result; None for none."""
        if match is self._match and result is self._result and match is not None:
            return
        job, self._job = self._job, None
        self._result, self._match = result, match
        self._similarity, self.pair, self._news = None, None, ""
        if job is not None:
            job.cancel()
        self._fetch()

    def choose(self, row: int, column: int) -> None:
        """Mark this pair of slices, without moving the views."""
        if self._similarity is not None:
            rows, columns = self._similarity.shape
            self.pair = (min(max(row, 0), rows - 1), min(max(column, 0), columns - 1))
            self._draw()

    def followPair(self, pair: ShownPair) -> None:
        """Mark the pair of slices that the views show, if it is of this match."""
        match, result = self._match, self._result
        if self._similarity is None or match is None or result is None or pair.match.volume_id != match.volume_id:
            return
        assert match.slice_index is not None
        row = int(np.abs(result.query_table.index - pair.querySlice).argmin())
        column = int(np.abs(match.slice_index - pair.slice).argmin())
        if (row, column) != self.pair:
            self.choose(row, column)

    def showPair(self) -> None:
        """Move the views to the chosen pair."""
        if self._match is None or self.pair is None:
            return
        try:
            self.logic.showPair(self._match, *self.pair)
        except RuntimeError as error:
            self.showError(str(error))

    def _fetch(self) -> None:
        """Ask for the similarities, if they are to be seen."""
        match = self._match
        isOpen = not self.ui.matchMapCollapsibleButton.collapsed
        if isOpen and match is not None and self._similarity is None and self._job is None:
            callbacks = Callbacks(
                lambda matrix: self._onSimilarity(match, matrix),
                lambda error: self._onFailed(match, error),
                lambda: None,
            )
            job = cast(Job, self.logic.similarity(match, callbacks))
            if match is self._match and self._similarity is None and job.isRunning:
                self._job = job
        self._draw()

    def _onSimilarity(self, match: Match, matrix: np.ndarray) -> None:
        if match is self._match:
            self._job = None
            self._similarity = np.asarray(matrix)
            self.pair = (match.best_query_row, match.best_row)
            self._draw()

    def _onFailed(self, match: Match, error: Exception) -> None:
        if match is self._match:
            self._job = None
            self._news = str(error)
            self._draw()

    def _onMousePress(self, event: Any) -> bool:
        cell = self.area.cellAt(event.pos().x(), event.pos().y()) if self.area is not None else None
        self.ui.matchMapLabel.setFocus()
        if cell is not None:
            self.choose(*cell)
            self.showPair()
        return True

    def _onKey(self, key: int) -> bool:
        if self.pair is None:
            return False
        steps = {
            qt.Qt.Key_Left: (0, -1),
            qt.Qt.Key_Right: (0, 1),
            qt.Qt.Key_Up: (-1, 0),
            qt.Qt.Key_Down: (1, 0),
        }
        if key in steps:
            self.choose(self.pair[0] + steps[key][0], self.pair[1] + steps[key][1])
            return True
        if key in (qt.Qt.Key_Return, qt.Qt.Key_Enter, qt.Qt.Key_Space):
            self.showPair()
            return True
        return False

    def _draw(self) -> None:
        label = self.ui.matchMapLabel
        if self._similarity is None:
            self.area = None
            label.setPixmap(qt.QPixmap())
            if self._match is None:
                label.text = _("Search first: the map shows where a result matches.")
            else:
                label.text = self._news or _("Reading the similarities...")
            label.wordWrap = True
            label.setFixedHeight(_EMPTY_HEIGHT)
            return
        label.setFixedHeight(_HEIGHT)
        width, ratio = max(label.width, 160), label.devicePixelRatioF()
        rows, columns = self._similarity.shape
        self.area = MatchMapPicture.MapArea(
            _LEFT,
            _TOP,
            width - _LEFT - _RIGHT,
            _HEIGHT - _TOP - _BOTTOM - _PROFILE_HEIGHT - _GAP,
            rows,
            columns,
        )
        pixmap = qt.QPixmap(round(width * ratio), round(_HEIGHT * ratio))
        pixmap.setDevicePixelRatio(ratio)
        pixmap.fill(qt.QColor(0, 0, 0, 0))
        painter = qt.QPainter()
        painter.begin(pixmap)
        try:
            self._paint(painter, self.area)
        finally:
            painter.end()
        label.setPixmap(pixmap)

    def _paint(self, painter: Any, area: MatchMapPicture.MapArea) -> None:
        similarity = self._similarity
        assert similarity is not None
        matrix = pixmapFromArray(MatchMapPicture.colorize(similarity))
        painter.drawPixmap(area.left, area.top, area.width, area.height, matrix)
        self._paintPlace(painter, area)
        self._paintCross(painter, area)
        text = qt.QColor(self.ui.matchMapLabel.palette.color(qt.QPalette.Active, qt.QPalette.WindowText))
        self._paintProfile(painter, area, text)
        self._paintAxes(painter, area, text)

    def _paintPlace(self, painter: Any, area: MatchMapPicture.MapArea) -> None:
        match = self._match
        assert match is not None
        one = match.place
        if one is not None:
            pen = qt.QPen(qt.QColor(*MatchMapPicture.RANGE_COLOR))
            pen.setWidth(2)
            painter.setPen(pen)
            left, right = area.x(one.first_row - 0.5), area.x(one.last_row + 0.5)
            top, bottom = area.y(one.query_first_row - 0.5), area.y(one.query_last_row + 0.5)
            painter.drawRect(left, top, max(right - left, 2), max(bottom - top, 2))
        if match.correspondence is None:
            return
        path = match.correspondence.path
        painter.setPen(qt.QPen(qt.QColor(255, 255, 255)))
        for row in range(1, len(path)):
            painter.drawLine(area.x(path[row - 1]), area.y(row - 1), area.x(path[row]), area.y(row))

    def _paintCross(self, painter: Any, area: MatchMapPicture.MapArea) -> None:
        assert self.pair is not None
        x, y = area.x(self.pair[1]), area.y(self.pair[0])
        for width, color in ((3, qt.QColor(0, 0, 0)), (1, qt.QColor(255, 255, 255))):
            pen = qt.QPen(color)
            pen.setWidth(width)
            painter.setPen(pen)
            painter.drawLine(x - 6, y, x + 6, y)
            painter.drawLine(x, y - 6, x, y + 6)

    def _paintProfile(self, painter: Any, area: MatchMapPicture.MapArea, text: Any) -> None:
        """The similarity of each slice of the result, from 0 to 1: a result that is unlike has a low line."""
        assert self._similarity is not None
        values = np.clip(MatchMapPicture.profile(self._similarity), 0, 1)
        top = area.top + area.height + _GAP
        bottom = top + _PROFILE_HEIGHT
        faint = qt.QColor(text)
        faint.setAlpha(70)
        painter.setPen(qt.QPen(faint))
        painter.drawLine(area.left, top, area.left + area.width, top)
        painter.drawLine(area.left, bottom, area.left + area.width, bottom)
        pen = qt.QPen(text)
        pen.setWidthF(1.5)
        painter.setPen(pen)
        for column in range(1, len(values)):
            painter.drawLine(
                area.x(column - 1),
                bottom - round(float(values[column - 1]) * _PROFILE_HEIGHT),
                area.x(column),
                bottom - round(float(values[column]) * _PROFILE_HEIGHT),
            )

    def _paintAxes(self, painter: Any, area: MatchMapPicture.MapArea, text: Any) -> None:
        match, result = self._match, self._result
        assert match is not None and result is not None and match.slice_index is not None
        metrics = self.ui.matchMapLabel.fontMetrics()
        up = metrics.ascent() // 2
        painter.setPen(qt.QPen(text))

        def numberAtLeft(value: str, y: int) -> None:
            painter.drawText(area.left - 4 - metrics.horizontalAdvance(value), y + up, value)

        for row in MatchMapPicture.ticks(area.rows, area.height // 30):
            number = int(result.query_table.index[row]) + 1
            numberAtLeft(str(number), min(max(area.y(row), area.top + up), area.top + area.height - up))
        bottom = area.top + area.height + _GAP + _PROFILE_HEIGHT
        numberAtLeft("1", area.top + area.height + _GAP + 2)
        numberAtLeft("0", bottom)
        for column in MatchMapPicture.ticks(area.columns, area.width // _TICK_ROOM):
            value = str(int(match.slice_index[column]) + 1)
            width = metrics.horizontalAdvance(value)
            left = min(max(area.x(column) - width // 2, area.left), area.left + area.width - width)
            painter.drawText(left, bottom + 2 + metrics.ascent(), value)
        title = _("slice of result {rank}, with the similarity below").format(rank=match.rank)
        title = metrics.elidedText(title, qt.Qt.ElideRight, area.width)
        left = area.left + (area.width - metrics.horizontalAdvance(title)) // 2
        painter.drawText(left, bottom + 2 + metrics.ascent() + metrics.lineSpacing(), title)
        painter.save()
        title = _("slice of the query")
        painter.translate(metrics.ascent() + 1, area.top + (area.height + metrics.horizontalAdvance(title)) // 2)
        painter.rotate(-90)
        painter.drawText(0, 0, title)
        painter.restore()
