"""Which volume each row of an index is of, and how an index catches up with the store.

Rows are numbered in the order of adding and never move; a volume is one segment of neighboring rows. Removed volumes
leave dead rows, which searches skip, until so many are dead that the index is better rebuilt.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from ..errors import UnknownVolumeError
from ..progress import ProgressCallback, ProgressClock

if TYPE_CHECKING:
    from ..store.records import Changes

logger = logging.getLogger(__name__)

Level = Literal["slices", "pooled"]

#: What an index is of, to show.
IN_WORDS: dict[Level, str] = {"slices": "search index of slices", "pooled": "search index of volumes"}

#: An index with a greater share of dead rows is rebuilt (ARCHITECTURE.md, "Index").
DEAD_SHARE = 0.2
#: Rows read from the store at a time while catching up: 25 MB at 384 values.
ROWS_AT_A_TIME = 16_384


class EmbeddingSource(Protocol):
    """What is needed of a :class:`~VolumeRetrievalEngine.store.VolumeStore` to index it."""

    @property
    def generation(self) -> int:
        """Grows with every change that was committed, in whichever process."""
        ...

    def changes_since(self, generation: int) -> Changes: ...

    def many_embeddings(self, keys: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """float32 [N, d] rows of these volumes one after another, and int64 [len(keys) + 1] offsets."""
        ...

    def many_pooled(self, keys: Sequence[int]) -> tuple[np.ndarray, np.ndarray]: ...


class RowMap:
    """The segments of an index: segment s is rows first[s]:first[s] + count[s], all of the volume keys[s].

    Attributes:
        keys, first, count: int64 [s], in row order.
        alive: bool [s]; False for removed volumes.
        generation: of the store, up to which this map is complete.
    """

    def __init__(self, keys: np.ndarray | None = None, count: np.ndarray | None = None, generation: int = 0):
        self.keys = np.zeros(0, np.int64) if keys is None else np.asarray(keys, np.int64)
        self.count = np.zeros(0, np.int64) if count is None else np.asarray(count, np.int64)
        self.first = np.cumsum(self.count) - self.count
        self.alive = np.ones(len(self.keys), bool)
        self.generation = generation

    @property
    def n_rows(self) -> int:
        """Rows in all, dead ones included."""
        return int(self.count.sum())

    @property
    def n_alive(self) -> int:
        return int(self.count[self.alive].sum())

    @property
    def dead_share(self) -> float:
        return 1 - self.n_alive / self.n_rows if self.n_rows else 0.0

    def append(self, keys: Sequence[int] | np.ndarray, count: Sequence[int] | np.ndarray) -> None:
        """These volumes follow, with so many rows each."""
        first = self.n_rows + np.cumsum(count) - np.asarray(count)
        self.keys = np.concatenate((self.keys, np.asarray(keys, np.int64)))
        self.count = np.concatenate((self.count, np.asarray(count, np.int64)))
        self.first = np.concatenate((self.first, first.astype(np.int64)))
        self.alive = np.concatenate((self.alive, np.ones(len(keys), bool)))

    def remove(self, keys: Sequence[int] | np.ndarray) -> None:
        """The rows of these volumes are dead; keys that are not here are no matter."""
        self.alive &= ~np.isin(self.keys, np.asarray(keys, np.int64))

    def chosen(self, allowed_keys: np.ndarray | None = None) -> np.ndarray:
        """int64, the segments that are alive and, where keys are given, of one of these; in row order."""
        if allowed_keys is None:
            return np.flatnonzero(self.alive)
        return np.flatnonzero(self.alive & np.isin(self.keys, np.asarray(allowed_keys, np.int64)))

    def row_mask(self, segments: np.ndarray) -> np.ndarray | None:
        """bool [n_rows], the rows of these segments; None if that is all of them."""
        if len(segments) == len(self.keys):
            return None
        chosen = np.zeros(len(self.keys), bool)
        chosen[segments] = True
        return np.repeat(chosen, self.count)

    def locate(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of which volume rows are: key int64 and row within the volume int32, -1 for -1; in the shape of `rows`."""
        rows = np.asarray(rows, np.int64)
        if len(self.keys) == 0:
            return np.full(rows.shape, -1, np.int64), np.full(rows.shape, -1, np.int32)
        segment = np.maximum(np.searchsorted(self.first, rows, side="right") - 1, 0)
        missing = rows < 0
        key = np.where(missing, -1, self.keys[segment])
        return key, np.where(missing, -1, rows - self.first[segment]).astype(np.int32)


def pending(rows: RowMap, source: EmbeddingSource, level: Level) -> tuple[Changes, list[tuple[int, int]]]:
    """What changed since the map's generation, and the (key, rows) to add at this level."""
    changes = source.changes_since(rows.generation)
    counted = [(key, n_pooled if level == "pooled" else n_rows) for key, n_rows, n_pooled in changes.added]
    return changes, counted


def batches(counted: Sequence[tuple[int, int]], rows_at_a_time: int = ROWS_AT_A_TIME) -> Iterator[list[int]]:
    """Keys in groups of about so many rows; every group has at least one."""
    group: list[int] = []
    total = 0
    for key, count in counted:
        if group and total + count > rows_at_a_time:
            yield group
            group, total = [], 0
        group.append(key)
        total += count
    if group:
        yield group


def read_level(source: EmbeddingSource, keys: Sequence[int], level: Level) -> tuple[np.ndarray, np.ndarray]:
    """The rows of these volumes at this level, float32 [N, d], and their offsets int64 [len(keys) + 1]."""
    return source.many_pooled(keys) if level == "pooled" else source.many_embeddings(keys)


def catch_up(
    rows: RowMap,
    source: EmbeddingSource,
    level: Level,
    add: Callable[[np.ndarray], None],
    rows_at_a_time: int = ROWS_AT_A_TIME,
    progress: ProgressCallback | None = None,
) -> bool:
    """Apply to an index what changed in the store since it was last looked at.

    Args:
        rows: the index's map; changed in place.
        add: appends float32 [n, d] rows to the index.
        rows_at_a_time: about so many rows are appended at once.
        progress: called between two times (stage "build", volumes); may raise Cancelled: the next call goes on.

    Returns:
        Whether the index can go on; False if it has to be rebuilt, from an empty map (the difference is not known,
        or too many rows are dead). The map is then in no state to be used.
    """
    for _attempt in range(5):
        changes, counted = pending(rows, source, level)
        if changes.rebuild and rows.generation > 0:
            return False
        try:
            current = [key for key, _count in counted]
            rows.remove(rows.keys[~np.isin(rows.keys, current)] if changes.rebuild else changes.removed)
            known = set(rows.keys.tolist())
            new = [one for one in counted if one[0] not in known]
            clock = ProgressClock("build", len(new), float(sum(count for _key, count in new)), progress)
            for keys in batches(new, rows_at_a_time):
                if clock.done:  # What is appended at once takes a moment, and happens even in a run that is stopped.
                    clock.tell(IN_WORDS[level])
                embeddings, offsets = read_level(source, keys, level)
                add(embeddings)
                rows.append(keys, np.diff(offsets))
                clock.count(len(keys), len(embeddings))
        except UnknownVolumeError:
            # Another process removed a volume between the two questions; it is among the next answer's removals.
            logger.debug("the store changed while an index caught up with it; looking again")
            continue
        rows.generation = changes.generation
        return rows.dead_share <= DEAD_SHARE
    raise UnknownVolumeError("the store changes faster than its index can follow: search again")
