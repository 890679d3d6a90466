"""The button Find similar volumes: one click from nothing to results."""

from __future__ import annotations

from dataclasses import replace

import pytest
import slicer
from fake_logic import CLOSED, EMPTY, READY, aResult
from PyQt5 import QtCore, QtTest
from VolumeRetrievalEngine.progress import Progress
from VolumeRetrievalLib.Packages.PackageInstaller import InstallationFailed
from VolumeRetrievalLib.Values import IndexReport

NO_IMAGES = replace(EMPTY, expected=0, notIndexed=0, series=0)


def test_a_search_is_asked_for_with_what_is_chosen(panel, logic, aVolume):
    volume = aVolume()
    panel.ui.modalityFilterComboBox.setCurrentIndex(1)
    panel.ui.excludePatientCheckBox.checked = True
    panel.ui.topSpinBox.value = 25
    panel.ui.searchButton.click()
    ((query, region, options),) = logic.searches
    assert query is volume and region.kind == "volume"
    assert (options.filters, options.top, options.excludeSamePatient) == ({"modality": "CT"}, 25, True)


def test_without_a_database_the_panel_says_what_to_do(panel, logic, aVolume):
    aVolume()
    logic.changeStatus(CLOSED)
    assert not panel.ui.searchButton.enabled
    assert panel.ui.resultsEmptyLabel.text == CLOSED.problem == panel.ui.searchButton.toolTip
    logic.changeStatus(NO_IMAGES)
    assert "has no images" in panel.ui.resultsEmptyLabel.text


def test_a_database_that_is_still_being_read_can_be_searched_until_it_turns_out_to_be_empty(panel, logic, aVolume):
    aVolume()
    logic.changeStatus(replace(NO_IMAGES, reading=True))
    assert panel.ui.searchButton.enabled
    panel.ui.searchButton.click()
    assert logic.indexedWith == [""]
    logic.changeStatus(NO_IMAGES)
    logic.jobs[0].finish(IndexReport(added=0, unchanged=0, removed=0, failed=0))
    assert panel.status.isError and "Nothing in the DICOM database could be indexed" in panel.status.text
    assert not panel.ui.searchButton.enabled and "has no images" in panel.ui.searchButton.toolTip


def test_the_first_click_indexes_and_then_searches(panel, logic, installer, aVolume):
    aVolume("Chest 4.0 mm")
    logic.changeStatus(EMPTY)
    assert panel.ui.resultsEmptyLabel.text == "The first search indexes the DICOM database: 418 series."
    panel.ui.searchButton.click()
    assert installer.offers == 1 and logic.indexedWith == [""] and logic.searches == []
    logic.jobs[0].callbacks.progress(Progress("scan", 50, 1180))
    assert panel.ui.searchProgressBar.format == "File 50 of 1,180"  # files, and then volumes
    logic.jobs[0].callbacks.progress(Progress("index", 100, 400, "Patient 7, Thorax", remaining=750.0))
    assert panel.ui.searchProgressBar.format == "Indexing 100 of 400" and panel.ui.searchProgressBar.visible
    assert "12 min left" in panel.ui.searchProgressBar.toolTip
    logic.changeStatus(READY)
    logic.jobs[0].finish(IndexReport(added=412, unchanged=0, removed=0, failed=0))
    assert len(logic.searches) == 1 and panel.ui.searchProgressBar.format == "Searching"
    logic.jobs[1].finish(aResult(12))
    assert panel.status.text == '12 similar volumes for "Chest 4.0 mm"'
    assert panel.ui.searchButton.text == "Find similar volumes" and not panel.ui.searchProgressBar.visible


def test_an_index_that_was_deleted_is_made_anew(panel, logic, aVolume, monkeypatch):
    aVolume()

    def notice():
        logic.changeStatus(EMPTY)
        return True

    monkeypatch.setattr(logic, "refresh", notice)
    panel.ui.searchButton.click()
    assert logic.indexedWith == [""] and logic.searches == []


def test_a_run_that_somebody_else_has_started_is_waited_for(panel, logic, aVolume):
    aVolume()
    logic.changeStatus(replace(EMPTY, indexing=Progress("index", 1, 418)))
    panel.ui.searchButton.click()
    assert logic.indexedWith == [] and panel.ui.searchProgressBar.format == "Indexing 1 of 418"
    logic.changeStatus(replace(EMPTY, indexing=Progress("index", 200, 418)))
    assert panel.ui.searchProgressBar.value == 200
    logic.changeStatus(READY)
    assert len(logic.searches) == 1


def test_waiting_for_a_run_can_be_cancelled(panel, logic, aVolume):
    aVolume()
    logic.changeStatus(replace(EMPTY, indexing=Progress("index", 1, 418)))
    panel.ui.searchButton.click()
    panel.ui.searchButton.click()
    assert not panel.search.isRunning
    logic.changeStatus(READY)
    assert logic.searches == []


def test_an_index_that_lacks_some_series_is_searched_at_once(panel, logic, aVolume):
    aVolume()
    panel.ui.searchButton.click()  # READY lacks 6
    assert logic.indexedWith == [] and len(logic.searches) == 1


