"""The store: everything that is known about the indexed volumes. The truth, from which indexes are derived.

One SQLite file for each recipe, in `<parent>/<encoder>-<hash8>/volumes.sqlite`. Each volume is one transaction: it is
in the store whole, or not at all, whatever happens to the process. There is one writer at a time (writer_lock.py) and
any number of readers, which see a volume as soon as it is finished.

    with VolumeStore.create(folder.path_for(recipe), recipe) as store:
        key = store.add(new_volume)

    with VolumeStore.open(path) as store:
        ct = store.keys(AttributeFilter.parse(["modality=CT"]))
        embeddings, offsets = store.many_embeddings(ct)
"""

from __future__ import annotations

import contextlib
import json
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import astuple
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..errors import (
    DamagedStoreError,
    EncoderError,
    NoStoreError,
    RecipeError,
    StoreError,
    StoreReadOnlyError,
    UnknownVolumeError,
)
from ..method.pooling import SPAN_MM
from ..recipe import Recipe
from ..volume import Attributes, Identity, SourceFiles
from ..writer_lock import WriterLock
from .attribute_filter import AttributeFilter
from .codec import checksum, pack_outlines, pack_rows, pack_slices, pack_texts, storable
from .key_lists import KeyLists
from .reader import StoreReader
from .records import ATTRIBUTE_COLUMNS, Changes, NewVolume, StoreStatistics, VolumeRecord
from .schema import STORE_FILE, check_version, connect, create_tables, is_absent, migrate, translated_errors

__all__ = ["AttributeFilter", "Changes", "NewVolume", "StoreStatistics", "VolumeRecord", "VolumeStore"]

#: An index that is further behind than this many removals is rebuilt rather than told of each.
TOMBSTONES_KEPT = 100_000

#: How long a writer waits for readers before it gives up. Long: a search may be making its index just then.
WRITER_PATIENCE_S = 600.0

#: Volumes whose pooled rows are rebuilt in one transaction.
_POOLED_AT_ONCE = 100

#: (embeddings float32 [n, d], positions float64 [n] mm) -> (pooled float32 [m, d], first row [m]).
Pool = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


