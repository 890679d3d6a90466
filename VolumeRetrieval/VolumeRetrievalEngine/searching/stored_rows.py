"""Volumes compared by the rows that lie in the store, where no index holds them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ..method.directions import scores_in_both_directions
from ..method.late_interaction import score_segments
from ..slice_index.row_map import EmbeddingSource, Level, read_level

#: Volumes whose rows are read at a time: some 20 to 80 MB.
_VOLUMES_AT_A_TIME = 200


class StoredRows:
    """See :class:`~..method.row_search.VolumeScores`; the volumes have to be named."""

    def __init__(self, store: EmbeddingSource, level: Level):
        self._store = store
        self._level = level

    def scores(
        self, query: np.ndarray, keys: np.ndarray | None = None, mean: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        wanted = _named(keys)
        values = list(self._compared(score_segments, query, wanted, mean))
        return wanted, np.concatenate([np.zeros(0, np.float32), *values])

    def directions(
        self, query: np.ndarray, keys: np.ndarray | None = None, mean: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        wanted = _named(keys)
        values = list(self._compared(scores_in_both_directions, query, wanted, mean))
        return wanted, np.concatenate([np.zeros((2, 0), np.float32), *values], axis=1)

    def _compared(
        self, compare: Callable[..., np.ndarray], query: np.ndarray, keys: np.ndarray, mean: np.ndarray | None
    ) -> Iterator[np.ndarray]:
        for start in range(0, len(keys), _VOLUMES_AT_A_TIME):
            rows, offsets = read_level(self._store, keys[start : start + _VOLUMES_AT_A_TIME].tolist(), self._level)
            yield compare(query, rows, offsets[:-1], np.diff(offsets), mean)


def _named(keys: np.ndarray | None) -> np.ndarray:
    if keys is None:
        raise ValueError("rows are read from the store for named volumes only")
    return np.asarray(keys, np.int64)
