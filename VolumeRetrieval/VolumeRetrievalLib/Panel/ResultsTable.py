"""The table of results: rows are described and painted when they come into view."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import qt
from VolumeRetrievalEngine.searching.match import Match

from .Events import Events
from .ResultRow import PICTURE_HEIGHT, ROW_HEIGHT, ResultRow, paintIcon
from .RowButtons import WIDTH as BUTTONS_WIDTH
from .RowButtons import RowButtons

#: Qt's styles leave this much at each side of an icon in a cell.
_ICON_MARGIN = 4
#: How many rows are filled while nobody knows how high the table will be.
_FIRST_ROWS = 12


class ResultsTable:
    """Rows of a QTableWidget, one match each, in the order given.

    `makeRows` describes matches and `toolTip` explains one; both are asked only of what is looked at, because 500
    descriptions and pictures would stop the application for a second.
    """

    def __init__(
        self,
        table: Any,
        makeRows: Callable[[Sequence[Match]], Sequence[ResultRow]],
        toolTip: Callable[[Match, ResultRow], str],
        onMark: Callable[[Match, str], None],
        onSearch: Callable[[Match], None],
    ):
        """`onMark` gets a match and "like", "unlike" or ""; `onSearch` one that is to be the query."""
        self._onMark = onMark
        self._onSearch = onSearch
        self._buttons: dict[int, RowButtons] = {}
        self.table = table
        self._makeRows = makeRows
        self._toolTip = toolTip
        self._matches: tuple[Match, ...] = ()
        self._rows: dict[int, ResultRow] = {}
        self._painted: set[int] = set()
        self._isPale = False
        table.setColumnCount(2)
        header = table.horizontalHeader()
        header.hide()
        header.minimumSectionSize = 1
        header.setSectionResizeMode(0, qt.QHeaderView.Stretch)
        header.setSectionResizeMode(1, qt.QHeaderView.Fixed)
        table.setColumnWidth(1, BUTTONS_WIDTH)
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
        table.verticalScrollBar().connect("valueChanged(int)", self._fillVisible)
        self._events = Events(table.viewport(), {qt.QEvent.Resize: lambda event: self._repaint()})
        self._themeEvents = Events(table, {qt.QEvent.PaletteChange: lambda event: self._repaint()})

    def show(self, matches: Sequence[Match]) -> None:
        """Show these matches; nothing is selected then."""
        self._matches = tuple(matches)
        self._rows, self._buttons, self._painted, self._isPale = {}, {}, set(), False
        self.table.setRowCount(0)
        self.table.setRowCount(len(self._matches))
        self.table.scrollToTop()
        self._repaint()

    def setPale(self, isPale: bool) -> None:
        """Whether these are results of what is no longer chosen."""
        if isPale != self._isPale:
            self._isPale = isPale
            self._repaint()

    def updateRows(self) -> None:
        """Describe the rows anew: other marks, for instance."""
        self._rows = {}
        self._repaint()

    def row(self, number: int) -> ResultRow:
        """What is shown in this row."""
        if number not in self._rows:
            (self._rows[number],) = self._makeRows([self._matches[number]])
        return self._rows[number]

    def buttons(self, number: int) -> RowButtons:
        """Of a row that is, or was, in view."""
        return self._buttons[number]

    def selected(self) -> list[Match]:
        """The selected matches, from the top."""
        return [self._matches[number] for number in sorted(self.selectedRows())]

    def selectedRows(self) -> set[int]:
        rows = {index.row() for index in self.table.selectionModel().selectedRows()}
        return {number for number in rows if number < len(self._matches)}

    def _repaint(self) -> None:
        self._painted.clear()
        self._fillVisible()

    def _fillVisible(self, *_ignored: Any) -> None:
        numbers = [number for number in self._visible() if number not in self._painted]
        if not numbers:
            return
        unknown = [number for number in numbers if number not in self._rows]
        for number, row in zip(unknown, self._makeRows([self._matches[one] for one in unknown]), strict=True):
            self._rows[number] = row
        width = max(self.table.viewport().width - BUTTONS_WIDTH - 2 * _ICON_MARGIN, 120)
        self.table.setIconSize(qt.QSize(width, PICTURE_HEIGHT))
        for number in numbers:
            self._fill(number, width)

    def _fill(self, number: int, width: int) -> None:
        row = self._rows[number]
        item = self.table.item(number, 0)
        if item is None:
            item = qt.QTableWidgetItem()
            self.table.setItem(number, 0, item)
        if number not in self._buttons:
            self._addButtons(number)
        item.setData(qt.Qt.AccessibleTextRole, row.text)
        item.setToolTip(self._toolTip(self._matches[number], row))
        self._buttons[number].setMark(row.mark)
        item.setIcon(paintIcon(row, width, self.table, self._isPale))
        self._painted.add(number)

    def _addButtons(self, number: int) -> None:
        match = self._matches[number]
        buttons = RowButtons(lambda mark: self._onMark(match, mark), lambda: self._onSearch(match))
        self._buttons[number] = buttons
        self.table.setCellWidget(number, 1, buttons.widget)

    def _visible(self) -> range:
        """The rows in view, and one more at each end."""
        count = len(self._matches)
        height = self.table.viewport().height
        first = max(self.table.rowAt(0), 0)
        last = self.table.rowAt(height - 1)
        if last < 0:  # the list ends above the bottom, or was not laid out yet
            last = first + max(height // ROW_HEIGHT, _FIRST_ROWS)
        return range(max(first - 1, 0), min(last + 2, count))
