"""The section Index: the title says how much is indexed, and whoever indexes is seen and can be stopped."""

from __future__ import annotations

from dataclasses import replace

import pytest
import slicer
from fake_logic import CLOSED, EMPTY, READY, FakeLogic
from panel_factory import makePanel
from VolumeRetrievalEngine.progress import Progress
from VolumeRetrievalLib.Settings import Settings
from VolumeRetrievalLib.Values import IndexReport

WHOLE = replace(READY, volumes=421, notIndexed=0, indexedSeries=418, skipped=())


@pytest.mark.parametrize(
    ("status", "title"),
    [
        (WHOLE, "Index: 418 of 418 series"),
        (READY, "Index: 412 of 418 series"),
        (EMPTY, "Index: 0 of 418 series"),
        (CLOSED, "Index: no DICOM database"),
        (replace(READY, reading=True), "Index: reading the database"),
        (replace(EMPTY, indexing=Progress("scan", 50, 1180)), "Index: file 50 of 1,180"),
        (replace(EMPTY, indexing=Progress("index", 3, 400)), "Index: indexing 3 of 400"),
    ],
)
def test_the_title_says_how_much_is_indexed(panel, logic, status, title):
    logic.changeStatus(status)
    assert panel.ui.indexCollapsibleButton.text == title


def test_the_section_opens_when_series_begin_to_be_missing_and_then_obeys_the_user():
    logic = FakeLogic(WHOLE)
    panel, _widget = makePanel(logic)
    section = panel.ui.indexCollapsibleButton
    assert section.collapsed
    logic.changeStatus(READY)
    assert not section.collapsed and panel.ui.indexStatusLabel.text == "6 series are not indexed yet."
    section.collapsed = True
    logic.changeStatus(replace(READY, notIndexed=7))
    assert section.collapsed
    logic.changeStatus(WHOLE)
    logic.changeStatus(READY)
    assert not section.collapsed


def test_nothing_indexed_yet_opens_nothing_because_the_first_search_indexes():
    panel, _widget = makePanel(FakeLogic(EMPTY))
    assert panel.ui.indexCollapsibleButton.collapsed


def test_without_a_database_indexing_is_disabled_and_says_why(panel, logic):
    toolTip = panel.ui.updateIndexButton.toolTip
    logic.changeStatus(CLOSED)
    for button in (panel.ui.updateIndexButton, panel.ui.openIndexFolderButton):
        assert not button.enabled and "No DICOM database" in button.toolTip
    logic.changeStatus(EMPTY)
    assert panel.ui.updateIndexButton.enabled and panel.ui.updateIndexButton.toolTip == toolTip


@pytest.mark.parametrize("whose", ["the button", "another"])
def test_any_run_is_seen_and_can_be_stopped(panel, logic, whose):
    if whose == "the button":
        panel.ui.updateIndexButton.click()
        assert logic.indexedWith == [""]
    logic.changeStatus(replace(READY, indexing=Progress("index", 100, 400, "Patient 7, Thorax 1.0", remaining=750.0)))
    assert panel.ui.cancelIndexingButton.visible and not panel.ui.updateIndexButton.enabled
    assert (panel.ui.indexProgressBar.value, panel.ui.indexProgressBar.maximum) == (100, 400)
    assert panel.ui.indexProgressLabel.text == "100 of 400 volumes, 12 min left\nPatient 7, Thorax 1.0"
    panel.ui.cancelIndexingButton.click()
    assert logic.indexingCancelled == 1
    logic.changeStatus(replace(READY, indexing=Progress("stopping", 100, 400)))
    assert panel.ui.indexProgressLabel.text.startswith("Stopping")
    logic.changeStatus(READY)
    assert not panel.ui.cancelIndexingButton.visible and panel.ui.updateIndexButton.enabled
    if whose == "the button":
        assert "The next update resumes it" in panel.ui.indexStatusLabel.text


def test_the_end_of_a_run_is_said_until_the_next_or_another_database(panel, logic):
    panel.ui.updateIndexButton.click()
    logic.current = WHOLE
    logic.jobs[0].finish(IndexReport(added=6, unchanged=412, removed=1, failed=0))
    assert panel.ui.indexStatusLabel.text == "All series are indexed.\nIndex updated: 6 added, 1 removed."
    logic.changeStatus(replace(WHOLE, directory="/other"))
    assert panel.ui.indexStatusLabel.text == "All series are indexed."


