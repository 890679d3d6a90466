"""Results over the query, and their registration, in the panel."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from fake_logic import aResult
from VolumeRetrievalEngine.query.oriented_box import OrientedBox
from VolumeRetrievalEngine.searching.refinement import Refinement

BOX = OrientedBox(np.zeros(3), np.eye(3), np.ones(3))


def refinement(reason=""):
    return Refinement(np.eye(4), not reason, reason, 0.1, 6.2, BOX, 1.0)


@pytest.fixture
def compared(panel, logic, aVolume):
    """The panel with the best three of its results next to the query."""
    aVolume("Chest")
    panel.ui.searchButton.click()
    logic.jobs[-1].finish(aResult(5))
    panel.ui.compareButton.click()
    slicer.app.processEvents()
    return panel


def test_nothing_can_be_overlaid_or_registered_before_results_are_shown(panel, logic):
    for widget in (panel.ui.overlayCheckBox, panel.ui.overlaySlider, panel.ui.registerButton):
        assert not widget.enabled and widget.toolTip
    assert not panel.ui.registrationLabel.visible
    logic.changeShown(True)  # a scene that was opened with a folder of volumes: there is no comparison
    assert not panel.ui.overlayCheckBox.enabled and not panel.ui.registerButton.enabled


def test_the_check_box_and_the_slider_tell_the_logic(compared, logic):
    ui = compared.ui
    assert ui.overlayCheckBox.enabled and not ui.overlaySlider.enabled and not ui.overlayCheckBox.checked
    ui.overlayCheckBox.click()
    assert logic.isOverlaid and ui.overlaySlider.enabled
    ui.overlaySlider.value = 80
    assert logic.opacities == [0.8]
    logic.setOverlay(False)  # by a script
    assert not ui.overlayCheckBox.checked and not ui.overlaySlider.enabled
    ui.overlayCheckBox.click()
    ui.removeShownButton.click()
    assert not ui.overlayCheckBox.checked and not ui.overlayCheckBox.enabled


def test_where_nothing_of_the_query_is_in_the_results_the_check_box_says_so(compared, logic, monkeypatch):
    monkeypatch.setattr(logic, "setOverlay", lambda on: None)
    compared.ui.overlayCheckBox.click()
    assert not compared.ui.overlayCheckBox.checked
    assert compared.ui.overlayCheckBox.toolTip == "Nothing of the query is in these results."


def test_shown_results_are_registered_one_after_another(compared, logic):
    ui = compared.ui
    matches = logic.shownMatches
    ui.registerButton.click()
    assert logic.registrations == [1] and ui.registerButton.text == "Cancel"
    assert ui.registrationLabel.text == "Registering 1 of 3..." and ui.registrationLabel.visible
    logic.setRefinement(matches[0], refinement())
    logic.jobs[-1].finish(refinement())
    assert logic.registrations == [1, 2] and ui.registrationLabel.text == "Registering 2 of 3..."
    logic.setRefinement(matches[1], refinement("the registration found nothing better than the mapping"))
    logic.jobs[-1].finish(logic.shownMatches[1].refinement)
    logic.jobs[-1].fail("its files are gone")
    assert logic.registrations == [1, 2, 3] and ui.registerButton.text == "Register"
    assert ui.registrationLabel.text.split("\n") == [
        "Registered with the query: 1",
        "Registration not reliable, the mapped place is kept: 2",
        "Result 3 could not be registered: its files are gone",
    ]
    assert ui.registrationLabel.toolTip.split("\n") == [
        "1: moved by 6 mm",
        "2: the registration found nothing better than the mapping",
    ]
    ui.registerButton.click()  # what failed is tried again, and nothing else
    assert logic.registrations == [1, 2, 3, 3]
    logic.setRefinement(matches[2], refinement())
    logic.jobs[-1].finish(refinement())
    assert not ui.registerButton.enabled and "have been registered" in ui.registerButton.toolTip
    assert ui.registrationLabel.text.startswith("Registered with the query: 1, 3\n")


@pytest.mark.parametrize("way", ["button", "close", "others", "search", "panel"])
def test_a_registration_ends_with_what_it_was_for(compared, logic, way):
    ui = compared.ui
    ui.registerButton.click()
    job = logic.jobs[-1]
    if way == "button":
        ui.registerButton.click()
    elif way == "close":
        ui.removeShownButton.click()
    elif way == "others":
        ui.resultsTable.selectRow(4)
        ui.compareButton.click()
    elif way == "search":
        ui.searchButton.click()
    else:
        compared.cleanUp()
    assert not job.isRunning and not compared.registration.isRunning
    assert logic.registrations == [1] and not ui.registrationLabel.visible
    assert ui.registerButton.text == "Register" and ui.registerButton.enabled == (way != "close")
