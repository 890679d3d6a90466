"""What the logic knows about the DICOM database and its index, and how that comes about."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import qt
import slicer

from .Processes import Jobs
from .Processes.Waiting import waitFor
from .Settings import Settings
from .Values import (
    Callbacks,
    DatabaseStatus,
    IndexFolder,
    IndexFolderState,
    IndexReport,
    Job,
    SeriesChoice,
    StoreChoice,
)

if TYPE_CHECKING:  # imported when a logic is made (RetrievalLogic.py)
    from .Processes.ChildProcess import ProcessProtocol
    from .Processes.EngineProcess import EngineCommand
    from .Processes.PrivateFolders import PrivateFolders

#: How often indexing is told of, at most.
_SOON_MILLISECONDS = 100

#: When automatic indexing is tried again while another process writes the index.
AGAIN_MILLISECONDS = 20_000


class IndexLogic:
    """Watches the open database and indexes it; part of RetrievalLogic."""

    def __init__(
        self,
        folders: PrivateFolders,
        onOtherDatabase: Callable[[], None],
        makeCommand: Callable[[], EngineCommand],
        makeProcess: Callable[[], ProcessProtocol],
        quietMilliseconds: int,
    ):
        """`onOtherDatabase` is called when another database is open, or none."""
        from .Database.DatabaseIndex import DatabaseIndex
        from .Database.IndexFolders import IndexFolders
        from .Database.Indexing import Indexing

        self._onOtherDatabase = onOtherDatabase
        self._callback: Callable[[], None] | None = None
        self._directory = ""
        self._index = DatabaseIndex(
            slicer.app.dicomDatabase(), self._onDatabaseChanged, quietMilliseconds=quietMilliseconds
        )
        self._indexing = Indexing(
            self._index, folders, self._onIndexed, self._tellSoon, makeCommand=makeCommand, makeProcess=makeProcess
        )
        self._indexFolders = IndexFolders(self._index, makeCommand, makeProcess)
        self._soon = qt.QTimer()
        self._soon.setSingleShot(True)
        self._soon.connect("timeout()", self._tellNow)
        self._isSoon = False
        self._again = qt.QTimer()
        self._again.setSingleShot(True)
        self._again.connect("timeout()", self._indexAgain)

    def startWatching(self) -> None:
        """Listen to the database, and read what is in it."""
        self._index.watcher.start()

    def stopWatching(self) -> None:
        """Listen to nothing any more, and tell nobody."""
        self._callback = None
        self._soon.stop()
        self._again.stop()
        self._index.watcher.stop()

    def status(self, wait: bool = False) -> DatabaseStatus:
        """How much of the database can be searched. A large database is read in pieces: `wait` reads it now."""
        if wait and self._index.directory:
            self._index.watcher.refreshNow()
            self._index.refresh()
        indexing = self._indexing
        return replace(
            self._index.status(),
            indexing=indexing.progress,
            lastReport=indexing.lastReport,
            lastFailure=indexing.lastFailure,
        )

    def onStatusChanged(self, callback: Callable[[], None] | None) -> None:
        """Call this when the answer of status() changes, while indexing ten times a second at most; None ends it."""
        self._callback = callback

    def refresh(self) -> bool:
        """Notice what another process has done to the index; whether status() has changed. Compares a few file times.

        Nothing is watched all the time: this is asked when the module is entered, and before each search.
        """
        if not self._index.noticeChanges():
            return False
        self._indexing.forget()  # what it said was of the index as it was before
        self._tell()
        return True

    def stores(self) -> list[StoreChoice]:
        """The indexes of those encoders that have more than one."""
        from .Database import IndexedStores

        return IndexedStores.choices(IndexedStores.stores(self._index.folder)) if self._index.directory else []

    def indexFolders(self) -> tuple[IndexFolder, ...]:
        """The index folders, on this computer or on a share, that are searched together with the open database's index;
        they are kept in the application's settings."""
        from .Database import IndexFolders

        return IndexFolders.load()

    def setIndexFolders(self, folders: Sequence[IndexFolder | str]) -> None:
        """Search in these from now on, too, together with the open database's index."""
        from .Database import IndexFolders

        IndexFolders.save(one if isinstance(one, IndexFolder) else IndexFolder(str(one)) for one in folders)
        self._tell()

    def examineIndexFolders(
        self, paths: Sequence[str] | None = None, callbacks: Callbacks | None = None
    ) -> Job | list[IndexFolderState]:
        """How these folders (by default, those of indexFolders()) stand: how much they hold, or why they are not
        searched. A process looks at them, because one on a share may hang.

        Raises (without callbacks): EngineError: the process failed, its text says why.
        """
        chosen = [one.path for one in self.indexFolders()] if paths is None else [str(one) for one in paths]
        if not chosen:
            return cast("Job | list[IndexFolderState]", Jobs.known([], callbacks))
        return Jobs.run(
            lambda answer: self._indexFolders.examine(chosen, answer),
            lambda result: self._indexFolders.states(result, chosen),
            callbacks,
        )

    def series(self) -> list[SeriesChoice]:
        """Every series of the open database, to choose a query from."""
        return self._index.series.choices()

    def indexDatabase(self, callbacks: Callbacks | None = None, encoder: str = "") -> Job | IndexReport:
        """Index what is new or changed in the open database, and remove what is gone from it.

        `encoder` names another one than that of the settings; its index is added to the existing ones, and is
        the one that Automatic means from then on.
        """
        from .Database.Indexing import reportOf

        return Jobs.run(
            lambda answer: self._indexing.database(answer, encoder),
            lambda result: reportOf(result, wholeDatabase=True),
            callbacks,
        )

    def indexSeries(self, seriesUIDs: Sequence[str], callbacks: Callbacks | None = None) -> Job | IndexReport:
        """Index these series of the open database."""
        from .Database.Indexing import reportOf

        return Jobs.run(lambda answer: self._indexing.series(seriesUIDs, answer), reportOf, callbacks)

    def indexFolder(self, path: str, callbacks: Callbacks | None = None) -> Job | IndexReport:
        """Index the volumes in a folder, of any format, into the open database's index."""
        from .Database.Indexing import reportOf

        return Jobs.run(lambda answer: self._indexing.folder(str(path), answer), reportOf, callbacks)

    def indexAutomatically(self) -> None:
        """Index what is new or gone, if the settings say that this is done automatically, and nothing is running."""
        if self._indexing.job is not None or self._index.watcher.present is None:
            return
        if Settings.load().indexAutomatically and (self._index.notIndexed() or self._index.removed()):
            try:
                self._indexing.database(Callbacks(failed=self._onAutomaticFailure))
            except RuntimeError as error:  # nobody has asked for it, so that nobody is told in the panel
                self._onAutomaticFailure(error)

    def cancelIndexing(self) -> None:
        """Ask the indexing run that goes on to stop, whoever started it; what is finished stays."""
        self._indexing.cancel()

    def removeSeries(self, seriesUIDs: Sequence[str]) -> int:
        """Remove series from the index, not from the database; how many volumes that were."""
        if not self._index.contents.summary().volumes:
            return 0
        return waitFor(lambda answer: self._indexing.series(seriesUIDs, answer, remove=True))["pruned"]

    # What happens meanwhile

    def _onIndexed(self) -> None:
        self._index.refresh()
        self._tell()

    def _onDatabaseChanged(self) -> None:
        if self._index.directory != self._directory:
            self._directory = self._index.directory
            # Both work in the folder of a database that is not this one any more.
            self._indexing.cancel()
            self._indexing.forget()
            self._onOtherDatabase()
        self._tell()
        self.indexAutomatically()

    def _onAutomaticFailure(self, error: Exception) -> None:
        if getattr(error, "type", "") == "StoreLockedError":
            # Another Slicer or a nightly run does the same work: what it leaves is done when it has ended.
            self._again.start(AGAIN_MILLISECONDS)
        else:
            logging.warning(f"VolumeRetrieval, automatic indexing failed: {error}")

    def _indexAgain(self) -> None:
        self.refresh()
        self.indexAutomatically()

    def _tellSoon(self) -> None:
        """Of what changes many times a second."""
        if not self._isSoon:
            self._isSoon = True
            self._soon.start(_SOON_MILLISECONDS)

    def _tellNow(self) -> None:
        self._isSoon = False
        self._tell()

    def _tell(self) -> None:
        if self._callback is not None:
            self._callback()
