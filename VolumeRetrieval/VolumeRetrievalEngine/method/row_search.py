"""What filtering needs of an index of slices: nearest rows, and scores of whole volumes. SliceIndex is one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class Hits:
    """What a search found, for q queries and k results each, best first; padded with -inf, -1 and -1.

    Attributes:
        similarity: float32 [q, k].
        key: int64 [q, k], the volume's key in the store.
        row: int32 [q, k], the row of the volume's embeddings (or pooled rows).
    """

    similarity: np.ndarray
    key: np.ndarray
    row: np.ndarray


class VolumeScores(Protocol):
    """Compares a query with all rows (slices, or groups of them) of volumes, each volume known by its key."""

    def scores(
        self, query: np.ndarray, keys: np.ndarray | None = None, mean: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """int64 [v] keys, and float32 [v] the late interaction RS of the query, float32 [n_q, d], with each; after
        the mean, float32 [d], was subtracted (centering.py), where one is given."""
        ...

    def directions(
        self, query: np.ndarray, keys: np.ndarray | None = None, mean: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """int64 [v] keys, and float32 [2, v] RS(Q, C) / n_q and RS(C, Q) / n_c (directions.py)."""
        ...


class RowSearch(VolumeScores, Protocol):
    """The rows of many volumes, searched."""

    @property
    def holds_rows(self) -> bool:
        """Whether the rows themselves are in memory, so that :meth:`scores` and :meth:`maxima` are possible."""
        ...

    @property
    def compares_all(self) -> bool:
        """Whether comparing with every volume is the way to search."""
        ...

    def search(self, queries: np.ndarray, k: int, allowed_keys: np.ndarray | None = None) -> Hits:
        """The k nearest rows for each query: float32 [q, d], among the volumes with these keys (None: all)."""
        ...

    def maxima(
        self, query: np.ndarray, keys: np.ndarray | None = None, mean: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """int64 [v] keys, and float32 [n_q, v] the greatest similarity of each query slice in each."""
        ...

    def count_allowed(self, allowed_keys: np.ndarray | None = None) -> tuple[int, int]:
        """Volumes and rows that a search with these keys can find."""
        ...
