"""What runs when Slicer starts, without anybody opening the module."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import qt
import slicer
from children import waitUntil
from slicer_application.application import loadModule, makeWidget
from VolumeRetrievalLib.Settings import Settings

MODULE_FILE = Path(__file__).parents[2] / "VolumeRetrieval" / "VolumeRetrieval.py"


@pytest.fixture
def module(application, monkeypatch):
    """Slicer as a user has it: with a main window, and nothing opened yet."""
    window = qt.QMainWindow()
    monkeypatch.setattr(slicer.util, "mainWindow", lambda: window)
    monkeypatch.setattr(qt.QTimer, "singleShot", lambda milliseconds, function: later.append(function))
    monkeypatch.delattr(slicer.modules, "VolumeRetrievalWidget", raising=False)
    later: list = []
    loaded = loadModule(MODULE_FILE)
    loaded.later = later
    application._qt.testing = False
    yield loaded
    application._qt.testing = True
    early = loaded.VolumeRetrievalLogic.takeEarly()
    if early is not None:
        early.cleanUp()


def start(module) -> None:
    module.startAutomaticIndexing()
    for function in module.later:
        function()


def test_who_indexes_automatically_need_not_open_the_module(module, tmp_path):
    Settings(indexAutomatically=True).save()
    start(module)
    early = module.VolumeRetrievalLogic._early
    slicer.dicomDatabase.openDatabase(str(tmp_path / "ctkDICOM.sql"))
    waitUntil(lambda: not early.status().reading)

    widget = makeWidget(module.VolumeRetrievalWidget)

    assert widget.logic is early and module.VolumeRetrievalLogic.takeEarly() is None
    widget.cleanup()
    widget.parent.close()


@pytest.mark.parametrize("why", ["not wanted", "testing", "no window", "panel is there"])
def test_otherwise_nothing_is_made(module, monkeypatch, why):
    Settings(indexAutomatically=why != "not wanted").save()
    if why == "testing":
        slicer.app._qt.testing = True
    elif why == "no window":
        monkeypatch.setattr(slicer.util, "mainWindow", lambda: None)
    elif why == "panel is there":
        monkeypatch.setattr(slicer.modules, "VolumeRetrievalWidget", object(), raising=False)
    start(module)
    assert module.VolumeRetrievalLogic._early is None


def test_reading_the_setting_loads_nothing_of_the_library(module, sameModulesAfterwards):
    for name in [name for name in sys.modules if name.startswith("VolumeRetrieval") and name != "VolumeRetrieval"]:
        del sys.modules[name]
    module.startAutomaticIndexing()
    loaded = {name for name in sys.modules if name.startswith("VolumeRetrieval")}
    assert loaded == {"VolumeRetrieval", "VolumeRetrievalLib", "VolumeRetrievalLib.Settings"}
