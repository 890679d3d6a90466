"""The module file itself, loaded as Slicer loads it."""

from __future__ import annotations

import importlib.metadata
import inspect
import pydoc
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import qt
import slicer
from fake_logic import FakeLogic
from slicer_application.modules import loadModule, makeWidget

MODULE_FILE = Path(__file__).parents[2] / "VolumeRetrieval" / "VolumeRetrieval.py"


@pytest.fixture
def module():
    return loadModule(MODULE_FILE)


@pytest.fixture
def widget(module):
    made = makeWidget(module.VolumeRetrievalWidget)
    yield made
    made.cleanup()
    made.parent.close()


def aVolume(name):
    volume = slicer.util.addVolumeFromArray(np.zeros((5, 5, 5), np.float32))
    volume.SetName(name)
    return volume


def test_the_module_describes_itself(module):
    described = slicer.modules.volumeretrieval
    assert (described.title, described.categories) == ("Volume Retrieval", ("Informatics",))
    assert "Not for clinical use" in described.helpText


def test_the_panel_is_there_with_nothing_indexed_and_says_so(widget):
    assert not widget.ui.searchButton.enabled and widget.ui.searchButton.toolTip
    assert not widget.ui.updateIndexButton.enabled and widget.ui.updateIndexButton.toolTip


def test_the_first_volume_of_the_scene_is_the_query(module):
    volume = aVolume("CT")
    widget = module.VolumeRetrievalWidget()
    assert widget.ui.queryVolumeSelector.currentNode() is volume
    widget.cleanup()


def test_the_active_volume_is_the_query_and_no_label_map(module):
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
    aVolume("first")
    seen = aVolume("seen in the slice views")
    slicer.app.applicationLogic().GetSelectionNode().SetActiveVolumeID(seen.GetID())
    widget = module.VolumeRetrievalWidget()
    assert widget.ui.queryVolumeSelector.currentNode() is seen
    widget.cleanup()


def test_a_scene_that_is_opened_brings_its_query(widget):
    """The wrapper caches references in Slicer: after an import it has to be made anew."""
    aVolume("first")
    second = aVolume("second")
    before = widget._parameterNode
    slicer.mrmlScene.StartState(slicer.mrmlScene.ImportState)
    widget.logic.getParameterNode().queryVolume = second
    slicer.mrmlScene.EndState(slicer.mrmlScene.ImportState)
    assert widget._parameterNode is not before
    assert widget.ui.queryVolumeSelector.currentNode() is second


def test_what_is_chosen_is_kept_in_the_scene(widget):
    widget.ui.topSpinBox.value = 25
    widget.ui.excludePatientCheckBox.checked = True
    widget.panel.filters.choose("", "HEAD")
    other = widget.logic.getParameterNode()
    assert (other.top, other.excludePatient, other.bodyPart) == (25, True, "HEAD")


def test_spin_boxes_keep_their_ranges(widget):
    assert (widget.ui.topSpinBox.minimum, widget.ui.topSpinBox.maximum) == (1, 500)
    assert widget.ui.firstSliceSpinBox.minimum == 1


def test_closing_the_scene_and_going_on(widget):
    widget.ui.topSpinBox.value = 25
    slicer.mrmlScene.Clear(0)
    assert widget._parameterNode is not None and widget._parameterNode.top == 10
    volume = aVolume("next")
    widget.ui.queryVolumeSelector.setCurrentNode(volume)
    assert widget._parameterNode.queryVolume is volume


def test_leaving_and_entering_the_module(widget):
    widget.exit()
    assert widget._parameterNode is None
    widget.ui.topSpinBox.value = 33
    widget.enter()
    assert widget.ui.topSpinBox.value == 10  # what is in the scene counts


def test_after_cleanup_nothing_listens_any_more(module):
    widget = module.VolumeRetrievalWidget()
    widget.cleanup()
    slicer.mrmlScene.Clear(0)
    assert widget.Observations == []


def test_the_module_is_unloaded_when_slicer_says_so(module):
    widget = module.VolumeRetrievalWidget()
    slicer.app.moduleManager()._qt.moduleAboutToBeUnloaded.emit("VolumeRetrieval")
    assert widget.Observations == []


def test_without_a_main_window_the_panel_is_made(module, monkeypatch):
    monkeypatch.setattr(type(slicer.app._qt), "layoutManager", lambda self: None)
    widget = module.VolumeRetrievalWidget()
    aVolume("CT")
    widget.ui.fromViewButton.click()
    assert widget.ui.regionInfoLabel.text == "No slice view shows the query volume."
    widget.cleanup()


