"""Scrolling the query moves the results along."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import vtk
from VolumeRetrievalEngine.searching.match import Match

from .StackGeometry import StackGeometry


@dataclass(frozen=True)
class FollowedMatch:
    """A result that follows: its main view, its geometry, and where along it each row of the query belongs.

    `positions` float [n_q], mm along the result's stack: the smoothed path of the match's correspondence.
    """

    sliceNode: Any
    geometry: StackGeometry
    positions: np.ndarray

    @classmethod
    def ofMatch(cls, sliceNode: Any, geometry: StackGeometry, match: Match) -> FollowedMatch:
        assert match.correspondence is not None and match.positions_mm is not None
        rows, along = match.correspondence.path, match.positions_mm
        return cls(sliceNode, geometry, np.interp(rows, np.arange(len(along)), along))


class FollowMatch:
    """Observes the query's main view and moves the others, while it is on."""

    def __init__(self, querySliceNode: Any, query: StackGeometry, queryPositions: Sequence[float]):
        """`queryPositions`: mm along the query's stack of each row of the similarity matrix, ascending."""
        self.querySliceNode = querySliceNode
        self.query = query
        self.queryPositions = np.asarray(queryPositions, dtype=float)
        self.matches: list[FollowedMatch] = []
        self._tag: int | None = None
        self._last: float | None = None

    @property
    def isOn(self) -> bool:
        return self._tag is not None

    def setOn(self, on: bool) -> None:
        if on and self._tag is None:
            self._tag = self.querySliceNode.AddObserver(vtk.vtkCommand.ModifiedEvent, self._onModified)
            self._last = self._position()
        elif not on and self._tag is not None:
            self.querySliceNode.RemoveObserver(self._tag)
            self._tag = None

    def follow(self) -> None:
        """Move every result to where the query is now."""
        position = self._position()
        if position is None:
            return
        row = np.interp(position, self.queryPositions, np.arange(len(self.queryPositions)))
        for one in self.matches:
            along = np.interp(row, np.arange(len(one.positions)), one.positions)
            one.sliceNode.JumpSliceByOffsetting(*one.geometry.pointAt(float(along)))

    def _onModified(self, *_ignored: Any) -> None:
        # The node is modified by zooming and by changing the window's size, too.
        position = self._position()
        if position is not None and (self._last is None or abs(position - self._last) > 1e-6):
            self._last = position
            self.follow()

    def _position(self) -> float | None:
        """Where along the query's stack its main view is; None if the view was turned out of the plane."""
        matrix = self.querySliceNode.GetSliceToRAS()
        normal = np.array([matrix.GetElement(row, 2) for row in range(3)])
        if abs(normal @ self.query.normal) < 0.9:
            return None
        return self.query.positionOf(np.array([matrix.GetElement(row, 3) for row in range(3)]))
