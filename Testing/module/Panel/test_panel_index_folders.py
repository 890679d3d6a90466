"""The section Other index folders, and what results of other indexes look like, with a logic of the test's own."""

from __future__ import annotations

from dataclasses import replace

import pytest
import qt
from fake_logic import EMPTY, READY, aMatch, aResult
from panel_factory import makePanel
from PyQt5 import QtWidgets
from VolumeRetrievalEngine.searching.searched_store import SearchedStore
from VolumeRetrievalEngine.volume import Attributes
from VolumeRetrievalLib.Values import IndexedVolume, IndexFolder, IndexFolderState, MatchDescription

OWN, SHARE = "/data/SlicerDICOMDatabase/VolumeRetrieval", "/mnt/radiology/index"


def rows(panel):
    tree = panel.ui.indexFoldersTree
    items = [tree.topLevelItem(row) for row in range(tree.topLevelItemCount)]
    return [(one.text(0), one.checkState(0) == qt.Qt.Checked, one.text(1)) for one in items]


def aState(path=SHARE, volumes=1204, **values):
    return IndexFolderState(path, **{"folder": path, "volumes": volumes, **values})


@pytest.fixture
def listed(logic):
    """A panel with a folder on a share and one that is not searched, looked at."""
    logic.folders = (IndexFolder(SHARE), IndexFolder("/home/me/old", isSearched=False))
    panel, widget = makePanel(logic)
    panel.ui.advancedCollapsibleButton.collapsed = panel.ui.indexFoldersCollapsibleButton.collapsed = False
    widget.show()
    yield panel
    panel.cleanUp()
    widget.close()


def test_the_list_says_what_is_in_each_folder_when_it_is_known(listed, logic):
    assert [row[2] for row in rows(listed)] == ["looking...", "looking..."]
    logic.looks[-1].finish([aState(modalities=("XA",)), aState("/home/me/old", 17, modalities=("OT",))])
    assert rows(listed) == [(SHARE, True, "1,204 volumes"), ("/home/me/old", False, "17 volumes")]
    assert listed.ui.indexFoldersCollapsibleButton.text == "Other index folders: 1"
    assert not listed.ui.indexFoldersInfoLabel.visible
    box = listed.ui.modalityFilterComboBox
    assert [box.itemText(index) for index in range(box.count)] == ["Any", "CT", "MR", "PT", "XA"]


def test_why_a_folder_is_not_searched_is_said_in_full(listed, logic):
    lost = aState(volumes=0, problem="not reachable", details="The folder does not answer.")
    logic.looks[-1].finish([lost, aState("/home/me/old", 0, problem="no index", details="It is empty.")])
    assert rows(listed)[0][2] == "not reachable"
    assert listed.ui.indexFoldersInfoLabel.text == f"{SHARE}: The folder does not answer."  # of those that are searched


def test_a_check_mark_is_kept_and_makes_the_results_those_of_another_search(listed, logic, aVolume):
    listed.query.useVolume(aVolume())
    listed.ui.searchButton.click()
    logic.jobs[-1].finish(aResult(3))
    assert "Search again" not in listed.status.text
    listed.ui.indexFoldersTree.topLevelItem(0).setCheckState(0, qt.Qt.Unchecked)
    assert logic.folders[0] == IndexFolder(SHARE, isSearched=False)
    assert "Search again" in listed.status.text
    assert listed.ui.indexFoldersCollapsibleButton.text == "Other index folders"
    listed.ui.indexFoldersTree.topLevelItem(0).setCheckState(0, qt.Qt.Checked)
    assert "Search again" not in listed.status.text


def test_a_folder_is_added_as_the_index_folder_that_it_means(panel, logic, monkeypatch):
    monkeypatch.setattr(QtWidgets.QFileDialog, "getExistingDirectory", lambda *_: "/mnt/radiology")
    panel.ui.addIndexFolderButton.click()
    assert logic.examined == [("/mnt/radiology",)] and not panel.ui.addIndexFolderButton.enabled
    assert "Looking at /mnt/radiology" in panel.ui.indexFoldersInfoLabel.text
    logic.looks[-1].finish([replace(aState(), path="/mnt/radiology")])
    assert logic.folders == (IndexFolder(SHARE),)
    assert rows(panel) == [(SHARE, True, "1,204 volumes")] and panel.ui.addIndexFolderButton.enabled
    panel.folders.add(SHARE)
    logic.looks[-1].finish([aState()])
    assert "in the list already" in panel.ui.indexFoldersInfoLabel.text and len(logic.folders) == 1
    panel.folders.add(OWN)
    logic.looks[-1].finish([aState(OWN, isOwn=True)])
    assert "searched anyway" in panel.ui.indexFoldersInfoLabel.text and len(logic.folders) == 1


def test_what_is_no_index_is_not_added_and_what_was_expected_is_said(panel, logic):
    panel.folders.add("/home/me")
    logic.looks[-1].finish([aState("/home/me", 0, problem="no index", details="Expected: an index.", isIndex=False)])
    assert panel.ui.indexFoldersInfoLabel.text == "/home/me was not added. Expected: an index."
    assert not logic.folders
    panel.folders.add("/mnt/x")
    logic.looks[-1].fail("Could not look at the index folders.")
    assert panel.ui.indexFoldersInfoLabel.text == "Could not look at the index folders."


