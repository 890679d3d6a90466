"""Which files lie below some paths, in an order that does not depend on the file system."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from ..progress import Progress, ProgressCallback
from ..roots import Roots, absolute_path
from .facts import FileStamp
from .reasons import not_readable
from .source import Skipped

#: Opening one of these may wait for ever, or never come to an end.
NO_FILE = "no file, but a pipe, a socket or a device: not opened"


@dataclass
class Found:
    """Files with their sizes and times, by path; and paths that could not be looked into."""

    stamps: list[FileStamp] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)


@dataclass
class FileWalk:
    """Walks folders, leaving out what matches a pattern.

    Attributes:
        roots: patterns match a path relative to its root, and the absolute path.
        exclude: fnmatch patterns; "*" also matches "/". A pattern that matches a folder leaves out all below it.
    """

    roots: Roots
    exclude: Sequence[str] = ()
    progress: ProgressCallback | None = None

    def files(self, paths: Sequence[Path]) -> Found:
        """The files among and below these paths, each once."""
        found = Found()
        stamps: dict[str, FileStamp] = {}
        visited: set[str] = set()
        for path in sorted({absolute_path(path) for path in paths}):
            if path.is_dir():
                self._walk(path, stamps, visited, found)
            elif path.exists():
                self._take(path, stamps, found)
            else:
                found.skipped.append(Skipped(path, "there is no such file or folder", failed=True))
        found.stamps = [stamps[key] for key in sorted(stamps)]
        return found

    def _walk(self, top: Path, stamps: dict[str, FileStamp], visited: set[str], found: Found) -> None:
        def unreadable(error: OSError) -> None:
            found.skipped.append(Skipped(Path(error.filename or top), not_readable(error), failed=True))

        for folder, folders, names in os.walk(top, followlinks=True, onerror=unreadable):
            real = os.path.realpath(folder)
            if real in visited:  # a symbolic link back up, or a folder that was given twice
                folders.clear()
                continue
            visited.add(real)
            place = Path(folder)
            folders[:] = sorted(name for name in folders if not self._excluded(place / name))
            for name in sorted(names):
                self._take(place / name, stamps, found)
            if self.progress is not None:
                self.progress(Progress("scan", len(stamps), 0, folder))

    def _take(self, path: Path, stamps: dict[str, FileStamp], found: Found) -> None:
        if self._excluded(path):
            return
        try:
            state = path.stat()
        except OSError as error:
            found.skipped.append(Skipped(path, not_readable(error), failed=True))
            return
        if not stat.S_ISREG(state.st_mode):
            found.skipped.append(Skipped(path, NO_FILE, failed=False))
            return
        stamps[str(path)] = FileStamp(str(path), state.st_size, state.st_mtime_ns)

    def _excluded(self, path: Path) -> bool:
        if not self.exclude:
            return False
        names = (path.as_posix(), self.roots.resolve(path)[1])
        return any(fnmatchcase(name, form) for pattern in self.exclude for form in _forms(pattern) for name in names)


def _forms(pattern: str) -> tuple[str, ...]:
    """The pattern as given, and as it means a folder: 'labels/' or '*/labels/*' leaves out the folder at once."""
    plain = pattern.replace("\\", "/").rstrip("/")
    return (plain, plain[:-2]) if plain.endswith("/*") and len(plain) > 2 else (plain,)
