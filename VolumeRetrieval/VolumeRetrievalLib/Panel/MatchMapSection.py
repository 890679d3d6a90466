"""The section Match map: which slice of the query looks like which slice of the selected result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import qt
from slicer.i18n import tr as _
from VolumeRetrievalEngine.searching.match import Match, SearchResult

from .. import Texts
from ..Values import Callbacks, Job
from . import MatchMapPicture
from .EnabledReason import EnabledReason
from .LogicProtocol import LogicProtocol
from .Pictures import pixmapFromArray

_LEFT, _TOP, _RIGHT, _BOTTOM = 24, 6, 6, 20
_PROFILE_HEIGHT = 44
_GAP = 6


class MapEvents(qt.QObject):
    """Clicks and keys on the map. An event filter, as Slicer's own SegmentEditorThresholdEffect.py
    (HistogramEventFilter) has one: a QWidget's virtual methods are not overridden in Slicer's Python code."""

    def __init__(self, parent: Any, onClick: Callable[[int, int], None], onKey: Callable[[int], bool], onResize: Any):
        qt.QObject.__init__(self, parent)
        self.onClick = onClick
        self.onKey = onKey
        self.onResize = onResize

    def eventFilter(self, watched: Any, event: Any) -> bool:
        if event.type() == qt.QEvent.MouseButtonPress:
            self.onClick(event.pos().x(), event.pos().y())
            return True
        if event.type() == qt.QEvent.KeyPress:
            return self.onKey(event.key())
        if event.type() == qt.QEvent.Resize:
            self.onResize()
        return False


class MatchMapSection:
    """Draws the map of one match and tells which pair of slices was chosen."""

    def __init__(
        self,
        ui: Any,
        logic: LogicProtocol,
        showError: Callable[[str], None],
    ):
        self.ui = ui
        self.logic = logic
        self.showError = showError
        self.area: MatchMapPicture.MapArea | None = None
        self.pair: tuple[int, int] | None = None
        self._match: Match | None = None
        self._similarity: np.ndarray | None = None
        self._querySlices = np.zeros(0, np.int32)
        self._job: Job | None = None
        self._follow = EnabledReason(ui.followMatchCheckBox)
        self._events = MapEvents(ui.matchMapLabel, self._onClick, self._onKey, lambda: self._draw())
        ui.matchMapLabel.installEventFilter(self._events)
        ui.followMatchCheckBox.connect("toggled(bool)", self.logic.setFollowMatch)
        self.show(None, None)

    def show(self, result: SearchResult | None, match: Match | None) -> None:
        """Draw the map of this match of this result, as soon as its similarities are there; None for none."""
        self._cancel()
        self._match, self._similarity, self.pair = match, None, None
        self._querySlices = result.query_table.index if result is not None else np.zeros(0, np.int32)
        self._follow.update("" if match else _("Show a result first: then its slices can follow the query's."))
        if match is not None:
            callbacks = Callbacks(
                finished=lambda matrix: self._onSimilarity(match, matrix),
                failed=lambda error: self._onFailed(match, error),
            )
            job = self.logic.similarity(match, callbacks)
            self._job = job if job.isRunning else None
        self._draw()

    def _onSimilarity(self, match: Match, matrix: np.ndarray) -> None:
        if match is self._match:
            self._job = None
            self._similarity = matrix
            self.pair = (match.best_query_row, match.best_row)
            self._draw()

    def _onFailed(self, match: Match, error: Exception) -> None:
        if match is self._match:
            self._job = None
            self._match = None
            self._draw(str(error))

    def _cancel(self) -> None:
        job, self._job = self._job, None
        self._match = None
        if job is not None:
            job.cancel()

    def choose(self, row: int, column: int) -> None:
        """Mark this pair of slices, without moving the views."""
        assert self._similarity is not None
        rows, columns = self._similarity.shape
        self.pair = (min(max(row, 0), rows - 1), min(max(column, 0), columns - 1))
        self._draw()

    def showPair(self) -> None:
        """Move the views to the chosen pair."""
        if self._match is None or self.pair is None:
            return
        try:
            self.logic.showPair(self._match, *self.pair)
        except RuntimeError as error:
            self.showError(str(error))

    def _onClick(self, x: int, y: int) -> None:
        cell = self.area.cellAt(x, y) if self.area is not None else None
        if cell is not None:
            self.choose(*cell)
            self.showPair()

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

    def _draw(self, problem: str = "") -> None:
        label = self.ui.matchMapLabel
        if self._match is None or self._similarity is None or self.pair is None:
            self.area = None
            label.setPixmap(qt.QPixmap())
            waiting = _("Select a result to see where it matches.") if self._match is None else _("Comparing slices...")
            label.text = problem or waiting
            label.alignment = qt.Qt.AlignCenter
            label.setFixedHeight(60)
            self.ui.matchPairLabel.text = ""
            return
        label.setFixedHeight(260)
        width, height = max(label.width, 160), 260
        rows, columns = self._similarity.shape
        area = MatchMapPicture.MapArea(
            _LEFT, _TOP, width - _LEFT - _RIGHT, height - _TOP - _BOTTOM - _PROFILE_HEIGHT - _GAP, rows, columns
        )
        rgb = MatchMapPicture.blank(width, height)
        rgb[area.top : area.top + area.height, area.left : area.left + area.width] = MatchMapPicture.matrixPicture(
            self._similarity, area.width, area.height
        )
        pixmap = pixmapFromArray(rgb)
        self._drawOver(pixmap, area, height)
        label.setPixmap(pixmap)
        self.area = area
        self._describePair()

    def _drawOver(self, pixmap: Any, area: MatchMapPicture.MapArea, height: int) -> None:
        match, pair = self._match, self.pair
        assert match is not None and pair is not None
        painter = qt.QPainter()
        painter.begin(pixmap)
        self._drawProfile(painter, area)
        for number, one in enumerate(match.ranges):
            red, green, blue = MatchMapPicture.rangeColor(number)
            pen = qt.QPen(qt.QColor(red, green, blue))
            pen.setWidth(2)
            painter.setPen(pen)
            left, right = area.x(one.first_row - 0.5), area.x(one.last_row + 0.5)
            voted = one.query_rows or [0]
            top, bottom = area.y(min(voted) - 0.5), area.y(max(voted) + 0.5)
            painter.drawRect(left, top, max(right - left, 2), max(bottom - top, 2))
            below = area.top + area.height + 3
            painter.fillRect(left, below, max(right - left, 2), 3, qt.QColor(red, green, blue))
        path = match.correspondence.path if match.correspondence is not None else ()
        painter.setPen(qt.QPen(qt.QColor(255, 255, 255)))
        for row in range(1, len(path)):
            painter.drawLine(area.x(path[row - 1]), area.y(row - 1), area.x(path[row]), area.y(row))
        x, y = area.x(pair[1]), area.y(pair[0])
        for width, color in ((3, qt.QColor(0, 0, 0)), (1, qt.QColor(255, 255, 255))):
            pen = qt.QPen(color)
            pen.setWidth(width)
            painter.setPen(pen)
            painter.drawLine(x - 6, y, x + 6, y)
            painter.drawLine(x, y - 6, x, y + 6)
        self._drawTitles(painter, area, height)
        painter.end()

    def _drawProfile(self, painter: Any, area: MatchMapPicture.MapArea) -> None:
        assert self._similarity is not None
        values = MatchMapPicture.profile(self._similarity)
        low, high = float(self._similarity.min()), float(self._similarity.max())
        bottom = area.top + area.height + _GAP + _PROFILE_HEIGHT
        scale = (_PROFILE_HEIGHT - 8) / max(high - low, 1e-9)
        painter.setPen(qt.QPen(qt.QColor(70, 70, 70)))
        for column in range(1, len(values)):
            painter.drawLine(
                area.x(column - 1),
                bottom - int((values[column - 1] - low) * scale),
                area.x(column),
                bottom - int((values[column] - low) * scale),
            )

    def _drawTitles(self, painter: Any, area: MatchMapPicture.MapArea, height: int) -> None:
        painter.setPen(qt.QPen(qt.QColor(40, 40, 40)))
        painter.drawText(area.left, height - 5, _("result: slices to the right, similarity below"))
        painter.save()
        painter.translate(14, area.top + area.height)
        painter.rotate(-90)
        painter.drawText(0, 0, _("query: slices downwards"))
        painter.restore()

    def _describePair(self) -> None:
        assert self._match is not None and self._similarity is not None and self.pair is not None
        row, column = self.pair
        self.ui.matchPairLabel.text = _("Query slice {query}, result slice {slice} of {count}: {similarity}").format(
            query=int(self._querySlices[row]) + 1,
            slice=int(self._match.slice_index[column]) + 1,
            count=self._match.n_slices,
            similarity=Texts.similarity(float(self._similarity[row, column])),
        )
