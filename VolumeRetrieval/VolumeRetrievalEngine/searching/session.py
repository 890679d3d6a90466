"""The warm state of searching: an open store and its indexes, kept up with what other processes write."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np

from ..method.likeness import NeighborLevels
from ..method.row_search import VolumeScores
from ..progress import ProgressCallback
from ..slice_index.faiss_index import KINDS
from ..slice_index.row_map import Level
from ..slice_index.slice_index import SliceIndex
from ..store import VolumeStore
from ..store.archive_mean import archive_mean
from ..store.attribute_filter import AttributeFilter
from ..store.mapping import mapped_in_words
from ..store.reader import StoreReader
from .neighbor_file import MADE_WHILE_SEARCHING, is_current, levels_of, read_levels
from .stored_rows import StoredRows

_KIND = "index_kind"

PATIENT_UNKNOWN = "the query's patient is not known, so that nothing was left out as of the same patient"


def kept_kind(store: StoreReader, asked: str) -> str:
    """The kind of index to use: what is asked for; for "auto" what the user once rebuilt the index as, if anything."""
    kept = store.meta(_KIND)  # of an older version, perhaps, which knew kinds that are gone
    return asked if asked != "auto" else kept if kept in KINDS else "auto"


def keep_kind(store: VolumeStore, kind: str) -> None:
    """Remember the kind that the user wants from now on; "auto" is by size again."""
    store.set_meta(_KIND, kind)


class SearchSession:
    """A store opened for reading with its two indexes.

    An index is opened when it is first needed, and brought up to date by :meth:`refresh`, so that a search sees every
    volume that an indexing run in another process has finished. Call it before a snapshot of the store and again within
    it: the first may take long (an index is made), and a writer waits while the second one does what little is left.

    Attributes:
        store: opened read-only.
    """

    def __init__(self, folder: Path, index_kind: str = "auto"):
        self.store = VolumeStore.open(folder)
        self._folder = folder
        self._kind = kept_kind(self.store, index_kind)
        self._indexes: dict[Level, SliceIndex] = {}
        self._mean: tuple[int, np.ndarray | None] | None = None
        self._levels: NeighborLevels | None = None
        self._levels_sought_at = -1

    @property
    def slices(self) -> SliceIndex:
        """The index over single slices."""
        return self._index("slices")

    @property
    def pooled(self) -> SliceIndex:
        """The index over groups of adjacent slices."""
        return self._index("pooled")

    def refresh(self, levels: Sequence[Level] = ("slices", "pooled"), progress: ProgressCallback | None = None) -> None:
        """Open the indexes of these levels and bring them, and any other that is open, up to date with the store.

        Args:
            progress: called while an index is built; may raise Cancelled.
        """
        for level in {*levels, *self._indexes}:
            self._index(level, progress).sync(self.store, progress)

    def rows(self, level: Level) -> VolumeScores:
        """What compares whole volumes: the index of a level, if it is open and holds the rows, else the store."""
        index = self._indexes.get(level)
        return index if index is not None and index.holds_rows else StoredRows(self.store, level)

    def mean(self) -> np.ndarray | None:
        """The archive's mean embedding, float32 [d] (store/archive_mean.py); None for a small archive."""
        generation = self.store.generation
        if self._mean is None or self._mean[0] != generation:
            self._mean = generation, archive_mean(self.store)
        return self._mean[1]

    def neighbor_levels(self) -> NeighborLevels | None:
        """What the archive's volumes reach as neighbors, as exactly as is worth while; None where that is not known,
        because the archive is small, or is large and was indexed by an older version."""
        n_volumes = len(self.store.keys())
        if not is_current(self._levels, n_volumes) and self._levels_sought_at != self.store.generation:
            self._levels_sought_at = self.store.generation
            levels = read_levels(self.store)
            if not is_current(levels, n_volumes) and n_volumes <= MADE_WHILE_SEARCHING:
                levels = levels_of(self.store)
            self._levels = levels
        return self._levels

    def notes(self) -> tuple[str, ...]:
        """What users should know about the archive, with each result."""
        words = mapped_in_words(self.store)
        return (words,) if words else ()

    def notes_of_patient(self, keep: AttributeFilter, are_series_named: bool) -> tuple[str, ...]:
        """What users should know where the query's patient is to be left out; `are_series_named`: somebody who knows
        the patient has said which series are left out."""
        if keep.not_patient_token or are_series_named:
            return ()
        return (PATIENT_UNKNOWN,)

    def close(self) -> None:
        self._indexes.clear()
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _index(self, level: Level, progress: ProgressCallback | None = None) -> SliceIndex:
        if level not in self._indexes:
            self._indexes[level] = SliceIndex.open(
                self._folder, self.store, level=level, kind=self._kind, progress=progress
            )
        return self._indexes[level]
