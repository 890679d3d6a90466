"""The series that a DICOM database holds, as a list of their files: what an indexing job is told to index.

Slicer writes such a list from its database on its main thread (`index --files`); headless runs make it from the
database's file themselves (database_file.py).

    {"database": "/data/SlicerDICOMDatabase", "complete": false, "removed": ["1.2.3"],
     "series": [{"uid": "1.2.4", "stamp": "2026-03-01T10:00:00.000 120", "files": ["/data/.../1.dcm", ...]}]}
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import MetadataError
from ..roots import Root, absolute_path

#: The name of the database's own folder among the roots of a store: databases move as a whole.
DATABASE_ROOT = "dicom-database"

#: The folder of the index within the database's folder.
INDEX_FOLDER = "VolumeRetrieval"


def stamp(inserted: str, instances: int) -> str:
    """What tells whether a series has changed: when it was inserted (as the database says it), and its instances."""
    return f"{inserted} {instances}"


@dataclass(frozen=True)
class ListedSeries:
    """One series of a database.

    Attributes:
        uid: SeriesInstanceUID.
        stamp: see :func:`stamp`.
        files: absolute; empty if the database only knows where they could be downloaded.
    """

    uid: str
    stamp: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class SeriesList:
    """Series of a DICOM database.

    Attributes:
        database: its folder; None if the files are of no database.
        series: what is to be indexed.
        complete: whether this is all that the database holds, so that what else was indexed from it is gone.
        removed: series to remove from the index.
    """

    database: Path | None
    series: tuple[ListedSeries, ...]
    complete: bool = False
    removed: tuple[str, ...] = ()

    @classmethod
    def from_file(cls, path: Path) -> SeriesList:
        """The list in a JSON file; MetadataError if it is none."""
        try:
            return cls.from_dict(json.loads(path.read_text(encoding="utf-8")))
        except OSError as error:
            raise MetadataError(f"{path}: cannot be read ({error.strerror})") from error
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise MetadataError(f"{path}: expected a list of series as in series_list.py ({error!r})") from error

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> SeriesList:
        return cls(
            database=Path(values["database"]) if values.get("database") else None,
            series=tuple(
                ListedSeries(str(one["uid"]), str(one["stamp"]), tuple(map(str, one["files"])))
                for one in values["series"]
            ),
            complete=bool(values.get("complete", False)),
            removed=tuple(map(str, values.get("removed", ()))),
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "database": str(self.database or ""),
            "series": [{"uid": one.uid, "stamp": one.stamp, "files": list(one.files)} for one in self.series],
            "complete": self.complete,
            "removed": list(self.removed),
        }

    @property
    def default_store(self) -> Path | None:
        """Where the index of this database lives unless somebody wants it elsewhere."""
        return None if self.database is None else self.database / INDEX_FOLDER

    def roots(self) -> list[Root]:
        """The database's folder, and the fewest folders that hold the files that were linked instead of copied.

        A folder of its own for each series would make thousands of roots.
        """
        known = [] if self.database is None else [Root(DATABASE_ROOT, absolute_path(self.database))]
        outside: dict[tuple[str, ...], Path] = {}
        for folder in {absolute_path(file).parent for one in self.series for file in one.files}:
            if not any(folder.is_relative_to(root.path) for root in known):
                top = folder.parts[:2]  # the drive or "/", and the first folder
                outside[top] = _common(outside.get(top, folder), folder)
        return [*known, *(Root("", folder) for folder in sorted(outside.values()))]


def _common(one: Path, other: Path) -> Path:
    while not other.is_relative_to(one):
        one = one.parent
    return one
