"""What a search returns: plain values that can be shown, exported or sent through a pipe.

`to_dict` makes values for JSON and `from_dict` reads them back on the other side of a pipe. Two things do not travel:
the similarity matrices, which the search worker sends on request for the match that is looked at
(worker/PROTOCOL.md, `similarity`), and the query's thumbnails.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import QueryError
from ..method.correspondence import Correspondence
from ..method.localization import MatchedRange
from ..method.place import Place
from ..query.oriented_box import OrientedBox
from ..volume import Attributes, SliceTable, SourceFiles
from .likeness import Likeness
from .point_map import PointMap
from .refinement import Refinement
from .registered_map import RegisteredMap
from .searched_store import SearchedStore


@dataclass(frozen=True)
class Match:
    """One retrieved volume.

    Attributes:
        score: the similarity, at most 1, which it is for a volume and itself (METHOD.md, stage 3; SearchResult.score
            says what it is made of); for the baselines of stage 1 the baseline's own score.
        first_stage: the score that made it a candidate; NaN where every volume was scored.
        n_slices: slices of its full stack; `n_rows` of them are embedded.
        place: where in it the query lies: one range. None where only a baseline ran.
        ranges: the paper's localization: runs of votes, the heaviest first; used for its localization-ratio.
        best_query_slice, best_slice: the most similar pair of slices on the path, as numbers of the full stacks;
            `best_query_row`, `best_row` the same as row and column of S.
        part: what distinguishes it from others of its series; empty where it is the only one (VolumeRecord.part).
        correspondence: None where only a baseline ran.
        similarity: float32 [n_q, n_rows], S; None in a match that came through a pipe.
        slice_index: int32 [n_rows], the full-stack number of each embedded slice.
        positions_mm: float64 [n_rows], mm along the stack, ascending.
        box: the region of the query as a box in this volume, RAS mm. A box or a mask is mapped; for a whole volume or
            slices it is the body over the place's slices. None where there is no place, or no part of the query in it.
            Expected error: its center lies 14 mm (median 12) from that of the same organ in another patient, on 106
            organs of head-and-neck CT, five-fold (Testing/RESULTS.md).
        refinement: what a registration found, where one was requested (Retriever.refine). Where it is reliable,
            :meth:`map_points`, :meth:`map_back` and `best_box` use it; `box` and `point_map` stay as they were mapped.
        point_map: how points correspond by the path and the outlines; None where only a baseline ran.
        likeness: how unusual its similarity is in this archive; None where the archive is too small to say.
        mark: "like" or "unlike" where the user has marked it so (SearchOptions.like), else empty.
        store: the folder of the store that it is from, where several were searched as one; else empty.

    Example:
        >>> result = Retriever.open("index").search("archive/chest-0.nii.gz")
        >>> best = result.matches[0]
        >>> best.rank, Path(best.path).name, best.score > 0.9, best.similarity.shape == (best.n_rows, best.n_rows)
        (1, 'chest-1.nii.gz', True, ...)
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
    place: Place | None = None
    ranges: tuple[MatchedRange, ...] = ()
    best_query_slice: int = -1
    best_slice: int = -1
    best_query_row: int = -1
    best_row: int = -1
    part: str = ""
    correspondence: Correspondence | None = field(default=None, repr=False, compare=False)
    similarity: np.ndarray | None = field(default=None, repr=False, compare=False)
    slice_index: np.ndarray | None = field(default=None, repr=False, compare=False)
    positions_mm: np.ndarray | None = field(default=None, repr=False, compare=False)
    box: OrientedBox | None = field(default=None, compare=False)
    point_map: PointMap | None = field(default=None, repr=False, compare=False)
    refinement: Refinement | None = field(default=None, repr=False, compare=False)
    likeness: Likeness | None = field(default=None, compare=False)
    mark: str = field(default="", compare=False)
    store: str = field(default="", compare=False)

    @property
    def file_paths(self) -> tuple[Path, ...]:
        """Where its files are, as its store says; relative where the store does not know their folder."""
        # `path` is the root's folder and the label (store/volume_names.py).
        folder = Path(self.path)
        for _ in Path(self.files.label).parts:
            folder = folder.parent
        return tuple(folder / one for one in self.files.paths)

    @property
    def best_box(self) -> OrientedBox | None:
        """The region's box in this volume, RAS mm: the registered one where that is reliable, else `box`."""
        return self.box if self.refinement is None or not self.refinement.success else self.refinement.box

    @property
    def mapping(self) -> PointMap | RegisteredMap | None:
        """How points of the query and of this volume correspond: by the registration near the region where that is
        reliable (registered_map.py), else by `point_map`; None where only a baseline ran."""
        if self.point_map is None or self.refinement is None or not self.refinement.success:
            return self.point_map
        return RegisteredMap(self.point_map, self.refinement)

    def map_points(self, points_ras: np.ndarray) -> np.ndarray:
        """The points of this volume that correspond to points of the query: along the stack by the path, in plane
        relative to the outlines of the two bodies (point_map.py says what is beyond the path and in another plane);
        near a region that was registered, by the registration.

        Expected error: the middle of an organ of another patient is met within 15 mm (median 14; half of it along the
        stack), measured on 106 organs of head-and-neck CT, five-fold; see also `box`. Registered: within 11 mm (median
        9) in the region.

        Args:
            points_ras: float64 [n, 3], RAS mm.

        Returns:
            float64 [n, 3], RAS mm.

        Raises:
            QueryError: the match has no map, because only a baseline ran.
        """
        return self._mapping().points(points_ras)

    def map_back(self, points_ras: np.ndarray) -> np.ndarray:
        """The points of the query that correspond to points of this volume; the inverse of :meth:`map_points`."""
        return self._mapping().inverse().points(points_ras)

    def _mapping(self) -> PointMap | RegisteredMap:
        mapping = self.mapping
        if mapping is None:
            raise QueryError(f"{self.path or self.volume_id}: this ranking does not say which points correspond")
        return mapping

    def summary(self) -> dict[str, Any]:
        """What the command line prints as JSON: what identifies the volume, its score and where it matches."""
        return {
            "rank": self.rank,
            "id": self.volume_id,
            "path": self.path,
            "series_uid": self.series_uid,
            "modality": self.attributes.modality,
            "body_part": self.attributes.body_part,
            "series_description": self.attributes.series_description,
            "part": self.part,
            "plane": self.plane,
            "slices": self.n_slices,
            "score": self.score,
            "likeness": None if self.likeness is None else self.likeness.to_dict(),
            "mark": self.mark,
            "store": self.store,
            "first_stage": None if np.isnan(self.first_stage) else self.first_stage,
            "best_query_slice": self.best_query_slice,
            "best_slice": self.best_slice,
            "place": None if self.place is None else self.place.to_dict(),
            "box": None if self.box is None else self.box.to_dict(),
            "refinement": None if self.refinement is None else self.refinement.to_dict(),
            "ranges": [one.to_dict() for one in self.ranges],
        }

    def to_dict(self) -> dict[str, Any]:
        """Every field but the similarity matrix, as values for JSON."""
        return {
            "rank": self.rank,
            "volume_id": self.volume_id,
            "key": self.key,
            "score": self.score,
            "first_stage": None if np.isnan(self.first_stage) else self.first_stage,
            "files": {"root": self.files.root, "paths": list(self.files.paths)},
            "series_uid": self.series_uid,
            "attributes": asdict(self.attributes),
            "plane": self.plane,
            "n_slices": self.n_slices,
            "n_rows": self.n_rows,
            "path": self.path,
            "place": None if self.place is None else self.place.to_dict(),
            "ranges": [one.to_dict() for one in self.ranges],
            "best_query_slice": self.best_query_slice,
            "best_slice": self.best_slice,
            "best_query_row": self.best_query_row,
            "best_row": self.best_row,
            "part": self.part,
            "correspondence": None if self.correspondence is None else self.correspondence.to_dict(),
            "slice_index": None if self.slice_index is None else self.slice_index.tolist(),
            "positions_mm": None if self.positions_mm is None else self.positions_mm.tolist(),
            "box": None if self.box is None else self.box.to_dict(),
            "point_map": None if self.point_map is None else self.point_map.to_dict(),
            "refinement": None if self.refinement is None else self.refinement.to_dict(),
            "likeness": None if self.likeness is None else self.likeness.to_dict(),
            "mark": self.mark,
            "store": self.store,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Match:
        """The match that :meth:`to_dict` wrote, without a similarity matrix."""
        along, numbers, pairs = values["positions_mm"], values["slice_index"], values["correspondence"]
        box, points, refined = values.get("box"), values.get("point_map"), values.get("refinement")
        likeness = values.get("likeness")
        return cls(
            **{
                **values,
                "first_stage": float("nan") if values["first_stage"] is None else values["first_stage"],
                "files": SourceFiles(values["files"]["root"], tuple(values["files"]["paths"])),
                "attributes": Attributes(**values["attributes"]),
                "place": None if values["place"] is None else Place.from_dict(values["place"]),
                "ranges": tuple(MatchedRange.from_dict(one) for one in values["ranges"]),
                "correspondence": None if pairs is None else Correspondence.from_dict(pairs),
                "slice_index": None if numbers is None else np.array(numbers, np.int32),
                "positions_mm": None if along is None else np.array(along, np.float64),
                "box": None if box is None else OrientedBox.from_dict(box),
                "point_map": None if points is None else PointMap.from_dict(points),
                "refinement": None if refined is None else Refinement.from_dict(refined),
                "likeness": None if likeness is None else Likeness.from_dict(likeness),
            }
        )


def _no_thumbnail(row: int) -> bytes:
    """Of a result that came through a pipe."""
    return b""


@dataclass(frozen=True)
class SearchResult:
    """The ranking for one query, and how it was made.

    Attributes:
        matches: best first.
        query_id, query_path: volume id of the query, and its name to show.
        query_plane: "axial", "coronal" or "sagittal".
        query_table: the query's slices, rows of every similarity matrix.
        n_volumes: how many were searched, after filters.
        n_candidates: how many of them the first stage passed on.
        ranking: one of options.RANKINGS.
        filter: "slices", "pooled" or "none".
        score: the parts of the score that were used, "paper" for none (method/score_parts.py); empty for a baseline.
        seconds: spent on each step, by its name.
        notes: sentences that the user should see with the result.
        encoder: which encoder the store was made with, and what it ran on if it embedded the query.
        like, unlike: ids of the volumes that were marked as fitting and as not fitting (SearchOptions).
        query_box: around the region that was asked for, RAS mm, along the query's stack; None for a whole volume and
            for slices.
        stores: what came of each, where several stores were searched as one; else empty.
        search_id: identifies this search when the worker is asked for a similarity matrix.
        query_thumbnail: the JPEG of a row's slice; b"" where there is none.

    Example:
        >>> result = Retriever.open("index").search("archive/chest-0.nii.gz", options=SearchOptions(top=2))
        >>> result.query_plane, result.n_volumes, len(result.matches)
        ('axial', 3, 2)
        >>> SearchResult.from_dict(result.to_dict()) == result
        True
    """

    matches: tuple[Match, ...]
    query_id: str
    query_path: str
    query_plane: str
    query_table: SliceTable = field(repr=False, compare=False)
    n_volumes: int
    n_candidates: int
    ranking: str
    filter: str
    seconds: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    encoder: str = ""
    like: tuple[str, ...] = ()
    unlike: tuple[str, ...] = ()
    query_box: OrientedBox | None = None
    search_id: str = ""
    score: str = ""
    stores: tuple[SearchedStore, ...] = ()
    query_thumbnail: Callable[[int], bytes] = field(default=_no_thumbnail, repr=False, compare=False)

    @property
    def likeness(self) -> Likeness | None:
        """How unusual the best similarity is in this archive; None where that is not known."""
        known = [match.likeness for match in self.matches if match.likeness is not None]
        return max(known, key=lambda one: one.standing, default=None)

    def asked_box(self, match: Match) -> OrientedBox | None:
        """What was asked for in the query, RAS mm, as far as it is in a match; of a whole volume and of slices the body
        over them. None where nothing of it is."""
        if match.place is None or match.point_map is None or match.box is None:
            return None
        along = self.query_table.position
        first, last = match.place.query_first_row, match.place.query_last_row
        return self.query_box or match.point_map.query.slab(float(along[first]), float(along[last]))

    def alignment(self, match: Match) -> np.ndarray | None:
        """The affine that brings the query onto a match: the registration's where that is reliable, else the one
        nearest to the map within what was asked for and 15 mm around it. Its inverse shows the match in the query's
        space. Far from there it is arbitrary; `match.map_points` is not.

        Returns:
            float64 [4, 4], RAS mm of the query to RAS mm of the match; None where nothing asked for is in the match.

        Example:
            >>> result = Retriever.open("index").search("archive/chest-0.nii.gz", options=SearchOptions(top=1))
            >>> result.alignment(result.matches[0]).shape
            (4, 4)
        """
        box = self.asked_box(match)
        if box is None or match.point_map is None:
            return None
        if match.refinement is not None and match.refinement.success:
            return match.refinement.matrix
        return match.point_map.affine_around(box)

    def to_dict(self) -> dict[str, Any]:
        """Every field but the thumbnails, as values for JSON."""
        values = {name: value for name, value in self.__dict__.items() if name != "query_thumbnail"}
        matches = [match.to_dict() for match in self.matches]
        # The query's stack is the same in the map of every match: it is sent once.
        bodies = [points.pop("query") for one in matches if (points := one["point_map"]) is not None]
        return {
            **values,
            "query_table": self.query_table.to_dict(),
            "notes": list(self.notes),
            "like": list(self.like),
            "unlike": list(self.unlike),
            "stores": [one.to_dict() for one in self.stores],
            "matches": matches,
            "query_box": None if self.query_box is None else self.query_box.to_dict(),
            "query_body": bodies[0] if bodies else None,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SearchResult:
        """The result that :meth:`to_dict` wrote."""
        body, box = values.get("query_body"), values.get("query_box")
        matches = [
            {**one, "point_map": {**one["point_map"], "query": body}} if one.get("point_map") else one
            for one in values["matches"]
        ]
        return cls(
            **{
                **{name: value for name, value in values.items() if name != "query_body"},
                "query_table": SliceTable.from_dict(values["query_table"]),
                "notes": tuple(values["notes"]),
                "like": tuple(values.get("like", ())),
                "unlike": tuple(values.get("unlike", ())),
                "stores": tuple(SearchedStore.from_dict(one) for one in values.get("stores", ())),
                "query_box": None if box is None else OrientedBox.from_dict(box),
                "matches": tuple(Match.from_dict(one) for one in matches),
            }
        )
