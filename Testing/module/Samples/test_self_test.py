"""The self test that runs in a real Slicer, run here as far as the stand-in goes; and what it says when it fails."""

from __future__ import annotations

import logging
import re
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import slicer
from slicer_application.modules import loadModule, makeWidget
from slicer_application.pythonqt import wrap
from slicer_application.window import qSlicerMainWindow
from VolumeRetrievalLib.Samples import SelfTestDatabase, SelfTestStory
from VolumeRetrievalLib.Samples.SelfTest import SelfTest
from VolumeRetrievalLib.Samples.SelfTestComparing import ComparingSteps
from VolumeRetrievalLib.Samples.SelfTestStory import Snapshot
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
    makeWidget(loaded.VolumeRetrievalWidget)
    yield loaded
    widget = slicer.modules.VolumeRetrievalWidget  # another one, if the module was reloaded
    widget.cleanup()
    widget.parent.close()


@pytest.fixture
def mainWindow(module, monkeypatch):
    """The module in a main window on a usual screen."""
    window = qSlicerMainWindow(1600, 900)
    window.showModule(slicer.modules.volumeretrieval.widgetRepresentation())
    monkeypatch.setattr(slicer.util, "mainWindow", lambda: wrap(window))
    yield window
    window.close()


def test_the_self_test_passes_here(module, mainWindow, sameModulesAfterwards, capsys, monkeypatch):
    for part in (SelfTestStory, SelfTestDatabase):
        monkeypatch.setattr(part, "SPACING_MM", (9.0, 9.0))  # a quarter of the voxels, still a liver
    Settings(encoder="torchscript").save()
    said = []
    case = module.VolumeRetrievalTest()
    case.delayDisplay = said.append
    case.runTest()
    assert said[-1] == "Test passed."  # nothing was skipped
    lines = capsys.readouterr().out.splitlines()
    steps = [line for line in lines if re.match(r"\d+ of \d+: ", line)]
    assert len(steps) > 50 and all(line.endswith(": ok") for line in steps)
    assert any(line.startswith("Not tried: ") for line in lines)
    assert Settings.load().encoder == "torchscript"
    assert not list(Path(slicer.app.temporaryPath).glob("VolumeRetrieval*/*"))


@pytest.fixture
def selfTest(module):
    return SelfTest(slicer.modules.volumeretrieval.widgetRepresentation().self(), said.append)


said: list[str] = []


@pytest.fixture(autouse=True)
def nothingSaid():
    said.clear()


def raising(error):
    def step():
        raise error

    return step


def test_a_failing_step_says_which_it_was_and_what_there_is_and_the_next_ones_go_on(selfTest, tmp_path):
    slicer.dicomDatabase.openDatabase(str(tmp_path / "ctkDICOM.sql"))
    wrong = AssertionError("series: expected 4, found 3")
    selfTest.steps = lambda: [("count series", raising(wrong)), ("go on", lambda: None)]
    with pytest.raises(
        AssertionError, match="1 of 2: count series: AssertionError: series: expected 4, found 3"
    ) as caught:
        selfTest.run()
    assert "the panel says" in str(caught.value) and "ctkDICOM.sql" in str(caught.value)
    assert said[:2] == ["1 of 2: count series: FAILED, series: expected 4, found 3", "2 of 2: go on: ok"]


def test_what_is_not_here_is_skipped_and_named(selfTest, monkeypatch):
    monkeypatch.setattr(type(slicer.app._qt), "layoutManager", lambda self: None)
    comparing = ComparingSteps(selfTest.story)
    selfTest.steps = lambda: [("show", lambda: comparing.compare(1)), ("other", lambda: None)]
    assert selfTest.run() == ["show: no views: Slicer runs without a main window"]
    assert said[0] == "1 of 2: show: skipped, no views: Slicer runs without a main window"


def test_what_stands_still_and_what_the_module_warns_of_is_told(selfTest):
    def stall():
        slicer.app.processEvents()
        time.sleep(0.6)
        slicer.app.processEvents()
        logging.getLogger("VolumeRetrievalLib.Somewhere").warning("strange")

    selfTest.steps = lambda: [("stall", stall)]
    selfTest.run()
    assert any("stood still" in line and "'stall'" in line for line in said)
    assert selfTest.warnings.texts == ["WARNING: strange"]


def test_a_search_process_that_is_killed_with_an_indexing_run_is_waited_for(monkeypatch):
    """Its end may be told long after that of the run: it is no warning of which nobody knows why."""
    killed: list[int] = []
    monkeypatch.setattr(SelfTestDatabase.ProcessIDs, "kill", killed.append)
    monkeypatch.setattr(SelfTestDatabase.DatabaseSteps, "_expectAllIndexed", lambda self: None)

    class Logic:
        pids = (1, 2)  # of the run, and of the search process

        def removeSeries(self, uids):
            pass

        def indexDatabase(self, callbacks=None):
            if callbacks:
                callbacks.progress(None)
                callbacks.failed("it crashed")

        def noticeNext(self):
            self.pids = self.pids[1:]
            logging.getLogger("VolumeRetrievalLib.Processes").warning("a process ended unexpectedly")

    story, logic, warnings = SelfTestStory.Story(None), Logic(), SelfTestStory.OwnWarnings()
    story.widget = SimpleNamespace(logic=logic)
    story.wait = lambda what, condition: [logic.noticeNext() for _ in logic.pids if not condition()]
    logging.getLogger().addHandler(warnings)
    try:
        SelfTestDatabase.DatabaseSteps(story, warnings).killIndexing()
        assert killed == [1, 2] and logic.pids == () and warnings.texts == []
    finally:
        logging.getLogger().removeHandler(warnings)


def test_a_snapshot_names_what_is_left():
    before = Snapshot()
    before.expectSame()
    left = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "mark")
    with pytest.raises(AssertionError, match=r"nodes that are left: expected .*mark"):
        before.expectSame()
    slicer.mrmlScene.RemoveNode(left)
