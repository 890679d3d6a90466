"""Folders for what goes to a child process as a file: voxels are patient data, and are gone after use."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

from . import ProcessIDs

_PREFIX = "VolumeRetrieval-"


class PrivateFolders:
    """Makes folders that only the user can look into, in Slicer's temporary folder, and removes them.

    The folder's name says which process made it, so that what a crash left behind is removed by the next start, and
    what another running Slicer needs is not.
    """

    def __init__(self, temporaryPath: Path | str):
        self._parent = Path(temporaryPath)
        self._made: set[Path] = set()

    def make(self) -> Path:
        """A new folder; mode 0700 (tempfile.mkdtemp)."""
        self._parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=self._parent))
        self._made.add(folder)
        return folder

    def remove(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():  # on Windows a file may still be held by a process that is just ending
            self._made.discard(folder)

    def removeAll(self) -> None:
        for folder in list(self._made):
            self.remove(folder)

    def removeLeftovers(self) -> None:
        """Remove the folders of processes that are gone."""
        for folder in self._parent.glob(f"{_PREFIX}*-*"):
            found = re.match(rf"{_PREFIX}(\d+)-", folder.name)
            if found and folder not in self._made and not ProcessIDs.isRunning(int(found[1])):
                shutil.rmtree(folder, ignore_errors=True)
