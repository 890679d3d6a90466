"""Starts indexing jobs, one at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from slicer.i18n import tr as _
from VolumeRetrievalEngine.progress import Progress
from VolumeRetrievalEngine.slicer_database.series_list import SeriesList

from ..Processes.ChildProcess import ProcessProtocol, QtProcess
from ..Processes.EngineProcess import EngineCommand
from ..Processes.IndexingJob import IndexingJob
from ..Processes.PrivateFolders import PrivateFolders
from ..Processes.SearchParameters import indexArguments
from ..Settings import Settings
from ..Values import Callbacks, IndexReport
from .DatabaseIndex import DatabaseIndex


class Indexing:
    """What can be asked of the one writer. `onEnded` is called after every job, before its answer, and `onProgress`
    whenever `progress` has changed.

    Attributes:
        job: the run that goes on; None if there is none.
        progress: where it stands, None without a run; stage "stopping" after it was cancelled.
        lastReport, lastFailure: how the last run ended; None and empty after `forget`, or while a run goes on.
    """

    def __init__(
        self,
        index: DatabaseIndex,
        folders: PrivateFolders,
        onEnded: Callable[[], None],
        onProgress: Callable[[], None] = lambda: None,
        loadSettings: Callable[[], Settings] = Settings.load,
        makeCommand: Callable[[], EngineCommand] = EngineCommand.ofSlicer,
        makeProcess: Callable[[], ProcessProtocol] = QtProcess,
    ):
        self._index = index
        self._folders = folders
        self._onEnded = onEnded
        self._onProgress = onProgress
        self._loadSettings = loadSettings
        self._makeCommand = makeCommand
        self._makeProcess = makeProcess
        self.job: IndexingJob | None = None
        self.progress: Progress | None = None
        self.lastReport: IndexReport | None = None
        self.lastFailure = ""

    def database(self, answer: Callbacks, encoder: str = "") -> IndexingJob:
        """Index what is new or changed in the database, and remove what is gone from it; in a new index with this
        encoder, or with that of the settings."""
        return self._start(["--slicer-database", self._index.directory], answer, encoder, wholeDatabase=True)

    def series(self, uids: Sequence[str], answer: Callbacks, remove: bool = False) -> IndexingJob:
        """Index these series, or remove them from the index.

        Raises:
            TypeError: a text instead of a list of them. ValueError: the database has no such series.
        """
        if isinstance(uids, str):
            text = _("{uids} is one text: expected a list of SeriesInstanceUIDs, such as [{uids}].")
            raise TypeError(text.format(uids=repr(uids)))
        if remove:
            listed = SeriesList(self._index.folder.parent, (), removed=tuple(uids))
        else:
            present = tuple(self._index.series.listed(uid) for uid in uids)
            if unknown := [one.uid for one in present if one.stamp == " 0"]:
                text = _("The DICOM database has no series {uids}.")
                raise ValueError(text.format(uids=", ".join(unknown)))
            listed = SeriesList(self._index.folder.parent, present)
        folder = self._folders.make()
        file = folder / "series.json"
        file.write_text(json.dumps(listed.to_dict()), encoding="utf-8")
        try:
            return self._start(["--files", str(file)], answer, cleanUp=lambda: self._folders.remove(folder))
        except BaseException:
            self._folders.remove(folder)
            raise

    def folder(self, path: str, answer: Callbacks) -> IndexingJob:
        """Index the volumes in a folder, of DICOM or other files, and remove those that are gone from it."""
        return self._start([path, "--prune"], answer)

    @property
    def pids(self) -> tuple[int, ...]:
        """Of the processes that may be running."""
        return self.job.pids if self.job is not None else ()

    def cancel(self) -> None:
        """Ask the job that is running to stop where it can."""
        if self.job is not None:
            self.job.cancel()
            if self.progress is not None:
                self.progress = replace(self.progress, stage="stopping", remaining=None)
                self._onProgress()

    def forget(self) -> None:
        """How the last run ended is of no interest any more: it was of another database, or of the index of before."""
        self.lastReport, self.lastFailure = None, ""

    def stop(self) -> None:
        """End the job that is running and wait until it is gone."""
        if self.job is not None:
            self.job.stop()

    def _start(
        self,
        what: Sequence[str],
        answer: Callbacks,
        encoder: str = "",
        wholeDatabase: bool = False,
        cleanUp: Callable[[], None] = lambda: None,
    ) -> IndexingJob:
        if self.job is not None:
            raise RuntimeError(_("Indexing is running already: wait until it has ended, or cancel it."))
        settings = self._loadSettings()
        if encoder:
            settings = replace(settings, encoder=encoder)
            # The new index is searchable at once, by what the present one holds (`index --from`).
            present = self._index.presentStore()
            what = ["--renew", *(["--from", present] if present else []), *what]
        arguments = [*indexArguments(self._index.folder, settings), *what]

        def end(notify: Callable[[], None]) -> None:
            self.job = self.progress = None
            cleanUp()
            self._onEnded()
            notify()

        def finished(result: dict[str, Any]) -> None:
            self.lastReport = reportOf(result, wholeDatabase)
            end(lambda: answer.finished(result))

        def failed(error: Exception) -> None:
            self.lastFailure = str(error)
            end(lambda: answer.failed(error))

        def progress(step: Progress) -> None:
            self.progress = self._index.withNames(step)
            self._onProgress()
            answer.progress(self.progress)

        self.job = job = IndexingJob(
            self._makeCommand(),
            Callbacks(finished, failed, lambda: end(answer.cancelled), progress),
            self._makeProcess(),
        )
        self.forget()
        self.progress = Progress("scan", 0, 0)
        job.start(arguments)
        if self.job is job:  # it may have ended already: it could not be started
            self._onProgress()
        return job


def reportOf(result: dict[str, Any], wholeDatabase: bool = False) -> IndexReport:
    """What `index --json` prints, in the panel's numbers. Series that were settled before are not even counted by the
    engine; of a whole database they are what is unchanged."""
    added = result["added"] + result["replaced"] + result["moved"]
    series = result.get("series") or {name: len(result.get(name) or ()) for name in ("skipped", "failed")}
    return IndexReport(
        added=added,
        unchanged=max(0, result["store"]["volumes"] - added) if wholeDatabase else result["unchanged"],
        removed=result["pruned"] + result["superseded"],
        failed=series["failed"],
        skipped=series["skipped"],
        **_encoder(result.get("encoder") or {}),
    )


def _encoder(facts: dict[str, Any]) -> dict[str, str]:
    names = {"encoder": "name", "backend": "backend", "reason": "reason"}
    return {ours: str(facts.get(theirs) or "") for ours, theirs in names.items()}
