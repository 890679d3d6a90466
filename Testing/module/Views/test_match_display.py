"""Showing matches: real nodes, real layouts, rendered views."""

from __future__ import annotations

import types
from dataclasses import replace

import numpy as np
import pytest
import slicer
import vtk
from fake_logic import aMatch, aResult
from VolumeRetrievalLib.Panel.MatchMapPicture import rangeColor
from VolumeRetrievalLib.Views import CompareLayout, RangeMarks
from VolumeRetrievalLib.Views.CompareLayout import Column
from VolumeRetrievalLib.Views.MatchDisplay import MatchDisplay, ShownMatch
from VolumeRetrievalLib.Views.StackGeometry import StackGeometry

SPACING = (4.0, 4.0, 3.0)


def aVolume(name="CT", slices=60, ijkToRas=None):
    """Grey everywhere, so that a mark's colour is seen wherever it is; its slices ascend with k from S = 0."""
    matrix = np.diag([-SPACING[0], -SPACING[1], SPACING[2], 1.0]) if ijkToRas is None else ijkToRas
    if ijkToRas is None:
        matrix[:2, 3] = 62.0
    voxels = np.full((slices, 32, 32), 60, np.float32)
    node = slicer.util.addVolumeFromArray(voxels, ijkToRAS=matrix, name=name)
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetAutoWindowLevel(False)
    node.GetDisplayNode().SetWindowLevel(200, 60)
    return node


@pytest.fixture
def display():
    display = MatchDisplay()
    yield display
    display.forget()


def pixels(name):
    return slicer.app.layoutManager().sliceWidget(name).sliceView()._qt.pixels().astype(int)


def colored(image):
    """Where a picture is not grey."""
    return (image.max(axis=2) - image.min(axis=2)) > 12


def offsetOf(name):
    node = slicer.app.layoutManager().sliceWidget(name).mrmlSliceNode()
    return node.GetSliceToRAS().GetElement(2, 3)


def sizeOf(mark):
    size = [0.0, 0.0, 0.0]
    mark.GetSizeWorld(size)
    return size


def show(display, count=1, **values):
    query = aVolume("query", slices=40)
    result = aResult(count)
    matches = [ShownMatch(match, aVolume(match.volume_id)) for match in result.matches]
    display.show(query, result, matches)
    return query, result, matches


def test_query_and_results_stand_side_by_side_each_in_its_own_view_group(display):
    query, _result, matches = show(display, 3)
    manager = slicer.app.layoutManager()
    groups = set()
    for number, volume in enumerate([query, *(one.volumeNode for one in matches)]):
        for name in (Column(number).main, Column(number).side):
            widget = manager.sliceWidget(name)
            assert widget.mrmlSliceNode().IsMappedInLayout()
            assert widget.mrmlSliceCompositeNode().GetBackgroundVolumeID() == volume.GetID()
        groups.add(manager.sliceWidget(Column(number).main).mrmlSliceNode().GetViewGroup())
        assert manager.threeDWidget("View" + Column(number).threeD).mrmlViewNode().GetViewGroup() in groups
    assert len(groups) == 4 and 0 not in groups
    assert manager.sliceWidget(Column(0).main).mrmlSliceNode().GetOrientation() == "Axial"
    assert manager.sliceWidget(Column(0).side).mrmlSliceNode().GetOrientation() == "Coronal"


def test_the_matched_range_is_seen_in_its_own_views_only(display):
    _query, _result, matches = show(display, 2)
    one = matches[0].match.ranges[0]
    image = pixels(Column(1).side)
    rows = np.flatnonzero(colored(image).mean(axis=1) > 0.3)
    # The side view is coronal: superior is up; its field of view and height give mm per pixel.
    node = slicer.app.layoutManager().sliceWidget(Column(1).side).mrmlSliceNode()
    mmPerPixel = node.GetFieldOfView()[1] / image.shape[0]
    expected = one.extent_mm + SPACING[2]
    assert (rows[-1] - rows[0]) * mmPerPixel == pytest.approx(expected, abs=4 * mmPerPixel)
    middle = node.GetSliceToRAS().GetElement(2, 3) - ((rows[0] + rows[-1]) / 2 - image.shape[0] / 2) * mmPerPixel
    assert middle == pytest.approx((one.start_mm + one.end_mm) / 2, abs=4 * mmPerPixel)
    assert not colored(pixels(Column(0).side)).any()  # several matches: the query stays clean


