"""What a comparison draws into its columns: one slab for the range of each match, one box for its region, and points.

In the query's space range and region are those of the query.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from . import ComparisonTexts, OverlayVolumes, PointMarks, RangeMarks, RegionBoxes, UserNodes
from .ColumnView import ColumnView
from .Comparison import Comparison, ShownMatch

#: Writes lines into the view of this name.
WriteText = Callable[[str, Sequence[str]], None]


def markRanges(shown: Comparison, write: WriteText) -> None:
    """One slab in each navigator: the range of each match, and in the query's what the selected match has of it."""
    marked = set()

    def mark(view: ColumnView, startMm: float, endMm: float, text: str) -> None:
        RangeMarks.show(view.column.main, view.geometry, startMm, endMm, [view.navigatorNode.GetID()])
        write(view.column.navigator, [text])
        marked.add(view.column.main)

    def markInQuery(view: ColumnView, one: ShownMatch) -> None:
        place = one.match.place
        if place is None or not view.hasNavigator:
            return
        rows = (place.query_first_row, place.query_last_row)
        first, last = (float(shown.queryRows.positions[row]) for row in rows)
        numbers = [int(shown.queryRows.numbers[row]) for row in rows]
        mark(view, first, last, ComparisonTexts.queriedSlices(one.match, *numbers))

    for one, result in zip(shown.matches, shown.results, strict=True):
        place = one.match.place
        if result.view.isOverlay:
            markInQuery(result.view, one)
        elif place is not None and result.view.hasNavigator:
            mark(result.view, place.start_mm, place.end_mm, ComparisonTexts.matchedSlices(one.match))
    markInQuery(shown.query, shown.matches[shown.selected])
    RangeMarks.keepOnly(marked)


def drawRegions(shown: Comparison) -> None:
    """What was asked for, in each result. Of a whole volume and of slices the slabs say it."""
    drawn = set()
    asked = shown.result.query_box
    for one, result in zip(shown.matches, shown.results, strict=True):
        box = asked if result.view.isOverlay else one.match.best_box
        if asked is not None and box is not None:
            RegionBoxes.show(result.view.column.main, box, result.view.nodeIDs)
            drawn.add(result.view.column.main)
    RegionBoxes.keepOnly(drawn)


def exist() -> bool:
    """Whether anything of a comparison is in the scene, whoever drew it."""
    return bool(RangeMarks.marks() or RegionBoxes.boxes() or PointMarks.points() or OverlayVolumes.volumes())


def remove() -> None:
    """Nothing of ours is drawn any more, and what is the user's is shown everywhere."""
    RangeMarks.remove()
    RegionBoxes.remove()
    PointMarks.remove()
    OverlayVolumes.remove()
    UserNodes.letBack()
