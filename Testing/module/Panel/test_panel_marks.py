"""Marking results, ranking again with the marks, searching with a result, and going back."""

from __future__ import annotations

from dataclasses import replace

import pytest
import slicer
from fake_logic import aResult
from PyQt5 import QtCore, QtTest
from VolumeRetrievalLib.Search import QueryMarks
from VolumeRetrievalLib.Values import IndexedVolume, Marks


@pytest.fixture
def found(panel, logic, aVolume):
    """The panel with eight results for the volume "Chest"."""
    aVolume("Chest")
    panel.ui.searchButton.click()
    logic.jobs[-1].finish(aResult(8))
    slicer.app.processEvents()
    return panel


def buttons(panel, row):
    return panel.results.table.buttons(row)


def press(panel, key):
    QtTest.QTest.keyClicks(panel.ui.resultsTable._qt, key)


def test_a_click_marks_a_result_and_another_takes_the_mark_back(found):
    buttons(found, 0).like.click()
    buttons(found, 2).unlike.click()
    assert found.results.marks.marks == Marks(("volume1",), ("volume3",))
    assert found.ui.marksLabel.text == "Fitting 1, not 1"
    assert "marked as fitting" in found.results.table.row(0).text
    buttons(found, 0).unlike.click()
    assert not buttons(found, 0).like.checked and buttons(found, 0).unlike.checked
    buttons(found, 0).unlike.click()
    assert found.results.marks.marks == Marks((), ("volume3",))
    found.ui.clearMarksButton.click()
    assert found.results.marks.marks == Marks() and not buttons(found, 2).unlike.checked


def test_keys_mark_the_selected_results(found):
    found.ui.resultsTable.selectRow(1)
    press(found, "+")
    assert found.results.marks.marks == Marks(("volume2",), ())
    press(found, "-")
    assert found.results.marks.marks == Marks((), ("volume2",))
    press(found, "-")
    assert found.results.marks.marks == Marks()


def test_refine_ranks_again_with_the_marks(found, logic):
    assert found.ui.refineButton.isHidden()
    buttons(found, 0).like.click()
    assert found.ui.refineButton.enabled
    found.ui.refineButton.click()
    query, _region, criteria = logic.searches[-1]
    assert (criteria.like, criteria.unlike) == (("volume1",), ()) and query.GetName() == "Chest"
    assert not found.ui.refineButton.enabled  # while it runs
    logic.jobs[-1].finish(aResult(8, like=("volume1",)))
    assert "ranked with your marks" in found.status.text
    assert not found.ui.refineButton.enabled and "already" in found.ui.refineButton.toolTip
    assert not found.results._isStale
    found.ui.clearMarksButton.click()  # and again without
    found.ui.refineButton.click()
    assert logic.searches[-1][2].like == ()
    logic.jobs[-1].finish(aResult(8))
    assert found.ui.refineButton.isHidden()


def test_marks_belong_to_the_query_and_are_kept_with_the_scene(found, aVolume):
    buttons(found, 0).like.click()
    node = found.query.query
    assert QueryMarks.load(node) == Marks(("volume1",), ())
    other = aVolume("Other")
    assert QueryMarks.load(other) == Marks()
    QueryMarks.save("1.2.3", Marks((), ("volume9",)))
    assert QueryMarks.load("1.2.3") == Marks((), ("volume9",)) and QueryMarks.load("1.2") == Marks()
    assert QueryMarks.load(IndexedVolume("1.2.3", "part")) == Marks()
    QueryMarks.save("1.2.3", Marks())
    node.SetAttribute("VolumeRetrieval.Marks", "somebody else's")
    assert QueryMarks.load(node) == Marks() == QueryMarks.load("1.2.3")


def test_search_with_a_result_makes_it_the_query_and_back_returns(found, logic):
    assert found.ui.backButton.isHidden()
    buttons(found, 1).search.click()
    query, region, _criteria = logic.searches[-1]
    assert query == IndexedVolume("1.2.3.2", "volume2") and query != "1.2.3.2" and region.kind == "volume"
    logic.jobs[-1].finish(aResult(3))
    assert "Thorax 2.0 mm" in found.status.text and found.ui.resultsTable.rowCount == 3
    assert "Thorax 2.0 mm" in found.ui.querySeriesButton.text
    assert "Chest" in found.ui.backButton.toolTip
    found.ui.backButton.click()
    assert found.ui.resultsTable.rowCount == 8 and found.query.query.GetName() == "Chest"
    assert found.ui.backButton.isHidden() and not found.results._isStale


def test_of_a_region_the_matched_slices_are_searched_with(panel, logic, aVolume):
    aVolume("Chest")
    panel.region.choose("slices")
    panel.ui.lastSliceSpinBox.value = 2
    panel.ui.searchButton.click()
    result = aResult(2)
    place = replace(result.matches[0].place, first_slice=3, last_slice=7)
    logic.jobs[-1].finish(replace(result, matches=(replace(result.matches[0], place=place),)))
    panel.searchWithResult(panel.result.matches[0])
    region = logic.searches[-1][1]
    assert (region.kind, region.firstSlice, region.lastSlice) == ("slices", 3, 7)
    logic.jobs[-1].finish(aResult(2))
    panel.ui.backButton.click()
    assert panel.region.region().lastSlice == 1


def test_a_result_that_is_no_series_is_not_searched_with(found, logic):
    searches = len(logic.searches)
    found.searchWithResult(replace(found.result.matches[0], series_uid=""))
    assert found.status.isError and len(logic.searches) == searches


def test_marks_go_with_a_closed_scene(found):
    buttons(found, 0).like.click()
    found.forgetResult()
    assert found.results.marks.marks == Marks() and found.ui.marksLabel.isHidden()
    buttons_left = found.results.table._buttons
    assert buttons_left == {}


def test_the_buttons_take_no_focus_from_the_list(found):
    for button in (buttons(found, 0).like, buttons(found, 0).unlike, buttons(found, 0).search):
        assert button.focusPolicy == QtCore.Qt.NoFocus
        assert button.toolTip and button.accessibleName == button.toolTip
