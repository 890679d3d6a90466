"""The lines Query and Region, and the section Filters: what they say is what is searched with."""

from __future__ import annotations

from dataclasses import replace

import pytest
import slicer
from fake_logic import READY
from PyQt5 import QtCore, QtTest
from VolumeRetrievalLib.Values import ROI, SEGMENT, SLICES, WHOLE_VOLUME


def kinds(panel):
    box = panel.ui.regionComboBox
    return [box.itemText(index) for index in range(box.count)]


def aSegmentation(name, *segments, on=None):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    for segment in segments:
        node.GetSegmentation().AddEmptySegment(segment, segment)
    if on is not None:
        node.SetNodeReferenceID(node.GetReferenceImageGeometryReferenceRole(), on.GetID())
    return node


def test_a_volume_that_is_loaded_while_the_panel_is_open_is_the_query(panel, aVolume):
    assert "Load a volume" in panel.ui.resultsEmptyLabel.text and not panel.ui.searchButton.enabled
    volume = aVolume()
    assert panel.query.query is volume
    assert panel.ui.searchButton.enabled


def test_label_maps_are_no_queries(panel):
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVectorVolumeNode")
    assert panel.query.query is None


def test_the_last_entry_of_the_selector_takes_a_series_of_the_database(panel, logic, aVolume):
    volume = aVolume()
    box = panel.ui.queryVolumeSelector._qt._combo
    assert box.itemText(box.count() - 1) == "From the DICOM database..."
    box.activated[int].emit(box.count() - 1)
    dialog = panel.query.dialog
    assert dialog.dialog.visible and not dialog.buttons.button(dialog.buttons.Ok).enabled
    dialog.search.text = "MPRAGE"
    tree = dialog.tree
    assert tree.topLevelItem(0).isHidden() and not tree.topLevelItem(1).isHidden()
    tree.setCurrentItem(tree.topLevelItem(1).child(0).child(0))
    dialog.buttons.button(dialog.buttons.Ok).click()
    assert not dialog.dialog.visible
    assert panel.query.query == "2.1" and panel.ui.querySeriesButton.text == "T1 mprage, Patient 2"
    panel.ui.searchButton.click()
    assert logic.searches[0][0] == "2.1"
    logic.jobs[0].cancel()
    panel.ui.querySceneButton.click()
    assert panel.query.query is volume


def test_a_series_of_the_database_has_no_regions_of_the_scene(panel, logic, aVolume):
    aVolume()
    panel.region.choose(ROI)
    panel.query.useSeries(logic.series()[2])
    assert kinds(panel) == ["Whole volume", "Slices"] and panel.region.kind == WHOLE_VOLUME
    panel.region.choose(SLICES)
    # Its own stack, not that of the volume in the scene.
    assert panel.ui.regionInfoLabel.text == "coronal slices 1-24 of 24 (posterior to anterior)"
    assert not panel.ui.fromViewButton.visible
    panel.ui.lastSliceSpinBox.value = 39
    assert panel.search.problem() == "The volume has 24 coronal slices."
    panel.query.useScene()
    assert kinds(panel) == ["Whole volume", "ROI", "Segment", "Slices"]


def test_slices_are_counted_from_1_and_their_ends_are_named(panel, logic, aVolume):
    volume = aVolume()
    panel.region.choose(SLICES)
    assert (panel.ui.firstSliceSpinBox.value, panel.ui.lastSliceSpinBox.value) == (1, 30)
    panel.ui.firstSliceSpinBox.value, panel.ui.lastSliceSpinBox.value = 5, 8
    assert panel.ui.regionInfoLabel.text == "axial slices 5-8 of 30 (inferior to superior)"
    region = panel.region.region()
    assert (region.kind, region.firstSlice, region.lastSlice) == (SLICES, 4, 7)
    assert logic.previews[-1] == (volume, region)
    panel.ui.firstSliceSpinBox.value = 10
    assert "first slice" in panel.ui.searchButton.toolTip
    panel.leave()
    assert logic.previews[-1] is None


@pytest.fixture
def shownInRed(aVolume):
    volume = aVolume()
    view = slicer.app.layoutManager().sliceWidget("Red")
    view.mrmlSliceCompositeNode().SetBackgroundVolumeID(volume.GetID())
    view.mrmlSliceNode().SetOrientationToAxial()
    view.mrmlSliceNode().JumpSlice(-5, -5, 6)
    yield volume
    view.mrmlSliceCompositeNode().SetBackgroundVolumeID(None)


def test_from_view_takes_the_slice_that_is_seen(panel, logic, shownInRed):
    panel.ui.fromViewButton.click()
    region = panel.region.region()
    assert (region.kind, region.firstSlice, region.lastSlice) == (SLICES, 6, 6)
    assert panel.ui.regionInfoLabel.text.startswith("axial slice 7 of 30")


def test_from_view_says_why_it_cannot(panel, logic, shownInRed, aVolume):
    logic.rangeOfView = lambda volumeNode, sliceNode: "This view cuts across the axial slices."
    panel.ui.fromViewButton.click()
    assert panel.ui.regionInfoLabel.text == "This view cuts across the axial slices."
    assert panel.region.kind == WHOLE_VOLUME
    panel.query.useVolume(aVolume("not shown"))
    assert not panel.ui.regionInfoLabel.text
    panel.ui.fromViewButton.click()
    assert panel.ui.regionInfoLabel.text == "No slice view shows the query volume."