def test_a_run_that_fails_says_so_in_the_section(panel, logic):
    panel.ui.updateIndexButton.click()
    logic.jobs[0].fail("The disk is full: /data needs 2 GB")
    assert "The disk is full" in panel.ui.indexStatusLabel.text
    assert panel.ui.updateIndexButton.enabled


def test_a_failure_of_automatic_indexing_opens_the_section():
    logic = FakeLogic(WHOLE)
    panel, _widget = makePanel(logic)
    logic.changeStatus(replace(WHOLE, lastFailure="Another Slicer is indexing this database."))
    assert not panel.ui.indexCollapsibleButton.collapsed
    assert "Another Slicer" in panel.ui.indexStatusLabel.text


def test_skipped_series_are_shown_on_demand_failed_ones_first_with_their_own_names(panel):
    assert panel.ui.skippedButton.text == "2 series skipped, 1 failed"
    assert not panel.ui.skippedTree.visible
    panel.ui.skippedButton.click()
    assert panel.ui.skippedTree.visible
    first = panel.ui.skippedTree.topLevelItem(0)
    assert first.text(1).startswith("Failed: IM0042 is truncated") and first.toolTip(0).endswith("Thorax 1.0")
    section = panel.ui.indexCollapsibleButton
    section.collapsed, section.collapsed = True, False
    slicer.app.processEvents()
    assert panel.ui.skippedTree.visible
    panel.ui.skippedButton.click()
    section.collapsed, section.collapsed = True, False
    assert not panel.ui.skippedTree.visible


def test_what_the_index_was_made_with_is_in_the_tooltip_only(panel, logic):
    logic.changeStatus(replace(WHOLE, encoder="Radiology ResNet", madeOn={"cpu (onnxruntime), float32": 421}))
    assert panel.ui.indexStatusLabel.text == "All series are indexed."
    toolTip = panel.ui.indexStatusLabel.toolTip
    for part in ("/data/SlicerDICOMDatabase", "98,220 slices, 1.3 GB", "Radiology ResNet", "onnxruntime"):
        assert part in toolTip


def test_series_that_are_gone_and_another_slice_step_are_told(panel, logic):
    logic.changeStatus(replace(WHOLE, removed=2, nextSliceStepMm=6.0))
    assert panel.ui.indexStatusLabel.text.split("\n")[1:] == [
        "2 indexed series are no longer in the database.",
        "The index has a slice every 3 mm; the next update makes one with a slice every 6 mm.",
    ]


def test_automatic_indexing_is_a_setting_that_takes_effect_at_once(logic):
    saved = []
    logic.indexAutomatically = lambda: saved.append(Settings.load().indexAutomatically)
    panel, _widget = makePanel(logic, settings=Settings.load())
    panel.ui.automaticIndexingCheckBox.checked = True
    assert saved == [True]
    panel.ui.automaticIndexingCheckBox.checked = False
    assert saved == [True] and not Settings.load().indexAutomatically


def test_how_a_run_ended_is_forgotten_when_series_come_or_the_index_goes(panel, logic):
    logic.changeStatus(READY)
    panel.ui.updateIndexButton.click()
    logic.changeStatus(WHOLE)
    logic.jobs[0].finish(IndexReport(added=6, unchanged=412, removed=0, failed=0))
    logic.changeStatus(WHOLE)
    assert "6 added" in panel.ui.indexStatusLabel.text
    logic.changeStatus(replace(WHOLE, volumes=0, notIndexed=418))
    assert "added" not in panel.ui.indexStatusLabel.text


def test_a_run_that_ends_after_another_database_was_opened_is_no_news_of_that_one(panel, logic):
    logic.changeStatus(READY)
    panel.ui.updateIndexButton.click()
    logic.changeStatus(replace(READY, directory="/other"))
    logic.jobs[0].cancel()
    assert panel.ui.indexStatusLabel.text == "6 series are not indexed yet."
