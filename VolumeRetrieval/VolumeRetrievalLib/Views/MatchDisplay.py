"""Showing matches beside their query: layout, volumes, marks, and taking it all away again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import slicer
from slicer.i18n import tr as _
from VolumeRetrievalEngine.searching.match import Match, SearchResult

from .. import Texts
from . import CompareLayout, RangeMarks
from .CompareLayout import Column
from .FollowMatch import FollowedMatch, FollowMatch
from .RangeMarks import Mark
from .ResultFolder import ResultFolder
from .StackGeometry import StackGeometry
from .ViewState import ViewState

#: Window and level for CT, soft tissue, in HU.
_CT_WINDOW_LEVEL = (400.0, 40.0)


@dataclass(frozen=True)
class ShownMatch:
    """A match and the volume node that was loaded for it. `isOurs`: it was not in the scene before, and goes with the
    marks."""

    match: Match
    volumeNode: Any
    isOurs: bool = True


@dataclass(frozen=True)
class _Place:
    """A volume in its column."""

    column: Column
    volumeNode: Any
    geometry: StackGeometry

    def sliceNode(self, name: str) -> Any:
        return slicer.app.layoutManager().sliceWidget(name).mrmlSliceNode()

    def jump(self, positionMm: float) -> None:
        """Move the main view to the slice at this position, the side view to the volume's middle line."""
        point = self.geometry.pointAt(positionMm)
        for name in (self.column.main, self.column.side):
            self.sliceNode(name).JumpSliceByOffsetting(*point)


