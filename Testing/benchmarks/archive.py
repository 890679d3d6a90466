"""The engine under test, on an archive in memory: its indexes and its two-stage search, nothing else of a store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from VolumeRetrievalEngine.method.centering import mean_of_volumes
from VolumeRetrievalEngine.method.filtering import (
    RERANK,
    Candidates,
    candidates_by_pooled,
    candidates_by_slices,
    ranked,
)
from VolumeRetrievalEngine.method.late_interaction import score_segments, score_volumes
from VolumeRetrievalEngine.method.pooling import pool
from VolumeRetrievalEngine.method.reranking import rerank
from VolumeRetrievalEngine.method.score_parts import DEFAULT_PARTS
from VolumeRetrievalEngine.searching.scoring import Scoring
from VolumeRetrievalEngine.slice_index.slice_index import SliceIndex
from VolumeRetrievalEngine.store.records import Changes

from .peers import positions
from .stacks import StackSet

#: A returned volume is a hit if its exact score is within this of the tenth best.
TOLERANCE = 1e-6


class Archive:
    """A set of stacks as a store that an index can be made of; a volume's key is its number in the set."""

    generation = 1
    store_id = "benchmark"

    def __init__(self, stacks: StackSet):
        self.stacks = stacks
        self._indexes: dict[tuple[str, str], SliceIndex] = {}

    @cached_property
    def pooled(self) -> tuple[np.ndarray, np.ndarray]:
        """Pooled rows of all volumes float32 [M, d], and offsets int64 [V + 1]."""
        parts = [pool(one, positions(len(one)))[0] for one in map(self.stacks.volume, range(len(self.stacks)))]
        return np.concatenate(parts), np.concatenate(([0], np.cumsum([len(one) for one in parts])))

    def changes_since(self, generation: int) -> Changes:
        counts = zip(np.diff(self.stacks.offsets).tolist(), np.diff(self.pooled[1]).tolist(), strict=True)
        added = [(key, rows, pooled) for key, (rows, pooled) in enumerate(counts)]
        return Changes(added if generation < 1 else [], [], 1)

    def many_embeddings(self, keys: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        return _gather(self.stacks.rows, self.stacks.offsets, keys)

    def many_pooled(self, keys: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        return _gather(*self.pooled, keys)

    def index(self, level: str, kind: str) -> SliceIndex:
        """The index of this kind, made when first asked for."""
        if (level, kind) not in self._indexes:
            self._indexes[level, kind] = SliceIndex.open(None, self, level=level, kind=kind)
        return self._indexes[level, kind]

    def forget(self, level: str, kind: str) -> None:
        self._indexes.pop((level, kind), None)

    def exact(self, query: np.ndarray) -> np.ndarray:
        """RS / n_q of every volume: the engine's exhaustive search."""
        return score_volumes(query, self.stacks.rows, self.stacks.offsets) / len(query)

    def scores(self, query: np.ndarray, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """RS / n_q of some volumes, as a warm search has them (SliceIndex.scores)."""
        keys = np.sort(keys)
        first = self.stacks.offsets[keys]
        count = self.stacks.offsets[keys + 1] - first
        return keys, score_segments(query, self.stacks.rows, first, count) / np.float32(len(query))

    @cached_property
    def default_score(self) -> Scoring:
        """The default score of whole volumes, without neighbors; a stack of the benchmark has no modality."""
        return Scoring(replace(DEFAULT_PARTS, modality=False, neighbors=False), mean=mean_of_volumes(*self.pooled))

    def exact_by_default(self, query: np.ndarray) -> np.ndarray:
        """The default score of every volume, float32 [V]: the engine's exhaustive search."""
        everything, pooled_query = np.arange(len(self.stacks)), pool(query, positions(len(query)))[0]
        rows, offsets = self.pooled
        scores = self.default_score.by_segments(pooled_query, rows, offsets[:-1], np.diff(offsets), everything)
        scoring = self.default_score.with_neighbors(self, pooled_query, ranked(everything, scores))
        offsets = self.stacks.offsets
        return scoring.by_segments(query, self.stacks.rows, offsets[:-1], np.diff(offsets), everything)

    def two_stage_by_default(self, query: np.ndarray, kind: str = "auto") -> np.ndarray:
        """Keys that were compared in full, best first, by the default score: the default search for whole volumes."""
        scoring = self.default_score
        candidates = self._candidates(query, kind, scoring)
        scoring = scoring.with_neighbors(self, pool(query, positions(len(query)))[0], candidates)

        def scores(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            keys = np.sort(keys)
            first = self.stacks.offsets[keys]
            count = self.stacks.offsets[keys + 1] - first
            return keys, scoring.by_segments(query, self.stacks.rows, first, count, keys)

        return rerank(scoring.again(candidates).best(RERANK), scores, 10)[0]

    def two_stage(self, query: np.ndarray, kind: str = "auto") -> np.ndarray:
        """The same by the paper's score."""
        candidates = self._candidates(query, kind, Scoring()).best(RERANK)
        return rerank(candidates, lambda keys: self.scores(query, keys), 10)[0]

    def _candidates(self, query: np.ndarray, kind: str, scoring: Scoring) -> Candidates:
        """By pooled rows: all volumes, or those that a search of the nearest rows comes upon (ranking.py)."""
        index = self.index("pooled", kind)
        if index.compares_all:
            return candidates_by_pooled(index, query, positions(len(query)), None, score=scoring.by_index)
        pooled = pool(query, positions(len(query)))[0]
        keys = candidates_by_slices(index, pooled, RERANK).keys
        return ranked(keys, scoring.by_rows(pooled, *self.many_pooled(keys), keys))

    def focal(self, query: np.ndarray, kind: str = "auto") -> np.ndarray:
        """The same for a query of few slices, which is filtered by full slices."""
        candidates = candidates_by_slices(self.index("slices", kind), query)
        keys, scores = self.scores(query, candidates.keys)
        return keys[np.lexsort((keys, -scores))]


def recall_at_10(found: Sequence[int] | np.ndarray, exact: np.ndarray) -> float:
    """The share of the ten places that are filled by volumes as good as the exact top ten (`exact` float [V])."""
    tenth = np.partition(exact, -10)[-10]
    return float((exact[np.asarray(found[:10], dtype=np.int64)] >= tenth - TOLERANCE).sum() / 10)


def _gather(rows: np.ndarray, offsets: np.ndarray, keys: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    counts = np.array([offsets[key + 1] - offsets[key] for key in keys])
    own = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    if np.all(np.diff(keys) == 1):
        return rows[offsets[keys[0]] : offsets[keys[-1] + 1]], own
    return np.concatenate([rows[offsets[key] : offsets[key + 1]] for key in keys]), own
