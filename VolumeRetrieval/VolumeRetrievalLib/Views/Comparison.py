"""What a comparison shows: which volumes in which columns, and what is known of their slices."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from VolumeRetrievalEngine.searching.match import Match, SearchResult

from .ColumnView import ColumnView
from .FollowMatch import FollowedResult, FollowMatch
from .FollowPoint import FollowPoint
from .SlicePairs import Companion, StackRows
from .StackGeometry import StackGeometry


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
    """What the views show."""

    result: SearchResult
    query: ColumnView
    queryRows: StackRows
    queryName: str
    matches: list[ShownMatch]
    results: list[FollowedResult]
    follow: FollowMatch
    followPoint: FollowPoint
    selected: int = 0
    similarities: dict[int, np.ndarray] = field(default_factory=dict)  # by the match's key

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


def companionOf(match: Match, geometry: StackGeometry) -> Companion:
    path = match.correspondence.path if match.correspondence is not None else None
    return Companion(rowsOf(match.positions_mm, match.slice_index, geometry, match.n_slices), path)
