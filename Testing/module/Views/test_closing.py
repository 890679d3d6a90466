"""Closing a comparison leaves no trace; neither does a scene that is closed, saved or opened meanwhile."""

from __future__ import annotations

import types

import numpy as np
import pytest
import slicer
from compared import aVolume, main, nodeIDs, offsetOf, show, shownViews, textIn
from fake_logic import aMatch, aResult
from slicer_application import openedElsewhere
from VolumeRetrievalLib.Views import CompareLayout, RangeMarks, ViewState
from VolumeRetrievalLib.Views.MatchDisplay import MatchDisplay, ShownMatch

FOUR_UP = slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView
ONE_RED = slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView


@pytest.fixture
def display():
    display = MatchDisplay()
    yield display
    display.remove()
    display.cleanUp()


def hierarchy():
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)


def test_closing_restores_the_users_layout_and_views(display):
    manager = slicer.app.layoutManager()
    own = aVolume("own")
    manager.setLayout(ONE_RED)
    red = manager.sliceWidget("Red")
    red.mrmlSliceCompositeNode().SetBackgroundVolumeID(own.GetID())
    red.sliceLogic().FitSliceToAll()
    red.mrmlSliceNode().JumpSliceByOffsetting(0, 0, 33)
    fieldOfView = red.mrmlSliceNode().GetFieldOfView()
    query, _result, matches = show(display, 2)
    red.sliceLogic().FitSliceToAll()  # what another size of the view does to it
    identifiers = [one.volumeNode.GetID() for one in matches]
    assert display.isShown
    display.remove()
    assert manager.layout == ONE_RED
    assert red.mrmlSliceCompositeNode().GetBackgroundVolumeID() == own.GetID()
    assert offsetOf("Red") == pytest.approx(33)
    assert red.mrmlSliceNode().GetFieldOfView() == pytest.approx(fieldOfView)
    assert [slicer.mrmlScene.GetNodeByID(one) for one in identifiers] == [None, None]
    assert slicer.mrmlScene.GetNodeByID(query.GetID()) is query
    assert not RangeMarks.marks() and not display.isShown


def test_showing_and_closing_adds_no_node_but_views_that_nobody_is_offered(display):
    def once(count):
        query, _result, _matches = show(display, count)
        display.remove()
        dependents = [query.GetDisplayNode(), query]
        hierarchy().RemoveItem(hierarchy().GetItemByDataNode(query), False)
        for node in dependents:
            slicer.mrmlScene.RemoveNode(node)

    once(3)
    before = nodeIDs()
    once(2)
    assert nodeIDs() == before
    for name in CompareLayout.VIEW_NAMES:
        node = slicer.mrmlScene.GetSingletonNode(name, "vtkMRMLSliceNode")
        if node is not None:
            assert node.GetHideFromEditors() and not node.GetSaveWithScene()


def test_maximized_views_are_the_users_again(display):
    node = CompareLayout.layoutNode()
    green = slicer.app.layoutManager().sliceWidget("Green").mrmlSliceNode()
    node.AddMaximizedViewNode(green)
    show(display, 1)
    assert "Green" not in shownViews()
    node.AddMaximizedViewNode(main(1))
    assert shownViews() == ["Result1", "QueryNavigator", "Result1Navigator"] or shownViews() == ["Result1"]
    display.remove()
    assert shownViews() == ["Green"]
    node.RemoveAllMaximizedViewNodes()
    assert slicer.app.layoutManager().layout == FOUR_UP


def test_showing_again_keeps_the_layout_from_before_the_first_time(display):
    slicer.app.layoutManager().setLayout(ONE_RED)
    show(display, 1)
    show(display, 3)
    display.remove()
    assert slicer.app.layoutManager().layout == ONE_RED


def test_a_volume_of_the_user_stays_and_keeps_its_name(display):
    known = aVolume("known")
    display.show(aVolume("query", 40), aResult(1), [ShownMatch(aMatch(1), known, isOurs=False, name="Patient")])
    display.remove()
    assert slicer.mrmlScene.GetNodeByID(known.GetID()) is known and known.GetName() == "known"


def test_texts_leave_the_views(display):
    show(display, 1)
    assert textIn("Query")
    display.remove()
    assert not textIn("Query") and not textIn("Result1Navigator")


