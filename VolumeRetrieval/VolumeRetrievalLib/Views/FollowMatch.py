"""Scrolling one column moves the others along."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import vtk

from .ColumnView import ColumnView
from .SlicePairs import Companion, OverlaidCompanion, StackRows


@dataclass(frozen=True)
class FollowedResult:
    """A result in its column, and what is known of its slices and the query's."""

    view: ColumnView
    companion: Companion | OverlaidCompanion


class FollowMatch:
    """Observes the main views and, while it is on, moves the others to the slices that belong to the one scrolled.

    Whichever column is scrolled leads, and stays where the user put it; the others snap to slices that were compared.
    """

    def __init__(
        self,
        query: ColumnView,
        queryRows: StackRows,
        results: Sequence[FollowedResult],
        onMoved: Callable[[], None],
    ):
        """`onMoved` is called once for each move, after the others have moved along, and when a view has another size;
        also while following is off."""
        self.isOn = False
        self._query = query
        self._queryRows = queryRows
        self._results = list(results)
        self._onMoved = onMoved
        self._isMoving = False
        self._last: list[float | None] = []
        self._sizes: list[Any] = []
        self._tags: list[tuple[Any, int]] = []

    def start(self) -> None:
        """Observe the views from here on, where they are now."""
        self.stop()
        self._note()
        for number, view in enumerate(self._views()):
            node = view.mainNode
            tag = node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_, number=number: self._onModified(number))
            self._tags.append((node, tag))

    def stop(self) -> None:
        for node, tag in self._tags:
            node.RemoveObserver(tag)
        self._tags = []

    def move(self, positions: Sequence[tuple[ColumnView, float]]) -> None:
        """Go to these positions (mm along each stack), which no other view follows."""
        self._isMoving = True
        try:
            for view, position in positions:
                view.jump(position)
        finally:
            self._isMoving = False
        self._note()
        self._onMoved()

    def _views(self) -> list[ColumnView]:
        return [self._query, *(one.view for one in self._results)]

    def _note(self) -> None:
        self._last = [view.position for view in self._views()]
        self._sizes = [view.sizes for view in self._views()]

    def _onModified(self, number: int) -> None:
        if self._isMoving:
            return
        # The node is modified by zooming, too.
        view, last = self._views()[number], self._last[number]
        position = view.position
        if position is None or (last is not None and abs(position - last) < 1e-6):
            if view.sizes != self._sizes[number] or (position is None) != (last is None):
                self.move([])
            return
        self.move(self._followers(number, position) if self.isOn else [])

    def _followers(self, leader: int, position: float) -> list[tuple[ColumnView, float]]:
        queryPosition = position
        moves: list[tuple[ColumnView, float]] = []
        if leader > 0:
            found = self._results[leader - 1].companion.queryPositionFor(self._queryRows, position, self._last[0])
            if found is None:
                return []
            queryPosition = found
            moves.append((self._query, queryPosition))
        for number, one in enumerate(self._results, start=1):
            target = one.companion.positionFor(self._queryRows, queryPosition)
            if number != leader and target is not None:
                moves.append((one.view, target))
        return moves