def test_the_segments_of_the_query_come_first_and_one_is_chosen(panel, aVolume):
    volume = aVolume()
    aSegmentation("Other patient", "tumor")
    own = aSegmentation("Organs", "liver", "spleen", on=volume)
    panel.region.choose(SEGMENT)
    region = panel.region.region()
    assert (region.kind, region.segmentation, region.segmentID) == (SEGMENT, own, "liver")
    box = panel.ui.segmentComboBox
    assert [box.itemText(index) for index in range(box.count)] == ["liver", "spleen", "tumor"]
    panel.region.chooseSegment(own, "spleen")
    own.GetSegmentation().RemoveSegment("liver")
    QtTest.QTest.mousePress(box._qt, QtCore.Qt.LeftButton)  # opening the list lists what there is now
    box._qt.hidePopup()
    assert [box.itemText(index) for index in range(box.count)] == ["spleen", "tumor"]
    assert panel.region.region().segmentID == "spleen"


def test_without_a_segment_the_panel_says_where_to_draw_one(panel, aVolume):
    aVolume()
    panel.region.choose(SEGMENT)
    assert "Segment Editor" in panel.ui.searchButton.toolTip
    assert "Segment Editor" in panel.ui.resultsEmptyLabel.text


def test_the_only_roi_is_taken_and_a_new_one_lies_in_the_volume(panel, aVolume):
    volume = aVolume()
    panel.region.choose(ROI)
    assert "press New" in panel.ui.searchButton.toolTip
    panel.ui.newRoiButton.click()
    roi = panel.region.region().roi
    assert roi is not None and panel.ui.searchButton.enabled
    bounds, center, size = [0.0] * 6, [0.0] * 3, [0.0] * 3
    volume.GetRASBounds(bounds)
    roi.GetCenterWorld(center)
    roi.GetSizeWorld(size)
    assert center == pytest.approx([(bounds[0] + bounds[1]) / 2, (bounds[2] + bounds[3]) / 2, 14.5])
    assert size == pytest.approx([10, 10, 15])
    added = panel.ui.roiSelector._qt.addNode()  # "Create new" in the selector
    added.GetSizeWorld(size)
    assert size == pytest.approx([10, 10, 15]) and panel.region.region().roi is added


def test_the_only_roi_of_the_scene_is_taken(panel, aVolume):
    aVolume()
    roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
    panel.region.choose(ROI)
    assert panel.region.region().roi is roi


def test_the_title_of_the_closed_filters_says_what_is_set(panel, logic):
    ui = panel.ui
    assert ui.filtersCollapsibleButton.collapsed and ui.filtersCollapsibleButton.text == "Filters"
    ui.modalityFilterComboBox.setCurrentIndex(ui.modalityFilterComboBox.findText("CT"))
    ui.excludePatientCheckBox.checked = True
    assert ui.filtersCollapsibleButton.text == "Filters: CT, other patients"
    ui.bodyPartFilterComboBox.setCurrentIndex(ui.bodyPartFilterComboBox.findText("CHEST"))
    ui.dateFromLineEdit.text = "2023-05-01"
    assert ui.filtersCollapsibleButton.text == "Filters: CT, CHEST, from 2023-05-01, other..."


def test_filters_offer_what_the_index_holds_and_keep_what_is_chosen(panel, logic):
    box = panel.ui.bodyPartFilterComboBox
    box.setCurrentIndex(box.findText("CHEST"))
    logic.changeStatus(replace(READY, bodyParts=("KNEE",)))
    assert [box.itemText(index) for index in range(box.count)] == ["Any", "KNEE", "CHEST"]
    assert panel.filters.criteria().filters == {"body_part": "CHEST"}


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("2023-01-31", "", {"date_from": "20230131"}),
        ("20230131", "2024", {"date_from": "20230131", "date_to": "20241231"}),
        ("2023", "2024-02", {"date_from": "20230101", "date_to": "20240229"}),
    ],
)
def test_dates_are_days_months_or_years(panel, first, last, expected):
    panel.ui.dateFromLineEdit.text, panel.ui.dateToLineEdit.text = first, last
    assert panel.filters.problem() == "" and panel.filters.criteria().filters == expected


@pytest.mark.parametrize("text", ["1.2.2010", "2010-13-45", "2010-02-30", "soon"])
def test_a_wrong_date_is_marked_and_named_where_it_is_typed(panel, aVolume, text):
    aVolume()
    panel.ui.filtersCollapsibleButton.collapsed = False
    panel.ui.dateToLineEdit.text = text
    assert "border" in panel.ui.dateToLineEdit.styleSheet and not panel.ui.dateFromLineEdit.styleSheet
    assert panel.ui.dateProblemLabel.visible and text in panel.ui.dateProblemLabel.text
    assert not panel.ui.searchButton.enabled
    assert panel.ui.filtersCollapsibleButton.text == "Filters: invalid date"
    panel.ui.dateToLineEdit.text = ""
    assert not panel.ui.dateToLineEdit.styleSheet and not panel.ui.dateProblemLabel.visible


def test_dates_in_the_wrong_order_are_named(panel):
    panel.ui.dateFromLineEdit.text, panel.ui.dateToLineEdit.text = "2024", "2023"
    assert panel.filters.problem() == "The first study date is after the last one."
