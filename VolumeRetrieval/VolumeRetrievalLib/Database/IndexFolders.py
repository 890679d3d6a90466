"""Other index folders, on this computer or on a share, that are searched together with the open database's index."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _
from VolumeRetrievalEngine.roots import absolute_path

from ..Processes.ChildProcess import ProcessProtocol
from ..Processes.EngineJob import EngineJob, RunningJobs
from ..Processes.EngineProcess import EngineCommand
from ..Settings import PREFIX
from ..Values import Callbacks, IndexFolder, IndexFolderState
from . import IndexFolderTexts
from .DatabaseIndex import DatabaseIndex

_SETTING = PREFIX + "indexFolders"

#: A process that looks at a share that hangs cannot end by itself.
_CANCEL_MILLISECONDS = 1000


def load() -> tuple[IndexFolder, ...]:
    """The user's list, from the application's settings; what cannot be read is empty."""
    try:
        stored = json.loads(slicer.util.settingsValue(_SETTING, "[]", str))
        return tuple(IndexFolder(str(one["path"]), bool(one["isSearched"])) for one in stored)
    except (ValueError, TypeError, KeyError):
        return ()


def save(folders: Iterable[IndexFolder]) -> None:
    """Keep this list; a folder that is in it twice counts once."""
    kept = {str(absolute_path(one.path)): one.isSearched for one in folders}
    listed = [{"path": path, "isSearched": isSearched} for path, isSearched in kept.items()]
    qt.QSettings().setValue(_SETTING, json.dumps(listed))


class IndexFolders:
    """Asks a process how they stand: this one would stop with a share that hangs."""

    def __init__(
        self,
        index: DatabaseIndex,
        makeCommand: Callable[[], EngineCommand],
        makeProcess: Callable[[], ProcessProtocol],
    ):
        """`index` is the open database's."""
        self._index = index
        self._makeCommand = makeCommand
        self._makeProcess = makeProcess
        self._jobs = RunningJobs()

    def others(self, folders: Iterable[str | Path] | None = None) -> list[str]:
        """Those that are searched, without that of the open database; by default those that the user has checked."""
        chosen = [one.path for one in load() if one.isSearched] if folders is None else folders
        if isinstance(chosen, str | Path):
            chosen = [chosen]
        paths = dict.fromkeys(str(absolute_path(one)) for one in chosen)
        return [one for one in paths if not self._index.directory or one != str(self._index.folder)]

    def examine(self, paths: Sequence[str], answer: Callbacks) -> EngineJob:
        """How these stand next to the open database's index; `answer.finished` gets what `states` reads."""
        job = EngineJob(
            self._makeCommand(),
            "index folders",
            answer,
            _("Could not look at the index folders ({problem}). The application log may say why."),
            self._makeProcess(),
            _CANCEL_MILLISECONDS,
        )
        self._jobs.add(job)
        arguments = ["stores", "--json"]
        if self._index.directory:
            arguments += ["--encoder", self._index.storeName, str(self._index.folder)]
        job.start([*arguments, *paths])
        return job

    def states(self, result: dict[str, Any], paths: Sequence[str]) -> list[IndexFolderState]:
        """What the process has found, in the order of the paths."""
        own = str(self._index.folder) if self._index.directory else ""
        found = result["stores"][-len(paths) :] if paths else []
        return [_state(path, one, own) for path, one in zip(paths, found, strict=True)]

    def stop(self) -> None:
        """End what is running and wait until it is gone."""
        self._jobs.stop()

    @property
    def pids(self) -> tuple[int, ...]:
        """Of the processes that may be running."""
        return self._jobs.pids


def _state(path: str, values: dict[str, Any], own: str) -> IndexFolderState:
    short = details = ""
    if values["problem"]:
        short, details = IndexFolderTexts.problem(values["problem_type"], values["problem"], values["problem_fields"])
    return IndexFolderState(
        path,
        values["folder"],
        int(values["volumes"]),
        short,
        details,
        tuple(values["modalities"]),
        tuple(values["body_parts"]),
        isIndex=values["problem_type"] in ("", "OtherRecipeError"),
        isOwn=values["folder"] == own,
    )
