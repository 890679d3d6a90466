"""A store that another process holds open (held_store.py), as searching sees it here. Nothing here knows of Dask.

Few questions are asked: what depends on the store's generation alone is asked once, and what is shown of the results
comes in one answer. Comparing is done where the rows lie.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..method.likeness import NeighborLevels
from ..method.row_search import Hits
from ..recipe import Recipe
from ..searching.neighbor_file import MADE_WHILE_SEARCHING
from ..slice_index.row_map import Level
from ..store.attribute_filter import AttributeFilter
from ..store.codec import unpack_rows
from ..store.records import StoredVolume, VolumeRecord
from ..store.volume_names import ROOTS
from ..united.elsewhere import Elsewhere
from ..volume import SliceTable, SourceFiles
from .held_store import SentKeys, State

#: Asks a HeldStore, and raises what it could not answer.
Ask = Callable[..., Any]

#: Volumes whose pooled rows are kept here: some 15 KB each.
_POOLED_KEPT = MADE_WHILE_SEARCHING


class RemoteReader(Elsewhere):
    """See :class:`~..store.reader.StoreReader`: what searching reads."""

    def __init__(self, ask: Ask, folder: Path, recipe: Recipe):
        self.ask = ask
        self.folder = folder
        self.recipe = recipe
        self.is_in_snapshot = False
        self._state: State | None = None
        self._known: dict[tuple[Any, ...], Any] = {}
        self._pooled: OrderedDict[int, np.ndarray] = OrderedDict()
        self._files: dict[int, SourceFiles] = {}
        self._last_keys: np.ndarray | None = None

    @property
    def state(self) -> State:
        """As the store stood when it was last asked."""
        return self._state or self.update(())

    def update(self, levels: Sequence[Level]) -> State:
        """Ask how it stands now, with its indexes of these levels up to date."""
        before, state = self._state, self.ask("state", tuple(levels))
        if before is None or before.generation != state.generation:
            self._known.clear()
        if before is None or before.forgotten_generation != state.forgotten_generation:
            self._pooled.clear()
        self._files.clear()
        self._state = state
        return state

    def once(self, *question: Any) -> Any:
        """The answer to a question, which is asked once for each generation."""
        if question not in self._known:
            self._known[question] = self.ask(*question)
        return self._known[question]

    def sent(self, keys: np.ndarray | None) -> SentKeys:
        """Keys as they are sent."""
        is_last = keys is not None and self._last_keys is not None and np.array_equal(keys, self._last_keys)
        return "last" if is_last else keys

    @property
    def generation(self) -> int:
        return self.state.generation

    @property
    def dimension(self) -> int:
        return self.state.dimension

    def meta(self, name: str) -> str | None:
        return self.state.roots if name == ROOTS else self.once("meta", name)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Nothing is held there: see HeldStore. Here, the store stands as it did when it was last asked."""
        self.is_in_snapshot = True
        try:
            yield
        finally:
            self.is_in_snapshot = False

    def keys(self, keep: AttributeFilter | None = None) -> np.ndarray:
        if keep is None:
            return self.once("keys", None)
        self._last_keys = keys = self.ask("keys", keep)
        return keys

    def keys_of_other_modality(self, modality: str) -> np.ndarray:
        return self.once("keys_of_other_modality", modality)

    def owners(self) -> dict[int, str]:
        return self.once("owners")

    def ids_of_series(self) -> dict[int, str]:
        return self.once("ids_of_series")

    def listing(self, keep: AttributeFilter | None = None) -> list[VolumeRecord]:
        return self._records("filter", keep)

    def records(self, keys: Iterable[int]) -> list[VolumeRecord]:
        return self._records("keys", [int(key) for key in keys])

    def find(self, volume_id: str) -> VolumeRecord | None:
        return next(iter(map(self.record, self.once("records", "id", volume_id))), None)

    def find_series(self, series_uid: str) -> list[VolumeRecord]:
        return self._records("series", series_uid)

    def volumes(self, keys: Sequence[int] | np.ndarray) -> list[StoredVolume]:
        packed, offsets, sent = self.ask("volumes", [int(key) for key in keys])
        rows = _unpacked(packed)
        self._files |= {one.record.key: one.files for one in sent}
        return [
            StoredVolume(self.record(one.record), rows[first:end], one.slices, one.outlines)
            for one, first, end in zip(sent, offsets[:-1], offsets[1:], strict=True)
        ]

    def files(self, key: int) -> SourceFiles:
        return self._files[key] if key in self._files else self.ask("files", key)

    def slices(self, key: int) -> SliceTable:
        return self.ask("slices", key)

    def outlines(self, key: int) -> np.ndarray | None:
        return self.ask("outlines", key)

    def thumbnail(self, key: int, row: int) -> bytes:
        return self.ask("thumbnail", key, row)

    def embeddings(self, key: int) -> np.ndarray:
        return self.many_embeddings([key])[0]

    def many_embeddings(self, keys: Sequence[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        packed, offsets = self.ask("packed", "embeddings", [int(key) for key in keys])
        return _unpacked(packed), offsets

    def many_pooled(self, keys: Sequence[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        wanted = [int(key) for key in keys]
        found = {key: self._pooled[key] for key in wanted if key in self._pooled}
        if missing := [key for key in dict.fromkeys(wanted) if key not in found]:
            packed, offsets = self.ask("packed", "pooled", missing)
            rows = _unpacked(packed)
            found |= {
                key: rows[first:end].copy() for key, first, end in zip(missing, offsets[:-1], offsets[1:], strict=True)
            }
        for key, one in found.items():
            self._pooled[key] = one
            self._pooled.move_to_end(key)
        while len(self._pooled) > _POOLED_KEPT:
            self._pooled.popitem(last=False)
        blocks = [found[key] for key in wanted]
        offsets = np.concatenate([[0], np.cumsum([len(one) for one in blocks], dtype=np.int64)]).astype(np.int64)
        return np.concatenate([np.zeros((0, self.dimension), np.float32), *blocks]), offsets

    def record(self, record: VolumeRecord) -> VolumeRecord:
        """A record that was sent, whose files are asked for when they are needed."""
        return replace(record, _read_files=self.files)

    def _records(self, how: str, value: Any) -> list[VolumeRecord]:
        return [self.record(one) for one in self.ask("records", how, value)]


class RemoteRows(Elsewhere):
    """See :class:`~..method.row_search.VolumeScores`: "rows", which it may read from the store, or its "index"."""

    _source: Literal["rows", "index"] = "rows"

    def __init__(self, reader: RemoteReader, level: Level):
        self._reader = reader
        self._level = level

    def scores(
        self, query: np.ndarray, keys: np.ndarray | None = None, mean: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        return self._compared("scores", query, keys, mean)

    def directions(
        self, query: np.ndarray, keys: np.ndarray | None = None, mean: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        return self._compared("directions", query, keys, mean)

    def _compared(
        self, how: str, query: np.ndarray, keys: np.ndarray | None, mean: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        found, values = self._reader.ask(self._source, self._level, how, query, self._reader.sent(keys), mean)
        if found is None:  # those that were asked for
            assert keys is not None
            found = keys
        return found, values


class RemoteIndex(RemoteRows):
    """See :class:`~..method.row_search.RowSearch`."""

    _source = "index"

    @property
    def holds_rows(self) -> bool:
        return self._facts[0]

    @property
    def compares_all(self) -> bool:
        return self._facts[1]

    def search(self, queries: np.ndarray, k: int, allowed_keys: np.ndarray | None = None) -> Hits:
        if k < 1:
            nothing = (len(queries), 0)
            return Hits(np.zeros(nothing, np.float32), np.zeros(nothing, np.int64), np.zeros(nothing, np.int32))
        return self._reader.ask("search", self._level, queries, k, self._reader.sent(allowed_keys))

    def maxima(
        self, query: np.ndarray, keys: np.ndarray | None = None, mean: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        return self._compared("maxima", query, keys, mean)

    def count_allowed(self, allowed_keys: np.ndarray | None = None) -> tuple[int, int]:
        return self._reader.ask("count", self._level, self._reader.sent(allowed_keys))

    @property
    def _facts(self) -> tuple[bool, bool]:
        known = self._reader.state.indexes
        return (known if self._level in known else self._reader.update((self._level,)).indexes)[self._level]


class RemoteSession(Elsewhere):
    """See :class:`~..searching.session.SearchSession`: what a part of a united archive is asked."""

    def __init__(self, ask: Ask, folder: Path, recipe: Recipe):
        self.store = RemoteReader(ask, folder, recipe)
        self.slices = RemoteIndex(self.store, "slices")
        self.pooled = RemoteIndex(self.store, "pooled")

    def refresh(self, levels: Sequence[Level] = ("slices", "pooled")) -> None:
        if not self.store.is_in_snapshot or not self.store.state.indexes.keys() >= set(levels):
            self.store.update(levels)

    def rows(self, level: Level) -> RemoteRows:
        return RemoteRows(self.store, level)

    def neighbor_levels(self) -> NeighborLevels | None:
        return self.store.once("neighbor_levels")

    def notes(self) -> tuple[str, ...]:
        return self.store.state.notes

    def close(self) -> None:
        """Nothing is open here."""


def _unpacked(packed: np.ndarray) -> np.ndarray:
    """float32 [n, d], unit rows, as the store's reader makes them."""
    rows = np.empty(packed.shape, np.float32)
    unpack_rows(packed, out=rows)
    return rows
