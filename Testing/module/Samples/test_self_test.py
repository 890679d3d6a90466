"""The self test that runs in a real Slicer, run here as far as the stand-in goes; and what it says when it fails."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import slicer
from slicer_application.modules import loadModule, makeWidget
from VolumeRetrievalLib.Samples.SelfTest import NotHere, SelfTest
from VolumeRetrievalLib.Settings import Settings

MODULE_FILE = Path(__file__).parents[3] / "VolumeRetrieval" / "VolumeRetrieval.py"


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The module, its panel open, and a PythonSlicer to be found as in Slicer."""
    program = tmp_path / "bin" / "PythonSlicer"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    program.chmod(0o700)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    loaded = loadModule(MODULE_FILE)
    slicer.app._qt.startupCompleted.emit()
    widget = makeWidget(loaded.VolumeRetrievalWidget)
    yield loaded
    widget.cleanup()
    widget.parent.close()


def test_the_self_test_passes_here(module, caplog):
    Settings(encoder="torchscript").save()
    said = []
    case = module.VolumeRetrievalTest()
    case.delayDisplay = said.append
    case.runTest()
    assert said[-1] == "Test passed."  # nothing was skipped
    assert Settings.load().encoder == "torchscript"
    assert not list(Path(slicer.app.temporaryPath).glob("VolumeRetrieval*/*"))


def test_the_step_on_encoders_passes_again_in_a_panel_that_knows_the_default_already(module):
    test = SelfTest(slicer.modules.volumeretrieval.widgetRepresentation().self())
    test.listEncoders()
    test.ui.encodersCollapsibleButton.collapsed = False  # as a user may have left it
    test.listEncoders()


def test_a_failing_step_says_which_it_was_and_what_there_is(module, tmp_path):
    slicer.dicomDatabase.openDatabase(str(tmp_path / "ctkDICOM.sql"))
    test = SelfTest(slicer.modules.volumeretrieval.widgetRepresentation().self())

    def fail():
        raise AssertionError("series: expected 4, found 3")

    test.steps = lambda: [("count series", fail)]
    with pytest.raises(AssertionError, match="Step 1 of 1, count series: series: expected 4, found 3") as caught:
        test.run()
    assert "The panel says" in str(caught.value) and "ctkDICOM.sql" in str(caught.value)


def test_what_is_not_here_is_skipped_and_named(module, monkeypatch):
    test = SelfTest(slicer.modules.volumeretrieval.widgetRepresentation().self())
    monkeypatch.setattr(type(slicer.app._qt), "layoutManager", lambda self: None)
    test.steps = lambda: [("show", test.show), ("other", lambda: None)]
    assert test.run() == ["show: no views: Slicer runs without a main window"]
    with pytest.raises(NotHere):
        test.follow()
