"""Notices when the DICOM database has changed, was closed, or is another one.

Importers write through a database object of their own (CTK: ctkDICOMIndexer.cpp, ctkDICOMInserter.cpp), so that
slicer.dicomDatabase emits no seriesAdded for them; it emits databaseChanged, many times, because it watches the file
(ctkDICOMDatabase.cpp). Hence: wait until it is quiet, then compare.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any

import qt

from .DatabaseSeries import DatabaseSeries

#: How long one piece of reading may keep the user waiting.
_PIECE_SECONDS = 0.02


class DatabaseWatcher:
    """Keeps what the database holds: `present`, by SeriesInstanceUID; None while that is not known yet.

    Reading a large database takes seconds: it is done in pieces between events.
    """

    def __init__(self, series: DatabaseSeries, onChanged: Callable[[], None], quietMilliseconds: int = 2500):
        """`onChanged` is called when `directory` or `present` have changed."""
        self.series = series
        self.directory = ""
        self.present: dict[str, str] | None = None
        self._onChanged = onChanged
        self._quietMilliseconds = quietMilliseconds
        self._reading: Iterator[tuple[str, str]] | None = None
        self._read: dict[str, str] = {}
        self._connections: list[tuple[str, Callable[..., Any]]] = []
        self._quiet = self._timer(self.refresh)
        self._next = self._timer(self._readPiece)

    def start(self) -> None:
        """Listen, and read what is there now."""
        database = self.series.database
        if database is not None:
            self._connections = [
                ("opened()", self._onOpenedOrClosed),
                ("closed()", self._onOpenedOrClosed),
                ("databaseChanged()", self._onDatabaseChanged),
            ]
            for signal, slot in self._connections:
                database.connect(signal, slot)
        self._onOpenedOrClosed()

    def stop(self) -> None:
        """Listen no more."""
        for signal, slot in self._connections:
            self.series.database.disconnect(signal, slot)
        self._connections = []
        self._quiet.stop()
        self._next.stop()
        self._reading = None

    def refresh(self) -> None:
        """Read the database again, in pieces."""
        self._quiet.stop()
        self._reading, self._read = self.series.stamps(), {}
        self._next.start(0)

    def refreshNow(self) -> None:
        """Read the database again, at once."""
        self._quiet.stop()
        self._next.stop()
        self._reading = None
        self._take(dict(self.series.stamps()))

    def _onDatabaseChanged(self) -> None:
        self._quiet.start(self._quietMilliseconds)  # restarts if it is running

    def _onOpenedOrClosed(self) -> None:
        if self.series.directory != self.directory:
            self.directory = self.series.directory
            self.present = None
            self._onChanged()
        if self.directory:
            self.refresh()
        else:
            self._quiet.stop()
            self._next.stop()
            self._reading = None

    def _readPiece(self) -> None:
        until = monotonic() + _PIECE_SECONDS
        while self._reading is not None:
            found = next(self._reading, None)
            if found is None:
                self._reading = None
                self._take(self._read)
                return
            self._read[found[0]] = found[1]
            if monotonic() > until:
                self._next.start(0)
                return

    def _take(self, present: dict[str, str]) -> None:
        if present != self.present:
            self.present = present
            self._onChanged()

    def _timer(self, slot: Callable[[], None]) -> Any:
        timer = qt.QTimer()
        timer.setSingleShot(True)
        timer.connect("timeout()", slot)
        return timer