def test_the_selected_folder_is_removed_and_nothing_else_asks_for_one(listed, logic):
    assert not listed.ui.removeIndexFolderButton.enabled
    listed.ui.indexFoldersTree.setCurrentItem(listed.ui.indexFoldersTree.topLevelItem(0))
    listed.ui.removeIndexFolderButton.click()
    assert logic.folders == (IndexFolder("/home/me/old", isSearched=False),)
    assert [row[0] for row in rows(listed)] == ["/home/me/old"]


def test_the_folders_are_looked_at_again_when_they_have_to_fit_to_another_index(listed, logic):
    logic.looks[-1].finish([aState(), aState("/home/me/old", 17)])
    count = len(logic.looks)
    logic.changeStatus(replace(READY, volumes=413))
    assert len(logic.looks) == count
    logic.changeStatus(replace(READY, encoder="Radiology ResNet"))
    assert len(logic.looks) == count + 1
    logic.looks[count - 1].callbacks.finished([])  # an answer that comes too late
    assert rows(listed)[0][2] == "looking..."
    logic.changeStatus(replace(READY, encoder="Radiology ResNet", store="radiology-resnet-1a2b3c4d"))
    assert len(logic.looks) == count + 2  # of another edition, or with other weights


def test_a_look_ends_the_one_before_and_what_went_wrong_is_said_until_one_succeeds(listed, logic):
    (first,) = logic.looks
    listed.folders.look()
    assert not first.isRunning and rows(listed)[0][2] == "looking..."
    logic.looks[-1].fail("Could not look at the index folders.")
    assert listed.ui.indexFoldersInfoLabel.text == "Could not look at the index folders."
    listed.folders.look()
    logic.looks[-1].finish([aState(), aState("/home/me/old", 17)])
    assert listed.ui.indexFoldersInfoLabel.text == "" and rows(listed)[0][2] == "1,204 volumes"


def test_after_the_panel_is_cleaned_up_nothing_is_added_or_shown(panel, logic):
    panel.folders.add("/mnt/radiology")
    shown = panel.ui.indexFoldersInfoLabel.text
    panel.cleanUp()
    assert not logic.looks[-1].isRunning and panel.ui.indexFoldersInfoLabel.text == shown
    logic.looks[-1].callbacks.finished([aState()])  # of a process that had just ended
    assert not logic.folders and panel.ui.indexFoldersInfoLabel.text == shown


def test_with_no_folders_nothing_is_asked(panel, logic):
    panel.enter()
    panel.ui.indexFoldersCollapsibleButton.collapsed = False
    assert not logic.looks and "Add the index of another database" in panel.ui.indexFoldersInfoLabel.text


def test_with_another_index_nothing_has_to_be_indexed_first(listed, logic, aVolume):
    logic.changeStatus(replace(EMPTY, notIndexed=0, expected=0))
    listed.query.useVolume(aVolume())
    assert listed.search.problem() == "" and "first search indexes" not in listed.search.hint()
    listed.ui.searchButton.click()
    assert logic.searches and not logic.indexedWith


def aUnitedResult(**lost):
    stores = (SearchedStore(OWN), replace(SearchedStore(SHARE), **lost))
    attributes = Attributes("CT", "dicom", "CHEST", study_date="20210304", series_description="Thorax")
    matches = (aMatch(1, store=OWN), aMatch(2, store=SHARE, attributes=attributes))
    return aResult(2, matches=matches, stores=stores)


def test_a_result_says_which_index_it_is_from(listed, logic, aVolume, tmp_path):
    logic.describe = lambda match: type(logic).describe(logic, match) if match.rank == 1 else MatchDescription()
    listed.query.useVolume(aVolume())
    listed.ui.searchButton.click()
    logic.jobs[-1].finish(aUnitedResult())
    table = listed.results.table
    assert [table.row(number).title for number in range(2)] == ["1  Patient 7", "2  in radiology/index"]
    assert table.row(1).date == "2021-03-04"
    assert f"Index: {SHARE}" in table.table.item(1, 0).toolTip()
    assert not listed.ui.searchNotesLabel.visible
    listed.results.writeFile(tmp_path / "found.csv")
    lines = (tmp_path / "found.csv").read_text().splitlines()
    assert lines[0].endswith(",index") and lines[2].endswith(f",{SHARE}")
    listed.searchWithResult(listed.result.matches[1])
    assert listed.ui.querySeriesButton.text == "Thorax"  # whose it is, is not known here
    assert logic.searches[-1][0] == IndexedVolume("1.2.3.2", "volume2")


def test_what_was_not_searched_is_said_above_the_results_and_in_the_list(listed, logic, aVolume):
    logic.looks[-1].finish([aState(), aState("/home/me/old", 17)])
    listed.query.useVolume(aVolume())
    listed.ui.searchButton.click()
    logic.jobs[-1].finish(aUnitedResult(problem="gone", problem_type="NotAnsweringError"))
    note = listed.ui.searchNotesLabel
    assert note.visible and note.text == "Not searched: radiology/index (not reachable)."
    assert note.toolTip.startswith(f"{SHARE}: The folder does not answer.")
    assert listed.ui.indexFoldersCollapsibleButton.text == "Other index folders: 0 of 1"
    assert rows(listed)[0][2] == "not reachable"
    listed.ui.searchButton.click()
    logic.jobs[-1].finish(aUnitedResult(knows_patient=False))
    assert note.text == (
        "The query's patient is not known in radiology/index: volumes of the same patient there are not left out."
    )
    assert rows(listed)[0][2] == "looking..."  # it is there again
    listed.forgetResult()
    assert not note.visible
