"""Showing matches next to their query: layout, volumes, marks, texts, and taking it all away again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import qt
import slicer
import vtk
from slicer.i18n import tr as _
from VolumeRetrievalEngine.searching.match import Match, SearchResult
from VolumeRetrievalEngine.searching.refinement import Refinement

from ..Values import ShownPair
from . import CompareLayout, ComparisonMarks, ComparisonTexts, OverlayVolumes, UserNodes, ViewState
from .ColumnView import ColumnView
from .Comparison import Comparison, ShownMatch, rowsOf
from .ResultFolder import ResultFolder
from .StackGeometry import StackGeometry
from .ViewTexts import ViewTexts


class MatchDisplay:
    """The comparison in the views, if there is one.

    In the scene it leaves volumes in a folder, which are saved with the scene as everything the user sees. Nothing
    else is: marks and views of ours are not saved, nor is the layout while it is ours, since scene files keep no
    layout descriptions. So a scene that was saved meanwhile opens in any Slicer, in the layout it has there.
    """

    def __init__(self) -> None:
        self.folder = ResultFolder(_("Similar volumes"))
        #: Called when `isShown` may have changed, and when the views show another pair of slices.
        self.onChanged: Callable[[], None] | None = None
        self.onPairChanged: Callable[[ShownPair], None] | None = None
        self._before: ViewState.ViewState | None = None
        self._shown: Comparison | None = None
        self._followIsOn = True
        self._opacity = 0.5
        self._ownStates: dict[str, ViewState.View] = {}  # of the results' views, while they are over the query
        self._texts = ViewTexts()
        self._layoutTag: tuple[Any, int] | None = None
        scene = slicer.mrmlScene
        self._sceneTags = [
            scene.AddObserver(scene.StartCloseEvent, lambda *_: self.forget()),
            scene.AddObserver(scene.EndCloseEvent, lambda *_: self._tellChanged()),
            scene.AddObserver(scene.EndImportEvent, lambda *_: self._onSceneImported()),
        ]
        self._onSceneImported()  # one that was opened before, or shown before the module was reloaded

    def cleanUp(self) -> None:
        """Listen to nothing any more; what is shown stays, and a new display can remove it."""
        for tag in self._sceneTags:
            slicer.mrmlScene.RemoveObserver(tag)
        self._sceneTags = []
        self.onChanged = self.onPairChanged = None
        self._stop()

    @property
    def isShown(self) -> bool:
        """Whether something of a comparison is in the scene or in the views, whoever showed it."""
        return CompareLayout.isShown() or self.folder.exists or ComparisonMarks.exist()

    @property
    def shownMatches(self) -> list[Match]:
        """Those that the views show, in the order of their columns."""
        return [one.match for one in self._shown.matches] if self._shown is not None else []

    def checkViews(self) -> None:
        """RuntimeError if there are no views to show anything in."""
        if slicer.app.layoutManager() is None:
            raise RuntimeError(_("Results can only be shown where Slicer has a main window with views."))

    def show(
        self,
        queryNode: Any,
        result: SearchResult,
        matches: Sequence[ShownMatch],
        queryName: str = "",
        queryIsOurs: bool = False,
    ) -> None:
        """Show these matches of the result next to the query, each in its own plane, instead of what was shown before.

        If it fails, everything is as it was before anything was shown.
        """
        self.checkViews()
        self._stop()
        if not CompareLayout.isShown():
            self._before = ViewState.ViewState.remember()
        for node, isOurs in ((queryNode, queryIsOurs), *((one.volumeNode, one.isOurs) for one in matches)):
            if isOurs:
                self.folder.add(node)
        try:
            with slicer.util.RenderBlocker():
                self._showAll(queryNode, result, list(matches), queryName)
        except BaseException:
            self.remove()
            raise
        self._tellChanged()
        self._onMoved()

    def _showAll(self, queryNode: Any, result: SearchResult, matches: list[ShownMatch], queryName: str) -> None:
        volumes = [(queryNode, result.query_plane), *((one.volumeNode, one.match.plane) for one in matches)]
        geometries = [StackGeometry.ofVolume(node, plane) for node, plane in volumes]
        columns = CompareLayout.apply([geometry.plane for geometry in geometries])
        hasNavigators = CompareLayout.hasNavigators(len(columns))
        views = [
            ColumnView(column, node, geometry, hasNavigators)
            for column, (node, _plane), geometry in zip(columns, volumes, geometries, strict=True)
        ]
        for view in views:
            view.place()
        queryRows = rowsOf(result.query_table.position, result.query_table.index, views[0].geometry)
        name = queryName or queryNode.GetName()
        shown = self._shown = Comparison(result, views[0], queryRows, name, matches, views[1:])
        shown.connect(shown.ownViews, self._onMoved)
        with _batch():
            OverlayVolumes.remove()  # of what was shown before
            self._mark()
            ComparisonMarks.drawRegions(shown)
            shown.followPoint.prepare()
            UserNodes.keepOut(views[0].nodeIDs)
            for one in matches:
                if one.isOurs and one.name:
                    one.volumeNode.SetName(f"{one.match.rank}: {one.name}")
        # Not before: at the end of a batch, too, the layout manager lays out all views (updateLayoutFromMRMLScene).
        _letViewsResize(views)
        # Its rank, as in the list and in the corners: that is not the column's number where some are left out.
        for view, label in zip(views, [columns[0].label, *(str(one.match.rank) for one in matches)], strict=True):
            view.fit()
            view.setLabel(label)
        shown.follow.move(shown.firstPositions())
        self._startFollowing()
        self._observeLayout()

    def showPair(self, match: Match, queryRow: int, row: int) -> None:
        """Move the query's views and the match's to this pair of slices; nothing happens if it is not shown."""
        shown = self._shown
        number = shown.indexOf(match) if shown is not None else None
        if shown is None or number is None:
            return
        self.select(match)
        result = shown.results[number]
        shown.follow.move(
            [
                (shown.query, float(shown.queryRows.positions[queryRow])),
                (result.view, result.companion.positionOfRow(shown.queryRows, row, queryRow)),
            ]
        )

    def select(self, match: Match) -> None:
        """The match whose range the query's column shows, and whose pair of slices is told; the first one before."""
        number = self._shown.indexOf(match) if self._shown is not None else None
        if self._shown is None or number is None or number == self._shown.selected:
            return
        self._shown.selected = number
        with slicer.util.RenderBlocker():
            self._mark()
        self._onMoved()

    def setFollow(self, on: bool) -> None:
        """Whether scrolling one column, or moving the crosshair in it, moves the others."""
        self._followIsOn = on
        if self._shown is not None:
            self._shown.follow.isOn = self._shown.followPoint.isOn = on

    @property
    def isOverlaid(self) -> bool:
        """Whether results are shown over the query."""
        return self._shown is not None and self._shown.isOverlaid

    def setOverlay(self, on: bool) -> None:
        """Whether results are shown over the query, in its space; a comparison begins with each in its own."""
        shown = self._shown
        if shown is None or on == shown.isOverlaid:
            return
        with slicer.util.RenderBlocker():
            self._stopFollowing()
            views = shown.overlayViews() if on else shown.ownViews
            if on:
                names = [name for view in shown.ownViews for name in view.views]
                manager = slicer.app.layoutManager()
                self._ownStates = {name: ViewState.View(manager.sliceWidget(name)) for name in names}
            for view in views:
                view.place()
            shown.connect(views, self._onMoved)
            self._redraw()
            for view in views:
                if view.isOverlay:
                    view.lookAs(shown.query)
                    view.setOpacity(self._opacity)
                else:
                    for name in view.views:
                        self._ownStates[name].restore(slicer.app.layoutManager().sliceWidget(name))
            if not on:
                OverlayVolumes.remove()
                self._moveAlong()
            self._startFollowing()
        self._tellChanged()
        self._onMoved()

    def setOpacity(self, opacity: float) -> None:
        """Of results over the query, from 0 (nothing but the query) to 1."""
        self._opacity = opacity
        for one in self._shown.results if self._shown is not None else ():
            one.view.setOpacity(opacity)

    def setRefinement(self, match: Match, refinement: Refinement) -> None:
        """What a registration found of a match: where it is shown and reliable, everything moves to it."""
        shown = self._shown
        number = shown.indexOf(match) if shown is not None else None
        if shown is None or number is None:
            return
        if (match.rank, match.score) != (shown.matches[number].match.rank, shown.matches[number].match.score):
            return  # another search has found the same volume, for another region
        one = shown.matches[number]
        shown.matches[number] = replace(one, match=replace(one.match, refinement=refinement))
        if refinement.success:
            with slicer.util.RenderBlocker():
                self._stopFollowing()
                shown.connect(shown.overlayViews() if shown.isOverlaid else shown.ownViews, self._onMoved)
                self._redraw()
                self._moveAlong()
                self._startFollowing()
        self._tellChanged()
        self._onMoved()

    def setSimilarity(self, match: Match, similarity: np.ndarray) -> None:
        """The similarity matrix of a match that is shown, float [n_q, n_rows], when it has come."""
        if self._shown is not None and self._shown.indexOf(match) is not None:
            self._shown.similarities[match.key] = similarity
            self._onMoved()

    def remove(self) -> None:
        """Close the comparison: the volumes that were loaded for it go, and the user's views come back."""
        with slicer.util.RenderBlocker():
            self._stop()
            self._removeMarks()
            self._leaveLayout(restoreViews=True)
            self.folder.remove()
        self._tellChanged()

    def forget(self) -> None:
        """The scene is being closed: its nodes go without us, and the user's layout comes back."""
        self._stop()
        self._leaveLayout(restoreViews=False)
        self._tellChanged()

    # What happens meanwhile

    def _onSceneImported(self) -> None:
        """Nothing of a scene that was opened is in our views: what it says of them is of another session."""
        if self._shown is None and slicer.app.layoutManager() is not None:
            UserNodes.letBack()
            if not ComparisonMarks.exist():  # else the module was reloaded, and the views are still there
                self._leaveLayout(restoreViews=False)
        self._tellChanged()

    def _observeLayout(self) -> None:
        with CompareLayout.quietly() as node:
            node.SetSaveWithScene(False)  # its number would mean nothing elsewhere, and open as an empty window
        tag = node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._onLayoutModified())
        self._layoutTag = (node, tag)

    def _onLayoutModified(self) -> None:
        if not CompareLayout.isShown():
            # Not in the middle of the change: marks are removed.
            qt.QTimer.singleShot(0, self._onLayoutLeft)

    def _onLayoutLeft(self) -> None:
        """The user has chosen another layout: there, everything is as ever. The volumes stay until they are removed."""
        if self._shown is None or CompareLayout.isShown():
            return
        self._stop()
        self._removeMarks()
        self._leaveLayout(restoreViews=False)
        self._tellChanged()

    def _leaveLayout(self, restoreViews: bool) -> None:
        if slicer.app.layoutManager() is None:
            return
        if CompareLayout.isShown():
            if restoreViews and self._before is not None:
                self._before.restore()
            else:
                ViewState.restoreLayout()
        ViewState.forgetLayout()
        self._before = None
        with CompareLayout.quietly() as node:
            node.SetSaveWithScene(True)
        CompareLayout.leave()

    def _stop(self) -> None:
        """Nothing moves along any more, and no text is left in the views."""
        if self._layoutTag is not None:
            self._layoutTag[0].RemoveObserver(self._layoutTag[1])
            self._layoutTag = None
        self._stopFollowing()
        self._shown = None
        self._ownStates = {}
        self._texts.remove()

    def _startFollowing(self) -> None:
        assert self._shown is not None
        self._shown.follow.isOn = self._shown.followPoint.isOn = self._followIsOn
        self._shown.follow.start()

    def _stopFollowing(self) -> None:
        if self._shown is not None:
            self._shown.follow.stop()
            self._shown.followPoint.isOn = False

    def _moveAlong(self) -> None:
        """The results go to where the query is, if they follow it."""
        shown = self._shown
        assert shown is not None
        position = shown.query.position
        if self._followIsOn and position is not None:
            targets = ((one.view, one.companion.positionFor(shown.queryRows, position)) for one in shown.results)
            shown.follow.move([(view, target) for view, target in targets if target is not None])

    def _redraw(self) -> None:
        """Marks, and the user's nodes, where they belong after a change of space or place."""
        shown = self._shown
        assert shown is not None
        self._mark()
        ComparisonMarks.drawRegions(shown)
        shown.followPoint.prepare()
        inQuerySpace = [shown.query, *(one.view for one in shown.results if one.view.isOverlay)]
        UserNodes.showIn([identifier for view in inQuerySpace for identifier in view.nodeIDs])

    def _onMoved(self) -> None:
        shown = self._shown
        if shown is None:
            return
        queryPosition = shown.query.position
        self._write(shown.query, ComparisonTexts.queryLines(shown.queryName, shown.queryRows, queryPosition))
        for number, (one, result) in enumerate(zip(shown.matches, shown.results, strict=True)):
            position = result.companion.ownPosition(result.view.position)
            value = shown.similarityOf(number, queryPosition, position)
            words = ComparisonTexts.overlayLines if result.view.isOverlay else ComparisonTexts.resultLines
            lines = words(one.match, one.name, result.companion.rows, position, value)
            if not result.view.hasNavigator:
                lines.append(ComparisonTexts.matchedSlices(one.match))
            self._write(result.view, lines)
            if number != shown.selected or queryPosition is None or position is None:
                continue
            if self.onPairChanged is not None:
                self.onPairChanged(
                    ShownPair(
                        one.match, shown.queryRows.number(queryPosition), result.companion.rows.number(position), value
                    )
                )

    def _write(self, view: ColumnView, lines: Sequence[str]) -> None:
        self._texts.set(view.column.main, lines)

    def _mark(self) -> None:
        assert self._shown is not None
        ComparisonMarks.markRanges(self._shown, self._texts.set)

    def _removeMarks(self) -> None:
        with _batch():
            ComparisonMarks.remove()

    def _tellChanged(self) -> None:
        if self.onChanged is not None:
            self.onChanged()


def _letViewsResize(views: Sequence[ColumnView]) -> None:
    """A new layout gives its views their sizes while events are handled: widgets are shown by one event, what is in
    them is laid out by the next, so that a size that stays may yet change."""
    sizes: list[Any] = []
    unchanged = 0
    for _attempt in range(10):
        before = sizes
        slicer.app.processEvents(qt.QEventLoop.ExcludeUserInputEvents)  # nothing else is clicked meanwhile
        sizes = [view.sizes for view in views]
        unchanged = unchanged + 1 if sizes == before else 0
        if unchanged == 3:
            return


@contextmanager
def _batch() -> Iterator[None]:
    """Every view takes up many changes of the scene at once."""
    scene = slicer.mrmlScene
    scene.StartState(scene.BatchProcessState)
    try:
        yield
    finally:
        scene.EndState(scene.BatchProcessState)