class VolumeStore(StoreReader):
    """One recipe's volumes; made by :meth:`create` and :meth:`open`, best used in a `with`.

    Attributes:
        recipe: of all embeddings in it.
        writable: whether this object holds the writer's lock.
        left_behind: who had the lock before and was killed while holding it, if anybody (writable stores only).
    """

    def __init__(self, connection: sqlite3.Connection, folder: Path, recipe: Recipe, lock: WriterLock | None):
        super().__init__(connection, folder, recipe, None if lock else KeyLists())
        self._writer_lock = lock
        self.left_behind = lock.left_behind if lock else None

    @classmethod
    def create(cls, folder: Path, recipe: Recipe, encoder_note: dict[str, Any] | None = None) -> VolumeStore:
        """Make a store and open it for writing; one that is there already is opened if its recipe is this one.

        Args:
            encoder_note: what else should be known about the encoder (its source, its license); JSON values.

        Raises:
            StoreLockedError, StoreReadOnlyError, RecipeError, StoreVersionError, DamagedStoreError
        """
        folder = Path(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            text = f"{folder}: cannot be made ({error.strerror}); choose another folder"
            raise StoreReadOnlyError(text, folder=str(folder)) from error
        lock = WriterLock.acquire(folder)
        try:
            file = folder / STORE_FILE
            if is_absent(file):
                create_tables(file, _first_meta(recipe, encoder_note or {}))
            return cls._opened(folder, recipe, lock)
        except BaseException:
            lock.release()
            raise

    @classmethod
    def open(cls, folder: Path, recipe: Recipe | None = None, writable: bool = False) -> VolumeStore:
        """Open a store that is there.

        Args:
            recipe: what the store's recipe has to be; None accepts any.
            writable: take the writer's lock. Reading needs none, and goes on while another process writes.

        Raises:
            NoStoreError: there is no store in the folder.
            StoreLockedError, StoreReadOnlyError, RecipeError, StoreVersionError, DamagedStoreError
        """
        folder = Path(folder)
        if is_absent(folder / STORE_FILE):
            raise NoStoreError(
                f"no store at {folder}: index something first",
                f"python -m VolumeRetrievalEngine index --store {folder.parent} FOLDER",
                folder=str(folder),
            )
        lock = WriterLock.acquire(folder) if writable else None
        try:
            return cls._opened(folder, recipe, lock)
        except BaseException:
            if lock:
                lock.release()
            raise

    @classmethod
    def _opened(cls, folder: Path, recipe: Recipe | None, lock: WriterLock | None) -> VolumeStore:
        file = folder / STORE_FILE
        connection = connect(file, writable=lock is not None)
        try:
            with translated_errors(file):
                check_version(connection, file)
                if lock is not None:
                    migrate(connection)
                row = connection.execute("SELECT value FROM meta WHERE name = 'recipe'").fetchone()
            if row is None:
                raise DamagedStoreError(f"{file}: does not say its recipe; move it away and index again")
            stored = Recipe.from_json(row[0])
            if recipe is not None and recipe != stored:
                raise RecipeError(_recipe_difference(folder, stored, recipe))
            return cls(connection, folder, stored, lock)
        except BaseException:
            connection.close()
            raise

    @property
    def writable(self) -> bool:
        return self._writer_lock is not None

    def close(self) -> None:
        """Close the file and give the lock back; a second time does nothing."""
        with self._thread_lock:
            self._connection.close()
            if self._writer_lock:
                self._writer_lock.release()
                self._writer_lock = None

    def __enter__(self) -> VolumeStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Changes

    def add(self, entry: NewVolume) -> int:
        """Store a volume in one transaction and return its key; one with the same id is replaced, under a new key.

        Raises:
            EncoderError: embeddings that are not finite rows of length 1, or not of the store's dimension.
            StoreError: it cannot be written (disk full); nothing of this volume is stored, all others are kept.
        """
        try:
            embeddings, pooled = pack_rows(entry.embeddings), pack_rows(entry.pooled)
        except ValueError as error:
            raise EncoderError(f"{entry.files.label}: unusable embeddings: {error}") from error
        with self._change() as generation:
            self._check_dimension(np.shape(entry.embeddings)[1], entry.files.label)
            self._delete(self._keys_of([entry.identity.volume_id]), generation)
            key = self._insert_volume(entry, generation)
            self._insert_arrays(key, entry, embeddings, pooled)
        return key

    def moved(
        self, volume_id: str, identity: Identity, files: SourceFiles, attributes: Attributes | None = None
    ) -> None:
        """The same content is now elsewhere, or something else is known about it; key and embeddings stay.

        A volume that had the new id until now was overwritten by this one: it is removed.

        Raises:
            UnknownVolumeError: no volume has the old id.
            StoreError: the content is not the same.
        """
        known = self.find(volume_id)
        if known is None:
            raise UnknownVolumeError(f"{self.file}: holds no volume with the id {volume_id}")
        if known.fingerprint != identity.fingerprint:
            raise StoreError(f"{files.label}: is not the content that is stored as {known.label}; index it again")
        values = {
            "volume_id": identity.volume_id,
            "series_uid": identity.series_uid,
            "patient_token": identity.patient_token,
            "study_token": identity.study_token,
            **_file_columns(files),
            **(_attribute_columns(attributes) if attributes else {}),
        }
        with self._change() as generation:
            overwritten = [key for key in self._keys_of([identity.volume_id]) if key != known.key]
            self._delete(overwritten, generation)
            columns = ", ".join(f"{name} = ?" for name in values)
            self._connection.execute(f"UPDATE volumes SET {columns} WHERE key = ?", (*values.values(), known.key))
            packed = pack_texts((files.root, *files.paths))
            self._connection.execute("UPDATE files SET paths = ? WHERE key = ?", (packed, known.key))

    def remove(self, volume_ids: Iterable[str]) -> int:
        """Remove volumes and everything derived from them, in one transaction; returns how many there were."""
        with self._thread_lock:
            self._check_writable()
            keys = self._keys_of(set(volume_ids))
            if keys:
                with self._change() as generation:
                    self._delete(keys, generation)
        return len(keys)

    def rebuild_pooled(self, pool: Pool, tell: Callable[[int], None] = lambda done: None) -> None:
        """Rebuild all pooled rows; earlier indexes are then rebuilt, too. `tell` is called before each transaction with
        how many volumes are done, and may raise Cancelled."""
        keys = self.keys().tolist()
        for start in range(0, len(keys), _POOLED_AT_ONCE):
            tell(start)
            with self._change() as generation:
                for key in keys[start : start + _POOLED_AT_ONCE]:
                    rows, first = pool(self.embeddings(key), self.slices(key).position)
                    source = self._only("SELECT checksum FROM embeddings WHERE key = ?", key)[0]
                    self._insert_pooled(key, pack_rows(rows), first, source)
                    self._connection.execute("UPDATE volumes SET n_pooled = ? WHERE key = ?", (len(rows), key))
                self._forget_before(generation)

    def set_outlines(self, key: int, outlines: np.ndarray) -> None:
        """Add where the body lies on the slices of a volume, float32 [n_rows, 4]; not a change to what is searched."""
        if np.shape(outlines) != (n := len(self.slices(key)), 4):
            raise ValueError(f"{n} slices but outlines of shape {np.shape(outlines)}")
        with self._transaction():
            self._insert_outlines(key, outlines)

    def set_meta(self, name: str, text: str) -> None:
        """Keep a text with the store (the roots, the span of pooled rows, notes); not a change to its volumes."""
        with self._transaction():
            self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, text))

    # How it is written

    @contextlib.contextmanager
    def _change(self) -> Iterator[int]:
        """One transaction that is a new generation of the store."""
        with self._transaction():
            generation = self.generation + 1
            self._connection.execute("UPDATE meta SET value = ? WHERE name = 'generation'", (str(generation),))
            yield generation

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._check_writable()
        with self._thread_lock, translated_errors(self.file):
            self._patiently("BEGIN IMMEDIATE")
            try:
                yield
                self._patiently("COMMIT")
            finally:
                if self._connection.in_transaction:
                    with contextlib.suppress(sqlite3.Error):  # the first error is the one that tells
                        self._connection.execute("ROLLBACK")

    def _patiently(self, statement: str) -> None:
        """Begin or end a transaction, waiting for readers; a COMMIT that was refused can be tried again."""
        deadline = time.monotonic() + WRITER_PATIENCE_S
        while True:
            try:
                self._connection.execute(statement)
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise

    def _check_writable(self) -> None:
        if not self.writable:
            raise StoreReadOnlyError(f"{self.folder}: was opened for reading; open it with writable=True to change it")

    def _check_dimension(self, dimension: int, label: str) -> None:
        if self.dimension == 0:
            self._connection.execute("INSERT OR REPLACE INTO meta VALUES ('dimension', ?)", (str(dimension),))
        elif self.dimension != dimension:
            raise EncoderError(
                f"{label}: embeddings of {dimension} numbers, but those in the store have {self.dimension}"
            )

    def _keys_of(self, volume_ids: Iterable[str]) -> list[int]:
        found = (self._one("SELECT key FROM volumes WHERE volume_id = ?", one) for one in volume_ids)
        return sorted(row[0] for row in found if row)

    def _delete(self, keys: Sequence[int], generation: int) -> None:
        self._connection.executemany("DELETE FROM volumes WHERE key = ?", [(key,) for key in keys])
        tombstones = [(key, generation) for key in keys]
        self._connection.executemany("INSERT INTO tombstones VALUES (?, ?)", tombstones)
        surplus = self._only("SELECT COUNT(*) FROM tombstones")[0] - TOMBSTONES_KEPT if keys else 0
        if surplus > 0:
            sql = "SELECT generation FROM tombstones ORDER BY generation LIMIT 1 OFFSET ?"
            newest = self._only(sql, surplus - 1)[0]
            self._forget_before(newest)

    def _forget_before(self, generation: int) -> None:
        """Indexes of an earlier generation than this can no longer catch up, and are rebuilt."""
        self._connection.execute("DELETE FROM tombstones WHERE generation <= ?", (generation,))
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES ('forgotten_generation', ?)", (str(generation),))

    def _insert_volume(self, entry: NewVolume, generation: int) -> int:
        identity = entry.identity
        values = {
            "volume_id": identity.volume_id,
            "generation": generation,
            "fingerprint": identity.fingerprint,
            "series_uid": identity.series_uid,
            "patient_token": identity.patient_token,
            "study_token": identity.study_token,
            **_attribute_columns(entry.attributes),
            "plane": entry.plane,
            "n_slices": int(entry.n_slices),
            "n_rows": len(entry.slices),
            "n_pooled": len(entry.pooled),
            **_file_columns(entry.files),
            "device": entry.device,
            "precision": entry.precision,
            "indexed_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "notes": json.dumps(list(entry.notes)),
            "geometry": json.dumps(entry.geometry, separators=(",", ":")),
        }
        marks = ", ".join("?" * len(values))
        sql = f"INSERT INTO volumes ({', '.join(values)}) VALUES ({marks})"
        return int(self._connection.execute(sql, tuple(values.values())).lastrowid or 0)

    def _insert_arrays(self, key: int, entry: NewVolume, embeddings: bytes, pooled: bytes) -> None:
        packed = pack_texts((entry.files.root, *entry.files.paths))
        self._connection.execute("INSERT INTO files VALUES (?, ?)", (key, packed))
        columns = pack_slices(entry.slices)
        sql = f"INSERT INTO slice_geometry (key, {', '.join(columns)}, checksum) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        self._connection.execute(sql, (key, *columns.values(), checksum(b"".join(columns.values()))))
        source = checksum(embeddings)
        self._connection.execute("INSERT INTO embeddings VALUES (?, ?, ?)", (key, embeddings, source))
        self._insert_pooled(key, pooled, entry.pooled_first, source)
        if entry.outlines is not None:
            self._insert_outlines(key, entry.outlines)
        thumbnails = [(key, row, jpeg, checksum(jpeg)) for row, jpeg in enumerate(entry.thumbnails) if jpeg]
        self._connection.executemany("INSERT INTO thumbnails VALUES (?, ?, ?, ?)", thumbnails)

    def _insert_outlines(self, key: int, outlines: np.ndarray) -> None:
        packed = pack_outlines(outlines)
        sql = "INSERT OR REPLACE INTO outlines VALUES (?, ?, ?)"
        self._connection.execute(sql, (key, packed, checksum(packed)))

    def _insert_pooled(self, key: int, pooled: bytes, first: np.ndarray, source: int) -> None:
        values = (key, pooled, np.asarray(first).astype("<i4").tobytes(), checksum(pooled), source)
        self._connection.execute("INSERT OR REPLACE INTO pooled VALUES (?, ?, ?, ?, ?)", values)


def _first_meta(recipe: Recipe, encoder_note: dict[str, Any]) -> dict[str, str]:
    return {
        "recipe": recipe.to_json(),
        "encoder_note": json.dumps(encoder_note, sort_keys=True),
        "store_id": secrets.token_hex(16),
        "generation": "0",
        "dimension": "0",
        "pooled_span_mm": str(SPAN_MM),
        "created": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "created_with": __version__,
    }


def _recipe_difference(folder: Path, stored: Recipe, asked: Recipe) -> str:
    theirs, ours = stored.__dict__, asked.__dict__
    differing = [
        f"{name} {theirs[name]!r} in the store, {ours[name]!r} asked" for name in ours if theirs[name] != ours[name]
    ]
    return f"{folder}: was made with another recipe ({'; '.join(differing)}); recipes never mix, use another folder"


def _attribute_columns(attributes: Attributes) -> dict[str, str]:
    return dict(zip(ATTRIBUTE_COLUMNS, map(storable, astuple(attributes)), strict=True))


def _file_columns(files: SourceFiles) -> dict[str, Any]:
    return {"root": storable(files.root), "label": storable(files.label), "n_files": len(files.paths)}
