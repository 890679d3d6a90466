"""The slice index: the nearest slices (or pooled rows) of the archive to each slice of a query.

Derived from the store and kept next to it; it catches up by generation, and whatever happens to its file, it is
rebuilt from the store. Where FAISS is not installed, the rows are held in memory and searched exactly.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np

from ..errors import QueryError
from ..method.directions import scores_in_both_directions
from ..method.late_interaction import check_dimensions, maxima_of_segments, score_segments
from ..method.row_search import Hits
from ..progress import ProgressCallback, ProgressClock
from .exact_index import ExactIndex
from .faiss_index import KINDS, FaissIndex, faiss_is_installed, load_faiss
from .index_file import read_index_file, read_large_map, write_index_file
from .row_map import IN_WORDS, EmbeddingSource, Level, RowMap, batches, catch_up, pending, read_level

logger = logging.getLogger(__name__)

#: What `kind="auto"` means, by the size of the rows in float32: exact up to FLAT_BYTES, a graph up to HNSW_BYTES, then
#: lists of 8-bit codes, which take a quarter of the memory. 400 MB are 270,000 slices of 384 values: 20 of them are
#: compared with all in about 60 ms on one core. 100 MB are the pooled rows of some 2500 volumes of 200 slices: there
#: searching begins to be faster than comparing a whole volume's pooled rows with all (at 5000 volumes 26 ms for 44 ms).
#: Of pooled rows there is no graph: with 10,000 volumes the lists find as much in the same time and are built in less
#: than half of it, because all that is found is compared exactly afterwards (docs/ENGINES.md, Growth).
FLAT_BYTES = {"slices": 400 << 20, "pooled": 100 << 20}
HNSW_BYTES = {"slices": 2 << 30, "pooled": 0}

#: A file that is large enough to be mapped (index_file.py) is not written again before more than this share of its rows
#: is new or dead. Adding 100 volumes to 100,000 would otherwise mean to write gigabytes; whoever searches adds what is
#: new in memory.
BEHIND_SHARE = 0.01

#: Rows that the lists of an IVF index are trained on, at most.
TRAINING_ROWS = 200_000


class IndexableStore(EmbeddingSource, Protocol):
    """What is needed of a store that an index is kept for."""

    @property
    def store_id(self) -> str:
        """Differs between any two stores, also such as follow one another at the same place."""
        ...


class SliceIndex:
    """Searches the rows of every volume of a store, and scores volumes by them.

    Attributes:
        level: "slices", or "pooled" for groups of adjacent slices.
        kind: "flat", "hnsw", "ivf-sq8", "lsh", or "numpy" (exact, without FAISS).
    """

    def __init__(self, level: Level, wanted_kind: str, path: Path | None):
        self.level = level
        self._wanted = wanted_kind
        self._path = path  # None: the index is not written
        self._map = RowMap()
        self._index: ExactIndex | FaissIndex | None = None  # None while the store is empty

    @classmethod
    def open(
        cls,
        folder: Path | str | None,
        store: IndexableStore,
        level: Level = "slices",
        kind: str = "auto",
        writable: bool = False,
        progress: ProgressCallback | None = None,
    ) -> SliceIndex:
        """The index of a store, up to date.

        Args:
            folder: where its file lies (the store's folder); None keeps it in memory only.
            kind: one of `KINDS`, "numpy", or "auto": by size, "numpy" where FAISS is not installed.
            writable: whether this process may write the file: the one that indexes. Others catch up in memory.
            progress: called while much has to be added (stage "build", volumes); may raise Cancelled.

        Raises:
            QueryError: for an unknown kind.
            MissingPackageError: if a FAISS kind is asked for and FAISS is not installed.
        """
        kind = checked_kind(kind)
        path = None if folder is None else Path(folder) / f"{level}.index"
        index = cls(level, kind, path if writable else None)
        if path is not None and kind != "numpy" and faiss_is_installed():
            mapped = not writable or _is_little_behind(path, store, level)
            found = read_index_file(path, store.store_id, map_large=mapped)
            if found is not None and kind in ("auto", found[0].kind):
                index._index, index._map = found
                if found[0].mapped:
                    index._path = None  # whoever searches catches up sooner than so large a file is written
        index.sync(store, progress)
        if not index._agrees_with(store):
            index._path = path if writable else None
            index.rebuild(store, progress)
        return index

    @classmethod
    def made_anew(
        cls,
        folder: Path | str,
        store: IndexableStore,
        level: Level = "slices",
        kind: str = "auto",
        progress: ProgressCallback | None = None,
    ) -> SliceIndex:
        """The index made from everything in the store, and written over the one there is; raises as :meth:`open`."""
        index = cls(level, checked_kind(kind), Path(folder) / f"{level}.index")
        index.rebuild(store, progress)
        return index

    @property
    def kind(self) -> str:
        return self._index.kind if self._index is not None else self._wanted

    @property
    def generation(self) -> int:
        """Of the store, when the index last caught up with it."""
        return self._map.generation

    @property
    def n_rows(self) -> int:
        """Rows that can be found (of volumes that were not removed)."""
        return self._map.n_alive

    @property
    def n_volumes(self) -> int:
        return int(self._map.alive.sum())

    @property
    def size_bytes(self) -> int:
        return self._index.size_bytes if self._index is not None else 0

    @property
    def holds_rows(self) -> bool:
        """Whether :meth:`scores` is possible: the rows themselves are in memory (numpy, Flat, HNSW)."""
        return self._index is None or self._index.matrices is not None

    @property
    def keys(self) -> np.ndarray:
        """int64, the keys of all volumes, in the order of their rows."""
        return self._map.keys[self._map.alive]

    def sync(self, store: IndexableStore, progress: ProgressCallback | None = None) -> bool:
        """Catch up with the store; returns whether anything changed. Writes the file where this process may."""
        if store.generation == self._map.generation and self._index is not None:
            return False
        before = self._map.generation
        if self._index is None or not self._caught_up(store, progress):
            self._rebuild(store, progress)
        changed = self._map.generation != before
        if changed:
            self._save(store)
        return changed

    def rebuild(self, store: IndexableStore, progress: ProgressCallback | None = None) -> None:
        """Rebuild the index from everything in the store, and write its file where this process may."""
        self._rebuild(store, progress)
        self._save(store)

    def search(self, queries: np.ndarray, k: int, allowed_keys: np.ndarray | None = None) -> Hits:
        """The k nearest rows for each query: float32 [q, d], among the volumes with these keys (None: all)."""
        segments = self._map.chosen(allowed_keys)
        if self._index is None or len(segments) == 0 or k < 1:
            shape = (len(queries), max(k, 0))
            return Hits(np.full(shape, -np.inf, np.float32), np.full(shape, -1, np.int64), np.full(shape, -1, np.int32))
        check_dimensions(queries, np.empty((0, self._index.dimension)))
        similarity, row = self._index.search(queries, k, self._map.row_mask(segments))
        key, row = self._map.locate(row)
        return Hits(similarity, key, row)

    def scores(
        self, query: np.ndarray, keys: np.ndarray | None = None, mean: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Late interaction (late_interaction.py) with the rows of these volumes, or of all of them: exact.

        Only where :attr:`holds_rows`. Keys that are not in the index are left out.

        Args:
            mean: float32 [d], subtracted from both sides first (method/centering.py).

        Returns:
            int64 [v] keys in the order of their rows, and float32 [v] RS.
        """
        return self._compared(score_segments, query, keys, mean)

    def directions(
        self, query: np.ndarray, keys: np.ndarray | None = None, mean: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Likewise, but int64 [v] keys and float32 [2, v], the score of each direction (method/directions.py)."""
        return self._compared(scores_in_both_directions, query, keys, mean)

    def maxima(
        self, query: np.ndarray, keys: np.ndarray | None = None, mean: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Likewise, but int64 [v] keys and float32 [n_q, v], the greatest similarity of each query slice in each."""
        return self._compared(maxima_of_segments, query, keys, mean)

    @property
    def compares_all(self) -> bool:
        """Whether comparing with every volume (:meth:`scores`) is the way to search: up to FLAT_BYTES it is cheap."""
        return self.holds_rows and self.kind != "hnsw"

    def count_allowed(self, allowed_keys: np.ndarray | None = None) -> tuple[int, int]:
        """Volumes and rows that a search with these keys can find."""
        segments = self._map.chosen(allowed_keys)
        return len(segments), int(self._map.count[segments].sum())

    def _caught_up(self, store: IndexableStore, progress: ProgressCallback | None) -> bool:
        assert self._index is not None
        index = self._index
        if not catch_up(self._map, store, self.level, index.add, index.rows_at_a_time, progress):
            return False
        if self._path is None:  # A reader keeps the index it has: what it makes is lost with its process.
            return True
        wanted = self._wanted_kind(self._map.n_alive, self._index.dimension)
        return wanted == self._index.kind and not (isinstance(self._index, FaissIndex) and self._index.outgrown)

    def _compared(
        self,
        compare: Callable[..., np.ndarray],
        query: np.ndarray,
        keys: np.ndarray | None,
        mean: np.ndarray | None,
    ) -> tuple[np.ndarray, np.ndarray]:
        chosen = self._map.chosen(keys)
        matrices = [np.empty((0, query.shape[1]), np.float32)] if self._index is None else self._index.matrices
        if matrices is None:
            raise QueryError(f"an index of kind {self.kind!r} does not hold the rows themselves")
        first, count = self._map.first[chosen], self._map.count[chosen]
        found, begin = [], 0
        for rows in matrices:  # no volume is in two of them
            inside = (first >= begin) & (first < begin + len(rows))
            found.append(compare(query, rows, first[inside] - begin, count[inside], mean))
            begin += len(rows)
        return self._map.keys[chosen], np.concatenate(found, axis=-1)

    def _agrees_with(self, store: IndexableStore) -> bool:
        """Whether the index holds the volumes of the store, with as many rows.

        A store that was put back from a copy goes on counting where the copy stood: the generation alone does not tell.
        """
        changes, counted = pending(RowMap(), store, self.level)
        if changes.generation != self.generation:
            return True  # Just changed by another process: the next search catches up.
        alive = self._map.alive
        return dict(counted) == dict(zip(self.keys.tolist(), self._map.count[alive].tolist(), strict=True))

    def _save(self, store: IndexableStore) -> None:
        if self._path is not None and isinstance(self._index, FaissIndex):
            write_index_file(self._path, self._index, self._map, store.store_id)

    def _rebuild(self, store: IndexableStore, progress: ProgressCallback | None) -> None:
        """Make the index from everything in the store."""
        self._map, self._index = RowMap(), None
        changes, counted = pending(self._map, store, self.level)
        if not counted:
            self._map.generation = changes.generation
            return
        sample = self._sample(store, counted)
        dimension = sample.shape[1]
        n_expected = sum(count for _key, count in counted)
        kind = self._wanted_kind(n_expected, dimension)
        logger.info("making the %s index (%s) of %d volumes, %d rows", self.level, kind, len(counted), n_expected)
        if kind == "numpy":
            self._index = ExactIndex(dimension, n_expected)
        else:
            clock = ProgressClock("build", len(counted), float(n_expected), progress)
            self._index = FaissIndex.build(
                kind, dimension, n_expected, sample, lambda: clock.tell(IN_WORDS[self.level])
            )
        del sample
        catch_up(self._map, store, self.level, self._index.add, self._index.rows_at_a_time, progress)

    def _sample(self, store: IndexableStore, counted: list[tuple[int, int]]) -> np.ndarray:
        """float32 [s, d]: rows of volumes spread over the store, to train IVF lists on; else the first volume's."""
        total = sum(count for _key, count in counted)
        dimension = read_level(store, [counted[0][0]], self.level)[0].shape[1]
        if not self._wanted_kind(total, dimension).startswith("ivf"):
            return np.empty((0, dimension), np.float32)
        every = max(1, -(-total // TRAINING_ROWS))
        chosen = counted[::every]
        return np.concatenate([read_level(store, keys, self.level)[0] for keys in batches(chosen)])

    def _wanted_kind(self, n_rows: int, dimension: int) -> str:
        return self._wanted if self._wanted != "auto" else automatic_kind(n_rows, dimension, self.level)


def _is_little_behind(path: Path, store: IndexableStore, level: Level) -> bool:
    """Whether an index is in a large file that need not be written again for what has changed since."""
    rows = read_large_map(path, store.store_id)
    if rows is None:
        return False
    changes, counted = pending(rows, store, level)
    changed = sum(count for _key, count in counted) + int(rows.count[np.isin(rows.keys, changes.removed)].sum())
    return not changes.rebuild and rows.n_rows - rows.n_alive + changed <= BEHIND_SHARE * rows.n_rows


def automatic_kind(n_rows: int, dimension: int, level: Level) -> str:
    """The kind for an archive of this size."""
    if not faiss_is_installed():
        return "numpy"
    size = 4 * n_rows * dimension
    return "flat" if size <= FLAT_BYTES[level] else "hnsw" if size <= HNSW_BYTES[level] else "ivf-sq8"


def checked_kind(kind: str) -> str:
    """The kind in the spelling used here; QueryError for an unknown one, MissingPackageError if it needs FAISS."""
    name = kind.lower().replace("_", "-")
    name = {"hnsw32": "hnsw"}.get(name, name)
    if name not in ("auto", "numpy", *KINDS):
        raise QueryError(f"unknown kind of index {kind!r}: expected auto, numpy, {', '.join(KINDS)}")
    if name in KINDS:
        load_faiss()
    return name