def test_volumes_sit_in_one_folder_and_empty_study_items_go(display):
    patient = hierarchy().CreateSubjectItem(hierarchy().GetSceneItemID(), "Patient")
    study = hierarchy().CreateStudyItem(patient, "Study")
    volume = aVolume("loaded")
    hierarchy().SetItemParent(hierarchy().GetItemByDataNode(volume), study)
    display.show(aVolume("query", 40), aResult(1), [ShownMatch(aMatch(1), volume)])
    parent = hierarchy().GetItemParent(hierarchy().GetItemByDataNode(volume))
    assert hierarchy().GetItemName(parent) == "Similar volumes"
    assert hierarchy().GetItemChildWithName(hierarchy().GetSceneItemID(), "Patient") == 0
    display.remove()
    assert hierarchy().GetItemChildWithName(hierarchy().GetSceneItemID(), "Similar volumes") == 0


def test_a_failed_show_leaves_nothing_behind(display, monkeypatch):
    slicer.app.layoutManager().setLayout(ONE_RED)
    before = nodeIDs()
    query, volume = aVolume("query", 40), aVolume("match")
    monkeypatch.setattr(RangeMarks, "show", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        display.show(query, aResult(1), [ShownMatch(aMatch(1), volume)])
    assert slicer.app.layoutManager().layout == ONE_RED
    assert not display.isShown and volume.GetScene() is None
    assert slicer.app.layoutManager()._qt._pauses == 0 and not slicer.mrmlScene.IsBatchProcessing()
    slicer.mrmlScene.RemoveNode(query)
    left = [slicer.mrmlScene.GetNodeByID(one) for one in nodeIDs() - before]
    assert not [one.GetName() for one in left if one.IsA("vtkMRMLDisplayableNode") and not one.GetHideFromEditors()]


def test_without_views_showing_says_so(display, monkeypatch):
    monkeypatch.setattr(slicer, "app", types.SimpleNamespace(layoutManager=lambda: None))
    with pytest.raises(RuntimeError, match="main window"):
        display.checkViews()
    monkeypatch.undo()


class TestOtherLayout:
    def test_leaving_by_the_layout_menu_leaves_everything_as_ever(self, display):
        show(display, 1)
        slicer.app.layoutManager().setLayout(ONE_RED)
        slicer.app.processEvents()
        assert CompareLayout.layoutNode().GetSaveWithScene()
        assert not RangeMarks.marks() and not textIn("Query")
        assert display.isShown  # its volumes are there
        display.showPair(aMatch(1), 0, 0)
        display.remove()
        assert slicer.app.layoutManager().layout == ONE_RED and not display.isShown

    def test_showing_again_takes_the_new_layout_for_the_users(self, display):
        show(display, 1)
        slicer.app.layoutManager().setLayout(ONE_RED)
        slicer.app.processEvents()
        show(display, 2)
        display.remove()
        assert slicer.app.layoutManager().layout == ONE_RED


class TestScene:
    def test_closing_it_brings_the_layout_back_and_the_next_time_too(self, display):
        slicer.app.layoutManager().setLayout(ONE_RED)
        changes = []
        display.onChanged = lambda: changes.append(display.isShown)
        show(display, 1)
        slicer.mrmlScene.Clear(0)
        assert slicer.app.layoutManager().layout == ONE_RED
        assert not display.isShown and changes[-1] is False
        display.showPair(aMatch(1), 0, 0)
        display.setFollow(True)
        display.remove()
        show(display, 1)
        display.remove()
        assert slicer.app.layoutManager().layout == ONE_RED

    def test_closing_it_with_a_maximized_view_of_ours_leaves_none(self, display):
        show(display, 1)
        CompareLayout.layoutNode().AddMaximizedViewNode(main(0))
        slicer.mrmlScene.Clear(0)
        assert shownViews() and "Query" not in shownViews()

    def test_saved_meanwhile_it_opens_elsewhere_in_the_layout_that_is_there(self, display, tmp_path):
        model = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode", "own model")
        model.CreateDefaultDisplayNodes()
        show(display, 2)
        path = tmp_path / "scene.mrb"
        assert slicer.util.saveScene(str(path))
        other = openedElsewhere(path)
        assert other.arrangement == FOUR_UP and "Red" in other.views
        for name in CompareLayout.VIEW_NAMES:
            assert other.node("vtkMRMLSliceNode", name) is None
            assert other.node("vtkMRMLSliceCompositeNode", name) is None
        assert other.scene.GetNumberOfNodesByClass("vtkMRMLMarkupsROINode") == 0
        names = [
            other.scene.GetNthNodeByClass(index, "vtkMRMLScalarVolumeNode").GetName()
            for index in range(other.scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode"))
        ]
        assert names == ["query", "1: Patient 7", "2: Patient 14"]
        assert display.isShown and shownViews()[0] == "Query"  # here nothing has changed

    def test_saved_meanwhile_and_opened_here_the_volumes_can_still_be_removed(self, display, tmp_path):
        model = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode", "own model")
        model.CreateDefaultDisplayNodes()
        show(display, 1)
        path = tmp_path / "scene.mrb"
        assert slicer.util.saveScene(str(path))
        slicer.mrmlScene.Clear(0)
        assert slicer.mrmlScene.ReadFromMRB(str(path))
        assert display.isShown
        assert slicer.app.layoutManager().layout == FOUR_UP
        assert slicer.util.getNode("own model").GetDisplayNode().GetNumberOfViewNodeIDs() == 0  # in every view again
        display.remove()
        assert not display.isShown
        assert [node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")] == ["query"]

    def test_of_an_earlier_version_it_does_not_open_as_an_empty_window(self, display, tmp_path):
        node = CompareLayout.layoutNode()
        CompareLayout.register()
        node.SetViewArrangement(CompareLayout.LAYOUT_ID)
        path = tmp_path / "scene.mrml"
        assert slicer.util.saveScene(str(path))
        assert openedElsewhere(path).views == []  # without the extension; with it:
        node.SetViewArrangement(FOUR_UP)
        slicer.mrmlScene.SetURL(str(path))
        slicer.mrmlScene.Connect()
        assert slicer.app.layoutManager().layout == FOUR_UP
        assert "Red" in shownViews()

    def test_data_added_to_it_leaves_the_comparison(self, display, tmp_path):
        aVolume("more")
        path = tmp_path / "more.mrb"
        node = CompareLayout.layoutNode()
        node.SetSaveWithScene(False)
        assert slicer.util.saveScene(str(path))
        node.SetSaveWithScene(True)
        show(display, 1)
        assert slicer.mrmlScene.ReadFromMRB(str(path), False)
        assert CompareLayout.isShown() and textIn("Query")


class TestReload:
    """The module is reloaded while results are shown: a new display knows nothing but the scene."""

    def test_a_new_display_can_close_what_the_one_before_has_shown(self, display):
        slicer.app.layoutManager().setLayout(ONE_RED)
        model = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode", "own model")
        model.CreateDefaultDisplayNodes()
        query, _result, _matches = show(display, 2)
        display.cleanUp()
        again = MatchDisplay()
        try:
            assert again.isShown and CompareLayout.isShown()
            again.remove()
            assert slicer.app.layoutManager().layout == ONE_RED
            assert not again.isShown and not textIn("Query")
            assert slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") == [query]
            assert model.GetDisplayNode().GetNumberOfViewNodeIDs() == 0
        finally:
            again.cleanUp()


class TestUserNodes:
    def test_the_users_nodes_show_in_their_own_views_and_the_querys_only(self, display):
        roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "tumor")
        roi.CreateDefaultDisplayNodes()
        segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "organs")
        segmentation.CreateDefaultDisplayNodes()
        restricted = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "in Red only")
        restricted.CreateDefaultDisplayNodes()
        red = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
        restricted.GetDisplayNode().SetViewNodeIDs([red.GetID()])
        show(display, 2)
        show(display, 1)  # the second time, too
        for node in (roi, segmentation):
            one = node.GetDisplayNode()
            assert one.IsDisplayableInView(red.GetID())
            assert one.IsDisplayableInView("vtkMRMLViewNode1")
            assert one.IsDisplayableInView(main(0).GetID())
            assert not one.IsDisplayableInView(main(1).GetID())
        assert list(restricted.GetDisplayNode().GetViewNodeIDs()) == [red.GetID()]
        display.remove()
        assert roi.GetDisplayNode().GetNumberOfViewNodeIDs() == 0
        assert segmentation.GetDisplayNode().GetNumberOfViewNodeIDs() == 0
        assert not roi.GetDisplayNode().GetAttributeNames()
        assert list(restricted.GetDisplayNode().GetViewNodeIDs()) == [red.GetID()]


def test_volumes_that_are_loaded_are_shown_nowhere_and_not_made_the_active_one():
    selection = slicer.app.applicationLogic().GetSelectionNode()
    own = aVolume("own")
    red = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    selection.SetActiveVolumeID(own.GetID())
    red.SetBackgroundVolumeID(own.GetID())
    with ViewState.undisturbed():
        loaded = aVolume("loaded")
        selection.SetActiveVolumeID(loaded.GetID())
        slicer.app.applicationLogic().PropagateVolumeSelection()
        assert red.GetBackgroundVolumeID() == own.GetID()
        red.SetBackgroundVolumeID(loaded.GetID())  # a reader that asks nobody
    assert red.GetBackgroundVolumeID() == own.GetID() and red.GetDoPropagateVolumeSelection()
    assert selection.GetActiveVolumeID() == own.GetID()
    assert np.isfinite(offsetOf("Red"))
