"""The score of one search: late interaction and those of its parts that suit the query (method/score_parts.py)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from ..method import reciprocal
from ..method.directions import combined, scores_in_both_directions
from ..method.filtering import Candidates, candidates_by_slices, ranked
from ..method.late_interaction import score_segments
from ..method.modality import with_preference
from ..method.row_search import VolumeScores
from ..method.score_parts import ScoreParts
from ..query.query import Query
from ..store.attribute_filter import AttributeFilter
from .session import SearchSession

#: Keys and scores of volumes, in any order: int64 [v], float32 [v].
Scored = tuple[np.ndarray, np.ndarray]


class PooledRows(Protocol):
    """What is needed of a store to ask candidates for their neighbors."""

    def many_pooled(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """float32 [N, d] pooled rows of these volumes one after another, and int64 [v + 1] offsets."""
        ...


def _none() -> np.ndarray:
    return np.zeros(0, np.int64)


@dataclass(frozen=True)
class Scoring:
    """How similar volumes are to rows that are searched with: 1 for the same volume, at most.

    Attributes:
        parts: what the score has besides late interaction.
        others: int64, ascending: the volumes known to be of another modality than the query; empty where that does not
            count.
        mean: float32 [d], the archive's mean embedding; None where nothing is centered.
        neighbors: int64, ascending: the best candidates by pooled rows; empty where these are not asked.
        agreed: float32, how far each of them has the query's neighbors (method/reciprocal.py); 0 for other volumes.
    """

    parts: ScoreParts = field(default_factory=ScoreParts)
    others: np.ndarray = field(default_factory=_none)
    mean: np.ndarray | None = None
    neighbors: np.ndarray = field(default_factory=_none)
    agreed: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))

    @classmethod
    def of(cls, session: SearchSession, query: Query, parts: ScoreParts, keep: AttributeFilter) -> Scoring:
        """The score of a search, with the parts that suit it, but for the neighbors (:meth:`with_neighbors`).

        A region is compared in one direction and whatever the modality, and has no neighbors. Nothing is preferred
        where the query's modality is not known, or where the user has chosen modalities. A small archive has no mean.

        Args:
            keep: which volumes the search may return.
        """
        is_chosen = any(one.attribute == "modality" for one in keep.conditions)
        has_preference = parts.modality and query.is_whole and bool(query.modality) and not is_chosen
        mean = session.mean() if parts.centering else None
        return cls(
            replace(
                parts,
                directions=parts.directions and query.is_whole,
                modality=has_preference,
                centering=mean is not None,
                neighbors=False,
            ),
            session.store.keys_of_other_modality(query.modality) if has_preference else _none(),
            mean,
        )

    def with_neighbors(self, store: PooledRows, pooled: np.ndarray, candidates: Candidates) -> Scoring:
        """This score, and what the candidates' neighbors say.

        Args:
            store: where the candidates' pooled rows are read.
            pooled: float32 [m, d], the query's.
            candidates: by pooled rows and this score. Of too few nothing is asked.
        """
        keys = candidates.keys[: reciprocal.NODES]
        if len(keys) < reciprocal.NODES:
            return self
        rows, offsets = store.many_pooled(keys)
        similarity = reciprocal.mutual_similarity(
            np.concatenate((pooled, rows)), np.concatenate(([0], offsets + len(pooled))), self.mean
        )
        order = np.argsort(keys)
        agreed = reciprocal.agreement(similarity)[order]
        return replace(self, parts=replace(self.parts, neighbors=True), neighbors=keys[order], agreed=agreed)

    def by_index(self, index: VolumeScores, query: np.ndarray, keys: np.ndarray | None = None) -> Scored:
        """Volumes scored by all of their rows, slices or pooled ones.

        Args:
            index: which has the rows.
            query: float32 [n_q, d], rows of the index's level.
            keys: int64, the volumes; None for all. Keys that are not in the index are left out.
        """
        if self.parts.directions:
            known, both = index.directions(query, keys, self.mean)
            return known, self._finished(known, combined(both))
        known, scores = index.scores(query, keys, self.mean)
        return known, self._finished(known, scores / np.float32(len(query)))

    def by_segments(
        self, query: np.ndarray, rows: np.ndarray, first: np.ndarray, count: np.ndarray, keys: np.ndarray
    ) -> np.ndarray:
        """float32 [v]: volumes scored by the rows of a matrix, float32 [N, d], of which volume v has count[v] from
        first[v] on."""
        if self.parts.directions:
            scores = combined(scores_in_both_directions(query, rows, first, count, self.mean))
        else:
            scores = score_segments(query, rows, first, count, self.mean) / np.float32(len(query))
        return self._finished(keys, scores)

    def exact(self, session: SearchSession, query: np.ndarray, keys: Sequence[int] | np.ndarray) -> Scored:
        """Volumes scored by all their slices; in any order."""
        return self.by_index(session.rows("slices"), query, np.asarray(keys, np.int64))

    def pooled(self, session: SearchSession, pooled: np.ndarray, keys: np.ndarray) -> Candidates:
        """All of these volumes by their pooled rows."""
        return ranked(*self.by_index(session.rows("pooled"), pooled, keys))

    def nearest(self, session: SearchSession, pooled: np.ndarray, allowed: np.ndarray, distinct: int) -> Candidates:
        """All of the allowed volumes by their pooled rows, or those that a search of the nearest rows comes upon.

        Such a search knows of each volume only what is near: all of their pooled rows are compared. How far it has to
        go, and why no fewer are compared: ENGINES.md, Growth.

        Args:
            pooled: float32 [m, d], pooled rows to search with.
            distinct: volumes that each of them searches for, where not all are compared.
        """
        index = session.pooled
        if not index.compares_all:
            allowed = candidates_by_slices(index, pooled, distinct, allowed).keys
        return self.pooled(session, pooled, allowed)

    def again(self, candidates: Candidates) -> Candidates:
        """Candidates that were scored without the neighbors, with them."""
        return ranked(candidates.keys, self._with_agreement(candidates.keys, candidates.first_stage))

    def _finished(self, keys: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Within [-1, 1], which rounding can leave by a few 1e-7; and with what does not depend on slices."""
        scores = np.clip(scores, -1, 1)
        if self.parts.modality:
            scores = with_preference(scores, np.isin(keys, self.others))
        return self._with_agreement(keys, scores)

    def _with_agreement(self, keys: np.ndarray, scores: np.ndarray) -> np.ndarray:
        if not self.parts.neighbors:
            return scores
        agreed = np.zeros(len(keys), np.float32)
        place = np.minimum(np.searchsorted(self.neighbors, keys), len(self.neighbors) - 1)
        is_neighbor = self.neighbors[place] == keys
        agreed[is_neighbor] = self.agreed[place[is_neighbor]]
        return reciprocal.with_agreement(scores, agreed)
