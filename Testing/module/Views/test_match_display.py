"""What is shown next to the query: real nodes, real layouts, rendered views."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import slicer
import vtk
from compared import SPACING, aVolume, main, offsetOf, pixels, show, shownViews, sliceNode, textIn
from fake_logic import aMatch, aResult
from slicer_application.window import qSlicerMainWindow
from VolumeRetrievalLib.Views import RangeMarks, WindowLevel
from VolumeRetrievalLib.Views.CompareLayout import Column
from VolumeRetrievalLib.Views.MatchDisplay import MatchDisplay, ShownMatch
from VolumeRetrievalLib.Views.StackGeometry import StackGeometry
from VolumeRetrievalLib.Views.ViewTexts import fitted


@pytest.fixture
def display():
    display = MatchDisplay()
    yield display
    display.remove()
    display.cleanUp()


def sideways(plane):
    """(i, j, k) to RAS of a volume whose slices are of this plane, ascending."""
    columns = {"coronal": [[-4, 0, 0], [0, 0, 3], [0, -4, 0]], "sagittal": [[0, 0, 3], [-4, 0, 0], [0, -4, 0]]}[plane]
    matrix = np.eye(4)
    matrix[:3, :3] = columns
    return matrix


def test_query_and_results_stand_side_by_side_each_in_its_own_view_group(display):
    query, _result, matches = show(display, 3)
    manager = slicer.app.layoutManager()
    assert shownViews() == [
        *("Query", "Result1", "Result2", "Result3"),
        *("QueryNavigator", "Result1Navigator", "Result2Navigator", "Result3Navigator"),
    ]
    groups = []
    for number, volume in enumerate([query, *(one.volumeNode for one in matches)]):
        for name in (Column(number).main, Column(number).navigator):
            assert manager.sliceWidget(name).mrmlSliceCompositeNode().GetBackgroundVolumeID() == volume.GetID()
        assert sliceNode(Column(number).navigator).GetViewGroup() == main(number).GetViewGroup()
        groups.append(main(number).GetViewGroup())
    assert len(set(groups)) == 4 and 0 not in groups


def test_each_volume_is_shown_in_its_own_plane(display):
    result = aResult(2)
    result = replace(result, matches=(replace(result.matches[0], plane="coronal"), result.matches[1]))
    volumes = [aVolume("coronal", ijkToRas=sideways("coronal")), aVolume("axial")]
    matches = [ShownMatch(match, node) for match, node in zip(result.matches, volumes, strict=True)]
    display.show(aVolume("query", 40), result, matches)
    assert [main(number).GetOrientation() for number in range(3)] == ["Axial", "Coronal", "Axial"]
    assert [sliceNode(Column(number).navigator).GetOrientation() for number in range(3)] == [
        *("Coronal", "Sagittal", "Coronal")
    ]


@pytest.mark.parametrize("count", [4, 5])
def test_more_results_have_no_navigators_and_say_their_range(display, count):
    show(display, count)
    assert shownViews() == ["Query", *(f"Result{number}" for number in range(1, count + 1))]
    assert not RangeMarks.marks()
    assert "match: slices 17-63" in textIn("Result1")


def test_the_volume_fills_its_view_but_for_a_margin(display):
    show(display, 1)
    width, height, _depth = main(0).GetFieldOfView()
    assert min(width, height) == pytest.approx(128 / 0.92, rel=0.01)


def test_in_the_navigator_a_line_of_text_has_room_above_the_volume(display):
    """Seen in a real Slicer 5.12.3, where navigators are 150 to 250 pixels high: the text lay on the slab's edge."""
    show(display, 1)
    widget = slicer.app.layoutManager().sliceWidget(Column(0).navigator)
    node = widget.mrmlSliceNode()
    width, height, _depth = node.GetFieldOfView()
    widget.sliceLogic().FitSliceToAll()
    fitted = node.GetFieldOfView()
    room = (1 - fitted[1] / height) / 2 * node.GetDimensions()[1]
    assert room >= 16
    assert width / height == pytest.approx(fitted[0] / fitted[1], rel=0.01)