def test_in_the_plane_of_the_slices_only_the_slabs_outline_is_drawn(display):
    _query, _result, matches = show(display, 1)
    one = matches[0].match.ranges[0]
    display.showPair(matches[0].match, 0, one.first_row + 2)
    inside = colored(pixels(Column(1).main))
    assert 0.001 < inside.mean() < 0.1
    display.showPair(matches[0].match, 0, one.last_row + 10)
    assert not colored(pixels(Column(1).main)).any()


def test_each_range_has_its_colour_and_its_similarity_as_label(display):
    show(display, 2)
    marks = [node for node in display.folder.nodes() if node.IsA("vtkMRMLMarkupsROINode")]
    assert len(marks) == 3  # one range of the first match, two of the second
    for node in marks:
        number = int(node.GetAttribute(RangeMarks.ATTRIBUTE))
        assert node.GetDisplayNode().GetSelectedColor() == pytest.approx([one / 255 for one in rangeColor(number)])
        assert node.GetLocked() and node.GetDisplayNode().GetPropertiesLabelVisibility()
        assert not node.GetNthDisplayNode(1).GetPropertiesLabelVisibility()
        assert node.GetName().startswith("0.") and "slices" in node.GetName()


def test_where_a_screen_has_small_pixels_labels_take_more_of_them(display):
    show(display, 2)
    window = slicer.app.layoutManager().sliceWidget(Column(2).side).sliceView().renderWindow()
    before = window.GetDPI()
    window.SetDPI(100 * before)
    try:
        show(display, 2)
    finally:
        window.SetDPI(before)
    marks = [node for node in display.folder.nodes() if node.IsA("vtkMRMLMarkupsROINode")]
    assert [node.GetDisplayNode().GetPropertiesLabelVisibility() for node in marks].count(False) == 1


def aMark(number, startMm, weight):
    return RangeMarks.Mark(f"range {number}", startMm, startMm + 2, number, weight)


def test_labels_that_would_lie_over_each_other_become_one():
    marks = [aMark(0, 0, 0.1), aMark(1, 5, 0.6), aMark(2, 9, 0.2), aMark(3, 40, 0.1)]
    shown = RangeMarks.withoutOverlap(marks, nearMm=10)
    assert [(one.name, one.hasLabel) for one in shown] == [
        ("range 0", False),
        ("range 1 (+2 near)", True),
        ("range 2", False),
        ("range 3", True),
    ]
    assert [one.hasLabel for one in RangeMarks.withoutOverlap(marks, nearMm=1)] == [True] * 4


def test_ranges_that_lie_close_have_one_label_in_the_view(display):
    query = aVolume("query", slices=40)
    result = aResult(1)
    one = result.matches[0]
    first = one.ranges[0]
    near = replace(first, start_mm=first.start_mm + 1, end_mm=first.end_mm + 1, weight=0.1)
    one = replace(one, ranges=(first, near))
    display.show(query, result, [ShownMatch(one, aVolume(one.volume_id))])
    marks = [node for node in display.folder.nodes() if node.IsA("vtkMRMLMarkupsROINode")]
    labelled = [node for node in marks if node.GetDisplayNode().GetPropertiesLabelVisibility()]
    assert len(marks) == 4 and len(labelled) == 2  # two in the match, two in the query
    assert all(node.GetName().endswith("(+1 near)") for node in labelled)


def test_a_single_match_is_marked_in_the_query_too(display):
    show(display, 1)
    assert colored(pixels(Column(0).side)).any()


