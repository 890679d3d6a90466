"""Loading results and showing them: what is told meanwhile, and what happens when something cannot be had."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import slicer
from compared import aVolume, nodeIDs, shownViews, textIn
from fake_logic import aMatch, aResult
from VolumeRetrievalEngine.errors import StoreError
from VolumeRetrievalLib.Scene.MatchLoader import MatchLoader
from VolumeRetrievalLib.Search.LastSearch import LastSearch
from VolumeRetrievalLib.Values import MatchDescription
from VolumeRetrievalLib.Views import CompareLayout
from VolumeRetrievalLib.Views.MatchDisplay import MatchDisplay
from VolumeRetrievalLib.Views.Showing import Showing


class Loader:
    """Loads volumes of one gray, as Slicer does: the loaded one is shown in every view that lets it."""

    def __init__(self):
        self.missing = {}
        self.loaded = {}
        self.meanwhile = lambda: None

    def load(self, volumeID, contents):
        if volumeID in self.missing:
            raise self.missing[volumeID]
        node = self.loaded.get(volumeID)
        if node is None or node.GetScene() is None:
            node = self.loaded[volumeID] = aVolume(volumeID)
            slicer.app.applicationLogic().GetSelectionNode().SetActiveVolumeID(node.GetID())
            slicer.app.applicationLogic().PropagateVolumeSelection()
        self.meanwhile()
        return node

    def loadMatch(self, match, contents):
        return self.load(match.volume_id, contents)

    def loadFiles(self, files):
        return self.load("the query's series", None)


@pytest.fixture
def stage():
    """What showing needs, and what it told; the query is a node of the scene."""
    display, loader = MatchDisplay(), Loader()
    query = aVolume("query", 40)
    result = aResult(6)
    stage = SimpleNamespace(
        display=display,
        loader=loader,
        query=query,
        result=result,
        last=LastSearch(result, nodeID=query.GetID()),
        steps=[],
        showing=Showing(display, loader, lambda: None, lambda series: MatchDescription(f"Patient {series[-1]}")),
    )
    stage.show = lambda count: stage.showing.show(stage.last, result.matches[:count], stage.steps.append)
    yield stage
    display.remove()
    display.cleanUp()


def test_volumes_are_loaded_one_by_one_with_a_text_for_each(stage):
    assert stage.show(3) == []
    assert [(step.stage, step.done, step.total) for step in stage.steps] == [
        *(("load", 0, 3), ("load", 0, 3), ("load", 1, 3), ("load", 2, 3), ("arrange", 3, 3))
    ]
    assert [step.item for step in stage.steps][1:4] == ["1: Patient 1", "2: Patient 2", "3: Patient 3"]
    assert textIn("Result2").startswith("2  Patient 2  0.")


def test_what_is_loaded_is_shown_in_no_view_before_all_are_there(stage):
    red = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    red.SetBackgroundVolumeID(stage.query.GetID())
    slicer.app.applicationLogic().GetSelectionNode().SetActiveVolumeID(stage.query.GetID())
    seen = set()
    stage.loader.meanwhile = lambda: seen.add(red.GetBackgroundVolumeID())
    stage.show(2)
    stage.display.remove()
    assert seen == {stage.query.GetID()}
    assert slicer.app.applicationLogic().GetSelectionNode().GetActiveVolumeID() == stage.query.GetID()


def test_one_that_cannot_be_loaded_is_named_and_the_others_are_shown(stage):
    stage.loader.missing["volume2"] = RuntimeError("41 of 41 files are gone.")
    assert stage.show(3) == ["2: Patient 2 is not shown. 41 of 41 files are gone."]
    assert shownViews()[:3] == ["Query", "Result1", "Result2"]
    assert textIn("Result2").startswith("3  Patient 3")


def test_nothing_that_can_be_loaded_leaves_everything_as_it_was(stage):
    before = nodeIDs()
    for number in range(1, 4):
        stage.loader.missing[f"volume{number}"] = RuntimeError("gone")
    with pytest.raises(RuntimeError, match=r"1: Patient 1 is not shown\. gone\n2: Patient 2"):
        stage.show(3)
    assert nodeIDs() == before and not stage.display.isShown and not CompareLayout.isShown()


def test_a_query_that_is_gone_is_said_before_anything_is_loaded(stage):
    slicer.mrmlScene.RemoveNode(stage.query)
    with pytest.raises(RuntimeError, match="no longer in the scene"):
        stage.show(2)
    assert not stage.loader.loaded and not stage.display.isShown


def test_an_error_while_arranging_takes_the_loaded_volumes_away(stage, monkeypatch):
    monkeypatch.setattr(CompareLayout, "apply", lambda planes: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        stage.show(2)
    assert all(node.GetScene() is None for node in stage.loader.loaded.values())
    assert not stage.display.isShown


def test_a_volume_that_has_no_voxels_is_named_and_goes(stage):
    stage.loader.meanwhile = lambda: stage.loader.loaded["volume1"].SetAndObserveImageData(None)
    (problem,) = stage.show(2)
    assert problem == "1: Patient 1 is not shown. volume1 has no voxels."
    assert stage.loader.loaded["volume1"].GetScene() is None
    assert shownViews()[:2] == ["Query", "Result1"]


def test_a_failed_show_leaves_the_comparison_that_is_there(stage):
    stage.show(1)
    stage.loader.missing["volume2"] = RuntimeError("gone")
    with pytest.raises(RuntimeError, match="gone"):
        stage.showing.show(stage.last, [stage.result.matches[1]])
    assert stage.display.isShown and textIn("Result1").startswith("1  Patient 1")


def test_a_failure_does_not_spoil_the_next_time(stage):
    slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
    stage.loader.missing["volume1"] = RuntimeError("gone")
    with pytest.raises(RuntimeError):
        stage.show(1)
    stage.loader.missing.clear()
    stage.show(1)
    stage.display.remove()
    assert slicer.app.layoutManager().layout == slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView


def test_the_query_of_a_search_by_series_is_loaded_and_goes_again(stage):
    stage.last = LastSearch(stage.result, files=("a.dcm",))
    stage.show(1)
    node = stage.loader.loaded["the query's series"]
    assert node.GetScene() is not None
    stage.display.remove()
    assert node.GetScene() is None


def test_more_than_fit_are_said(stage):
    assert stage.show(6) == ["Only the first 5 are shown."]
    assert shownViews() == ["Query", "Result1", "Result2", "Result3", "Result4", "Result5"]


def test_showing_inside_showing_is_refused(stage):
    def again():
        with pytest.raises(RuntimeError, match="already"):
            stage.show(1)

    stage.loader.meanwhile = again
    assert stage.show(1) == []


def test_shown_again_a_volume_is_named_by_its_new_rank_and_still_goes(stage):
    stage.show(2)
    moved = aMatch(1, volume_id="volume2", series_uid="1.2.3.2", key=2)
    stage.showing.show(stage.last, [moved])
    node = stage.loader.loaded["volume2"]
    assert node.GetName() == "1: Patient 2"
    stage.display.remove()
    assert node.GetScene() is None and stage.loader.loaded["volume1"].GetScene() is None


def test_an_index_that_was_deleted_is_a_sentence():
    def volume(volumeID):
        raise StoreError("no store at /there: python -m VolumeRetrievalEngine index")

    loader, contents = MatchLoader(SimpleNamespace(find=lambda volume: None)), SimpleNamespace(volume=volume)
    with pytest.raises(RuntimeError, match="index can no longer be read") as told:
        loader.load("1", contents)
    assert "python" not in str(told.value)
