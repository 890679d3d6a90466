"""The score of one search: late interaction and those of its parts that suit the query (method/score_parts.py)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..method.directions import combined, scores_in_both_directions
from ..method.late_interaction import score_volumes
from ..method.modality import with_preference
from ..method.row_search import RowSearch
from ..method.score_parts import ScoreParts
from ..query.query import Query
from ..store.attribute_filter import AttributeFilter
from ..store.reader import StoreReader
from .session import SearchSession

#: Volumes whose rows are read from the store at a time: some 20 to 80 MB.
_VOLUMES_AT_A_TIME = 200

#: Keys and scores of volumes, in any order: int64 [v], float32 [v].
Scored = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Scoring:
    """How similar volumes are to rows that are searched with: 1 for the same volume, at least -1.

    Attributes:
        parts: what the score has besides late interaction.
        others: int64, ascending: the volumes known to be of another modality than the query; empty where that does not
            count.
    """

    parts: ScoreParts = field(default_factory=ScoreParts)
    others: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))

    @classmethod
    def of(cls, store: StoreReader, query: Query, parts: ScoreParts, keep: AttributeFilter) -> Scoring:
        """The score of a search, with the parts that suit it.

        One direction for a region; no preference where the query's modality is not known, or where the user has chosen
        modalities.

        Args:
            keep: which volumes the search may return.
        """
        is_chosen = any(one.attribute == "modality" for one in keep.conditions)
        parts = replace(
            parts,
            directions=parts.directions and query.is_whole,
            modality=parts.modality and bool(query.modality) and not is_chosen,
        )
        if not parts.modality:
            return cls(parts)
        return cls(parts, store.keys_of_other_modality(query.modality))

    def by_index(self, index: RowSearch, query: np.ndarray, keys: np.ndarray | None = None) -> Scored:
        """Volumes scored by the rows of an index that holds them, slices or pooled rows.

        Args:
            query: float32 [n_q, d], rows of the index's level.
            keys: int64, the volumes; None for all. Keys that are not in the index are left out.
        """
        if self.parts.directions:
            known, both = index.directions(query, keys)
            return known, self._finished(known, combined(both))
        known, scores = index.scores(query, keys)
        return known, self._finished(known, scores / np.float32(len(query)))

    def by_rows(self, query: np.ndarray, rows: np.ndarray, offsets: np.ndarray, keys: np.ndarray) -> np.ndarray:
        """float32 [v]: these volumes scored by their rows, float32 [N, d], volume v's from offsets[v] on."""
        if self.parts.directions:
            scores = combined(scores_in_both_directions(query, rows, offsets[:-1], np.diff(offsets)))
        else:
            scores = score_volumes(query, rows, offsets) / np.float32(len(query))
        return self._finished(keys, scores)

    def exact(self, session: SearchSession, query: np.ndarray, keys: Sequence[int] | np.ndarray) -> Scored:
        """Volumes scored by all their slices: from the slices' index where it is open and holds them, else read from
        the store in blocks."""
        wanted = np.asarray(keys, np.int64)
        index = session.opened("slices")
        if index is not None and index.holds_rows:
            return self.by_index(index, query, wanted)
        scores = np.empty(len(wanted), np.float32)
        for start in range(0, len(wanted), _VOLUMES_AT_A_TIME):
            part = slice(start, start + _VOLUMES_AT_A_TIME)
            scores[part] = self.by_rows(query, *session.store.many_embeddings(wanted[part]), wanted[part])
        return wanted, scores

    def _finished(self, keys: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Within [-1, 1], which rounding can leave by a few 1e-7; and with the preference."""
        scores = np.clip(scores, -1, 1)
        return with_preference(scores, np.isin(keys, self.others)) if self.parts.modality else scores