def test_declined_packages_are_said_and_the_search_goes_on(panel, logic, installer, aVolume):
    aVolume()
    installer.offer = "Nothing was installed: the search works with what is there."
    panel.ui.searchButton.click()
    assert panel.status.text == installer.offer and not panel.status.isError
    assert len(logic.searches) == 1


def test_packages_that_could_not_be_installed_are_still_told_when_the_results_are_there(
    panel, logic, installer, aVolume
):
    aVolume()
    installer.error = InstallationFailed("pip could not install onnxruntime: no network.")
    panel.ui.searchButton.click()
    logic.jobs[0].finish(aResult(12))
    assert panel.status.isError and "pip could not install" in panel.status.text
    panel.ui.searchButton.click()
    logic.jobs[1].finish(aResult(12))
    assert panel.status.text.startswith("12 similar volumes")


def test_the_button_becomes_cancel_and_keeps_place_and_focus(panel, logic, aVolume):
    aVolume()
    button = panel.ui.searchButton
    slicer.app.processEvents()
    button._qt.window().activateWindow()
    button.setFocus()
    top, height, tableTop = button.y, button.height, panel.ui.resultsStack.y
    QtTest.QTest.keyClick(button._qt, QtCore.Qt.Key_Return)
    slicer.app.processEvents()
    assert len(logic.searches) == 1
    assert button.text == "Cancel" and button.enabled and button._qt.hasFocus()
    assert (button.y, button.height, panel.ui.resultsStack.y) == (top, height, tableTop)
    button.click()
    assert panel.status.text == "The search was stopped."
    slicer.app.processEvents()
    assert button.text == "Find similar volumes" and button._qt.hasFocus()
    assert (button.y, panel.ui.resultsStack.y) == (top, tableTop)


@pytest.mark.parametrize("width", [340, 450])
def test_an_error_stands_below_the_button_until_the_next_success(panel, logic, aVolume, width):
    aVolume()
    panel.ui.searchButton._qt.window().resize(width, 900)
    panel.ui.searchButton.click()
    text = "The index in /data/SlicerDICOMDatabase/VolumeRetrieval is locked by another Slicer that is indexing."
    logic.jobs[0].fail(text)
    slicer.app.processEvents()
    assert panel.status.isError and panel.ui.searchStatusIconLabel.visible
    assert panel.ui.searchStatusLabel.toolTip == text
    assert panel.ui.searchStatusLabel.text.endswith("…") and "\n" not in panel.ui.searchStatusLabel.text
    panel.ui.searchButton.click()
    logic.jobs[1].finish(aResult(2))
    assert not panel.status.isError and not panel.ui.searchStatusIconLabel.visible


def test_results_of_another_query_say_so(panel, logic, aVolume):
    first = aVolume("Chest")
    panel.ui.searchButton.click()
    logic.jobs[0].finish(aResult(3))
    assert panel.status.text == '3 similar volumes for "Chest"'
    panel.query.useVolume(aVolume("Head"))
    assert panel.status.text == 'Search again: these are for "Chest"' and panel.results.table._isPale
    panel.query.useVolume(first)
    assert panel.status.text == '3 similar volumes for "Chest"' and not panel.results.table._isPale
    panel.ui.topSpinBox.value = 7
    assert panel.results.table._isPale


def test_the_title_names_the_region(panel, logic, aVolume):
    aVolume("Chest")
    panel.region.choose("slices")
    panel.ui.firstSliceSpinBox.value, panel.ui.lastSliceSpinBox.value = 5, 8
    panel.ui.searchButton.click()
    logic.jobs[0].finish(aResult(3))
    assert panel.status.text == '3 similar volumes for slices 5-8 of "Chest"'


def test_nothing_found_is_said(panel, logic, aVolume):
    aVolume("Chest")
    panel.ui.searchButton.click()
    logic.jobs[0].finish(aResult(0))
    assert panel.status.text == 'No similar volumes for "Chest"'
    assert not panel.ui.compareButton.enabled


def test_closing_the_scene_stops_the_search_and_lists_nothing(panel, logic, aVolume):
    aVolume()
    panel.showResult(panel.search.request(), aResult(3))
    panel.ui.searchButton.click()
    panel.forgetResult()
    assert not logic.jobs[-1].isRunning and not panel.search.isRunning
    assert panel.ui.resultsTable.rowCount == 0 and panel.status.text == ""


def test_developers_texts_are_in_the_tooltip_only(panel, logic, aVolume):
    aVolume()
    panel.ui.searchButton.click()
    notes = ("the query is indexed already: its stored embeddings were used",)
    logic.jobs[0].finish(aResult(3, notes=notes, encoder="radiology-resnet by onnxruntime on cpu, float32"))
    assert "embeddings" not in panel.status.text and "onnxruntime" not in panel.status.text
    assert "embeddings" in panel.ui.searchStatusLabel.toolTip and "float32" in panel.ui.searchStatusLabel.toolTip