def test_the_slab_is_seen_in_its_own_3d_view_only(display):
    show(display, 2)
    manager = slicer.app.layoutManager()
    for column, expected in ((0, False), (1, True), (2, True)):
        widget = manager.threeDWidget("View" + Column(column).threeD)
        widget.mrmlViewNode().SetBoxVisible(False)  # it is coloured, too
        widget.mrmlViewNode().SetBackgroundColor(0, 0, 0)
        widget.mrmlViewNode().SetBackgroundColor2(0, 0, 0)
        assert colored(widget.threeDView()._qt.pixels().astype(int)).any() == expected


def test_views_jump_to_the_most_similar_pair_of_slices(display):
    _query, result, matches = show(display, 1)
    similarity = matches[0].match.similarity
    row, column = np.unravel_index(similarity.argmax(), similarity.shape)
    assert offsetOf(Column(0).main) == pytest.approx(result.query_table.position[row])
    assert offsetOf(Column(1).main) == pytest.approx(matches[0].match.positions_mm[column])


def test_scrolling_the_query_moves_the_result_along_the_path_until_turned_off(display):
    _query, result, matches = show(display, 1)
    queryNode = slicer.app.layoutManager().sliceWidget(Column(0).main).mrmlSliceNode()
    queryNode.JumpSliceByOffsetting(0, 0, result.query_table.position[20])
    path = matches[0].match.correspondence.path[20]
    assert offsetOf(Column(1).main) == pytest.approx(path * SPACING[2])
    queryNode.JumpSliceByOffsetting(0, 0, result.query_table.position[10] + 1.5)  # between two slices
    between = (matches[0].match.correspondence.path[10] + matches[0].match.correspondence.path[11]) / 2
    assert offsetOf(Column(1).main) == pytest.approx(between * SPACING[2])
    display.setFollow(False)
    queryNode.JumpSliceByOffsetting(0, 0, 0)
    assert offsetOf(Column(1).main) == pytest.approx(between * SPACING[2])


def test_a_pair_chosen_by_hand_is_shown_as_it_is_and_following_goes_on(display):
    _query, result, matches = show(display, 1)
    display.showPair(matches[0].match, 5, 50)
    assert offsetOf(Column(0).main) == pytest.approx(result.query_table.position[5])
    assert offsetOf(Column(1).main) == pytest.approx(50 * SPACING[2])
    queryNode = slicer.app.layoutManager().sliceWidget(Column(0).main).mrmlSliceNode()
    queryNode.JumpSliceByOffsetting(0, 0, result.query_table.position[20])
    assert offsetOf(Column(1).main) != pytest.approx(50 * SPACING[2])


def test_removing_restores_the_users_layout_and_views(display):
    manager = slicer.app.layoutManager()
    own = aVolume("own")
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
    red = manager.sliceWidget("Red")
    red.mrmlSliceCompositeNode().SetBackgroundVolumeID(own.GetID())
    red.sliceLogic().FitSliceToAll()
    red.mrmlSliceNode().JumpSliceByOffsetting(0, 0, 33)
    fieldOfView = red.mrmlSliceNode().GetFieldOfView()
    display.remember()
    query, _result, matches = show(display, 2)
    # What loading a DICOM series does to every view:
    red.mrmlSliceCompositeNode().SetBackgroundVolumeID(matches[0].volumeNode.GetID())
    red.sliceLogic().FitSliceToAll()
    identifiers = [one.volumeNode.GetID() for one in matches]
    display.remove()
    assert manager.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView
    assert red.mrmlSliceCompositeNode().GetBackgroundVolumeID() == own.GetID()
    assert offsetOf("Red") == pytest.approx(33)
    assert red.mrmlSliceNode().GetFieldOfView() == pytest.approx(fieldOfView)
    assert [slicer.mrmlScene.GetNodeByID(one) for one in identifiers] == [None, None]
    assert slicer.mrmlScene.GetNodeByID(query.GetID()) is query
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsROINode") == 0


def test_a_volume_that_was_there_before_stays(display):
    query, result, match = aVolume("query", 40), aResult(1), aMatch(1)
    known = aVolume("known")
    display.show(query, result, [ShownMatch(match, known, isOurs=False)])
    display.remove()
    assert slicer.mrmlScene.GetNodeByID(known.GetID()) is known


