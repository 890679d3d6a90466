"""Remembers what the headers of an archive's files say, so that only new and changed files are opened again.

A SQLite file of facts (facts.py) by path, size and time. It holds no patient's name, ID or birth date, but tokens made
with the store's secret; a check value made with the same secret tells when they are of another one. It is only a
cache: if it is damaged or cannot be written, scanning is slower, nothing else.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from pathlib import Path

from ..patients import PatientTokens
from .facts import FACTS_VERSION, FileFacts, FileStamp
from .itk_paths import is_text

_log = logging.getLogger(__name__)
_BATCH = 2000


class ScanCache:
    """The cache in one file; usable as a context manager, which writes it on leaving."""

    def __init__(self, path: Path):
        self.path = Path(path)
        self.hits = 0
        self._pending: list[tuple[str, int, int, str]] = []
        self._connection: sqlite3.Connection | None = None
        self._check = ""

    def __enter__(self) -> ScanCache:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def bind(self, tokens: PatientTokens) -> None:
        """Open the cache for facts made with these tokens; what was made with others is forgotten."""
        check = f"{FACTS_VERSION} {tokens.token('check', 'check')}"
        if self._connection is not None and check == self._check:
            return
        self.close()
        self._check = check
        try:
            self._connection = self._opened(check)
        except (sqlite3.OperationalError, OSError) as error:
            # Locked by another scan, or in a folder that cannot be written: it is left as it is.
            _log.info("scan cache %s is not usable: %s", self.path, error)
        except sqlite3.DatabaseError as error:
            self._start_anew(error)

    def get(self, stamp: FileStamp) -> FileFacts | None:
        """The facts of this file, if they are known for this size and time."""
        if self._connection is None or not is_text(stamp.path):
            return None
        try:
            row = self._connection.execute(
                "SELECT facts FROM headers WHERE path = ? AND size = ? AND modified_ns = ?",
                (stamp.path, stamp.size, _of_64_bits(stamp.modified_ns)),
            ).fetchone()
            facts = None if row is None else FileFacts.from_json(row[0])
        except (sqlite3.Error, ValueError, KeyError, TypeError, AttributeError, UnicodeError) as error:
            self._start_anew(error)
            return None
        self.hits += facts is not None
        return facts

    def put(self, stamp: FileStamp, facts: FileFacts) -> None:
        if self._connection is None or not is_text(stamp.path):
            return
        self._pending.append((stamp.path, stamp.size, _of_64_bits(stamp.modified_ns), facts.to_json()))
        if len(self._pending) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Write what is not written yet."""
        pending, self._pending = self._pending, []
        if self._connection is None or not pending:
            return
        try:
            with self._connection:
                self._connection.executemany("INSERT OR REPLACE INTO headers VALUES (?, ?, ?, ?)", pending)
        except sqlite3.OperationalError as error:
            # Read-only, locked by another scan, or the disk is full: what is read so far stays useful.
            _log.info("scan cache %s is not written: %s", self.path, error)
        except sqlite3.Error as error:
            self._start_anew(error)

    def forget_missing(self, folder: Path, present: set[str]) -> None:
        """Drop the facts of files below this folder that are there no more."""
        if self._connection is None or not is_text(folder):
            return
        self.flush()
        prefix = str(folder).rstrip(os.sep) + os.sep
        try:
            with self._connection:
                known = self._connection.execute(
                    "SELECT path FROM headers WHERE substr(path, 1, ?) = ?", (len(prefix), prefix)
                )
                gone = [(path,) for (path,) in known if path not in present and not Path(path).exists()]
                self._connection.executemany("DELETE FROM headers WHERE path = ?", gone)
        except sqlite3.Error as error:
            _log.info("scan cache %s is not tidied: %s", self.path, error)

    def close(self) -> None:
        self.flush()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _opened(self, check: str) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, timeout=2.0, check_same_thread=False)
        try:
            with connection:
                connection.execute("CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT)")
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS headers "
                    "(path TEXT PRIMARY KEY, size INTEGER, modified_ns INTEGER, facts TEXT) WITHOUT ROWID"
                )
                row = connection.execute("SELECT value FROM meta WHERE name = 'check'").fetchone()
                if row is None or row[0] != check:
                    connection.execute("DELETE FROM headers")
                    connection.execute("INSERT OR REPLACE INTO meta VALUES ('check', ?)", (check,))
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _start_anew(self, error: Exception) -> None:
        """Replace a damaged file; do without if that is not possible either."""
        _log.info("scan cache %s is damaged and starts empty (%s)", self.path, type(error).__name__)
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._pending = []
        with contextlib.suppress(OSError, sqlite3.Error):
            self.path.unlink(missing_ok=True)
            self._connection = self._opened(self._check)


def _of_64_bits(nanoseconds: int) -> int:
    """What SQLite can keep of a time: those before 1677 and after 2262 wrap around, and stay different from others."""
    return (nanoseconds + (1 << 63)) % (1 << 64) - (1 << 63)
