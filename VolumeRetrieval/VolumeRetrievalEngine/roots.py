"""Named folders that paths are stored relative to, so that an archive can move as a whole (ARCHITECTURE, Identity)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from .errors import StoreError
from .volume import SourceFiles


@dataclass(frozen=True)
class Root:
    """A folder and the name it is stored under."""

    name: str
    path: Path


class Roots:
    """The roots of one store; a path belongs to the deepest root that holds it.

    >>> roots = Roots([Root("archive", Path("/data/archive"))])
    >>> roots.resolve(Path("/data/archive/patient 1/ct.nii.gz"))
    ('archive', 'patient 1/ct.nii.gz')
    """

    def __init__(self, roots: Iterable[Root] = ()):
        self._roots: dict[str, Path] = {root.name: absolute_path(root.path) for root in roots}

    def __iter__(self) -> Iterator[Root]:
        return iter([Root(name, path) for name, path in self._roots.items()])

    def __len__(self) -> int:
        return len(self._roots)

    def add(self, path: Path) -> Root:
        """The root that holds this folder (or a file's folder), made if there is none.

        A new root is named after its folder. If that name is taken by a folder that is gone, the archive has moved and
        the name's path is updated; if it is taken by one that still exists, the new one gets "-2" (or higher).
        """
        folder = absolute_path(path)
        if folder.is_file():
            folder = folder.parent
        if (known := self._holding(folder)) is not None:
            return known
        base = folder.name.encode("utf-8", "replace").decode() or "root"
        name, number = base, 1
        while name in self._roots and self._roots[name].exists():
            number += 1
            name = f"{base}-{number}"
        self._roots[name] = folder
        return Root(name, folder)

    def resolve(self, path: Path) -> tuple[str, str]:
        """The root's name and the POSIX path relative to it; StoreError if no root holds the path."""
        target = absolute_path(path)
        root = self._holding(target)
        if root is None:
            raise StoreError(
                f"{target}: lies in none of the known roots ({', '.join(self._roots) or 'there are none'})"
            )
        return root.name, target.relative_to(root.path).as_posix()

    def path_of(self, name: str) -> Path:
        """Where the root of this name is now; StoreError if there is none."""
        if name not in self._roots:
            raise StoreError(f"root {name!r} is not known (known: {', '.join(self._roots) or 'none'})")
        return self._roots[name]

    def source_files(self, paths: Sequence[Path | str]) -> SourceFiles:
        """These files relative to the root of the first; a series that straddles two roots gets '..' in its paths."""
        name, _ = self.resolve(Path(paths[0]))
        return SourceFiles(name, tuple(_relative(absolute_path(path), self._roots[name]) for path in paths))

    def absolute(self, files: SourceFiles) -> list[Path]:
        """Where these files are now; StoreError if their root is not known."""
        folder = self.path_of(files.root)
        return [absolute_path(folder / PurePosixPath(path)) for path in files.paths]

    def to_json(self) -> str:
        """{"name": "absolute path", ...}."""
        return json.dumps({name: str(path) for name, path in self._roots.items()}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Roots:
        """What :meth:`to_json` wrote; empty text gives no roots; StoreError for anything else."""
        if not text.strip():
            return cls()
        try:
            return cls([Root(str(name), Path(path)) for name, path in json.loads(text).items()])
        except (ValueError, TypeError, AttributeError) as error:
            raise StoreError(f"not a table of roots: {text[:80]!r} ({error})") from error

    def _holding(self, path: Path) -> Root | None:
        holding = [Root(name, root) for name, root in self._roots.items() if path.is_relative_to(root)]
        return max(holding, key=lambda root: len(root.path.parts), default=None)


def absolute_path(path: Path | str) -> Path:
    """Absolute and without '..', but with symbolic links as the user wrote them."""
    return Path(os.path.abspath(Path(path).expanduser()))  # noqa: PTH100 - Path.absolute keeps '..'


def _relative(path: Path, root: Path) -> str:
    try:
        return Path(os.path.relpath(path, root)).as_posix()
    except ValueError:  # another drive
        return path.as_posix()
