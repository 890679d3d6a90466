"""Moving the crosshair in one column moves the others to the corresponding point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import qt
import slicer
import vtk
from VolumeRetrievalEngine.searching.match import Match

from . import PointMarks
from .ColumnView import ColumnView
from .FollowMatch import FollowMatch


class FollowPoint:
    """Observes the crosshair, while it is on: shift and moving the mouse moves it, and Slicer moves the slices of its
    own column, which is a view group.

    The crosshair does not say whose it is: that is the view the mouse is in. Its point is taken to the query, from
    there to the other results. Each column marks its own point, the one of the crosshair included. Where the mouse
    only hovers, nothing moves.
    """

    def __init__(self, query: ColumnView, results: Sequence[ColumnView], matches: Sequence[Match], follow: FollowMatch):
        """`matches`: of the results. A result without a map of points (Match.mapping) is left to `follow`; one that is
        shown over the query has the query's points."""
        self._views = [query, *results]
        maps = [None if view.isOverlay else match.mapping for view, match in zip(results, matches, strict=True)]
        self._maps = [None, *maps]
        self._inverses = [None, *(None if one is None else one.inverse() for one in maps)]
        isMapped = [view.isOverlay or one is not None for view, one in zip(results, maps, strict=True)]
        self._mapped = [0, *(number for number, one in enumerate(isMapped, 1) if one)]
        # Views of one space show one plane, also between two slices; elsewhere a view shows a slice that was acquired.
        self._areExact = any(view.isOverlay for view in results)
        self._follow = follow
        self._isOn = False
        self._marks: dict[int, Any] = {}
        self._observed: tuple[Any, int] | None = None
        self._last: tuple[float, float, float] | None = None
        self._timer = qt.QTimer()  # however many moves a turn of the event loop brings, they are one
        self._timer.setSingleShot(True)
        self._timer.connect("timeout()", self._onTimeout)

    @property
    def isOn(self) -> bool:
        return self._isOn

    @isOn.setter
    def isOn(self, on: bool) -> None:
        if on == self._isOn:
            return
        self._isOn = on
        if on:
            self._start()
        else:
            self._stop()

    def prepare(self) -> None:
        """Make the marks, which are not seen before the crosshair moves."""
        for number in self._mapped if len(self._mapped) > 1 else []:
            view = self._views[number]
            self._marks[number] = PointMarks.prepare(view.column.main, view.nodeIDs)
        PointMarks.keepOnly([self._views[number].column.main for number in self._marks])

    def _start(self) -> None:
        crosshair = _crosshair()
        if crosshair is None or not self._marks:
            return
        self._last = tuple(crosshair.GetCrosshairRAS())
        tag = crosshair.AddObserver(vtk.vtkCommand.ModifiedEvent, self._onModified)
        self._observed = (crosshair, tag)

    def _stop(self) -> None:
        self._timer.stop()
        if self._observed is not None:
            self._observed[0].RemoveObserver(self._observed[1])
            self._observed = None
        for node in self._marks.values():
            PointMarks.hide(node)

    def _onModified(self, *_ignored: Any) -> None:
        # Moving the cursor alone is another event, which comes before this one and more often.
        if not self._timer.isActive():
            self._timer.start(0)

    def _onTimeout(self) -> None:
        if self._observed is None:
            return
        crosshair = self._observed[0]
        point = tuple(crosshair.GetCrosshairRAS())
        leader = self._leader(crosshair)
        if point == self._last or leader is None:  # its color, or a 3D view
            return
        self._last = point
        with slicer.util.RenderBlocker():  # a view renders once, not in the midst of each change (ctkVTKAbstractView)
            self._move(leader, np.array(point))

    def _leader(self, crosshair: Any) -> int | None:
        """The number of the column that the mouse is in; None for another view and a column that is not mapped."""
        sliceNode = crosshair.GetCursorPositionXYZ([0.0, 0.0, 0.0])
        if sliceNode is None:
            return None
        name = sliceNode.GetLayoutName()
        return next((number for number in self._marks if name in self._views[number].views), None)

    def _move(self, leader: int, point: np.ndarray) -> None:
        inverse = self._inverses[leader]
        inQuery = point if inverse is None else inverse.points(point[None])[0]
        PointMarks.move(self._marks[leader], point)
        moves = []
        for number, mark in self._marks.items():
            if number == leader:
                continue
            view, points = self._views[number], self._maps[number]
            target = inQuery if points is None else points.points(inQuery[None])[0]
            position, isWithin = view.geometry.nearestSlice(target)
            if self._areExact and points is None:
                position = view.geometry.positionOf(target)
            target = view.geometry.movedTo(target, position)
            if isWithin:
                PointMarks.move(mark, target)
            else:
                PointMarks.hide(mark)
            if view.hasNavigator:
                view.navigatorNode.JumpSliceByOffsetting(*target)
            moves.append((view, position))
        self._follow.move(moves)


def _crosshair() -> Any:
    """The one that the views move (vtkMRMLCrosshairDisplayableManager::FindCrosshairNode); None without views."""
    nodes = slicer.util.getNodesByClass("vtkMRMLCrosshairNode")
    return next((node for node in nodes if node.GetCrosshairName() == "default"), None)