def test_a_given_logic_is_used(module):
    logic = FakeLogic()
    logic.getParameterNode = module.VolumeRetrievalLogic().getParameterNode
    logic.forgetShown = lambda: None

    class Widget(module.VolumeRetrievalWidget):
        def setup(self):
            self.moduleName = "VolumeRetrieval"
            self.logic = logic
            super().setup()

    widget = Widget()
    assert widget.ui.indexCollapsibleButton.text == "Index: 412 of 418 series"
    widget.cleanup()


@pytest.fixture
def nothingInstalled(monkeypatch):
    """Here the tests' own environment may have every package."""

    def version(package):
        raise importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(importlib.metadata, "version", version)


def test_installing_asks_through_slicer_and_never_in_testing_mode(nothingInstalled, module, widget):
    asked = qt.QMessageBox.Ok  # what confirmOkCancelDisplay compares with
    assert asked != True  # noqa: E712 - see SlicerPackages.makeInstaller
    widget.ui.installSmallButton.click()
    assert "Nothing was installed" in widget.ui.packagesLabel.text


def test_reloading_reloads_the_library_and_the_engine_and_leaves_one_panel(sameModulesAfterwards, module):
    old = makeWidget(module.VolumeRetrievalWidget)
    oldPanel, oldLogic = sys.modules["VolumeRetrievalLib.Panel.Panel"], old.logic
    old.onReload()
    new = slicer.modules.VolumeRetrievalWidget
    assert new is not old and slicer.modules.volumeretrieval.widgetRepresentation().self() is new
    assert old.Observations == [] and new.logic is not oldLogic
    assert sys.modules["VolumeRetrievalLib.Panel.Panel"] is not oldPanel
    assert type(new.panel) is sys.modules["VolumeRetrievalLib.Panel.Panel"].Panel
    volume = aVolume("after reloading")
    new.findSimilar(volume)
    assert new.ui.queryVolumeSelector.currentNode() is volume
    assert new.panel.status.text == new.ui.searchButton.toolTip  # why it cannot search: there is no database
    new.cleanup()
    new.parent.close()


#: Loads the module as Slicer does when it starts, and prints what was imported by that.
LOADING = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
import slicer_application
slicer_application.start()
import numpy, slicer, vtk
from slicer_application.modules import loadModule
before = set(sys.modules)
loadModule(Path(sys.argv[1]))
print(*sorted(set(sys.modules) - before))
"""


def test_loading_the_module_imports_nothing_that_takes_long():
    folders = [MODULE_FILE.parent, MODULE_FILE.parents[1] / "Testing"]
    run = [sys.executable, "-c", LOADING, *map(str, (MODULE_FILE, *folders))]
    names = subprocess.run(run, capture_output=True, text=True, check=True).stdout.split()
    assert "VolumeRetrievalLib.RetrievalLogic" in names
    packages = {name.partition(".")[0] for name in names}
    assert packages.isdisjoint({"scipy", "SimpleITK", "pydicom", "torch", "faiss", "onnxruntime", "monai", "PIL"})
    engine = {name for name in names if name.startswith("VolumeRetrievalEngine.")}
    assert engine == {"VolumeRetrievalEngine.progress"}
    library = {name.split(".")[1] for name in names if name.startswith("VolumeRetrievalLib.")}
    assert library.isdisjoint({"Database", "Encoders", "LogicParts", "Packages", "Panel", "Scene", "Search", "Views"})


def test_the_python_console_helps_with_every_method_of_the_logic(module):
    logic = module.VolumeRetrievalLogic()
    text = pydoc.plain(pydoc.render_doc(logic))
    for name in ("search", "similarity", "indexDatabase", "showMatches", "exportToTable", "status", "stackOf"):
        assert f"{name}(self" in text, name
    about = pydoc.plain(pydoc.render_doc(logic.search))
    assert "search(query" in about and "region" in about and "SeriesInstanceUID" in about
    public = inspect.getmembers(type(logic), lambda one: inspect.isfunction(one) and not one.__name__.startswith("_"))
    undocumented = [name for name, one in public if one.__module__.startswith("VolumeRetrieval") and not one.__doc__]
    assert undocumented == []
    logic.cleanUp()


def test_what_a_scene_was_saved_with_can_be_closed_when_it_is_opened(widget, tmp_path):
    widget.logic.display.folder.add(aVolume("1: Phantom"))
    slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    slicer.app.processEvents()
    assert widget.ui.removeShownButton.enabled
    widget.ui.removeShownButton.click()
    assert slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") == []
    assert not widget.ui.removeShownButton.enabled
