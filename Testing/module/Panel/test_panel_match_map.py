"""The section Match map: closed it asks for nothing, open it shows where the selected result matches."""

from __future__ import annotations

import pytest
import slicer
from fake_logic import FakeJob, aResult
from PyQt5 import QtCore, QtTest
from VolumeRetrievalLib.Panel import MatchMapPicture


@pytest.fixture
def map(panel, aVolume):
    aVolume("Chest")
    panel.ui.matchMapCollapsibleButton.collapsed = False
    panel.showResult(panel.search.request(), aResult(2))
    slicer.app.processEvents()
    return panel.matchMap


def test_a_closed_map_asks_for_no_similarities(panel, logic, aVolume):
    asked = []
    similarity = logic.similarity
    logic.similarity = lambda match, callbacks: asked.append(match.rank) or similarity(match, callbacks)
    aVolume("Chest")
    panel.showResult(panel.search.request(), aResult(3))
    assert panel.ui.matchMapCollapsibleButton.collapsed and asked == []
    panel.ui.matchMapCollapsibleButton.collapsed = False
    assert asked == [1]  # nothing is selected: of the best
    panel.ui.resultsTable.selectRow(2)
    assert asked == [1, 3]


def test_until_the_similarities_are_there_the_map_says_so(panel, logic, aVolume):
    jobs = []
    logic.similarity = lambda match, callbacks: jobs.append(FakeJob(callbacks)) or jobs[-1]
    aVolume("Chest")
    panel.ui.matchMapCollapsibleButton.collapsed = False
    assert "Search first" in panel.ui.matchMapLabel.text
    panel.showResult(panel.search.request(), aResult(2))
    assert "Reading" in panel.ui.matchMapLabel.text
    panel.ui.resultsTable.selectRow(1)
    assert not jobs[0].isRunning
    jobs[1].fail("The search process has forgotten this search: search again.")
    assert panel.ui.matchMapLabel.text == "The search process has forgotten this search: search again."


def test_clicking_the_map_shows_that_pair_of_slices(panel, logic, map):
    position = QtCore.QPoint(map.area.x(30), map.area.y(10))
    QtTest.QTest.mouseClick(panel.ui.matchMapLabel._qt, QtCore.Qt.LeftButton, pos=position)
    assert logic.pairs == [("volume1", 10, 30)]


def test_the_map_is_used_by_keyboard(panel, logic, map):
    row, column = map.pair
    for key in (QtCore.Qt.Key_Left, QtCore.Qt.Key_Left, QtCore.Qt.Key_Up, QtCore.Qt.Key_Return):
        QtTest.QTest.keyClick(panel.ui.matchMapLabel._qt, key)
    assert logic.pairs == [("volume1", row - 1, column - 2)]


def test_the_map_draws_the_range_on_a_see_through_background(panel, map):
    image = panel.ui.matchMapLabel.pixmap._qt.toImage()
    one = panel.result.matches[0].place
    edge = image.pixelColor(map.area.x(one.first_row - 0.5), map.area.y(20))
    assert (edge.red(), edge.green(), edge.blue()) == (230, 159, 0)
    assert image.pixelColor(2, 2).alpha() == 0  # whatever the theme


def test_axes_have_numbers_at_their_ends_and_between():
    assert MatchMapPicture.ticks(60, 6) == [0, 15, 30, 44, 59]
    assert MatchMapPicture.ticks(60, 1) == [0, 59]
    assert MatchMapPicture.ticks(1, 6) == [0] and MatchMapPicture.ticks(2, 6) == [0, 1]
