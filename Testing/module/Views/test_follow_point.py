"""Moving the crosshair in one column moves the others to the corresponding point."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import slicer
from compared import SPACING, main, offsetOf, pixels, show, sliceNode
from fake_logic import aResult
from VolumeRetrievalEngine.preprocessing.plane_geometry import PlaneGeometry
from VolumeRetrievalEngine.query.body_stack import BodyStack
from VolumeRetrievalEngine.searching.point_map import PointMap
from VolumeRetrievalEngine.volume import SliceTable
from VolumeRetrievalLib.Views import PointMarks
from VolumeRetrievalLib.Views.MatchDisplay import MatchDisplay

BODY = (62.0, 62.0, 100.0, 80.0)


@pytest.fixture
def crosshair():
    node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLCrosshairNode")  # qSlicerCoreApplication makes it in Slicer
    node.UnRegister(None)
    node.SetCrosshairName("default")
    node = slicer.mrmlScene.AddNode(node)
    yield node
    slicer.mrmlScene.RemoveNode(node)


@pytest.fixture
def display():
    display = MatchDisplay()
    yield display
    display.remove()
    display.cleanUp()


def stack(slices, outline=BODY):
    """Of aVolume: its body's middle and size in mm along L and P."""
    affine = np.diag([-SPACING[0], -SPACING[1], SPACING[2], 1.0])
    affine[:2, 3] = 62.0
    outlines = np.tile(np.array(outline, np.float32), (slices, 1))
    return BodyStack.of(PlaneGeometry("axial", affine, (slices, 32, 32)), SliceTable.regular(affine, slices), outlines)


def pointMap(number):
    """A body half as wide, moved 8 mm to the left; heights of the query 0 .. 117 become 24 .. 24 + 117 * 0.6."""
    along = np.array([0.0, 117.0])
    return PointMap(stack(40), stack(60, (70.0, 62.0, 50.0, 80.0)), along, 24 + 9 * number + 0.6 * along, False)


def found(count=2):
    result = aResult(count)
    matches = [replace(match, point_map=pointMap(number)) for number, match in enumerate(result.matches)]
    return replace(result, matches=tuple(matches))


def turn():
    for _turn in range(3):
        slicer.app.processEvents()


def moveTo(crosshair, name, point):
    """What shift and moving the mouse in a view does: the cursor's position, the crosshair, and the slices of its own
    view group (vtkMRMLSliceViewInteractorStyle, vtkMRMLSliceIntersectionWidget::ProcessSetCrosshair)."""
    hover(crosshair, name, point)
    crosshair.SetCrosshairRAS(point)
    node = sliceNode(name)
    node.JumpAllSlices(slicer.mrmlScene, *point, node.OffsetJumpSlice, node.GetViewGroup(), node)


def hover(crosshair, name, point):
    node = sliceNode(name)
    inverse = np.linalg.inv(slicer.util.arrayFromVTKMatrix(node.GetXYToRAS()))
    crosshair.SetCursorPositionXYZ((inverse @ [*point, 1.0])[:3], node)


def marks():
    """By column; None where it is not seen."""
    return {
        node.GetAttribute(PointMarks.ATTRIBUTE): (
            list(node.GetNthControlPointPosition(0)) if node.GetDisplayNode().GetVisibility() else None
        )
        for node in PointMarks.points()
    }


def atSlice(height):
    return SPACING[2] * round(height / SPACING[2])


def test_from_the_query_to_each_result(display, crosshair):
    _query, _result, matches = show(display, result=found(2))
    assert marks() == {"Query": None, "Result1": None, "Result2": None}
    point = [10.0, -12.0, 60.0]
    main(0).JumpSliceByOffsetting(*point)
    moveTo(crosshair, "Query", point)
    turn()
    seen = marks()
    assert seen["Query"] == pytest.approx(point)
    for number, one in enumerate(matches, start=1):
        mapped = one.match.map_points(np.array([point]))[0]
        assert mapped == pytest.approx([-8 + 5, -12, 24 + 9 * (number - 1) + 36], abs=0.1)
        expected = [*mapped[:2], atSlice(mapped[2])]
        assert seen[f"Result{number}"] == pytest.approx(expected, abs=0.01)
        assert offsetOf(f"Result{number}") == pytest.approx(expected[2])
        across = sliceNode(f"Result{number}Navigator").GetSliceToRAS()
        assert across.GetElement(1, 3) == pytest.approx(expected[1], abs=0.01)
    assert offsetOf("Query") == 60


def test_from_a_result_to_the_query_and_the_others(display, crosshair):
    _query, _result, matches = show(display, result=found(2))
    point = [-20.0, 4.0, 75.0]
    moveTo(crosshair, "Result2Navigator", point)
    turn()
    back = matches[1].match.map_back(np.array([point]))[0]
    seen = marks()
    assert seen["Result2"] == pytest.approx(point)
    assert seen["Query"] == pytest.approx([*back[:2], atSlice(back[2])], abs=0.01)
    mapped = matches[0].match.map_points(back[None])[0]
    assert seen["Result1"] == pytest.approx([*mapped[:2], atSlice(mapped[2])], abs=0.01)
    assert offsetOf("Result2") == pytest.approx(75)  # its own main view, which Slicer has moved


