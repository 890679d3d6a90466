"""DICOM databases as 3D Slicer makes them, as far as the engine reads them."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable
from pathlib import Path

import pydicom
from VolumeRetrievalEngine.slicer_database.database_file import DATABASE_FILE

# The columns that are read, as in commontk/CTK, Libs/DICOM/Core/Resources/dicom-schema.sql (0.8.1).
_SCHEMA = """
CREATE TABLE IF NOT EXISTS Images (SOPInstanceUID VARCHAR(64) NOT NULL PRIMARY KEY, Filename VARCHAR(1024),
  URL VARCHAR(2048), SeriesInstanceUID VARCHAR(64) NOT NULL, InsertTimestamp VARCHAR(20) NOT NULL);
CREATE TABLE IF NOT EXISTS Series (SeriesInstanceUID VARCHAR(64) NOT NULL PRIMARY KEY,
  StudyInstanceUID VARCHAR(64) NOT NULL, InsertTimestamp VARCHAR(20) NOT NULL);
"""


def import_files(folder: Path, files: Iterable[Path], when: str = "2026-03-01T10:00:00.000") -> Path:
    """Put files into the database of this folder, which is made if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(sqlite3.connect(folder / DATABASE_FILE)) as database, database:
        database.executescript(_SCHEMA)
        for file in files:
            header = pydicom.dcmread(file, stop_before_pixels=True)
            series = str(header.SeriesInstanceUID)
            database.execute("INSERT OR IGNORE INTO Series VALUES (?, ?, ?)", (series, "1.2", when))
            name = file.relative_to(folder) if file.is_relative_to(folder) else file
            database.execute(
                "INSERT OR REPLACE INTO Images VALUES (?, ?, '', ?, ?)",
                (str(header.SOPInstanceUID), str(name), series, when),
            )
    return folder


def remove_series(folder: Path, series: str) -> None:
    """Take a series out of the database; its files stay."""
    with contextlib.closing(sqlite3.connect(folder / DATABASE_FILE)) as database, database:
        database.execute("DELETE FROM Images WHERE SeriesInstanceUID = ?", (series,))
        database.execute("DELETE FROM Series WHERE SeriesInstanceUID = ?", (series,))
