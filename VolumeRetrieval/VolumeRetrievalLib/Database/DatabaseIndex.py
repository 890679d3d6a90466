"""The DICOM database and its index side by side: what is indexed, and what is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _
from VolumeRetrievalEngine.progress import Progress
from VolumeRetrievalEngine.slicer_database.series_list import INDEX_FOLDER

from ..Encoders import EncoderTexts
from ..Encoders.Encoders import FLOOR, SHIPPED, canRun
from ..Settings import Settings
from ..Values import DatabaseStatus, SkippedSeries
from . import IndexedStores
from .DatabaseSeries import DatabaseSeries
from .DatabaseWatcher import DatabaseWatcher
from .IndexContents import IndexContents, IndexSummary


class DatabaseIndex:
    """The index of whichever database is open. Numbers are read once, and again after `refresh`."""

    def __init__(
        self,
        database: Any,
        onChanged: Callable[[], None],
        loadSettings: Callable[[], Settings] = Settings.load,
        quietMilliseconds: int = 2500,
    ):
        """`onChanged` is called when another database is open, or its series have changed."""
        self.series = DatabaseSeries(database)
        self._loadSettings = loadSettings
        self._onChanged = onChanged
        self._status: DatabaseStatus | None = None
        self._summary: IndexSummary | None = None
        self._valid: tuple[Any, ...] = ()
        self._marks: Any = None
        self.watcher = DatabaseWatcher(self.series, self._onDatabaseChanged, quietMilliseconds)

    @property
    def directory(self) -> str:
        return self.series.directory

    @property
    def folder(self) -> Path:
        """Where the index lives; RuntimeError while no database is open."""
        if not self.directory:
            raise RuntimeError(self._problem())
        return Path(self.directory) / INDEX_FOLDER

    @property
    def contents(self) -> IndexContents:
        return IndexContents(self.folder, self.storeName)

    @property
    def storeName(self) -> str:
        """What the engine calls the store that the settings mean; "" for the one used last."""
        return IndexedStores.chosen(self.folder, self._loadSettings())

    def presentStore(self) -> str:
        """The folder name of the index that is searched now; "" if there is none."""
        return self._readSummary().name if self.directory else ""

    def status(self) -> DatabaseStatus:
        settings = self._loadSettings()
        # Each of these settings has an index of its own, and packages may have been installed since.
        valid = (settings.encoder, settings.weights, settings.sliceStepMm, canRun(SHIPPED))
        if valid != self._valid:
            self._valid = valid
            self.refresh()
        if self._status is None:
            self._status = self._read()
        return self._status

    def refresh(self) -> None:
        """The index, or the settings, may have changed."""
        self._status = self._summary = None

    def noticeChanges(self) -> bool:
        """Whether another process (a nightly run, another Slicer) has changed the index since it was read; then it is
        read again when it is needed. A few file times are compared."""
        if self._summary is None or not self.directory or self.contents.marks() == self._marks:
            return False
        self.refresh()
        return True

    def notIndexed(self) -> list[str]:
        """Series that are new, or have changed since they were indexed."""
        return [uid for uid, stamp in (self.watcher.present or {}).items() if not self._isSettled(uid, stamp)]

    def removed(self) -> list[str]:
        """Series that are in the index, but no longer in the database."""
        if self.watcher.present is None or not self.directory:
            return []
        return [uid for uid in self._readSummary().seen if uid not in self.watcher.present]

    def withNames(self, step: Progress) -> Progress:
        """With patient and series instead of a path, where the database knows them."""
        words = self._inWords(step.series) if step.series and self.directory else ""
        return replace(step, item=words) if words else step

    def _isSettled(self, uid: str, stamp: str) -> bool:
        summary = self._readSummary()
        known = summary.seen.get(uid)
        if known is not None:
            return known.stamp == stamp
        # A run that was stopped has stored volumes, and nothing else: all of the series' files are in them, or not.
        return summary.files.get(uid) == int(stamp.rpartition(" ")[2])

    def _readSummary(self) -> IndexSummary:
        if self._summary is None:
            contents = self.contents
            self._marks = contents.marks()  # before reading: what changes meanwhile is noticed later
            self._summary = contents.summary()
        return self._summary

    def _read(self) -> DatabaseStatus:
        if not self.directory:
            return DatabaseStatus(problem=self._problem())
        summary = self._readSummary()
        present = self.watcher.present or {}
        missing = len(self.notIndexed())
        return DatabaseStatus(
            directory=self.directory,
            problem=summary.problem,
            volumes=summary.volumes,
            expected=summary.volumes + missing,
            slices=summary.slices,
            sizeBytes=summary.sizeBytes,
            notIndexed=missing,
            removed=len(self.removed()),
            encoder=self._encoderTitle(summary),
            madeOn=summary.madeOn,
            better=self._better(summary),
            isEarlier=summary.isEarlier,
            isEarlierEdition=summary.isEarlierEdition,
            store=summary.name,
            skipped=tuple(self._skipped(summary)),
            reading=self.watcher.present is None,
            series=len(present),
            indexedSeries=sum(uid in summary.files for uid in present),
            sliceStepMm=summary.sliceStepMm,
            nextSliceStepMm=self._loadSettings().sliceStepMm,
            modalities=summary.modalities,
            bodyParts=summary.bodyParts,
        )

    def _encoderTitle(self, summary: IndexSummary) -> str:
        chosen = self._loadSettings().encoder
        title = EncoderTexts.title(summary.encoder or chosen or (SHIPPED if canRun(SHIPPED) else FLOOR))
        return EncoderTexts.short(title)

    def _better(self, summary: IndexSummary) -> str:
        """What a new index would be made with: a better encoder than that of the index that Automatic keeps using, a
        later edition of the same one, or the same one on slices that are prepared better; "" if none can be had."""
        chosen = self._loadSettings().encoder
        if summary.encoder == FLOOR and not chosen and canRun(SHIPPED):
            return SHIPPED
        if not (summary.isEarlier or summary.isEarlierEdition):
            return ""
        same = chosen or summary.encoder
        if same in (FLOOR, SHIPPED):
            return same if canRun(same) else ""
        return chosen

    def _skipped(self, summary: IndexSummary) -> list[SkippedSeries]:
        present = self.watcher.present or {}
        return [
            SkippedSeries(self._inWords(uid), one.reason, one.failed)
            for uid, one in summary.seen.items()
            if one.reason and uid in present
        ]

    def _inWords(self, uid: str) -> str:
        found = self.series.describe(uid)
        return ", ".join(part for part in (found.patient, found.study, found.series) if part)

    def _problem(self) -> str:
        return _('No DICOM database is open: open the DICOM module and press "Create new database", or open one there.')

    def _onDatabaseChanged(self) -> None:
        self.refresh()
        self._onChanged()
