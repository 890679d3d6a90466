"""One indexed archive, asked in the engine's own steps.

A search of the engine says of every result where the query lies in it; the evaluation ranks every volume hundreds of
times and looks into one. The steps are those of a search (Testing/engine/test_evaluation.py compares them).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from VolumeRetrievalEngine.method.late_interaction import similarity_matrix
from VolumeRetrievalEngine.query.query import Query, query_from_store
from VolumeRetrievalEngine.query.region import Region
from VolumeRetrievalEngine.recipe import Recipe
from VolumeRetrievalEngine.retriever import Retriever
from VolumeRetrievalEngine.searching.match import Match
from VolumeRetrievalEngine.searching.matching import localized_match
from VolumeRetrievalEngine.searching.options import SearchOptions
from VolumeRetrievalEngine.searching.search import Ranked, ranked
from VolumeRetrievalEngine.searching.session import SearchSession
from VolumeRetrievalEngine.store.records import VolumeRecord
from VolumeRetrievalEngine.volume import SliceTable, Volume

#: More results than any archive here has volumes.
_ALL = 100_000

#: Volumes that are kept after they were read for a registration.
_VOLUMES_KEPT = 32


@dataclass(frozen=True)
class Order:
    """Volumes, best first.

    Attributes:
        keys: int64 [v].
        scores: float32 [v]: of those that were compared in full their score; of the others what the first stage says.
        compared: how many were compared in full; the others follow as the first stage puts them.
    """

    keys: np.ndarray
    scores: np.ndarray
    compared: int


class Archive:
    """The volumes of one store, to rank and to look into.

    Attributes:
        recipe: what they were embedded with.
    """

    def __init__(self, retriever: Retriever):
        self.recipe: Recipe = retriever.recipe
        self._retriever = retriever
        self._session = SearchSession(Path(retriever.status().folder))
        self._session.refresh()
        self._records = {record.key: record for record in self._session.store.listing()}
        self._embeddings = lru_cache(maxsize=None)(self._session.store.embeddings)
        self._slices = lru_cache(maxsize=None)(self._session.store.slices)
        self._volume = lru_cache(maxsize=_VOLUMES_KEPT)(self._read)

    def listing(self) -> list[VolumeRecord]:
        """The volumes."""
        return list(self._records.values())

    def path_of(self, record: VolumeRecord) -> Path:
        """Where its files are."""
        return Path(self._retriever.path_of(record))

    def slices(self, record: VolumeRecord) -> SliceTable:
        """Its embedded slices."""
        return self._slices(record.key)

    def query(self, record: VolumeRecord, region: Region | None = None) -> Query:
        """A stored volume, or a region of it, to search with."""
        return query_from_store(self._session.store, record, record.volume_id, region)

    def ranking(self, query: Query, options: SearchOptions) -> Ranked:
        """The engine's ranking."""
        return ranked(self._session, query, options)

    def order(self, query: Query, options: SearchOptions) -> Order:
        """Every volume that may be returned (for a baseline: that was hit), best first.

        Two-stage search stops comparing when its results are settled; what it leaves stays in the first stage's order.
        """
        found = self.ranking(query, options).ranking
        keys, scores = found.keys, found.scores
        if options.ranking == "two-stage":
            every = self.ranking(query, replace(options, top=_ALL)).ranking
            rest = np.flatnonzero(~np.isin(every.keys, keys))
            rest = rest[np.argsort(-every.first_stage[rest], kind="stable")]
            keys, scores = np.append(keys, every.keys[rest]), np.append(scores, every.first_stage[rest])
        return Order(keys, scores, len(found.keys))

    def order_of_candidates(self, query: Query, candidates: int) -> Order:
        """The same where so many candidates of the first stage are compared in full, no more and no less."""
        every = self.ranking(query, SearchOptions(top=_ALL)).ranking
        by_first_stage = np.argsort(-every.first_stage, kind="stable")
        best, rest = by_first_stage[:candidates], by_first_stage[candidates:]
        best = best[np.argsort(-every.scores[best], kind="stable")]
        scores = np.append(every.scores[best], every.first_stage[rest])
        return Order(every.keys[np.append(best, rest)], scores, len(best))

    def pooled(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The pooled rows of volumes, float32 [N, d], and where each begins, int64 [v + 1]."""
        return self._session.store.many_pooled(keys)

    def similarity(self, query: Query, key: int) -> np.ndarray:
        """S with this volume, float32 [n_q, n_c]."""
        return similarity_matrix(query.embeddings, self._embeddings(key))

    def match(self, query: Query, key: int, score: float = np.nan) -> Match:
        """Where the query lies in this volume."""
        record = self._records[key]
        return localized_match(
            rank=0,
            record=record,
            path=str(self.path_of(record)),
            query=query,
            embeddings=self._embeddings(key),
            table=self._slices(key),
            score=score,
            first_stage=np.nan,
            outlines=self._session.store.outlines(key),
        )

    def volume(self, key: int) -> Volume:
        """Its voxels."""
        return self._volume(key)

    def close(self) -> None:
        self._session.close()
        self._retriever.close()

    def _read(self, key: int) -> Volume:
        return self._retriever.read_again(self._records[key])
