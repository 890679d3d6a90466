"""The whole module: the panel, the logic and the engine's children, on a database of phantoms."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
import slicer
from children import WAYS_TO_GO, commandWithoutTorch, letGo, realCommand, waitUntil
from phantom_database import COARSE, PhantomReader, importSeries, nodeOf, openDatabase, writePhantoms
from slicer_application.modules import loadModule, makeWidget
from VolumeRetrievalEngine.phantoms import make_query
from VolumeRetrievalEngine.volume import Volume
from VolumeRetrievalLib.Processes import ProcessIDs
from VolumeRetrievalLib.Settings import Settings

MODULE_FILE = Path(__file__).parents[3] / "VolumeRetrieval" / "VolumeRetrieval.py"


@pytest.fixture
def widget(tmp_path):
    """The module's widget with a database of two chests and two heads, nothing of it indexed; the encoder is the one
    whose children start fastest."""
    Settings(encoder="descriptor").save()
    openDatabase(tmp_path / "database")
    importSeries(writePhantoms(tmp_path / "archive"))
    module = loadModule(MODULE_FILE)

    class VolumeRetrievalWidget(module.VolumeRetrievalWidget):
        def setup(self):
            self.moduleName = "VolumeRetrieval"
            self.logic = self._ownLogic = module.VolumeRetrievalLogic(
                makeCommand=realCommand, reader=PhantomReader(), quietMilliseconds=50
            )
            super().setup()

    made = makeWidget(VolumeRetrievalWidget)
    yield made
    made.cleanup()
    made.parent.close()


def index(widget):
    waitUntil(lambda: "not indexed" in widget.ui.databaseStatusLabel.text)
    widget.ui.updateIndexButton.click()
    waitUntil(lambda: "added" in widget.ui.databaseStatusLabel.text)


def test_index_search_show_and_tidy_up_with_the_buttons(widget):
    index(widget)
    assert "4 of 4 volumes indexed" in widget.ui.databaseStatusLabel.text
    assert "4 added, 0 unchanged" in widget.ui.databaseStatusLabel.text
    scan = make_query(organ="heart", field_of_view="chest", spacing_mm=COARSE).scan
    widget.ui.queryVolumeSelector.setCurrentNode(nodeOf(Volume.from_array(scan.voxels, scan.affine), "unseen"))

    widget.ui.searchButton.click()
    waitUntil(lambda: "results from 4 volumes" in widget.ui.searchStatusLabel.text)

    assert widget.ui.resultsTable.rowCount == 4
    widget.logic.showMatches(widget.panel._result.matches[:2])
    assert len(slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")) == 3
    widget.logic.removeShown()


def test_automatic_indexes_with_the_default_encoder_and_says_what_ran(widget, tmp_path):
    command = commandWithoutTorch(tmp_path / "engine")
    widget.logic._indexing._makeCommand = lambda: command
    assert "It will be indexed with: Descriptor" in widget.ui.indexEncoderLabel.text
    widget.ui.encoderComboBox.setCurrentIndex(0)
    index(widget)
    ran, made = widget.ui.databaseStatusLabel.text, widget.ui.indexEncoderLabel.text
    if find_spec("onnxruntime") is None:
        assert "Descriptor ran" in ran and "Descriptor" in made
    else:
        assert "Radiology ResNet ran through onnxruntime. " in ran and "PyTorch with MONAI is not installed" in ran
        assert "Indexed with: Radiology ResNet" in made and "cpu (onnxruntime), float32" in made


def test_cancelling_with_the_button_lets_the_next_update_go_on(widget):
    waitUntil(lambda: "not indexed" in widget.ui.databaseStatusLabel.text)
    widget.ui.updateIndexButton.click()
    waitUntil(lambda: widget.ui.indexProgressLabel.text)
    widget.ui.cancelIndexingButton.click()
    waitUntil(lambda: widget.panel.database._job is None)

    widget.ui.updateIndexButton.click()
    waitUntil(lambda: "4 of 4 volumes indexed" in widget.ui.databaseStatusLabel.text)


def startIndexing(widget, tmp_path):
    importSeries(writePhantoms(tmp_path / "more", 3, ("abdomen",)))
    waitUntil(lambda: "not indexed" in widget.ui.databaseStatusLabel.text)
    widget.ui.updateIndexButton.click()
    waitUntil(lambda: widget.logic._indexing.job._process._enginePID)
    return widget.panel.database


def startSearching(widget, tmp_path):
    scan = make_query(organ="heart", field_of_view="chest", spacing_mm=COARSE).scan
    widget.ui.queryVolumeSelector.setCurrentNode(nodeOf(Volume.from_array(scan.voxels, scan.affine), "unseen"))
    widget.ui.searchButton.click()
    waitUntil(lambda: widget.logic._client._worker._enginePID)
    return widget.panel.query


WORK = pytest.mark.parametrize("start", [startIndexing, startSearching])


@WORK
@pytest.mark.parametrize("how", WAYS_TO_GO)
def test_the_module_goes_away_while_it_works(sameModulesAfterwards, widget, tmp_path, start, how):
    index(widget)
    section = start(widget, tmp_path)
    pids = widget.logic.pids
    assert section._job.isRunning and any(ProcessIDs.isRunning(pid) for pid in pids)

    letGo(widget, how)

    assert not list(Path(slicer.app.temporaryPath).glob("VolumeRetrieval-*")), "voxels are left"


@WORK
def test_closing_the_scene_while_the_module_works_leaves_it_working(widget, tmp_path, start):
    index(widget)
    section = start(widget, tmp_path)
    assert section._job.isRunning
    slicer.mrmlScene.Clear(0)
    waitUntil(lambda: section._job is None)
    assert not widget.ui.messageLabel.text.startswith("Error")
    if start is startIndexing:
        assert "3 added" in widget.ui.databaseStatusLabel.text
    else:
        assert "results from 4 volumes" in widget.ui.searchStatusLabel.text
        widget.ui.compareButton.click()  # the query has gone with the scene
        assert "no longer in the scene" in widget.ui.messageLabel.text


@WORK
@pytest.mark.parametrize("how", ["close", "switch"])
def test_the_database_goes_away_while_the_module_works(widget, tmp_path, start, how):
    index(widget)
    section = start(widget, tmp_path)
    pids = widget.logic.pids
    assert section._job.isRunning
    slicer.dicomDatabase.closeDatabase() if how == "close" else openDatabase(tmp_path / "other")
    waitUntil(lambda: section._job is None)
    waitUntil(lambda: not any(ProcessIDs.isRunning(pid) for pid in pids))
    label = widget.ui.databaseStatusLabel if start is startIndexing else widget.ui.searchStatusLabel
    assert "stopped" in label.text and not widget.ui.messageLabel.text.startswith("Error")
    assert not widget.ui.searchButton.enabled


def test_a_database_that_is_closed_is_said_in_the_panel(widget):
    slicer.dicomDatabase.closeDatabase()
    assert "No DICOM database" in widget.ui.databaseStatusLabel.text
    assert not widget.ui.updateIndexButton.enabled
