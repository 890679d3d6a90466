"""The list of results, comparing, and exporting."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
import qt
import slicer
from fake_logic import aMatch, aResult, aThumbnail
from PyQt5 import QtCore, QtGui, QtTest, QtWidgets
from VolumeRetrievalEngine.searching.likeness import Likeness
from VolumeRetrievalLib.Panel.ResultRow import PICTURE_HEIGHT, ResultRow, paintIcon
from VolumeRetrievalLib.Panel.RowButtons import WIDTH as BUTTONS_WIDTH
from VolumeRetrievalLib.Values import ShownPair


@pytest.fixture
def show(panel, logic, aVolume):
    """Searches, and finds this result."""

    def search(result):
        if panel.query.query is None:
            aVolume("Chest")
        panel.ui.searchButton.click()
        logic.jobs[-1].finish(result)
        slicer.app.processEvents()
        return panel.results

    return search


def click(panel, row, *, double=False, modifier=QtCore.Qt.NoModifier):
    table = panel.ui.resultsTable
    place = table.visualItemRect(table.item(row, 0)).center()._qt
    QtTest.QTest.mouseClick(table.viewport()._qt, QtCore.Qt.LeftButton, modifier, place)
    if double:
        QtTest.QTest.mouseDClick(table.viewport()._qt, QtCore.Qt.LeftButton, modifier, place)


def toolTip(panel, row):
    return panel.ui.resultsTable.item(row, 0).toolTip()


def picture(panel, row, mode=QtGui.QIcon.Normal):
    """The painted row as an image, on white."""
    icon = panel.ui.resultsTable.item(row, 0).icon()._qt
    size = panel.ui.resultsTable._qt.iconSize()
    image = QtGui.QImage(size, QtGui.QImage.Format_RGB32)
    image.fill(QtCore.Qt.white)
    painter = QtGui.QPainter(image)
    painter.drawPixmap(0, 0, icon.pixmap(size, mode))
    painter.end()
    return image


def test_rows_say_who_what_when_how_similar_and_where(panel, logic, show):
    logic.pictures = {"volume1": aThumbnail(1)}
    results = show(aResult(3))
    assert [results.table.row(number).text for number in (0, 1)] == [
        "1  Patient 7, CT Thorax 1.0 mm soft tissue, 2023-10-02, close match, 0.93, slices 17-63",
        "2  Patient 14, CT Thorax 2.0 mm soft tissue, 2023-10-02, close match, 0.74, slices 23-69?",
    ]
    assert panel.ui.resultsTable.rowHeight(0) == 48
    assert panel.ui.resultsTable.item(0, 0).data(qt.Qt.AccessibleTextRole) == results.table.row(0).text


def test_the_tooltip_has_what_the_row_has_no_room_for(panel, show):
    show(aResult(2))
    lines = panel.ui.resultsTable.item(1, 0).toolTip().split("\n")
    assert "Patient 14, 2023-10-02 Thorax" in lines
    assert "Matches at slices 23-69 of 120, 69 mm (0.55)" in lines
    assert "The place is uncertain: it is hardly better than chance." in lines
    assert "uncertain" not in panel.ui.resultsTable.item(0, 0).toolTip()


def test_in_a_narrow_row_the_bar_gives_way_to_whose_volume_it_is(panel):
    """Seen in a real Slicer 5.12.3: in a panel of 325 pixels "Phantom 0012" and "Phantom 0011" were "Phantom 00..."."""
    table = panel.ui.resultsTable
    bar = table._qt.palette().color(QtGui.QPalette.Active, QtGui.QPalette.Highlight).rgb()

    def barPixels(title):
        row = ResultRow(title, "CT Chest", "", 1.0, "slices 4-26")
        image = paintIcon(row, 240, table, False)._qt.pixmap(240, PICTURE_HEIGHT).toImage()
        return sum(image.pixel(x, y) == bar for x in range(image.width()) for y in range(image.height()))

    assert barPixels("1  A") > 50
    assert barPixels("3  CMB-CRC-MSB-06489") == 0


def test_in_a_narrow_row_the_likeness_takes_the_place_of_the_series(panel):
    """Seen in a real Slicer 5.12.3, whose module panel is 310 pixels wide at first: "Phantom 0012" was "Phant..."."""
    table = panel.ui.resultsTable

    def painted(width, **values):
        row = ResultRow("1  A", "CT Chest", "", 1.0, "slices 4-26", likeness="close match")
        icon = paintIcon(replace(row, **values), width, table, False)
        return icon._qt.pixmap(width, PICTURE_HEIGHT).toImage()

    assert painted(270) == painted(270, series="MR Head") and painted(270) != painted(270, similarity=0.5)
    assert painted(300) != painted(300, series="MR Head") and painted(300) == painted(300, similarity=0.5)
    assert painted(400) != painted(400, series="MR Head") and painted(400) != painted(400, similarity=0.5)
    for width in (270, 300, 400):
        assert painted(width) != painted(width, likeness="some likeness")


def test_a_selected_row_keeps_its_picture_as_it_is(panel, logic, show):
    logic.pictures = {"volume1": aThumbnail(1)}
    show(aResult(1))
    normal, selected = picture(panel, 0), picture(panel, 0, QtGui.QIcon.Selected)
    for x, y in ((10, 22), (22, 30), (35, 20)):
        assert normal.pixel(x, y) == selected.pixel(x, y)
    assert normal != selected  # the text's color


def test_rows_say_how_unusual_the_similarity_is(panel, show):
    results = show(aResult(8))
    words = [results.table.row(number).likeness for number in range(8)]
    assert words == ["close match"] * 4 + ["some likeness"] * 2 + ["nothing like it"] * 2
    assert [results.table.row(number).isUnlike for number in (0, 5, 6, 7)] == [False, False, True, True]
    assert "Close match: 70% of the indexed volumes have no neighbor as similar as this." in toolTip(panel, 0)
    assert not panel.ui.nothingAlikeLabel.visible
    show(aResult(2, matches=tuple(replace(one, likeness=None) for one in aResult(2).matches)))
    assert results.table.row(0).likeness == "" and not results.table.row(0).isUnlike


def test_a_list_without_anything_alike_says_so_above_it(panel, show):
    show(aResult(2, matches=tuple(replace(one, likeness=Likeness(0.07)) for one in aResult(2).matches)))
    text = panel.ui.nothingAlikeLabel.text
    assert "Nothing like it here." in text and "93% of the indexed volumes have a closer neighbor" in text
    show(aResult(2))
    assert panel.ui.nothingAlikeLabel.text == ""


def test_phases_of_one_series_are_told_apart(panel, logic, show):
    matches = tuple(
        replace(aMatch(rank), series_uid=uid, part=part, attributes=aMatch(1).attributes)
        for rank, uid, part in ((1, "4D", "phase 1"), (2, "4D", "phase 2"), (3, "3D", ""))
    )
    results = show(aResult(3, matches=matches))
    series = [results.table.row(number).series for number in range(3)]
    assert series == [
        "CT 1: Thorax 1.0 mm soft tissue, phase 1",
        "CT 2: Thorax 1.0 mm soft tissue, phase 2",
        "CT 3: Thorax 1.0 mm soft tissue",  # another series of that name, which only its number tells
    ]


def test_only_rows_in_view_are_described_and_painted(panel, logic, show):
    asked = []
    thumbnails = logic.thumbnails
    logic.thumbnails = lambda matches: asked.append(len(matches)) or thumbnails(matches)
    results = show(aResult(500))
    assert panel.ui.resultsTable.rowCount == 500
    assert asked[0] <= 20 and len(set(logic.described)) <= 20
    logic.described.clear()
    panel.ui.resultsTable.scrollToBottom()
    slicer.app.processEvents()
    assert panel.ui.resultsTable.item(499, 0) is not None and panel.ui.resultsTable.item(200, 0) is None
    assert "volume500" in logic.described and len(set(logic.described)) <= 20
    assert results.table.row(499).title.startswith("500  ")


def test_rows_are_as_wide_as_the_panel(panel, show):
    show(aResult(3))
    window = panel.ui.resultsTable._qt.window()
    for width in (340, 600):
        window.resize(width, 900)
        slicer.app.processEvents()
        table = panel.ui.resultsTable
        room = table.viewport().width - 8 - BUTTONS_WIDTH
        assert table._qt.iconSize().width() == room
        assert table.item(0, 0).icon()._qt.actualSize(QtCore.QSize(2000, 2000)).width() == room


def test_another_theme_paints_the_rows_anew(panel, show):
    show(aResult(3))
    application = QtWidgets.QApplication.instance()
    before, light = picture(panel, 0), application.palette()
    dark = QtGui.QPalette(QtGui.QColor(50, 50, 50))
    application.setPalette(dark)
    slicer.app.processEvents()
    after = picture(panel, 0)
    application.setPalette(light)
    slicer.app.processEvents()
    assert before != after
    assert picture(panel, 0) == before


def test_nothing_selected_compares_the_best_three(panel, logic, show):
    show(aResult(6))
    assert panel.ui.compareButton.text == "Compare the best 3"
    panel.ui.compareButton.click()
    assert logic.shown == [["volume1", "volume2", "volume3"]]


def test_selected_results_are_compared_five_at_most(panel, logic, show):
    show(aResult(8))
    click(panel, 3)
    click(panel, 1, modifier=QtCore.Qt.ControlModifier)
    assert panel.ui.compareButton.text == "Compare selected"
    panel.ui.compareButton.click()
    assert logic.shown == [["volume2", "volume4"]]
    panel.ui.resultsTable.selectAll()
    panel.ui.compareButton.click()
    assert logic.shown[-1] == [f"volume{rank}" for rank in range(1, 6)]
    assert panel.status.text == "Only the best 5 of the selected results are shown."


def test_double_click_and_enter_show_one(panel, logic, show):
    show(aResult(3))
    click(panel, 1, double=True)
    assert logic.shown == [["volume2"]]
    QtTest.QTest.keyClick(panel.ui.resultsTable._qt, QtCore.Qt.Key_Down)
    QtTest.QTest.keyClick(panel.ui.resultsTable._qt, QtCore.Qt.Key_Return)
    assert logic.shown[-1] == ["volume3"]


def test_loading_says_how_far_it_is(panel, logic, show):
    show(aResult(3))
    texts = []
    say = panel.status.say
    panel.status.say = lambda text, details="": (texts.append(text), say(text, details))
    panel.ui.compareButton.click()
    assert texts == ["Loading 1 of 3...", "Loading 2 of 3...", "Loading 3 of 3...", '3 similar volumes for "Chest"']


def test_close_comparison_is_there_while_results_are_shown_by_whomever(panel, logic, show):
    close = panel.ui.removeShownButton
    assert not close.enabled and close.toolTip == "No results are shown."
    logic.changeShown(True)  # by a script, or with a scene that was opened
    assert close.enabled and "your own layout" in close.toolTip
    close.click()
    assert logic.removed == 1 and not close.enabled


def test_a_result_that_is_gone_is_an_error_until_something_works(panel, logic, show):
    show(aResult(2))
    logic.failure = "The series is no longer on disk: /data/archive/patient1/series"
    panel.ui.compareButton.click()
    assert panel.status.isError and panel.status.text == logic.failure
    logic.failure = ""
    panel.ui.compareButton.click()
    assert panel.status.text == '2 similar volumes for "Chest"' and not panel.status.isError


def test_what_could_not_be_shown_is_named(panel, logic, show):
    show(aResult(3))
    logic.problems = ["Result 2: 41 of 41 files are gone."]
    panel.ui.compareButton.click()
    assert panel.status.isError and panel.status.text == "Result 2: 41 of 41 files are gone."
    assert panel.ui.removeShownButton.enabled


def test_without_results_the_buttons_say_why_they_are_disabled(panel):
    assert not panel.ui.compareButton.enabled and "no results" in panel.ui.compareButton.toolTip
    assert not panel.ui.exportButton.visible
    assert not panel.ui.followMatchCheckBox.enabled and "Compare results first" in panel.ui.followMatchCheckBox.toolTip


def test_scrolling_together_and_the_pair_that_is_shown(panel, logic, show):
    show(aResult(2))
    logic.changeShown(True)
    assert panel.ui.followMatchCheckBox.enabled and panel.ui.followMatchCheckBox.checked
    logic.pairChanged(ShownPair(panel.result.matches[0], 62, 58, 0.987))
    assert panel.ui.matchPairLabel.text == "slice 63 <-> 59: 0.99"
    logic.pairChanged(ShownPair(panel.result.matches[0], 62, 58))
    assert panel.ui.matchPairLabel.text == "slice 63 <-> 59"
    panel.ui.followMatchCheckBox.click()
    assert logic.follow is False
    logic.changeShown(False)
    assert panel.ui.matchPairLabel.text == ""


def test_results_are_exported_without_the_patient(panel, logic, show, tmp_path):
    show(aResult(3))
    table, file = panel.results.exportMenu.actions()
    assert (table.text, file.text) == ("To a table in the scene", "To a CSV file...")
    table.trigger()
    assert logic.exported == [["volume1", "volume2", "volume3"]] and "Similar volumes" in panel.status.text
    panel.results.writeFile(tmp_path / "out.csv")
    rows = list(csv.reader((tmp_path / "out.csv").open(encoding="utf-8")))
    assert rows[0][:3] == ["rank", "similarity", "modality"]
    assert len(rows) == 4
    assert "Patient 7" not in (tmp_path / "out.csv").read_text(encoding="utf-8")
    panel.results.writeFile(Path("/no/such/folder/out.csv"))
    assert panel.status.isError and "/no/such/folder/out.csv" in panel.status.text


def test_the_file_to_export_to_is_asked_for(panel, show, tmp_path, monkeypatch):
    show(aResult(2))
    answers = [("", ""), (str(tmp_path / "chosen.csv"), "CSV files (*.csv)")]
    monkeypatch.setattr(QtWidgets.QFileDialog, "getSaveFileName", lambda *_: answers.pop(0))
    panel.results.exportToFile()  # cancelled
    panel.results.exportToFile()
    assert len((tmp_path / "chosen.csv").read_text().splitlines()) == 3
    assert panel.status.text == "Exported to chosen.csv."


def test_the_context_menu_exports(panel, show):
    show(aResult(2))
    panel.ui.resultsTable._qt.customContextMenuRequested.emit(QtCore.QPoint(20, 20))
    assert panel.results.rowMenu.visible
    texts = [one.text for one in panel.results.rowMenu.actions()]
    assert texts[:3] == ["It fits (+)", "It does not fit (-)", "Search with this result"]
    assert "To a CSV file..." in texts
    panel.results.rowMenu.close()
