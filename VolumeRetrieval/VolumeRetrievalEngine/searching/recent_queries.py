"""The last queries that were searched with, for what is asked about their results afterwards."""

from __future__ import annotations

import numpy as np

from ..errors import UnknownSearchError
from ..method.late_interaction import similarity_matrix
from ..store.reader import StoreReader

#: A few: the panel asks about its last result, a script may have two to compare. A query is at most a few MB.
_KEPT = 4


class RecentQueries:
    """Keeps the embeddings of the last few queries, by the `search_id` of their results."""

    def __init__(self) -> None:
        self._embeddings: dict[str, np.ndarray] = {}

    def keep(self, search_id: str, embeddings: np.ndarray) -> None:
        """Remember a query's embeddings, float32 [n_q, d]; the oldest are forgotten."""
        self._embeddings[search_id] = embeddings
        while len(self._embeddings) > _KEPT:
            self._embeddings.pop(next(iter(self._embeddings)))

    def similarity(self, search_id: str, store: StoreReader, key: int) -> np.ndarray:
        """The similarity matrix of a search's query and a volume of the store, float32 [n_q, n_rows].

        Raises:
            UnknownSearchError: the search is not among the last few.
            UnknownVolumeError: the store does not hold the volume any more.
        """
        if search_id not in self._embeddings:
            raise UnknownSearchError(f"the search {search_id!r} is no longer remembered: search again")
        return similarity_matrix(self._embeddings[search_id], store.embeddings(key))
