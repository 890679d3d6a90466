"""The last queries that were searched with, for what is asked about their results afterwards."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..errors import UnknownSearchError
from ..method.late_interaction import similarity_matrix
from ..store.reader import StoreReader
from .match import SearchResult

#: A few: the panel asks about its last result, a script may have two to compare. A query is at most a few MB.
_KEPT = 4


class RecentQueries:
    """Keeps the last few results, without their matrices, and the embeddings of their queries, by `search_id`."""

    def __init__(self) -> None:
        self._embeddings: dict[str, np.ndarray] = {}
        self._results: dict[str, SearchResult] = {}

    def keep(self, result: SearchResult, embeddings: np.ndarray) -> None:
        """Remember a result and its query's embeddings, float32 [n_q, d]; the oldest are forgotten."""
        self._embeddings[result.search_id] = embeddings
        matches = tuple(replace(one, similarity=None) for one in result.matches)
        # Nor the thumbnails: of a query that was read they hold on to its voxels.
        self._results[result.search_id] = replace(result, matches=matches, query_thumbnail=lambda row: b"")
        while len(self._embeddings) > _KEPT:
            oldest = next(iter(self._embeddings))
            del self._embeddings[oldest], self._results[oldest]

    def result(self, search_id: str) -> SearchResult:
        """One of the last results, without its similarity matrices.

        Raises:
            UnknownSearchError: the search is not among the last few.
        """
        self._check(search_id)
        return self._results[search_id]

    def similarity(self, search_id: str, store: StoreReader, key: int) -> np.ndarray:
        """The similarity matrix of a search's query and a volume of the store, float32 [n_q, n_rows].

        Raises:
            UnknownSearchError: the search is not among the last few.
            UnknownVolumeError: the store does not hold the volume any more.
        """
        self._check(search_id)
        return similarity_matrix(self._embeddings[search_id], store.embeddings(key))

    def _check(self, search_id: str) -> None:
        if search_id not in self._embeddings:
            raise UnknownSearchError(f"the search {search_id!r} is no longer remembered: search again")
