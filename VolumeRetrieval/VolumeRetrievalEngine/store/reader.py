"""Reading a store: never needs the writer's lock, and sees what another process has finished at once."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..errors import DamagedStoreError, StoreError, UnknownVolumeError
from ..recipe import Recipe
from ..volume import Attributes, SliceTable, SourceFiles
from .attribute_filter import AttributeFilter
from .codec import checksum, normalize_rows, unpack_outlines, unpack_slices, unpack_texts
from .key_lists import KeyLists
from .records import ATTRIBUTE_COLUMNS, Changes, StoredVolume, StoreStatistics, VolumeRecord
from .schema import STORE_FILE, translated_errors
from .verify import find_problems

_RECORD_COLUMNS = (
    "key, volume_id, generation, fingerprint, series_uid, patient_token, study_token, root, label, n_files, "
    "plane, n_slices, n_rows, n_pooled, device, precision, indexed_at, geometry, notes, " + ", ".join(ATTRIBUTE_COLUMNS)
)

#: Table of embeddings -> the column of `volumes` that counts its rows.
_ROW_COUNTS = {"embeddings": "n_rows", "pooled": "n_pooled"}

#: Keys in one statement; older SQLite takes no more than 999 parameters.
_KEYS_AT_ONCE = 500
#: Volumes whose rows are read by one statement: some MB.
_BLOBS_AT_ONCE = 50

Keys = Sequence[int] | np.ndarray


class StoreReader:
    """The reading half of :class:`~VolumeRetrievalEngine.store.VolumeStore`. Safe to use from several threads."""

    def __init__(self, connection: sqlite3.Connection, folder: Path, recipe: Recipe, key_lists: KeyLists | None = None):
        self._connection = connection
        self._thread_lock = threading.RLock()
        self._key_lists = key_lists
        self.folder = folder
        self.file = folder / STORE_FILE
        self.recipe = recipe

    # What the store is

    def meta(self, name: str) -> str | None:
        """A text that was kept with :meth:`VolumeStore.set_meta`; None if there is none."""
        row = self._one("SELECT value FROM meta WHERE name = ?", name)
        return row[0] if row else None

    @property
    def generation(self) -> int:
        """Rises by one with each committed change to the volumes, by whichever process."""
        return int(self.meta("generation") or 0)

    @property
    def store_id(self) -> str:
        """Says that this is the same store as before, not another one put in its place; 32 hex digits."""
        return self.meta("store_id") or ""

    @property
    def dimension(self) -> int:
        """d, the length of an embedding; 0 while the store is empty and never held anything."""
        return int(self.meta("dimension") or 0)

    def statistics(self) -> StoreStatistics:
        """Counts; reads no arrays."""
        with self.snapshot():
            counts = self._only("SELECT COUNT(*), TOTAL(n_slices), TOTAL(n_rows) FROM volumes")
            modalities = self._all("SELECT modality, COUNT(*) FROM volumes GROUP BY modality ORDER BY 2 DESC, 1")
            made_on = self._all("SELECT device, precision, COUNT(*) FROM volumes GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2")
            return StoreStatistics(
                volumes=counts[0],
                slices=int(counts[1]),
                rows=int(counts[2]),
                dimension=self.dimension,
                generation=self.generation,
                tombstones=self._only("SELECT COUNT(*) FROM tombstones")[0],
                size_bytes=self.file.stat().st_size,
                modalities=dict(modalities),
                made_on={", ".join(filter(None, words)): count for *words, count in made_on},
            )

    def verify(self) -> list[str]:
        """Read everything and name each problem with its way out; an empty list for a sound store.

        Another process may go on writing meanwhile, but waits while the file as such is checked.
        """
        with self._thread_lock:
            return find_problems(self._connection, self.file, self.snapshot)

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Everything read inside is of one generation.

        A writer waits with its next volume until the block ends: keep it to a search, not to an hour.
        """
        with self._thread_lock:
            if self._connection.in_transaction:
                yield
                return
            with translated_errors(self.file):
                self._connection.execute("BEGIN")
            try:
                self._one("SELECT value FROM meta WHERE name = 'generation'")  # BEGIN alone pins nothing
                yield
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("COMMIT")

    # Which volumes there are

    def listing(self, keep: AttributeFilter | None = None) -> list[VolumeRecord]:
        """All volumes (that pass the filter), in the order in which they came. Reads no arrays."""
        where, values = (keep or AttributeFilter()).to_sql()
        return self._records(f"WHERE {where} ORDER BY key", values)

    def keys(self, keep: AttributeFilter | None = None) -> np.ndarray:
        """int64 [v]: the keys of all volumes (that pass the filter), ascending."""
        keep = keep or AttributeFilter()
        if keep == AttributeFilter(not_volume_id=keep.not_volume_id):  # all but one, at most: most searches
            everything = self._keys_where("1")
            own = self._one("SELECT key FROM volumes WHERE volume_id = ?", keep.not_volume_id)
            return everything if own is None else everything[everything != own[0]]
        where, values = keep.to_sql()
        return self._read_keys(where, *values)

    def keys_of_other_modality(self, modality: str) -> np.ndarray:
        """int64 [v]: the keys of all volumes that are known to be of another modality than this one, ascending."""
        return self._keys_where("modality <> '' AND casefold(modality) <> ?", modality.casefold())

    def owners(self) -> dict[int, str]:
        """Whose each volume is, by key in ascending order: the token of its patient; else its series; "" if unknown."""
        sql = "SELECT key, patient_token, series_uid FROM volumes ORDER BY key"
        return {key: token or series for key, token, series in self._all(sql)}

    def ids_of_series(self) -> dict[int, str]:
        """The id of each volume of a DICOM series, by key: in every store, it is the id of this volume and no other."""
        return dict(self._all("SELECT key, volume_id FROM volumes WHERE series_uid <> '' ORDER BY key"))

    def count_of_precision(self, precision: str) -> int:
        """How many volumes' embeddings were made in this precision."""
        return int(self._only("SELECT COUNT(*) FROM volumes WHERE precision = ?", precision)[0])

    def records(self, keys: Iterable[int]) -> list[VolumeRecord]:
        """The volumes with these keys, in this order.

        Raises:
            UnknownVolumeError: a key that is not, or no longer, in the store.
        """
        wanted = [int(key) for key in keys]
        found: dict[int, VolumeRecord] = {}
        for chunk in _chunks(wanted):
            for record in self._records(f"WHERE key IN ({_marks(chunk)})", chunk):
                found[record.key] = record
        _all_known(wanted, found, self.file)
        return [found[key] for key in wanted]

    def find(self, volume_id: str) -> VolumeRecord | None:
        """The volume with this id."""
        return next(iter(self._records("WHERE volume_id = ?", [volume_id])), None)

    def find_fingerprint(self, fingerprint: str) -> list[VolumeRecord]:
        """The volumes with this content, wherever their files are."""
        return self._records("WHERE fingerprint = ? ORDER BY key", [fingerprint])

    def find_series(self, series_uid: str) -> list[VolumeRecord]:
        """The volumes of a DICOM series; none for an unknown ("") one."""
        return self._records("WHERE series_uid = ? AND series_uid <> '' ORDER BY key", [series_uid])

    def changes_since(self, generation: int) -> Changes:
        """What came and went after a generation that an index stands at (0: an empty one)."""
        with self.snapshot():
            now = self.generation
            # A generation ahead of the store is another store's, or that of one restored from a backup since.
            unknown = generation > now or generation < int(self.meta("forgotten_generation") or 0)
            since = 0 if unknown else generation
            rows = "SELECT key, n_rows, n_pooled FROM volumes WHERE generation > ? ORDER BY key"
            gone = "SELECT key FROM tombstones WHERE generation > ? ORDER BY key"
            removed = [] if unknown else [row[0] for row in self._all(gone, since)]
            return Changes(self._all(rows, since), removed, now, rebuild=unknown)

    # What a volume holds

    def files(self, key: int) -> SourceFiles:
        """All files of a volume."""
        (packed,) = self._row_of(key, "SELECT paths FROM files WHERE key = ?")
        try:
            root, *paths = unpack_texts(packed)
        except ValueError as error:
            raise self._damaged(key, f"list of files ({error})") from error
        return SourceFiles(root, tuple(paths))

    def slices(self, key: int) -> SliceTable:
        """Where the embedded slices of a volume lie; row r belongs to row r of its embeddings."""
        names = ("slice_index", "frame", "origin", "normal", "position", "sop_uids")
        columns = self._row_of(key, f"SELECT {', '.join(names)} FROM slice_geometry WHERE key = ?")
        try:
            return unpack_slices(dict(zip(names, columns, strict=True)))
        except ValueError as error:
            raise self._damaged(key, f"slice table ({error})") from error

    def outlines(self, key: int) -> np.ndarray | None:
        """Where the body lies on the embedded slices, float32 [n, 4] (preprocessing/outline.py); None where that is not
        known, because the volume was indexed by an older engine (:meth:`without_outlines`)."""
        if not self._has_outlines:
            return None
        found = self._one("SELECT data, checksum FROM outlines WHERE key = ?", int(key))
        if found is None:
            return None
        if len(found[0]) % 16 or checksum(found[0]) != found[1]:
            raise self._damaged(key, "outlines")
        return unpack_outlines(found[0])

    def without_outlines(self) -> np.ndarray:
        """int64 [v]: the keys of the volumes whose outlines are not known, ascending."""
        return self._read_keys("key NOT IN (SELECT key FROM outlines)" if self._has_outlines else "1")

    @property
    def _has_outlines(self) -> bool:
        """Whether the file's version knows outlines; another process may bring it up to date at any time."""
        return self._only("PRAGMA user_version")[0] >= 2

    def embeddings(self, key: int) -> np.ndarray:
        """float32 [n, d], unit rows."""
        return self.many_embeddings([key])[0]

    def many_embeddings(self, keys: Keys) -> tuple[np.ndarray, np.ndarray]:
        """The embeddings of many volumes in one array.

        Returns:
            float32 [N, d], unit rows, the volumes one after the other in the order of `keys`; and int64 [len + 1],
            where each begins: volume i has the rows offsets[i] to offsets[i + 1].

        Raises:
            UnknownVolumeError: a key that is not, or no longer, in the store (see :meth:`snapshot`).
            DamagedStoreError: the stored bytes are not those that were written.
        """
        return self._many("embeddings", keys)

    def many_pooled(self, keys: Keys) -> tuple[np.ndarray, np.ndarray]:
        """The pooled rows of many volumes, as :meth:`many_embeddings`."""
        return self._many("pooled", keys)

    def packed(self, table: Literal["embeddings", "pooled"], keys: Keys) -> tuple[np.ndarray, np.ndarray]:
        """Rows as they lie in the store, float16 [N, d], and their offsets; codec.unpack_rows makes unit rows of them.

        Raises: as :meth:`many_embeddings`.
        """
        with self.snapshot():
            offsets = self._offsets(table, keys)
            blobs = [blob for _, _, blob in self._blobs(table, keys, offsets)]
        return np.frombuffer(b"".join(blobs), "<f2").reshape(int(offsets[-1]), self.dimension), offsets

    def volumes(self, keys: Keys) -> list[StoredVolume]:
        """The volumes with these keys, in this order; raises as :meth:`many_embeddings`."""
        with self.snapshot():
            rows, offsets = self.many_embeddings(keys)
            return [
                StoredVolume(record, rows[first:end], self.slices(record.key), self.outlines(record.key))
                for record, first, end in zip(self.records(keys), offsets[:-1], offsets[1:], strict=True)
            ]

    def pooled_first(self, key: int) -> np.ndarray:
        """int32 [m]: the first row of each of a volume's groups of adjacent slices."""
        (packed,) = self._row_of(key, "SELECT first_row FROM pooled WHERE key = ?")
        return np.frombuffer(packed, "<i4").astype(np.int32)

    def thumbnail(self, key: int, row: int) -> bytes:
        """The JPEG of an embedded slice; b"" if there is none."""
        found = self._one("SELECT jpeg FROM thumbnails WHERE key = ? AND row = ?", int(key), int(row))
        return found[0] if found else b""

    def holds(self, key: int, volume_id: str) -> bool:
        """Whether this key is, still, the volume with this id."""
        return bool(self._one("SELECT 1 FROM volumes WHERE key = ? AND volume_id = ?", int(key), volume_id))

    # How it is read

    def _keys_where(self, condition: str, *values: str) -> np.ndarray:
        """The keys of the volumes of which a condition holds; not to be written to."""
        if self._key_lists is None:
            return self._read_keys(condition, *values)
        with self.snapshot():
            asked = (condition, *values)
            return self._key_lists.get(self.generation, asked, lambda: self._read_keys(*asked))

    def _read_keys(self, condition: str, *values: str) -> np.ndarray:
        rows = self._all(f"SELECT key FROM volumes WHERE {condition} ORDER BY key", *values)
        return np.fromiter((row[0] for row in rows), np.int64, len(rows))

    def _all(self, sql: str, *values: Any) -> list[tuple]:
        with self._thread_lock, translated_errors(self.file):
            return self._connection.execute(sql, values).fetchall()

    def _one(self, sql: str, *values: Any) -> tuple | None:
        with self._thread_lock, translated_errors(self.file):
            return self._connection.execute(sql, values).fetchone()

    def _only(self, sql: str, *values: Any) -> tuple[Any, ...]:
        """The row of a statement that always has one."""
        row = self._one(sql, *values)
        assert row is not None, sql
        return row

    def _row_of(self, key: int, sql: str) -> tuple:
        if row := self._one(sql, int(key)):
            return row
        if self._one("SELECT 1 FROM volumes WHERE key = ?", int(key)):
            raise self._damaged(key, "data")
        raise UnknownVolumeError(f"{self.file}: holds no volume with the key {int(key)} (removed in the meantime?)")

    def _records(self, where: str, values: Sequence[Any]) -> list[VolumeRecord]:
        try:
            return [self._record(row) for row in self._all(f"SELECT {_RECORD_COLUMNS} FROM volumes {where}", *values)]
        except json.JSONDecodeError as error:
            raise DamagedStoreError(f"{self.file}: notes that are no JSON ({error}); run verify") from error

    def _record(self, row: tuple) -> VolumeRecord:
        # In the order of the record's fields, which is that of _RECORD_COLUMNS up to the precision.
        indexed_at, geometry, notes = row[16:19]
        noted = tuple(json.loads(notes)) if notes != "[]" else ()
        values = (*row[:10], Attributes(*row[19:]), *row[10:16], noted, indexed_at, geometry, self.files)
        return VolumeRecord(*values)

    def _many(self, table: str, keys: Keys) -> tuple[np.ndarray, np.ndarray]:
        with self.snapshot():
            offsets = self._offsets(table, keys)
            rows = np.empty((int(offsets[-1]), self.dimension), np.float32)
            for first, end, blob in self._blobs(table, keys, offsets):
                rows[first:end] = np.frombuffer(blob, "<f2").reshape(end - first, -1)
        normalize_rows(rows)
        return rows, offsets

    def _offsets(self, table: str, keys: Keys) -> np.ndarray:
        """int64 [len + 1]: where each volume's rows begin."""
        wanted = [int(key) for key in keys]
        counts = self._row_counts(table, wanted)
        return np.concatenate([[0], np.cumsum([counts[key] for key in wanted], dtype=np.int64)]).astype(np.int64)

    def _blobs(self, table: str, keys: Keys, offsets: np.ndarray) -> Iterator[tuple[int, int, bytes]]:
        """Each volume's first row, its end, and its rows as stored."""
        row_bytes, bounds = 2 * self.dimension, pairwise(offsets.tolist())
        with translated_errors(self.file):
            for chunk in _chunks([int(key) for key in keys], _BLOBS_AT_ONCE):
                sql = f"SELECT key, data, checksum FROM {table} WHERE key IN ({_marks(chunk)})"
                found = {key: blob for key, *blob in self._connection.execute(sql, chunk)}
                for key, (first, end) in zip(chunk, islice(bounds, len(chunk)), strict=True):
                    data, written = found.get(key, (b"", 0))
                    if len(data) != row_bytes * (end - first) or checksum(data) != written:
                        raise self._damaged(key, table)
                    yield first, end, data

    def _row_counts(self, table: str, keys: Sequence[int]) -> dict[int, int]:
        counts: dict[int, int] = {}
        for chunk in _chunks(keys):
            sql = f"SELECT key, {_ROW_COUNTS[table]} FROM volumes WHERE key IN ({_marks(chunk)})"
            counts.update(self._all(sql, *chunk))
        _all_known(keys, counts, self.file)
        return counts

    def _damaged(self, key: int, what: str) -> StoreError:
        row = self._one("SELECT volume_id, label FROM volumes WHERE key = ?", int(key))
        volume_id, label = row or ("?", "?")
        return DamagedStoreError(
            f"{self.file}: the {what} of volume {volume_id} ({label}) cannot be read as written; "
            "remove the volume and index it again",
            f"python -m VolumeRetrievalEngine remove {volume_id}",
        )


def _chunks(keys: Sequence[int], size: int = _KEYS_AT_ONCE) -> Iterator[list[int]]:
    for start in range(0, len(keys), size):
        yield list(keys[start : start + size])


def _marks(values: Sequence[Any]) -> str:
    return ",".join("?" * len(values))


def _all_known(wanted: Iterable[int], found: dict[int, Any], file: Path) -> None:
    if missing := sorted(set(wanted) - set(found)):
        raise UnknownVolumeError(
            f"{file}: holds no volume with the key {', '.join(map(str, missing[:5]))} (removed in the meantime?)"
        )