def test_each_mark_is_seen_in_its_own_column_only_and_drawn_there(display, crosshair):
    show(display, result=found(2))
    main(0).JumpSliceByOffsetting(0, 0, 60)
    turn()
    before = pixels("Result1")
    moveTo(crosshair, "Query", [10.0, -12.0, 60.0])
    turn()
    for node in PointMarks.points():
        name = node.GetAttribute(PointMarks.ATTRIBUTE)
        identifiers = [sliceNode(one).GetID() for one in (name, f"{name}Navigator")]
        assert list(node.GetDisplayNode().GetViewNodeIDs()) == identifiers
        assert node.GetLocked() and node.GetHideFromEditors() and not node.GetSaveWithScene()
    after = pixels("Result1")
    yellow = np.argwhere((after[:, :, 0] - after[:, :, 2] > 60) & (before[:, :, 0] - before[:, :, 2] < 20))
    inverse = np.linalg.inv(slicer.util.arrayFromVTKMatrix(main(1).GetXYToRAS()))
    x, y = (inverse @ [*marks()["Result1"], 1.0])[:2]
    rows, columns = yellow[:, 0], yellow[:, 1]
    assert columns.mean() == pytest.approx(x, abs=2)
    assert min(abs(rows.mean() - y), abs(after.shape[0] - rows.mean() - y)) < 2


def test_hovering_moves_nothing(display, crosshair):
    show(display, result=found(1))
    before = offsetOf("Result1")
    hover(crosshair, "QueryNavigator", [0.0, 0.0, 90.0])
    turn()
    assert offsetOf("Result1") == before and set(marks().values()) == {None}


def test_many_moves_in_one_turn_are_one(display, crosshair):
    show(display, result=found(2))
    told = []
    moveTo(crosshair, "Query", [1.0, 0.0, offsetOf("Query")])
    turn()
    display.onPairChanged = told.append
    for x in range(2, 12):
        moveTo(crosshair, "Query", [float(x), 0.0, offsetOf("Query")])
    turn()
    assert len(told) == 1
    assert marks()["Query"][0] == 11


def test_it_goes_no_further_than_one_move(display, crosshair):
    """Views that were moved move no others, and the crosshair stays where the user put it."""
    show(display, result=found(2))
    point = [3.0, 4.0, 90.0]
    moveTo(crosshair, "QueryNavigator", point)
    turn()
    seen, offsets = marks(), [offsetOf(f"Result{number}") for number in (1, 2)]
    told = []
    display.onPairChanged = told.append
    turn()
    assert not told and marks() == seen and [offsetOf(f"Result{number}") for number in (1, 2)] == offsets
    assert list(crosshair.GetCrosshairRAS()) == point


def test_with_scroll_together_off_columns_are_on_their_own(display, crosshair):
    show(display, result=found(1))
    moveTo(crosshair, "Query", [3.0, 4.0, offsetOf("Query")])
    turn()
    assert marks()["Result1"] is not None
    display.setFollow(False)
    assert set(marks().values()) == {None}
    before = offsetOf("Result1")
    moveTo(crosshair, "QueryNavigator", [3.0, 4.0, 99.0])
    turn()
    assert offsetOf("Result1") == before and set(marks().values()) == {None}
    display.setFollow(True)
    moveTo(crosshair, "QueryNavigator", [3.0, 4.0, 30.0])
    turn()
    assert offsetOf("Result1") == atSlice(24 + 18)


def test_beyond_a_result_its_mark_is_not_seen(display, crosshair):
    result = found(1)
    high = replace(result.matches[0].point_map, result_mm=np.array([100.0, 217.0]))
    show(display, result=replace(result, matches=(replace(result.matches[0], point_map=high),)))
    moveTo(crosshair, "QueryNavigator", [0.0, 0.0, 99.0])
    turn()
    assert marks()["Result1"] is None and offsetOf("Result1") == 59 * SPACING[2]


def test_a_result_without_a_map_is_scrolled_as_ever(display, crosshair):
    result = found(2)
    show(display, result=replace(result, matches=(result.matches[0], replace(result.matches[1], point_map=None))))
    assert set(marks()) == {"Query", "Result1"}
    before = offsetOf("Result2")
    moveTo(crosshair, "QueryNavigator", [0.0, 0.0, 30.0])
    turn()
    assert offsetOf("Result2") != before


def test_other_views_lead_nobody(display, crosshair):
    show(display, result=found(1))
    before = offsetOf("Result1")
    crosshair.SetCursorPositionRAS([0.0, 0.0, 30.0])  # in 3D
    crosshair.SetCrosshairRAS([0.0, 0.0, 30.0])
    turn()
    assert offsetOf("Result1") == before and set(marks().values()) == {None}


def test_marks_are_used_again_and_go(display, crosshair):
    show(display, result=found(3))
    before = {node.GetAttribute(PointMarks.ATTRIBUTE): node.GetID() for node in PointMarks.points()}
    show(display, result=found(1))
    after = {node.GetAttribute(PointMarks.ATTRIBUTE): node.GetID() for node in PointMarks.points()}
    assert after == {name: before[name] for name in ("Query", "Result1")}
    moveTo(crosshair, "Query", [0.0, 0.0, offsetOf("Query")])
    display.remove()
    turn()
    assert not PointMarks.points()
    moveTo(crosshair, "Query", [5.0, 0.0, 0.0])
    turn()
    assert not PointMarks.points()