def test_in_a_window_volumes_are_fitted_to_the_size_that_views_have_in_the_end(display):
    """Each event of the layout node, and each end of a batch, lays out all views anew: none may come after fitting."""
    window = qSlicerMainWindow(1600, 900)
    try:
        window.show()
        window.panel.setFixedWidth(450)
        slicer.app.processEvents()
        show(display, 3)
        for number in range(4):
            view = slicer.app.layoutManager().sliceWidget(Column(number).main).sliceView()
            assert main(number).GetDimensions()[:2] == (view.width, view.height)
            width, height, _depth = main(number).GetFieldOfView()
            assert width == pytest.approx(128 / 0.92, rel=0.02) and width < height
    finally:
        window.close()


def test_an_oblique_volume_is_shown_along_its_own_axes(display):
    transform = vtk.vtkTransform()
    transform.RotateX(18)
    turned = slicer.util.arrayFromVTKMatrix(transform.GetMatrix())
    matrix = turned @ np.diag([-4.0, -4.0, 3.0, 1.0])
    display.show(aVolume("query", 40, ijkToRas=matrix), aResult(1), [ShownMatch(aMatch(1), aVolume())])
    normal = [main(0).GetSliceToRAS().GetElement(row, 2) for row in range(3)]
    assert np.abs(normal @ turned[:3, 2]) == pytest.approx(1)


def test_with_gantry_tilt_view_and_slab_are_at_right_angles_to_the_slices(display):
    """Slices are shifted against each other: the directions of such a volume's voxels are not at right angles."""
    tilted = np.eye(4)
    tilted[:3, 0] = [-4, 0, 0]
    tilted[:3, 1] = 4 * np.array([0, -np.cos(0.35), -np.sin(0.35)])
    tilted[:3, 2] = [0, 0, 3]
    match = aMatch(1, positions_mm=3 * np.cos(0.35) * np.arange(60))
    display.show(aVolume("query", 40), aResult(1, matches=(match,)), [ShownMatch(match, aVolume(ijkToRas=tilted))])
    matrix = np.array([[main(1).GetSliceToRAS().GetElement(row, column) for column in range(3)] for row in range(3)])
    normal = np.array([0, -np.sin(0.35), np.cos(0.35)])
    assert matrix.T @ matrix == pytest.approx(np.eye(3))
    assert abs(matrix[:, 2] @ normal) == pytest.approx(1)
    (mark,) = [node for node in RangeMarks.marks() if node.GetAttribute(RangeMarks.ATTRIBUTE) == "Result1"]
    axes = slicer.util.arrayFromVTKMatrix(mark.GetObjectToNodeMatrix())[:3, :3]
    assert axes.T @ axes == pytest.approx(np.eye(3))
    assert "slice" in textIn("Result1") and "out of" not in textIn("Result1")


def test_the_navigator_shows_the_matched_range_as_one_slab(display):
    _query, _result, matches = show(display, 2)
    one = matches[1].match.place
    assert textIn("Result1Navigator").startswith("match: slices") and not one.is_certain
    assert textIn("Result2Navigator").endswith("(uncertain)")
    marks = [node for node in RangeMarks.marks() if node.GetAttribute(RangeMarks.ATTRIBUTE) == "Result2"]
    assert len(marks) == 1
    bounds = [0.0] * 6
    marks[0].GetRASBounds(bounds)
    half = SPACING[2] / 2
    assert bounds[4:] == pytest.approx([one.start_mm - half, one.end_mm + half], abs=0.05)
    display_ = marks[0].GetDisplayNode()
    assert marks[0].GetNumberOfDisplayNodes() == 1
    assert list(display_.GetViewNodeIDs()) == [sliceNode("Result2Navigator").GetID()]
    assert marks[0].GetLocked() and not display_.GetPropertiesLabelVisibility()
    # in the picture, too: brighter than the gray around it
    image = pixels("Result2Navigator")[:, :, 0]
    bright = np.flatnonzero(np.median(image, axis=1) > np.median(image[image > 20]) + 10)
    mmPerPixel = sliceNode("Result2Navigator").GetFieldOfView()[1] / image.shape[0]
    assert (bright[-1] - bright[0]) * mmPerPixel == pytest.approx(one.extent_mm + SPACING[2], abs=5 * mmPerPixel)


