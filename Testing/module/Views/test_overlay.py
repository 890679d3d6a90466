"""Results over the query, in its space; back again everything is as it was. A registration moves what is shown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import slicer
import vtk
from compared import SPACING, aVolume, main, nodeIDs, offsetOf, pixels, sliceNode, textIn
from test_follow_point import crosshair, display, found, marks, moveTo, turn  # noqa: F401
from VolumeRetrievalEngine.query.oriented_box import OrientedBox
from VolumeRetrievalEngine.searching.refinement import Refinement
from VolumeRetrievalLib.Views import OverlayVolumes, RangeMarks, RegionBoxes
from VolumeRetrievalLib.Views.MatchDisplay import ShownMatch

#: In the query, RAS mm; its middle is 5 mm left of the middle of the body.
ASKED = OrientedBox(np.array([5.0, 0.0, 60.0]), np.eye(3), np.array([40.0, 30.0, 30.0]))


def regionResult(count):
    result = found(count)
    matches = [replace(one, box=one.point_map.box(ASKED)) for one in result.matches]
    return replace(result, matches=tuple(matches), query_box=ASKED)


def shown(display, count=2, isOurs=True):  # noqa: F811
    result = regionResult(count)
    matches = [ShownMatch(match, aVolume(match.volume_id), isOurs, f"Patient {match.rank}") for match in result.matches]
    query = aVolume("query", slices=40)
    display.show(query, result, matches)
    return query, result, matches


def composite(name):
    return slicer.app.layoutManager().sliceWidget(name).mrmlSliceCompositeNode()


def ours():
    """Every node that an overlay needs."""
    nodes = slicer.util.getNodesByClass("vtkMRMLNode")
    return [node for node in nodes if node.GetAttribute(OverlayVolumes.ATTRIBUTE)]


def state():
    """What must be the same again: of every node that it is there, of views and marks all that is seen."""
    views = {}
    for name in ("Query", "QueryNavigator", "Result1", "Result1Navigator", "Result2", "Result2Navigator"):
        node, layers = sliceNode(name), composite(name)
        views[name] = (
            slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS()).round(3).tolist(),
            np.round(node.GetFieldOfView(), 3).tolist(),
            (layers.GetBackgroundVolumeID(), layers.GetForegroundVolumeID(), layers.GetForegroundOpacity()),
            textIn(name),
        )
    drawn = [
        (slicer.util.arrayFromVTKMatrix(one.GetObjectToNodeMatrix()).round(3).tolist(), list(one.GetSize()))
        for one in (*RangeMarks.marks(), *RegionBoxes.boxes())
    ]
    return nodeIDs(), views, drawn


def refinementOf(result, match, success=True, moved=(6.0, 0.0, 9.0)):
    matrix = result.alignment(match).copy()
    matrix[:3, 3] += moved
    box = OrientedBox(match.box.center + np.array(moved), match.box.axes, match.box.size)
    return Refinement(matrix, success, "" if success else "found nothing", 0.1, 11.0, box, 1.0)


def test_a_result_lies_over_the_query_where_the_mapping_has_it(display):  # noqa: F811
    result = regionResult(1)
    match = result.matches[0]
    target = match.map_points(ASKED.center[None])[0]
    volume = aVolume("result")
    voxels = slicer.util.arrayFromVolume(volume)
    i, j, k = np.round((np.append(target, 1.0) @ np.linalg.inv(np.diag([-4, -4, 3, 1.0]) + _moved()).T)[:3]).astype(int)
    voxels[k - 1 : k + 2, j - 1 : j + 2, i - 1 : i + 2] = 150
    slicer.util.arrayFromVolumeModified(volume)
    query = aVolume("query", slices=40)
    display.show(query, result, [ShownMatch(match, volume, False, "Patient 1")])
    before = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(before)
    main(0).JumpSliceByOffsetting(*ASKED.center)
    display.setOverlay(True)
    display.setOpacity(1.0)
    turn()
    (overlay,) = OverlayVolumes.volumes()
    for name in ("Result1", "Result1Navigator"):
        layers = composite(name)
        assert (layers.GetBackgroundVolumeID(), layers.GetForegroundVolumeID()) == (query.GetID(), overlay.GetID())
        assert layers.GetForegroundOpacity() == 1.0
    assert slicer.util.arrayFromVTKMatrix(main(1).GetSliceToRAS()) == pytest.approx(
        slicer.util.arrayFromVTKMatrix(main(0).GetSliceToRAS())
    )
    picture = pixels("Result1")[:, :, 0]
    bright = np.argwhere((picture > 232) & (picture < 250))  # but neither texts nor the box
    inverse = np.linalg.inv(slicer.util.arrayFromVTKMatrix(main(1).GetXYToRAS()))
    x, y = (inverse @ [*ASKED.center, 1.0])[:2]
    across = 4 / main(1).GetFieldOfView()[0] * picture.shape[1]  # pixels of a voxel
    assert np.median(bright[:, 1]) == pytest.approx(x, abs=across)
    rows = np.median(bright[:, 0])
    assert min(abs(rows - y), abs(picture.shape[0] - rows - y)) < across
    # The user's own volume is what it was.
    after = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(after)
    assert volume.GetParentTransformNode() is None
    assert slicer.util.arrayFromVTKMatrix(after).tolist() == slicer.util.arrayFromVTKMatrix(before).tolist()
    assert overlay.GetImageData() is volume.GetImageData(), "no voxels are copied"
    overlay.GetDisplayNode().SetWindowLevel(10, 5)
    assert volume.GetDisplayNode().GetWindow() == 200


def _moved():
    matrix = np.zeros((4, 4))
    matrix[:2, 3] = 62.0
    return matrix


@pytest.mark.parametrize("follow", [False, True])
def test_back_in_their_own_space_everything_is_as_it_was(display, follow):  # noqa: F811
    points = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "of the query")
    points.CreateDefaultDisplayNodes()
    shown(display)
    display.setFollow(follow)
    main(0).JumpSliceByOffsetting(0, 0, 60)
    sliceNode("Result1").SetFieldOfView(70, 70, 1)  # the user has zoomed
    turn()
    before = state()
    seenIn = set(points.GetDisplayNode().GetViewNodeIDs())
    told = []
    display.onChanged = lambda: told.append(display.isOverlaid)
    display.setOverlay(True)
    turn()
    assert display.isOverlaid and len(OverlayVolumes.volumes()) == 2
    for name in ("Result1", "Result2", "Result2Navigator"):
        assert sliceNode(name).GetID() in points.GetDisplayNode().GetViewNodeIDs(), "it is in the query's space, too"
    assert len(ours()) == 6
    assert all(node.GetHideFromEditors() and not node.GetSaveWithScene() for node in ours())
    display.setOverlay(False)
    turn()
    assert state() == before
    assert set(points.GetDisplayNode().GetViewNodeIDs()) == seenIn
    assert told == [True, False]


def test_over_the_query_all_columns_show_one_plane(display, crosshair):  # noqa: F811
    _query, result, _matches = shown(display)
    display.setOverlay(True)
    turn()
    main(0).JumpSliceByOffsetting(0, 0, 61.0)  # between two slices
    turn()
    assert [offsetOf(name) for name in ("Query", "Result1", "Result2")] == pytest.approx([61.0] * 3)
    main(2).JumpSliceByOffsetting(0, 0, 70.0)
    turn()
    assert [offsetOf(name) for name in ("Query", "Result1", "Result2")] == pytest.approx([70.0] * 3)
    point = [10.0, -12.0, 62.5]
    moveTo(crosshair, "Result1Navigator", point)
    turn()
    assert [offsetOf(name) for name in ("Query", "Result2")] == pytest.approx([62.5] * 2)
    assert all(place == pytest.approx(point) for place in marks().values())
    height = (result.alignment(result.matches[0]) @ [5.0, 0.0, 62.5, 1.0])[2]
    row = round(height / SPACING[2])  # every other slice of the match was compared
    numbers = [2 * row + one for one in (0, 1, 2)]
    assert any(f"slice {number} of 120" in textIn("Result1") for number in numbers), textIn("Result1")
    assert "over the query (not registered)" in textIn("Result1")
    assert textIn("Result1Navigator").startswith("match 1: slices"), "of the query"
    boxes = [slicer.util.arrayFromVTKMatrix(one.GetObjectToNodeMatrix())[:3, 3] for one in RegionBoxes.boxes()]
    assert len(boxes) == 2 and all(center == pytest.approx(ASKED.center) for center in boxes)
    display.showPair(result.matches[0], 10, 20)
    assert [offsetOf(name) for name in ("Query", "Result1")] == pytest.approx([30.0] * 2)


def test_a_result_without_a_place_stays_in_its_own_space(display):  # noqa: F811
    result = regionResult(2)
    matches = (result.matches[0], replace(result.matches[1], place=None, box=None))
    result = replace(result, matches=matches)
    display.show(aVolume("query", 40), result, [ShownMatch(one, aVolume()) for one in matches])
    display.setOverlay(True)
    assert len(OverlayVolumes.volumes()) == 1 and composite("Result2").GetForegroundVolumeID() is None


@pytest.mark.parametrize("leave", ["close", "layout", "others", "clear"])
def test_however_a_comparison_ends_its_overlays_go(display, leave):  # noqa: F811
    shown(display)
    display.setOverlay(True)
    turn()
    if leave == "close":
        display.remove()
    elif leave == "layout":
        slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    elif leave == "others":
        shown(display, 1)
    else:
        slicer.mrmlScene.Clear(0)
    turn()
    assert not ours() and not display.isOverlaid
    for name in ("Result1", "Result1Navigator"):
        assert composite(name).GetForegroundOpacity() == 0 and not composite(name).GetForegroundVolumeID()


def test_irregular_slices_keep_their_acquisition_transform_below_ours(display):  # noqa: F811
    acquisition = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLGridTransformNode", "CT acquisition transform")
    volume = aVolume()
    volume.SetAndObserveTransformNodeID(acquisition.GetID())
    node = OverlayVolumes.show("Result1", volume, np.diag([1.0, 1.0, 2.0, 1.0]), "1: over the query")
    parent = node.GetParentTransformNode()
    assert parent.GetClassName() == "vtkMRMLGridTransformNode" and parent is not acquisition
    matrix = vtk.vtkMatrix4x4()
    parent.GetParentTransformNode().GetMatrixTransformToParent(matrix)
    assert matrix.GetElement(2, 2) == 0.5 and acquisition.GetParentTransformNode() is None
    assert volume.GetParentTransformNode() is acquisition
    again = OverlayVolumes.show("Result1", volume, np.eye(4), "1: over the query")
    assert again is node, "window and level stay what the user has made them"
    assert parent.GetParentTransformNode().GetMatrixTransformToParent(matrix) and matrix.GetElement(2, 2) == 1.0
    OverlayVolumes.remove()
    assert volume.GetParentTransformNode() is acquisition and acquisition.GetScene() is not None


@pytest.mark.parametrize("isOverlaid", [False, True])
def test_a_reliable_registration_moves_box_crosshair_scrolling_and_overlay(display, crosshair, isOverlaid):  # noqa: F811
    _query, result, matches = shown(display)
    match = matches[0].match
    display.setOverlay(isOverlaid)
    main(0).JumpSliceByOffsetting(*ASKED.center)
    turn()
    height = offsetOf("Result1")
    display.setRefinement(replace(match, score=0.1), refinementOf(result, match))  # of another search
    assert display.shownMatches[0].refinement is None
    refinement = refinementOf(result, match)
    display.setRefinement(match, refinement)
    turn()
    assert [one.refinement for one in display.shownMatches] == [refinement, None]
    if isOverlaid:
        matrix = vtk.vtkMatrix4x4()
        OverlayVolumes.volumes()[0].GetParentTransformNode().GetMatrixTransformFromParent(matrix)
        assert slicer.util.arrayFromVTKMatrix(matrix) == pytest.approx(refinement.matrix)
        assert "over the query (registered)" in textIn("Result1") and "(not registered)" in textIn("Result2")
        display.setOverlay(False)
        turn()
    boxes = [one for one in RegionBoxes.boxes() if one.GetAttribute(RegionBoxes.ATTRIBUTE) == "Result1"]
    center = slicer.util.arrayFromVTKMatrix(boxes[0].GetObjectToNodeMatrix())[:3, 3]
    assert center == pytest.approx(refinement.box.center)
    if not isOverlaid:
        assert offsetOf("Result1") == pytest.approx(height + 9, abs=SPACING[2])
    moveTo(crosshair, "Query", list(ASKED.center))
    turn()
    expected = refinement.points(ASKED.center[None])[0]
    assert marks()["Result1"][:2] == pytest.approx(expected[:2], abs=0.01)
    assert offsetOf("Result1") == pytest.approx(expected[2], abs=SPACING[2] / 2)


def test_one_that_is_not_reliable_moves_nothing(display):  # noqa: F811
    _query, result, matches = shown(display)
    turn()
    before = state()
    display.setRefinement(matches[0].match, refinementOf(result, matches[0].match, success=False))
    turn()
    assert state() == before and display.shownMatches[0].refinement.reason == "found nothing"
