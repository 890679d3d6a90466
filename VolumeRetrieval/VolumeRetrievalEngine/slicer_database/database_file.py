"""The series of 3D Slicer's DICOM database, read from its file: for indexing at night without Slicer.

Read-only, and in a process of its own: inside Slicer the database belongs to ctkDICOMDatabase, and a second copy of the
SQLite library in one process would drop the locks of the first (sqlite.org/howtocorrupt.html, 2.2.1).

Schema 0.8.1 of commontk/CTK, Libs/DICOM/Core/Resources/dicom-schema.sql: tables Series and Images. Images.Filename is
relative to the database's folder if the file lies in it (ctkUtils.cpp, absolutePathFromInternal), and empty for
instances that are only known by their URL.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from ..errors import UnreadableFileError
from ..roots import absolute_path
from .series_list import ListedSeries, SeriesList, stamp

DATABASE_FILE = "ctkDICOM.sql"

#: Slicer may be importing just now.
_BUSY_SECONDS = 30.0

_SERIES = """
SELECT Series.SeriesInstanceUID, Series.InsertTimestamp, Images.Filename
FROM Series JOIN Images ON Images.SeriesInstanceUID = Series.SeriesInstanceUID
ORDER BY Series.SeriesInstanceUID, Images.Filename
"""


def read_series(folder: Path) -> SeriesList:
    """Every series of the database in this folder, with its files.

    Raises:
        UnreadableFileError: there is no database, or it is none of Slicer's.
    """
    folder = absolute_path(folder)
    file = folder / DATABASE_FILE
    if not file.is_file():
        raise UnreadableFileError(file, "there is no such file; expected the folder of a DICOM database of Slicer")
    try:
        # Fetched at once: a reader that lingers would keep Slicer from writing.
        with contextlib.closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECONDS)) as opened:
            rows = opened.execute(_SERIES).fetchall()
    except sqlite3.Error as error:
        raise UnreadableFileError(file, f"cannot be read as a DICOM database of Slicer ({error})") from error
    return SeriesList(database=folder, series=tuple(_series(folder, rows)), complete=True)


def _series(folder: Path, rows: list[tuple]) -> list[ListedSeries]:
    names: dict[str, list[str]] = {}
    inserted: dict[str, str] = {}
    for uid, when, name in rows:
        names.setdefault(uid, []).append(name or "")
        inserted[uid] = str(when or "")
    return [
        # An absolute name stays as it is when it is put behind the folder.
        ListedSeries(uid, stamp(inserted[uid], len(files)), tuple(str(folder / name) for name in files if name))
        for uid, files in names.items()
    ]
