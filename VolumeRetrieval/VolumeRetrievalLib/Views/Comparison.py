"""What a comparison shows: which volumes in which columns, and what is known of their slices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from VolumeRetrievalEngine.searching.match import Match, SearchResult

from . import OverlayVolumes
from .ColumnView import ColumnView
from .FollowMatch import FollowedResult, FollowMatch
from .FollowPoint import FollowPoint
from .SlicePairs import Companion, OverlaidCompanion, StackRows
from .StackGeometry import StackGeometry
from .ViewSlices import MOST_DEGREES


@dataclass(frozen=True)
class ShownMatch:
    """A match and the volume node that was loaded for it.

    `name` says whose volume it is. `isOurs`: it was not in the scene before, and goes when the comparison is closed.
    """

    match: Match
    volumeNode: Any
    isOurs: bool = True
    name: str = ""


@dataclass
class Comparison:
    """What the views show. `ownViews` are the results' columns, each in the result's own space."""

    result: SearchResult
    query: ColumnView
    queryRows: StackRows
    queryName: str
    matches: list[ShownMatch]
    ownViews: list[ColumnView]
    selected: int = 0
    similarities: dict[int, np.ndarray] = field(default_factory=dict)  # by the match's key
    results: list[FollowedResult] = field(init=False, default_factory=list)
    follow: FollowMatch = field(init=False)
    followPoint: FollowPoint = field(init=False)

    def connect(self, views: Sequence[ColumnView], onMoved: Callable[[], None]) -> None:
        """These are the results' columns from now on; nothing follows anything yet (FollowMatch says what for)."""
        self.results = [
            FollowedResult(view, self._companion(one.match, own, view))
            for one, own, view in zip(self.matches, self.ownViews, views, strict=True)
        ]
        self.follow = FollowMatch(self.query, self.queryRows, self.results, onMoved)
        self.followPoint = FollowPoint(self.query, views, [one.match for one in self.matches], self.follow)

    @property
    def isOverlaid(self) -> bool:
        """Whether results are shown over the query, in its space."""
        return any(one.view.isOverlay for one in self.results)

    def overlayViews(self) -> list[ColumnView]:
        """Each result over the query; one that has no place in the query stays in its own space."""
        views = []
        for one, own in zip(self.matches, self.ownViews, strict=True):
            alignment = self.result.alignment(one.match)
            if alignment is None:
                views.append(own)
                continue
            name = f"{one.match.rank}: {one.name or one.volumeNode.GetName()}"  # the Data Probe elides longer ones
            node = OverlayVolumes.show(own.column.main, one.volumeNode, alignment, name)
            views.append(ColumnView(own.column, self.query.volumeNode, self.query.geometry, own.hasNavigator, node))
        return views

    def _companion(self, match: Match, own: ColumnView, view: ColumnView) -> Companion | OverlaidCompanion:
        rows = rowsOf(match.positions_mm, match.slice_index, own.geometry, match.n_slices)
        if view.isOverlay:
            return OverlaidCompanion(rows, *self._alongResult(match, own.geometry))
        path = match.correspondence.path if match.correspondence is not None else None
        asked = self.result.asked_box(match)
        if match.refinement is not None and match.refinement.success and asked is not None:
            along = [self.query.geometry.movedTo(asked.center, position) for position in self.queryRows.positions]
            heights = match.map_points(np.array(along)) @ own.geometry.normal
            path = np.interp(heights, rows.positions, np.arange(len(rows.positions)))
        return Companion(rows, path)

    def _alongResult(self, match: Match, geometry: StackGeometry) -> tuple[float | None, float]:
        """(start, slope) of OverlaidCompanion, in the middle of the query."""
        alignment = self.result.alignment(match)
        assert alignment is not None
        through = alignment[:3, :3] @ self.query.geometry.normal
        slope = float(through @ geometry.normal)
        if abs(slope) < np.cos(np.radians(MOST_DEGREES)) * np.linalg.norm(through):
            return None, 0.0
        return geometry.positionOf(alignment[:3, :3] @ self.query.geometry.pointAt(0.0) + alignment[:3, 3]), slope

    def indexOf(self, match: Match) -> int | None:
        return next((n for n, one in enumerate(self.matches) if one.match.volume_id == match.volume_id), None)

    def similarityOf(self, number: int, queryPosition: float | None, position: float | None) -> float | None:
        """Of the slices of the query and of a result (its number in `results`) at these positions in mm; None if it is
        not known."""
        matrix = self.similarities.get(self.matches[number].match.key)
        rows = self.results[number].companion.rows
        if matrix is None or queryPosition is None or position is None:
            return None
        if not (self.queryRows.holds(queryPosition) and rows.holds(position)):
            return None
        return float(matrix[self.queryRows.row(queryPosition), rows.row(position)])

    def firstPositions(self) -> list[tuple[ColumnView, float]]:
        """The most similar pair of slices of the first match; in the others, what is most similar to that slice."""
        first = self.matches[0].match
        queryRow = first.best_query_row
        positions = []
        if queryRow >= 0:
            positions.append((self.query, float(self.queryRows.positions[queryRow])))
        for number, (one, result) in enumerate(zip(self.matches, self.results, strict=True)):
            row = one.match.best_row
            if number > 0 and queryRow >= 0 and one.match.correspondence is not None:
                row = int(one.match.correspondence.best[queryRow])
            if row >= 0:
                positions.append((result.view, float(result.companion.rows.positions[row])))
        return positions


def rowsOf(
    positions: np.ndarray | None, numbers: np.ndarray | None, geometry: StackGeometry, count: int = 0
) -> StackRows:
    """The slices that were compared; all where that is not known.

    Args:
        positions, numbers: of the slices that were compared, as in a match.
        count: slices of the full stack, if it is known.
    """
    if positions is None or numbers is None or not len(positions):
        positions, numbers = geometry.stack.positions, np.arange(geometry.stack.count)
    count = max(count or geometry.stack.count, int(np.max(numbers)) + 1)
    return StackRows(np.asarray(positions, dtype=float), np.asarray(numbers), geometry.spacing, count)
