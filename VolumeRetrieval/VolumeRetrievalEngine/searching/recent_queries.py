"""The last queries that were searched with, for what is asked about their results afterwards."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..errors import QueryError, UnknownSearchError
from ..method.late_interaction import similarity_matrix
from ..query.query import Query
from ..store.reader import StoreReader
from .match import Match, SearchResult

#: A few: the panel asks about its last result, a script may have two to compare. A query is at most a few MB.
_KEPT = 4


class RecentQueries:
    """Keeps the last few results, without their matrices, and their queries, by `search_id`."""

    def __init__(self) -> None:
        self._queries: dict[str, Query] = {}
        self._results: dict[str, SearchResult] = {}

    def keep(self, result: SearchResult, query: Query) -> SearchResult:
        """Remember a result, which is returned, and its query; the oldest are forgotten."""
        self._queries[result.search_id] = replace(query, thumbnail=lambda row: b"")
        matches = tuple(replace(one, similarity=None) for one in result.matches)
        # Nor the thumbnails: of a query that was read they hold on to its voxels.
        self._results[result.search_id] = replace(result, matches=matches, query_thumbnail=lambda row: b"")
        while len(self._queries) > _KEPT:
            oldest = next(iter(self._queries))
            del self._queries[oldest], self._results[oldest]
        return result

    def result(self, search_id: str) -> SearchResult:
        """One of the last results, without its similarity matrices.

        Raises:
            UnknownSearchError: the search is not among the last few.
        """
        self._check(search_id)
        return self._results[search_id]

    def match(self, search_id: str, key: int) -> Match:
        """The match of one of the last results with this key.

        Raises:
            UnknownSearchError: the search is not among the last few. QueryError: no match of it has this key.
        """
        match = next((one for one in self.result(search_id).matches if one.key == key), None)
        if match is None:
            raise QueryError(f"the volume {key} is not among the results of the search {search_id!r}")
        return match

    def query(self, search_id: str) -> Query:
        """The query of one of the last results, without thumbnails.

        Raises:
            UnknownSearchError: the search is not among the last few.
        """
        self._check(search_id)
        return self._queries[search_id]

    def similarity(self, search_id: str, store: StoreReader, key: int) -> np.ndarray:
        """The similarity matrix of a search's query and a volume of the store, float32 [n_q, n_rows].

        Raises:
            UnknownSearchError: the search is not among the last few.
            UnknownVolumeError: the store does not hold the volume any more.
        """
        self._check(search_id)
        return similarity_matrix(self._queries[search_id].embeddings, store.embeddings(key))

    def _check(self, search_id: str) -> None:
        if search_id not in self._queries:
            raise UnknownSearchError(f"the search {search_id!r} is no longer remembered: search again")
