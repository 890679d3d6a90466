"""The indexes of several stores, searched as one (method/row_search.py says what filtering needs of an index)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ..method.row_search import Hits, RowSearch
from .keys import moved, of_part

#: What an index answers about whole volumes: keys, and values with the volumes last.
_Answer = tuple[np.ndarray, np.ndarray]


class UnitedIndex:
    """One index for all parts, by number; its answers are those of a single index with all rows, also among equals."""

    def __init__(self, parts: Mapping[int, RowSearch]):
        self._parts = dict(parts)

    @property
    def holds_rows(self) -> bool:
        return all(part.holds_rows for part in self._parts.values())

    @property
    def compares_all(self) -> bool:
        return all(part.compares_all for part in self._parts.values())

    def search(self, queries: np.ndarray, k: int, allowed_keys: np.ndarray | None = None) -> Hits:
        """See RowSearch; equally similar rows in the order of the parts."""
        found = {number: part.search(queries, k, of_part(allowed_keys, number)) for number, part in self._parts.items()}
        similarity = np.concatenate([one.similarity for one in found.values()], axis=1)
        key = np.concatenate([moved(one.key, number) for number, one in found.items()], axis=1)
        row = np.concatenate([one.row for one in found.values()], axis=1)
        order = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
        return Hits(*(np.take_along_axis(one, order, axis=1) for one in (similarity, key, row)))

    def scores(
        self, query: np.ndarray, keys: np.ndarray | None = None, mean: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        return self._asked(keys, lambda part, own: part.scores(query, own, mean))

    def directions(
        self, query: np.ndarray, keys: np.ndarray | None = None, mean: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        return self._asked(keys, lambda part, own: part.directions(query, own, mean))

    def maxima(
        self, query: np.ndarray, keys: np.ndarray | None = None, mean: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        return self._asked(keys, lambda part, own: part.maxima(query, own, mean))

    def count_allowed(self, allowed_keys: np.ndarray | None = None) -> tuple[int, int]:
        counts = [part.count_allowed(of_part(allowed_keys, number)) for number, part in self._parts.items()]
        return sum(volumes for volumes, _ in counts), sum(rows for _, rows in counts)

    def _asked(self, keys: np.ndarray | None, ask: Callable[[RowSearch, np.ndarray | None], _Answer]) -> _Answer:
        answers = [
            (number, ask(part, own))
            for number, part in self._parts.items()
            if (own := of_part(keys, number)) is None or len(own)
        ]
        if not answers:
            return ask(next(iter(self._parts.values())), np.zeros(0, np.int64))
        return (
            np.concatenate([moved(found, number) for number, (found, _) in answers]),
            np.concatenate([values for _, (_, values) in answers], axis=-1),
        )
