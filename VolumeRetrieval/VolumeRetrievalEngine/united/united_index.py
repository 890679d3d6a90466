"""The indexes of several stores, searched as one (method/row_search.py says what filtering needs of an index)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

import numpy as np

from ..method.row_search import Hits, RowSearch, VolumeScores
from .elsewhere import answers
from .keys import moved, of_part

#: What an index answers about whole volumes: keys, and values with the volumes last.
_Answer = tuple[np.ndarray, np.ndarray]

P = TypeVar("P", bound=VolumeScores)


class UnitedScores(Generic[P]):
    """What compares whole volumes of all parts, by number (VolumeScores)."""

    def __init__(self, parts: Mapping[int, P]):
        self._parts = dict(parts)

    def scores(
        self, query: np.ndarray, keys: np.ndarray | None = None, mean: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        return self._asked(keys, lambda part, own: part.scores(query, own, mean))

    def directions(
        self, query: np.ndarray, keys: np.ndarray | None = None, mean: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        return self._asked(keys, lambda part, own: part.directions(query, own, mean))

    def _asked(self, keys: np.ndarray | None, ask: Callable[[P, np.ndarray | None], _Answer]) -> _Answer:
        own = {number: of_part(keys, number) for number in self._parts}
        asked = {number: part for number, part in self._parts.items() if (of := own[number]) is None or len(of)}
        if not asked:
            return ask(next(iter(self._parts.values())), np.zeros(0, np.int64))
        found = answers(asked, lambda number, part: ask(part, own[number]))
        return (
            np.concatenate([moved(keys, number) for number, (keys, _) in found.items()]),
            np.concatenate([values for _, values in found.values()], axis=-1),
        )


class UnitedIndex(UnitedScores[RowSearch]):
    """One index for all parts, by number; its answers are those of a single index with all rows, also among equals."""

    @property
    def holds_rows(self) -> bool:
        return all(part.holds_rows for part in self._parts.values())

    @property
    def compares_all(self) -> bool:
        return all(part.compares_all for part in self._parts.values())

    def search(self, queries: np.ndarray, k: int, allowed_keys: np.ndarray | None = None) -> Hits:
        """See RowSearch; equally similar rows in the order of the parts."""
        found = answers(self._parts, lambda number, part: part.search(queries, k, of_part(allowed_keys, number)))
        similarity = np.concatenate([one.similarity for one in found.values()], axis=1)
        key = np.concatenate([moved(one.key, number) for number, one in found.items()], axis=1)
        row = np.concatenate([one.row for one in found.values()], axis=1)
        order = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
        return Hits(*(np.take_along_axis(one, order, axis=1) for one in (similarity, key, row)))

    def maxima(
        self, query: np.ndarray, keys: np.ndarray | None = None, mean: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        return self._asked(keys, lambda part, own: part.maxima(query, own, mean))

    def count_allowed(self, allowed_keys: np.ndarray | None = None) -> tuple[int, int]:
        counts = answers(self._parts, lambda number, part: part.count_allowed(of_part(allowed_keys, number))).values()
        return sum(volumes for volumes, _ in counts), sum(rows for _, rows in counts)