def test_the_query_marks_what_the_selected_match_has_of_it_with_the_same_number(display):
    _query, result, matches = show(display, 2)

    def marked():
        (node,) = [one for one in RangeMarks.marks() if one.GetAttribute(RangeMarks.ATTRIBUTE) == "Query"]
        bounds = [0.0] * 6
        node.GetRASBounds(bounds)
        return bounds[4:]

    positions = result.query_table.position
    assert marked() == pytest.approx([positions[0] - 1.5, positions[-1] + 1.5], abs=0.05)
    assert textIn("QueryNavigator") == "match 1: slices 1-79"
    best = replace(matches[1].match.place, query_first_row=5, query_last_row=9)
    shown = display._shown.matches[1]
    display._shown.matches[1] = replace(shown, match=replace(shown.match, place=best))
    display.select(shown.match)
    assert marked() == pytest.approx([positions[5] - 1.5, positions[9] + 1.5], abs=0.05)
    assert textIn("QueryNavigator") == "match 2: slices 11-19"
    assert len(RangeMarks.marks()) == 3


def test_marks_are_used_again_for_other_results(display):
    show(display, 3)
    before = {node.GetAttribute(RangeMarks.ATTRIBUTE): node.GetID() for node in RangeMarks.marks()}
    show(display, 1)
    after = {node.GetAttribute(RangeMarks.ATTRIBUTE): node.GetID() for node in RangeMarks.marks()}
    assert after == {name: before[name] for name in ("Query", "Result1")}


