"""The panel with a logic of the test's own: what it shows, and what it asks for when it is used."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import qt
import slicer
from fake_logic import CLOSED, EMPTY, FakeInstaller, FakeLogic, aResult, aThumbnail
from panel_factory import makePanel
from PyQt5 import QtCore, QtTest, QtWidgets
from slicer_application import i18n
from VolumeRetrievalEngine.progress import Progress
from VolumeRetrievalLib.Packages.PackageInstaller import InstallationDeclined, InstallationFailed, PackageState
from VolumeRetrievalLib.Settings import Settings
from VolumeRetrievalLib.Values import CURRENT_SLICE, ROI, SEGMENT, SLICES, EncoderChoice, IndexReport

NOTHING_INSTALLED = PackageState(
    {},
    ("torch", "onnxruntime", "faiss-cpu"),
    True,
    ("Search is exact but slower.", "Only the descriptor encoder works."),
    ("onnxruntime", "faiss-cpu"),
)


@pytest.fixture
def logic():
    return FakeLogic()


@pytest.fixture
def panel(logic):
    panel, widget = makePanel(logic)
    widget.resize(480, 1400)
    widget.show()
    slicer.app.processEvents()
    yield panel
    panel.cleanUp()
    widget.close()


def aVolume(name="CT"):
    volume = slicer.util.addVolumeFromArray(np.zeros((30, 20, 20), np.float32))
    volume.SetName(name)
    return volume


def test_the_database_section_says_how_much_is_indexed(panel):
    text = panel.ui.databaseStatusLabel.text
    assert text == "412 of 418 volumes indexed, 98,220 slices, 1.3 GB\n6 series not indexed"
    assert panel.ui.databaseLocationLabel.text == "/data/SlicerDICOMDatabase"


def test_without_a_database_indexing_is_disabled_and_says_why(panel, logic):
    toolTip = panel.ui.updateIndexButton.toolTip
    logic.changeStatus(CLOSED)
    assert not panel.ui.updateIndexButton.enabled
    assert "No DICOM database" in panel.ui.updateIndexButton.toolTip
    logic.changeStatus(EMPTY)
    assert panel.ui.updateIndexButton.enabled
    assert panel.ui.updateIndexButton.toolTip == toolTip


def test_indexing_shows_progress_and_its_end(panel, logic):
    panel.ui.updateIndexButton.click()
    assert panel.ui.cancelIndexingButton.visible and not panel.ui.updateIndexButton.enabled
    logic.jobs[0].callbacks.progress(Progress("index", 100, 400, "/data/archive/p7/s2", remaining=750.0))
    assert (panel.ui.indexProgressBar.value, panel.ui.indexProgressBar.maximum) == (100, 400)
    assert panel.ui.indexProgressLabel.text == "100 of 400 volumes, 12 min left\n/data/archive/p7/s2"
    logic.jobs[0].finish(IndexReport(added=6, unchanged=412, removed=1, failed=1))
    assert not panel.ui.cancelIndexingButton.visible and panel.ui.updateIndexButton.enabled
    assert "6 added, 412 unchanged, 1 removed, 1 failed" in panel.ui.databaseStatusLabel.text


def test_indexing_can_be_cancelled_and_fail(panel, logic):
    panel.ui.updateIndexButton.click()
    panel.ui.cancelIndexingButton.click()
    assert "goes on from here" in panel.ui.databaseStatusLabel.text
    panel.ui.updateIndexButton.click()
    logic.jobs[1].fail("The disk is full: /data needs 2 GB")
    assert panel.ui.messageFrame.visible
    assert "The disk is full" in panel.ui.messageLabel.text
    assert panel.ui.updateIndexButton.enabled


def test_skipped_series_are_shown_on_demand_failed_ones_first(panel):
    assert panel.ui.skippedButton.text == "2 series skipped, 1 failed"
    assert not panel.ui.skippedTree.visible
    panel.ui.skippedButton.click()
    assert panel.ui.skippedTree.visible
    first = panel.ui.skippedTree.topLevelItem(0)
    assert first.text(1).startswith("Failed: IM0042 is truncated")


def test_searching_needs_a_query_and_an_index(panel, logic):
    assert "Select a query volume" in panel.ui.searchButton.toolTip
    volume = aVolume()
    panel.ui.queryVolumeSelector.setCurrentNode(volume)
    assert panel.ui.searchButton.enabled
    logic.changeStatus(EMPTY)
    assert not panel.ui.searchButton.enabled
    assert "Update index" in panel.ui.searchButton.toolTip


def test_a_search_is_asked_for_with_what_is_chosen(panel, logic):
    panel.ui.queryVolumeSelector.setCurrentNode(aVolume())
    panel.ui.modalityFilterComboBox.setCurrentIndex(1)
    panel.ui.bodyPartFilterLineEdit.text = " chest "
    panel.ui.dateFromLineEdit.text = "2023-01-31"
    panel.ui.excludePatientCheckBox.checked = True
    panel.ui.topSpinBox.value = 25
    panel.ui.searchButton.click()
    ((query, region, options),) = logic.searches
    assert query is panel.ui.queryVolumeSelector.currentNode()
    assert region.kind == "volume"
    assert options.filters == {"modality": "CT", "body_part": "CHEST", "date_from": "20230131"}
    assert (options.top, options.excludeSamePatient) == (25, True)


def test_a_wrong_date_is_named_before_searching(panel):
    panel.ui.queryVolumeSelector.setCurrentNode(aVolume())
    panel.ui.dateToLineEdit.text = "31.1.2023"
    assert not panel.ui.searchButton.enabled
    assert "31.1.2023" in panel.ui.searchButton.toolTip


def test_regions_are_handed_on_with_0_based_slices(panel):
    roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
    panel.ui.queryVolumeSelector.setCurrentNode(aVolume())
    panel.ui.regionComboBox.setCurrentIndex(1)
    assert "Select the ROI" in panel.ui.searchButton.toolTip
    panel.ui.roiSelector.setCurrentNode(roi)
    assert (panel.query.region().kind, panel.query.region().roi) == (ROI, roi)
    panel.ui.regionComboBox.setCurrentIndex(3)
    assert panel.ui.slicesOfLabel.text == "of 30 axial slices"
    panel.ui.firstSliceSpinBox.value, panel.ui.lastSliceSpinBox.value = 5, 9
    region = panel.query.region()
    assert (region.kind, region.firstSlice, region.lastSlice) == (SLICES, 4, 8)
    panel.ui.firstSliceSpinBox.value = 10
    assert "first slice" in panel.ui.searchButton.toolTip
    panel.ui.regionComboBox.setCurrentIndex(4)
    panel.ui.currentSliceViewComboBox.setCurrentIndex(panel.ui.currentSliceViewComboBox.findText("Green"))
    assert (panel.query.region().kind, panel.query.region().sliceView) == (CURRENT_SLICE, "Green")


def test_a_segment_is_a_region(panel):
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    identifier = segmentation.GetSegmentation().AddEmptySegment("tumour")
    panel.ui.queryVolumeSelector.setCurrentNode(aVolume())
    panel.ui.regionComboBox.setCurrentIndex(2)
    assert "Select the segment" in panel.ui.searchButton.toolTip
    panel.ui.segmentSelector.setCurrentNode(segmentation)
    region = panel.query.region()
    assert (region.kind, region.segmentation, region.segmentID) == (SEGMENT, segmentation, identifier)


def test_a_series_of_the_database_can_be_the_query(panel, logic):
    panel.ui.querySourceComboBox.setCurrentIndex(1)
    tree = panel.ui.querySeriesTree
    assert tree.topLevelItemCount == 2
    panel.ui.querySeriesFilter.text = "MPRAGE"
    assert tree.topLevelItem(0).isHidden() and not tree.topLevelItem(1).isHidden()
    series = tree.topLevelItem(1).child(0).child(0)
    tree.setCurrentItem(series)
    panel.ui.searchButton.click()
    assert logic.searches[0][0] == "2.1"


def test_results_come_sorted_with_pictures_and_ranges(panel, logic):
    result = aResult(3)
    logic.pictures = {"volume1": aThumbnail(1)}
    panel.ui.queryVolumeSelector.setCurrentNode(aVolume())
    panel.ui.searchButton.click()
    logic.jobs[0].finish(result)
    table = panel.ui.resultsTable
    assert table.rowCount == 3
    assert [table.item(row, 0).text() for row in range(3)] == ["1", "2", "3"]
    assert table.item(0, 3).text() == "slices 17-63 of 120,\n69 mm"
    assert table.item(0, 4).text() == "Patient 7\n2023-10-02 Thorax"
    assert not table.item(0, 1).icon().isNull() and table.item(1, 1).icon().pixmap(64, 64).isNull()
    assert panel.ui.searchStatusLabel.text == "3 results from 412 volumes in 0.7 s"


def test_columns_sort_by_value(panel):
    panel.showResult(aResult(12))
    table = panel.ui.resultsTable
    table.sortItems(0, qt.Qt.DescendingOrder)
    assert [table.item(row, 0).text() for row in range(3)] == ["12", "11", "10"]
    table.sortItems(2, qt.Qt.AscendingOrder)
    assert table.item(0, 0).text() == "12"


def test_selecting_a_result_shows_its_map_and_double_clicking_loads_it(panel, logic):
    panel.showResult(aResult(3))
    table = panel.ui.resultsTable
    table.setCurrentCell(1, 0)
    assert "slices 23-69 of 120" in panel.ui.resultDetailsLabel.text
    assert panel.ui.matchPairLabel.text.startswith("Query slice")
    rectangle = table.visualItemRect(table.item(1, 4))
    place = {"pos": rectangle.center()._qt}
    QtTest.QTest.mouseClick(table.viewport()._qt, QtCore.Qt.LeftButton, **place)
    QtTest.QTest.mouseDClick(table.viewport()._qt, QtCore.Qt.LeftButton, **place)
    assert logic.shown == [["volume2"]]
    QtTest.QTest.keyClick(table._qt, QtCore.Qt.Key_Return)
    assert logic.shown == [["volume2"], ["volume2"]]


def test_the_best_are_compared_whatever_the_table_is_sorted_by(panel, logic):
    panel.showResult(aResult(6))
    panel.ui.resultsTable.sortItems(0, qt.Qt.DescendingOrder)
    panel.ui.compareCountComboBox.setCurrentIndex(3)
    panel.ui.compareButton.click()
    assert logic.shown == [[f"volume{rank}" for rank in range(1, 6)]]
    assert panel.ui.removeShownButton.enabled
    panel.ui.removeShownButton.click()
    assert logic.removed == 1 and not panel.ui.removeShownButton.enabled


def test_without_results_the_buttons_say_why_they_are_disabled(panel):
    for name in ("showButton", "compareButton", "exportTableButton", "exportFileButton", "removeShownButton"):
        button = getattr(panel.ui, name)
        assert not button.enabled
        assert "result" in button.toolTip


def test_a_result_that_is_gone_is_a_message(panel, logic):
    panel.showResult(aResult(2))
    logic.failure = "The series is no longer on disk: /data/archive/patient1/series"
    panel.ui.showButton.click()
    assert "no longer on disk" in panel.ui.messageLabel.text
    panel.ui.dismissMessageButton.click()
    assert not panel.ui.messageFrame.visible


def test_clicking_the_map_shows_that_pair_of_slices(panel, logic):
    panel.showResult(aResult(2))
    area = panel.matchMap.area
    position = QtCore.QPoint(area.x(30), area.y(10))
    QtTest.QTest.mouseClick(panel.ui.matchMapLabel._qt, QtCore.Qt.LeftButton, pos=position)
    assert logic.pairs == [("volume1", 10, 30)]
    assert "Query slice 21, result slice 61 of 120" in panel.ui.matchPairLabel.text


def test_the_map_is_used_by_keyboard(panel, logic):
    panel.showResult(aResult(2))
    row, column = panel.matchMap.pair
    for key in (QtCore.Qt.Key_Left, QtCore.Qt.Key_Left, QtCore.Qt.Key_Up, QtCore.Qt.Key_Return):
        QtTest.QTest.keyClick(panel.ui.matchMapLabel._qt, key)
    assert logic.pairs == [("volume1", row - 1, column - 2)]


def test_the_map_draws_ranges_and_path(panel):
    panel.showResult(aResult(2))
    area, image = panel.matchMap.area, panel.ui.matchMapLabel.pixmap._qt.toImage()
    one = panel._result.matches[0].ranges[0]
    edge = image.pixelColor(area.x(one.first_row - 0.5), area.y(20))
    assert (edge.red(), edge.green(), edge.blue()) == (230, 159, 0)


def test_follow_match_is_told_to_the_logic(panel, logic):
    assert not panel.ui.followMatchCheckBox.enabled
    panel.showResult(aResult(1))
    assert panel.ui.followMatchCheckBox.enabled and panel.ui.followMatchCheckBox.checked
    panel.ui.followMatchCheckBox.click()
    assert logic.follow is False


def test_results_are_exported_without_the_patient(panel, logic, tmp_path, monkeypatch):
    panel.showResult(aResult(3))
    panel.ui.exportTableButton.click()
    assert logic.exported == [["volume1", "volume2", "volume3"]]
    panel.results.writeFile(tmp_path / "out.csv")
    rows = list(csv.reader((tmp_path / "out.csv").open(encoding="utf-8")))
    assert rows[0][:3] == ["rank", "similarity", "modality"]
    assert len(rows) == 4
    assert "Patient 7" not in (tmp_path / "out.csv").read_text(encoding="utf-8")
    panel.results.writeFile(Path("/no/such/folder/out.csv"))
    assert "/no/such/folder/out.csv" in panel.ui.messageLabel.text


def test_the_file_to_export_to_is_asked_for(panel, tmp_path, monkeypatch):
    panel.showResult(aResult(2))
    answers = [("", ""), (str(tmp_path / "chosen.csv"), "CSV files (*.csv)")]
    monkeypatch.setattr(QtWidgets.QFileDialog, "getSaveFileName", lambda *_: answers.pop(0))
    panel.ui.exportFileButton.click()  # cancelled
    panel.ui.exportFileButton.click()
    assert len((tmp_path / "chosen.csv").read_text().splitlines()) == 3
    assert "chosen.csv" in panel.ui.resultDetailsLabel.text


def test_a_folder_of_wheels_is_asked_for(logic, tmp_path, monkeypatch):
    installer = FakeInstaller(NOTHING_INSTALLED)
    panel, _widget = makePanel(logic, installer)
    monkeypatch.setattr(QtWidgets.QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path))
    panel.ui.installFromFolderButton.click()
    assert installer.installed == [tmp_path]


def test_what_is_missing_is_said_and_can_be_installed(logic):
    installer = FakeInstaller(NOTHING_INSTALLED)
    panel, widget = makePanel(logic, installer)
    widget.show()
    assert "descriptor" in panel.ui.messageLabel.text
    assert panel.ui.installButton.visible
    panel.ui.installButton.click()
    panel.ui.installSmallButton.click()
    assert installer.installed == [None, "small"]
    panel.ui.dismissMessageButton.click()
    assert not panel.ui.messageFrame.visible


@pytest.mark.parametrize(
    ("error", "label"),
    [
        (InstallationDeclined("Nothing was installed."), "searchStatusLabel"),
        (InstallationFailed("No network"), "messageLabel"),
    ],
)
def test_a_declined_or_failed_installation_is_told(logic, error, label):
    panel, widget = makePanel(logic, FakeInstaller(NOTHING_INSTALLED, error))
    widget.show()
    panel.ui.installButton.click()
    assert str(error) in getattr(panel.ui, label).text


def test_settings_are_kept_for_the_next_start(logic):
    panel, _widget = makePanel(logic, settings=Settings.load())
    panel.ui.deviceComboBox.setCurrentIndex(1)
    panel.ui.sliceStepSpinBox.value = 1.5
    panel.ui.exhaustiveCheckBox.checked = True
    panel.ui.automaticIndexingCheckBox.checked = True
    settings = Settings.load()
    assert (settings.device, settings.sliceStepMm, settings.exhaustive) == ("cpu", 1.5, True)
    assert settings.indexAutomatically
    assert "in full" in panel.ui.filterCountSpinBox.toolTip and not panel.ui.filterCountSpinBox.enabled


def test_a_broken_setting_is_the_default():
    qt.QSettings().setValue("VolumeRetrieval/batchSize", "many")
    assert Settings.load().batchSize == 0


def test_encoders_that_cannot_run_are_explained(panel):
    box = panel.ui.encoderComboBox
    assert [box.itemText(index) for index in range(box.count)] == [
        "Automatic",
        "Descriptor (needs no packages)",
        "ResNet50, ImageNet",
    ]
    assert panel.ui.encoderNoteLabel.text == "TorchScript network (a file of your own): needs torch"


def test_a_network_comes_with_its_file(logic, tmp_path, monkeypatch):
    logic.encoders = lambda: [EncoderChoice("torchscript", "TorchScript file", needsWeights=True)]
    panel, _widget = makePanel(logic, settings=Settings.load())
    assert not panel.ui.weightsButton.enabled and "needs no file" in panel.ui.weightsButton.toolTip
    panel.ui.encoderComboBox.setCurrentIndex(1)
    assert panel.ui.weightsLineEdit.enabled
    answers = [("", ""), (str(tmp_path / "network.pt"), "")]
    monkeypatch.setattr(QtWidgets.QFileDialog, "getOpenFileName", lambda *_: answers.pop(0))
    panel.ui.weightsButton.click()  # cancelled
    assert Settings.load().weights == ""
    panel.ui.weightsButton.click()
    assert (Settings.load().encoder, Settings.load().weights) == ("torchscript", str(tmp_path / "network.pt"))
    again, _widget = makePanel(logic, settings=Settings.load())
    assert again.ui.weightsLineEdit.text == str(tmp_path / "network.pt") and again.ui.weightsLineEdit.enabled


def test_every_control_has_a_tooltip_and_can_be_reached_by_keyboard(panel):
    kinds = ("QPushButton", "QCheckBox", "QComboBox", "QLineEdit", "QSpinBox", "QDoubleSpinBox", "QTreeWidget",
             "QTableWidget", "qMRMLNodeComboBox", "qMRMLSegmentSelectorWidget", "QProgressBar")  # fmt: skip
    controls = [one for one in vars(panel.ui).values() if one.className() in kinds and not one.name.startswith("qt_")]
    assert len(controls) > 40
    for one in controls:
        assert one.toolTip, f"{one.name} has no tooltip"
        reachable = one.focusPolicy & qt.Qt.TabFocus or one._qt.focusProxy() is not None
        assert reachable or one.className() == "QProgressBar", f"{one.name} cannot be reached by keyboard"


def test_texts_of_the_code_are_translatable(logic):
    i18n.translation.append(lambda text: f"«{text}»")
    panel, _widget = makePanel(logic, FakeInstaller(NOTHING_INSTALLED))
    panel.showResult(aResult(2))
    ui = panel.ui
    status, notIndexed = ui.databaseStatusLabel.text.split("\n")
    details, pair = ui.resultDetailsLabel.text, ui.matchPairLabel.text
    texts = [status, notIndexed, ui.skippedButton.text, details, pair, ui.searchButton.toolTip]
    texts += [ui.resultsTable.horizontalHeaderItem(column).text() for column in (2, 3, 4, 5, 6)]
    texts += [ui.resultsTable.item(0, 3).text(), ui.removeShownButton.toolTip, ui.queryVolumeLabel.text]
    for text in texts:
        assert text.startswith("«") and text.endswith("»"), text
