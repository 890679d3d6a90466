"""The region that was asked for, as a box in each result."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import slicer
from compared import pixels, show, sliceNode
from fake_logic import aResult
from VolumeRetrievalEngine.query.oriented_box import OrientedBox
from VolumeRetrievalLib.Views import CompareLayout, RegionBoxes
from VolumeRetrievalLib.Views.MatchDisplay import MatchDisplay

ASKED = OrientedBox(np.array([0.0, 0.0, 60.0]), np.eye(3), np.array([30.0, 20.0, 24.0]))


@pytest.fixture
def display():
    display = MatchDisplay()
    yield display
    display.remove()
    display.cleanUp()


def found(count, size=(40.0, 30.0, 60.0), axes=None):
    """A result for a region, which each match has 10 mm above the one before."""
    result = aResult(count)
    axes = np.eye(3) if axes is None else axes
    matches = [
        replace(match, box=OrientedBox(np.array([5.0, -5.0, 60.0 + 10 * number]), axes, np.array(size)))
        for number, match in enumerate(result.matches)
    ]
    return replace(result, query_box=ASKED, matches=tuple(matches))


def boundsOf(node):
    bounds = [0.0] * 6
    node.GetRASBounds(bounds)
    return bounds


def drawn():
    return {node.GetAttribute(RegionBoxes.ATTRIBUTE): node for node in RegionBoxes.boxes()}


@pytest.mark.parametrize("count", [2, 5])
def test_each_result_has_the_region_in_its_own_views_only(display, count):
    show(display, result=found(count))
    assert set(drawn()) == {f"Result{number + 1}" for number in range(count)}
    names = ["Result2", "Result2Navigator"] if CompareLayout.hasNavigators(count + 1) else ["Result2"]
    node = drawn()["Result2"]
    assert list(node.GetDisplayNode().GetViewNodeIDs()) == [sliceNode(name).GetID() for name in names]
    assert boundsOf(node) == pytest.approx([-15, 25, -20, 10, 40, 100])
    assert node.GetLocked() and not node.GetSaveWithScene() and node.GetHideFromEditors()
    assert not node.GetDisplayNode().GetSaveWithScene() and not node.GetDisplayNode().GetHandlesInteractive()


def test_its_outline_is_seen_and_the_picture_within_it_is_as_it_was(display):
    def picture():
        sliceNode("Result1").JumpSliceByOffsetting(0, 0, 60)
        return pixels("Result1")

    show(display, result=aResult(1))
    before = picture()
    show(display, result=found(1))
    after = picture()
    changed = np.argwhere((after.max(axis=2) > 180) & (before.max(axis=2) < 140))
    (top, left), (bottom, right) = changed.min(axis=0), changed.max(axis=0)
    mmPerPixel = sliceNode("Result1").GetFieldOfView()[0] / after.shape[1]
    assert (right - left) * mmPerPixel == pytest.approx(40, abs=4)
    assert (bottom - top) * mmPerPixel == pytest.approx(30, abs=4)
    inside = np.s_[top + 6 : bottom - 5, left + 6 : right - 5]
    assert inside[0].stop > inside[0].start and np.array_equal(after[inside], before[inside])


def test_a_box_along_a_left_handed_stack_is_the_same_box(display):
    show(display, result=found(1, axes=np.array([[-1.0, 0, 0], [0, 0, -1], [0, 1, 0]])))
    node = drawn()["Result1"]
    assert boundsOf(node) == pytest.approx([-15, 25, -35, 25, 45, 75])
    matrix = slicer.util.arrayFromVTKMatrix(node.GetObjectToNodeMatrix())
    assert np.linalg.det(matrix[:3, :3]) == pytest.approx(1)


def test_boxes_are_used_again_and_go(display):
    show(display, result=found(3))
    before = {name: node.GetID() for name, node in drawn().items()}
    show(display, result=found(2))
    assert {name: node.GetID() for name, node in drawn().items()} == {
        name: before[name] for name in ("Result1", "Result2")
    }
    display.remove()
    assert not drawn()


def test_of_a_whole_volume_and_of_slices_the_slab_says_it(display):
    show(display, result=found(2))
    show(display, result=replace(found(2), query_box=None))
    assert not drawn()


def test_a_result_that_has_nothing_of_the_region_has_no_box(display):
    result = found(2)
    result = replace(result, matches=(result.matches[0], replace(result.matches[1], box=None)))
    show(display, result=result)
    assert set(drawn()) == {"Result1"}


def test_they_go_with_the_layout(display):
    show(display, result=found(1))
    slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    for _turn in range(5):
        slicer.app.processEvents()
    assert not drawn()