def test_in_the_main_view_nothing_is_drawn_over_the_picture(display):
    _query, _result, matches = show(display, 1)
    display.showPair(matches[0].match, 0, matches[0].match.place.first_row + 2)
    image = pixels("Result1")
    middle = image[image.shape[0] // 4 : -20, 60:-60]
    assert (middle.max(axis=2) - middle.min(axis=2)).max() <= 12


def test_a_corner_says_who_it_is_which_slice_and_how_similar(display):
    _query, _result, matches = show(display, 2)
    match = matches[1].match
    display.showPair(match, 4, 20)
    assert textIn("Result2") == f"2  Patient 14  {match.score:.2f}\nslice 41 of 120"
    display.setSimilarity(match, match.similarity)
    value = f"{match.similarity[4, 20]:.2f}"
    assert textIn("Result2").endswith(f"slice 41 of 120, similarity here {value}")
    assert textIn("Query") == "Query  query\nslice 9 of 79"


def test_a_corner_says_when_the_view_is_past_the_end_of_the_volume(display):
    """The picture is black then: "slice 79 of 79" would be wrong."""
    show(display, 1)
    main(0).JumpSliceByOffsetting(0, 0, 5000)
    assert "outside the volume, of 79 slices" in textIn("Query")


def test_the_corners_of_the_data_probe_are_left_alone(display):
    view = slicer.app.layoutManager().sliceWidget("Red").sliceView()
    show(display, 1)
    view = slicer.app.layoutManager().sliceWidget("Result1").sliceView()
    view.cornerAnnotation().SetText(2, "Name^Patient")  # DICOM texts, if the user wants them
    display.setSimilarity(aMatch(1), aMatch(1).similarity)
    for corner in range(4):
        view.cornerAnnotation().SetText(corner, "")
    assert "Patient 7" in textIn("Result1")


def test_long_texts_are_broken_at_commas_and_then_cut():
    assert fitted(["2  A  0.48", "slice 28 of 41, similarity here 0.65"], 20) == (
        "2  A  0.48\nslice 28 of 41\nsimilarity here 0.65"
    )
    assert fitted(["2  Somebody with a long name"], 12) == "2  Somebo..."


def test_bars_are_short_and_nodes_have_names_that_say_who_it_is(display):
    _query, _result, matches = show(display, 2)
    assert [main(number).GetLayoutLabel() for number in range(3)] == ["Q", "1", "2"]
    assert [one.volumeNode.GetName() for one in matches] == ["1: Patient 7", "2: Patient 14"]
    assert main(1).GetName() == main(1).GetLayoutName() == "Result1"  # what the Data Probe shows


def test_bars_have_the_ranks_of_what_is_compared(display):
    """Seen in a real Slicer 5.12.3: where the second could not be loaded, the third stood under a bar with a 2."""
    query, found = aVolume("query", slices=40), aResult(4)
    chosen = [found.matches[number] for number in (2, 3)]
    display.show(query, found, [ShownMatch(match, aVolume(match.volume_id)) for match in chosen])
    assert [main(number).GetLayoutLabel() for number in range(3)] == ["Q", "3", "4"]
    assert sliceNode(Column(2).navigator).GetLayoutLabel() == "4"


def test_views_begin_at_the_most_similar_pair_of_slices_and_others_at_what_is_most_similar_to_it(display):
    _query, result, matches = show(display, 2)
    first, second = (one.match for one in matches)
    assert offsetOf("Query") == pytest.approx(result.query_table.position[first.best_query_row])
    assert offsetOf("Result1") == pytest.approx(first.positions_mm[first.best_row])
    row = second.correspondence.best[first.best_query_row]
    assert offsetOf("Result2") == pytest.approx(second.positions_mm[row])


def test_a_match_that_says_nothing_of_where_is_shown_all_the_same(display):
    bare = replace(
        aMatch(1),
        place=None,
        correspondence=None,
        similarity=None,
        slice_index=None,
        positions_mm=None,
        **dict.fromkeys(("best_query_slice", "best_slice", "best_query_row", "best_row"), -1),
    )
    display.show(aVolume("query", 40), aResult(1, matches=(bare,)), [ShownMatch(bare, aVolume())])
    assert "slice 30 of 120" in textIn("Result1") or "slice 31 of 120" in textIn("Result1")
    assert not RangeMarks.marks()


def window(node):
    return node.GetDisplayNode().GetWindow(), node.GetDisplayNode().GetLevel()


def aQueryCT(width, level):
    query = aVolume("query", 40)
    slicer.util.arrayFromVolume(query)[0, 0, 0] = -1000
    slicer.util.arrayFromVolumeModified(query)
    query.GetDisplayNode().SetWindowLevel(width, level)
    return query


def test_ct_is_shown_in_the_querys_window_where_both_are_of_the_same_region():
    volume = aVolume("match")
    WindowLevel.adjust(volume, "CT", aQueryCT(1500, -600), isSameRegion=True)
    assert window(volume) == (1500, -600)


def test_a_lung_window_is_not_copied_onto_a_head():
    volume = aVolume("match")  # its files name 200, 60
    WindowLevel.adjust(volume, "CT", aQueryCT(1500, -600), isSameRegion=False)
    assert window(volume) == (200, 60)


def test_a_window_that_shows_nothing_is_not_copied():
    volume = aVolume("match")
    volume.GetDisplayNode().SetAutoWindowLevel(True)
    WindowLevel.adjust(volume, "CT", aQueryCT(4401, -824), isSameRegion=True)
    assert window(volume) == (400, 40)


def test_other_modalities_stay_as_slicer_shows_them():
    volume = aVolume("match")
    WindowLevel.adjust(volume, "MR", aQueryCT(400, 40), isSameRegion=True)
    assert window(volume) == (200, 60)


def rotated(degrees):
    transform = vtk.vtkTransform()
    transform.RotateX(degrees)
    return slicer.util.arrayFromVTKMatrix(transform.GetMatrix())


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_slices_ascend_toward_right_anterior_and_superior(plane):
    flipped = np.diag([-4.0, 4.0, -3.0, 1.0])
    geometry = StackGeometry.ofVolume(aVolume(ijkToRas=flipped), plane)
    axis = {"sagittal": 0, "coronal": 1, "axial": 2}[plane]
    assert geometry.normal == pytest.approx(np.eye(3)[axis])
    assert np.linalg.det(geometry.axes) == pytest.approx(1)
    assert geometry.spacing == (3 if plane == "axial" else 4)


def test_an_oblique_volume_has_an_oblique_stack():
    matrix = rotated(20) @ np.diag([4.0, 4, 3, 1])
    geometry = StackGeometry.ofVolume(aVolume(ijkToRas=matrix), "axial")
    assert geometry.normal == pytest.approx(rotated(20)[:3, 2])
    point = matrix[:3] @ [0, 0, 7, 1]
    assert geometry.pointAt(geometry.positionOf(point)) @ geometry.normal == pytest.approx(point @ geometry.normal)


def test_a_parent_transform_moves_the_stack():
    volume = aVolume()
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = np.eye(4)
    matrix[2, 3] = 100
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    before = StackGeometry.ofVolume(volume, "axial").center
    volume.SetAndObserveTransformNodeID(transform.GetID())
    assert StackGeometry.ofVolume(volume, "axial").center - before == pytest.approx([0, 0, 100])
