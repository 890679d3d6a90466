"""What is in the index, read from its small tables without a child process: numbers, files, one thumbnail.

The store's file may be read in this process although Qt has SQLite open, too: Qt has another file open, and it is two
libraries on the same file that must not meet (sqlite.org/howtocorrupt.html, 2.2.1).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from VolumeRetrievalEngine.errors import VolumeRetrievalError
from VolumeRetrievalEngine.searching.match import Match

from ..Processes import EngineErrors

if TYPE_CHECKING:
    from VolumeRetrievalEngine.query.stack_geometry import StackGeometry


@dataclass(frozen=True)
class IndexSummary:
    """The index in numbers.

    `name` is the folder's of the store, `encoder` what the index was made with; both "" if there is none.
    `sliceStepMm` is the distance of its slices, `isEarlier` whether an earlier version of the preprocessing made
    them, `isEarlierEdition` whether a later edition of the encoder ships than made the index, and `madeOn` how many
    volumes by what ran it; `seen` is what became of each series of the database (SeriesRegister.seen), `files` how
    many files of a series are in the index by volumes that were embedded for it; both by SeriesInstanceUID.
    `modalities` and `bodyParts` are those of its volumes. `problem` says why an index that is there cannot be read.
    """

    volumes: int = 0
    slices: int = 0
    sizeBytes: int = 0
    name: str = ""
    encoder: str = ""
    sliceStepMm: float = 0.0
    isEarlier: bool = False
    isEarlierEdition: bool = False
    madeOn: dict[str, int] = field(default_factory=dict)
    seen: dict[str, Any] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)
    problem: str = ""
    modalities: tuple[str, ...] = ()
    bodyParts: tuple[str, ...] = ()


@dataclass(frozen=True)
class IndexedVolume:
    """Where an indexed volume is: its files in slice order, and the instances of those slices that are embedded."""

    volumeID: str
    seriesUID: str
    files: tuple[Path, ...]
    instanceUIDs: frozenset[str]


class IndexContents:
    """Opens the store for each question: it may have been replaced, moved or removed in between."""

    def __init__(self, folder: Path, encoder: str = ""):
        """`folder` holds the stores of all encoders; `encoder` names one of them or its encoder, "" the last used."""
        self.folder = folder
        self.encoder = encoder

    def marks(self) -> tuple[tuple[str, int, int], ...]:
        """Name, size and time of what every indexing run changes: cheap, and other marks mean another content."""
        from VolumeRetrievalEngine.store.folder import LAST_USED_FILE
        from VolumeRetrievalEngine.store.schema import STORE_FILE

        try:
            files = [self.folder / LAST_USED_FILE, *(one / STORE_FILE for one in sorted(self.folder.iterdir()))]
        except OSError:
            return ()
        marks = []
        for file in files:
            with suppress(OSError):  # not every folder is a store's
                found = file.stat()
                marks.append((str(file), found.st_size, found.st_mtime_ns))
        return tuple(marks)

    def summary(self) -> IndexSummary:
        """All zero if nothing is indexed yet."""
        from VolumeRetrievalEngine.encoders.choice import is_earlier_edition
        from VolumeRetrievalEngine.recipe import PREPROCESSING_VERSION
        from VolumeRetrievalEngine.slicer_database.series_register import SeriesRegister
        from VolumeRetrievalEngine.store.folder import StoreFolder
        from VolumeRetrievalEngine.store.mapping import MAPPED

        folder = StoreFolder(self.folder)
        isSound = False
        try:
            isSound = not folder.problems()
            if isSound and not folder.recipes():
                return IndexSummary()
            with self._store() as store:
                counts = store.statistics()
                files: dict[str, int] = {}
                modalities, bodyParts = set(), set()
                for record in store.listing():
                    modalities.add(record.attributes.modality)
                    bodyParts.add(record.attributes.body_part)
                    if record.series_uid and record.precision != MAPPED:  # mapped ones are still to be embedded
                        files[record.series_uid] = files.get(record.series_uid, 0) + record.n_files
                return IndexSummary(
                    volumes=counts.volumes,
                    slices=counts.slices,
                    sizeBytes=_size(store.folder),
                    name=store.folder.name,
                    encoder=store.recipe.encoder,
                    sliceStepMm=store.recipe.slice_step_mm,
                    isEarlier=store.recipe.preprocessing_version < PREPROCESSING_VERSION,
                    isEarlierEdition=is_earlier_edition(store.recipe.encoder, store.recipe.weights),
                    madeOn=counts.made_on,
                    seen=SeriesRegister.of_store(store).seen,
                    files=files,
                    modalities=tuple(sorted(modalities - {""})),
                    bodyParts=tuple(sorted(bodyParts - {""})),
                )
        except VolumeRetrievalError as error:
            # With no damaged store, nothing was indexed with the chosen encoder yet.
            return IndexSummary(problem="" if isSound else EngineErrors.inWords(error))

    def volume(self, volumeID: str) -> IndexedVolume:
        """LookupError if it is not in the index (any more), or the index is gone or cannot be read."""
        try:
            with self._store() as store:
                record = store.find(volumeID)
                if record is None:
                    raise LookupError(volumeID)
                return self._indexedVolume(store, record)
        except VolumeRetrievalError as error:
            raise LookupError(volumeID) from error

    def volumesOfSeries(self, seriesUID: str) -> list[IndexedVolume]:
        """The volumes of a series, the one with the most slices first."""
        try:
            with self._store() as store:
                records = sorted(store.find_series(seriesUID), key=lambda record: -record.n_slices)
                return [self._indexedVolume(store, record) for record in records]
        except VolumeRetrievalError:
            return []

    def plane(self) -> str:
        """In which plane volumes are sliced for this index; "auto" where there is none yet."""
        try:
            with self._store() as store:
                return store.recipe.plane
        except VolumeRetrievalError:
            return "auto"

    def stack(self, volumeID: str) -> StackGeometry | None:
        """Where the slices of an indexed volume lie, those that were left out of the index too; None if it is gone."""
        from VolumeRetrievalEngine.preprocessing.plane_geometry import PlaneGeometry
        from VolumeRetrievalEngine.query.stack_geometry import StackGeometry

        try:
            with self._store() as store:
                record = store.find(volumeID)
                if record is None:
                    return None
                return StackGeometry.of_plane(PlaneGeometry.from_dict(record.geometry), store.slices(record.key))
        except VolumeRetrievalError:
            return None

    def thumbnails(self, matches: Sequence[Match]) -> list[bytes]:
        """The JPEG of each match's best slice; b"" where there is none. The store is opened once for all."""
        try:
            with self._store() as store:
                # The index may be another one by now, where the key is another volume's.
                return [
                    store.thumbnail(one.key, one.best_row) if store.holds(one.key, one.volume_id) else b""
                    for one in matches
                ]
        except VolumeRetrievalError:
            return [b""] * len(matches)

    @contextmanager
    def _store(self) -> Iterator[Any]:
        from VolumeRetrievalEngine.store import VolumeStore
        from VolumeRetrievalEngine.store.folder import StoreFolder

        with VolumeStore.open(StoreFolder(self.folder).choose(self.encoder)) as store:
            yield store

    @staticmethod
    def _indexedVolume(store: Any, record: Any) -> IndexedVolume:
        from VolumeRetrievalEngine.store.volume_names import roots_of

        files = tuple(roots_of(store).absolute(record.files))
        instances = frozenset(uid for uid in store.slices(record.key).sop_uid if uid)
        return IndexedVolume(record.volume_id, record.series_uid, files, instances)


def _size(folder: Path) -> int:
    """Bytes of the files in a folder; another process may be replacing some of them."""
    total = 0
    for file in folder.iterdir():
        with suppress(OSError):
            total += file.stat().st_size if file.is_file() else 0
    return total