class MatchDisplay:
    """What is shown now, if anything. The scene may be closed at any time: then call `forget`."""

    def __init__(self) -> None:
        self.folder = ResultFolder(_("Similar volumes"))
        self._before: ViewState | None = None
        self._result: SearchResult | None = None
        self._query: _Place | None = None
        self._places: dict[str, _Place] = {}
        self._follow: FollowMatch | None = None
        self._followIsOn = True

    def remember(self) -> None:
        """Note the user's layout and views, before volumes are loaded into them. Does nothing the second time."""
        if slicer.app.layoutManager() is None:
            raise RuntimeError(_("Results can only be shown where Slicer has a main window with views."))
        if self._before is None:
            self._before = ViewState()

    def show(self, queryNode: Any, result: SearchResult, matches: Sequence[ShownMatch]) -> None:
        """Show these matches of the result beside the query, instead of what was shown before.

        All are shown in the plane of the first match.
        """
        self.remember()
        self._removeMarks()
        plane = matches[0].match.plane
        labels = [_("Query"), *(_label(one.match) for one in matches)]
        columns = CompareLayout.apply(labels, plane)
        slicer.app.processEvents()  # the views are made
        self._result = result
        self._query = self._place(columns[0], queryNode, result.query_plane)
        self._places = {}
        for column, one in zip(columns[1:], matches, strict=True):
            _window(one.volumeNode, one.match.attributes.modality, queryNode)
            place = self._place(column, one.volumeNode, one.match.plane)
            self._places[one.match.volume_id] = place
            if one.isOurs:
                self.folder.add(one.volumeNode)
            self._mark(one.match, place)
        if len(matches) == 1:
            self._markQuery(matches[0].match)
        self._startFollowing(matches)
        first = matches[0].match
        self._query.jump(float(result.query_table.position[first.best_query_row]))
        for one in matches:
            self._places[one.match.volume_id].jump(float(one.match.positions_mm[one.match.best_row]))
        self._lookAtAll()
        self.setFollow(self._followIsOn)

    @property
    def isShown(self) -> bool:
        """Whether what showing adds is in the scene, also one that was saved and opened."""
        return bool(self.folder.nodes())

    def showPair(self, match: Match, queryRow: int, row: int) -> None:
        """Move the query's views and the match's to this pair of slices; nothing happens if it is not shown."""
        place = self._places.get(match.volume_id)
        if self._result is None or self._query is None or place is None:
            return
        following = self._follow is not None and self._follow.isOn
        if self._follow is not None:
            self._follow.setOn(False)  # the pair was chosen by hand
        self._query.jump(float(self._result.query_table.position[queryRow]))
        place.jump(float(match.positions_mm[row]))
        if self._follow is not None:
            self._follow.setOn(following)

    def setFollow(self, on: bool) -> None:
        self._followIsOn = on
        if self._follow is not None:
            self._follow.setOn(on)

    def remove(self) -> None:
        """Remove the marks and the volumes that were loaded for them, and bring the user's views back."""
        self._stopFollowing()
        self.folder.remove()
        manager = slicer.app.layoutManager()
        if manager is not None and self._before is not None:
            self._before.restore()
        elif manager is not None and manager.layout == CompareLayout.LAYOUT_ID:
            # The scene was saved while results were shown: what was before is not known.
            manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        self._clear()

    def forget(self) -> None:
        """The scene was closed: nothing of it may be touched any more."""
        if self._follow is not None:
            self._follow.setOn(False)
        self._clear()

    def _clear(self) -> None:
        self._before = self._result = self._query = self._follow = None
        self._places = {}

    def _stopFollowing(self) -> None:
        if self._follow is not None:
            self._follow.setOn(False)
        self._follow = None

    def _removeMarks(self) -> None:
        self._stopFollowing()
        for node in self.folder.nodes():
            if node.GetAttribute(RangeMarks.ATTRIBUTE):
                slicer.mrmlScene.RemoveNode(node)

    def _place(self, column: Column, volumeNode: Any, plane: str) -> _Place:
        manager = slicer.app.layoutManager()
        threeDNode = manager.threeDWidget("View" + column.threeD).mrmlViewNode()
        for name in (column.main, column.side):
            widget = manager.sliceWidget(name)
            composite = widget.mrmlSliceCompositeNode()
            with slicer.util.NodeModify(composite):
                composite.SetLinkedControl(False)
                composite.SetBackgroundVolumeID(volumeNode.GetID())
                composite.SetForegroundVolumeID(None)
                composite.SetLabelVolumeID(None)
            node = widget.mrmlSliceNode()
            node.RotateToVolumePlane(volumeNode)
            widget.sliceLogic().FitSliceToAll()
            node.RemoveAllThreeDViewIDs()
            node.AddThreeDViewID(threeDNode.GetID())
            node.SetSliceVisible(True)
        return _Place(column, volumeNode, StackGeometry.ofVolume(volumeNode, plane))

    def _lookAtAll(self) -> None:
        """Fit the 3D views (slots of qMRMLThreeDView.h)."""
        assert self._query is not None
        for place in (self._query, *self._places.values()):
            view = slicer.app.layoutManager().threeDWidget("View" + place.column.threeD).threeDView()
            view.resetFocalPoint()
            view.resetCamera()

    def _mark(self, match: Match, place: _Place) -> None:
        name = _("{similarity}, {slices}")
        self._addMarks(
            place,
            [
                Mark(
                    name.format(similarity=Texts.similarity(one.similarity), slices=Texts.sliceNumbers(one)),
                    one.start_mm,
                    one.end_mm,
                    number,
                    one.weight,
                )
                for number, one in enumerate(match.ranges)
            ],
        )

    def _markQuery(self, match: Match) -> None:
        """The slices of the query that voted for each range; with more than one match they would cover it all."""
        assert self._result is not None and self._query is not None
        positions = self._result.query_table.position
        name = _("{similarity}, query")
        self._addMarks(
            self._query,
            [
                Mark(
                    name.format(similarity=Texts.similarity(one.similarity)),
                    float(positions[min(one.query_rows)]),
                    float(positions[max(one.query_rows)]),
                    number,
                    one.weight,
                )
                for number, one in enumerate(match.ranges)
                if one.query_rows
            ],
        )

    def _addMarks(self, place: _Place, marks: Sequence[Mark]) -> None:
        column = place.column
        side = place.sliceNode(column.side)
        threeDNode = slicer.app.layoutManager().threeDWidget("View" + column.threeD).mrmlViewNode()
        views = RangeMarks.MarkViews(place.sliceNode(column.main).GetID(), side.GetID(), threeDNode.GetID())
        # The slices are lines across the side view: labels are as near as these, in pixels of it.
        millimetresPerPixel = side.GetFieldOfView()[1] / max(1, side.GetDimensions()[1])
        # On a screen with small pixels the view has more of them, and VTK writes with more: 72 per inch is 1 per point.
        window = slicer.app.layoutManager().sliceWidget(column.side).sliceView().renderWindow()
        labelPixels = RangeMarks.LABEL_PIXELS * window.GetDPI() / 72
        for mark in RangeMarks.withoutOverlap(marks, labelPixels * millimetresPerPixel):
            self.folder.add(RangeMarks.addMark(mark, place.geometry, views))

    def _startFollowing(self, matches: Sequence[ShownMatch]) -> None:
        assert self._result is not None and self._query is not None
        self._follow = FollowMatch(
            self._query.sliceNode(self._query.column.main),
            self._query.geometry,
            self._result.query_table.position,
        )
        for one in matches:
            if one.match.correspondence is not None:
                place = self._places[one.match.volume_id]
                node = place.sliceNode(place.column.main)
                self._follow.matches.append(FollowedMatch.ofMatch(node, place.geometry, one.match))


def _label(match: Match) -> str:
    return _("{rank}: {similarity}").format(rank=match.rank, similarity=Texts.similarity(match.score))


def _window(volumeNode: Any, modality: str, queryNode: Any) -> None:
    """A CT is shown as the query's CT is, or in a soft tissue window; other modalities as Slicer decides."""
    display = volumeNode.GetDisplayNode()
    if display is None:
        volumeNode.CreateDefaultDisplayNodes()
        display = volumeNode.GetDisplayNode()
    if modality != "CT":
        return
    window, level = _CT_WINDOW_LEVEL
    query = queryNode.GetDisplayNode()
    if query is not None and queryNode.GetImageData().GetScalarRange()[0] < -500:  # air: a CT, too
        window, level = query.GetWindow(), query.GetLevel()
    with slicer.util.NodeModify(display):
        display.SetAutoWindowLevel(False)
        display.SetWindowLevel(window, level)
