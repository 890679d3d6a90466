"""What a search returns: plain values that can be shown, exported or sent through a pipe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..method.correspondence import Correspondence
from ..method.localization import MatchedRange
from ..volume import Attributes, SliceTable, SourceFiles


@dataclass(frozen=True)
class Match:
    """One retrieved volume.

    Attributes:
        score: RS / n_q in [-1, 1] (METHOD.md stage 3); for the baselines of stage 1 the baseline's own score.
        first_stage: the score that made it a candidate; NaN where every volume was scored.
        n_slices: slices of its full stack; `n_rows` of them are embedded.
        best_query_slice, best_slice: the heaviest range's most similar pair of slices, as numbers of the full stacks;
            `best_query_row`, `best_row` the same as row and column of S.
        similarity: float32 [n_q, n_rows], S; None where only a baseline ran.
    """

    rank: int
    volume_id: str
    key: int
    score: float
    first_stage: float
    files: SourceFiles
    series_uid: str
    attributes: Attributes
    plane: str
    n_slices: int
    n_rows: int
    path: str = ""
    ranges: tuple[MatchedRange, ...] = ()
    best_query_slice: int = -1
    best_slice: int = -1
    best_query_row: int = -1
    best_row: int = -1
    correspondence: Correspondence | None = None
    similarity: np.ndarray | None = field(default=None, repr=False, compare=False)
    slice_index: np.ndarray | None = field(default=None, repr=False, compare=False)  # int [n_rows], full-stack numbers
    positions_mm: np.ndarray | None = field(default=None, repr=False, compare=False)  # float [n_rows]

    def to_dict(self, arrays: bool = False) -> dict[str, Any]:
        """Values for JSON; with `arrays` also the similarity matrix and the correspondence."""
        values: dict[str, Any] = {
            "rank": self.rank,
            "id": self.volume_id,
            "path": self.path,
            "series_uid": self.series_uid,
            "modality": self.attributes.modality,
            "body_part": self.attributes.body_part,
            "series_description": self.attributes.series_description,
            "plane": self.plane,
            "slices": self.n_slices,
            "score": self.score,
            "first_stage": None if np.isnan(self.first_stage) else self.first_stage,
            "best_query_slice": self.best_query_slice,
            "best_slice": self.best_slice,
            "ranges": [one.to_dict() for one in self.ranges],
        }
        if arrays and self.similarity is not None:
            values["similarity"] = np.asarray(self.similarity, dtype=float).round(6).tolist()
            values["slice_index"] = np.asarray(self.slice_index).tolist()
            values["positions_mm"] = np.asarray(self.positions_mm, dtype=float).round(3).tolist()
        if arrays and self.correspondence is not None:
            values["correspondence"] = {
                "best": self.correspondence.best.tolist(),
                "path": self.correspondence.path.round(3).tolist(),
                "flipped": self.correspondence.flipped,
            }
        return values


@dataclass(frozen=True)
class SearchResult:
    """The ranking for one query, with what the user should know about how it came about."""

    matches: tuple[Match, ...]
    query_id: str  # volume id of the query
    query_path: str
    query_plane: str
    query_table: SliceTable  # the query's slices, rows of every similarity matrix
    query_thumbnail: Callable[[int], bytes]  # JPEG of a row's slice, b"" if there is none
    n_volumes: int  # searched after filters
    n_candidates: int
    ranking: str  # "two-stage", "exhaustive", "count", "sum" or "maximum"
    filter: str  # "slices", "pooled" or "none"
    seconds: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    encoder: str = ""  # which encoder the store was made with, and what it ran on if it embedded the query

    def to_dict(self, arrays: bool = False) -> dict[str, Any]:
        return {
            "query": self.query_path,
            "encoder": self.encoder,
            "plane": self.query_plane,
            "query_slices": self.query_table.index.tolist(),
            "query_positions_mm": self.query_table.position.round(3).tolist(),
            "volumes": self.n_volumes,
            "candidates": self.n_candidates,
            "ranking": self.ranking,
            "filter": self.filter,
            "seconds": self.seconds,
            "notes": list(self.notes),
            "matches": [match.to_dict(arrays) for match in self.matches],
        }