def test_everything_sits_in_one_folder_and_empty_study_items_go(display):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "Patient")
    study = hierarchy.CreateStudyItem(patient, "Study")
    volume = aVolume("loaded")
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(volume), study)
    display.show(aVolume("query", 40), aResult(1), [ShownMatch(aMatch(1), volume)])
    assert hierarchy.GetItemName(hierarchy.GetItemParent(hierarchy.GetItemByDataNode(volume))) == "Similar volumes"
    assert hierarchy.GetItemChildWithName(hierarchy.GetSceneItemID(), "Patient") == 0
    assert volume in display.folder.nodes()


def test_showing_other_results_replaces_the_marks(display):
    show(display, 1)
    first = [node.GetID() for node in display.folder.nodes() if node.IsA("vtkMRMLMarkupsROINode")]
    show(display, 2)
    marks = [node for node in display.folder.nodes() if node.IsA("vtkMRMLMarkupsROINode")]
    assert len(marks) == 3
    assert len(first) == 2


def test_results_of_another_plane_use_the_same_views(display):
    show(display, 1)
    result, match = aResult(1, plane="coronal"), aMatch(1, plane="coronal")
    display.show(aVolume("query", 40), result, [ShownMatch(match, aVolume("coronal"))])
    manager = slicer.app.layoutManager()
    assert manager.sliceWidget(Column(1).main).mrmlSliceNode().GetOrientation() == "Coronal"
    assert manager.sliceWidget(Column(1).side).mrmlSliceNode().GetOrientation() == "Sagittal"


def test_a_saved_scene_keeps_the_marks_and_they_can_be_removed_after_opening(display, tmp_path):
    show(display, 1)
    scene = slicer.mrmlScene
    marks = {node.GetName() for node in display.folder.nodes() if node.IsA("vtkMRMLMarkupsROINode")}
    sizes = {node.GetName(): sizeOf(node) for node in display.folder.nodes() if node.GetName() in marks}
    path = str(tmp_path / "scene.mrb")
    assert scene.WriteToMRB(path)
    display.forget()
    scene.Clear(0)
    assert scene.ReadFromMRB(path)
    again = MatchDisplay()
    found = [node for node in again.folder.nodes() if node.IsA("vtkMRMLMarkupsROINode")]
    assert {node.GetName() for node in found} == marks
    for node in found:
        assert sizeOf(node) == pytest.approx(sizes[node.GetName()], abs=0.01)
        assert all(name.startswith("vtkMRML") for name in node.GetDisplayNode().GetViewNodeIDs())
        assert node.GetLocked()
    slicer.app.layoutManager().setLayout(CompareLayout.LAYOUT_ID)
    again.remove()
    assert slicer.app.layoutManager().layout == slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView
    assert scene.GetNumberOfNodesByClass("vtkMRMLMarkupsROINode") == 0


def test_a_closed_scene_is_forgotten(display):
    show(display, 1)
    slicer.mrmlScene.Clear(0)
    display.forget()
    display.showPair(aMatch(1), 0, 0)
    display.setFollow(True)
    display.remove()


def test_ct_is_shown_in_the_querys_window(display):
    query, volume = aVolume("query", 40), aVolume("match")
    slicer.util.arrayFromVolume(query)[0, 0, 0] = -1000
    slicer.util.arrayFromVolumeModified(query)
    query.GetDisplayNode().SetWindowLevel(1500, -600)
    display.show(query, aResult(1), [ShownMatch(aMatch(1), volume)])
    assert (volume.GetDisplayNode().GetWindow(), volume.GetDisplayNode().GetLevel()) == (1500, -600)


def test_without_views_showing_says_so(display, monkeypatch):
    monkeypatch.setattr(slicer, "app", types.SimpleNamespace(layoutManager=lambda: None))
    with pytest.raises(RuntimeError, match="main window"):
        display.remember()


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


def test_labels_with_markup_characters_are_shown_as_they_are():
    columns = CompareLayout.apply(["Query", "1 <CT & PET>"], "axial")
    node = slicer.app.layoutManager().sliceWidget(columns[1].main).mrmlSliceNode()
    assert node.GetLayoutLabel() == "1 <CT & PET>"
