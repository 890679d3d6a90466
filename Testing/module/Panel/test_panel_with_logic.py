"""The whole module: the panel, the logic and the engine's children, on a database of phantoms."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
import slicer
from children import WAYS_TO_GO, commandWithoutTorch, letGo, realCommand, waitUntil
from phantom_database import (
    COARSE,
    PhantomReader,
    importSeries,
    makeIndexedDatabase,
    nodeOf,
    openDatabase,
    writePhantoms,
)
from slicer_application.modules import loadModule, makeWidget
from VolumeRetrievalEngine.phantoms import make_query
from VolumeRetrievalEngine.volume import Volume
from VolumeRetrievalLib.Processes import ProcessIDs
from VolumeRetrievalLib.Settings import Settings

MODULE_FILE = Path(__file__).parents[3] / "VolumeRetrieval" / "VolumeRetrieval.py"


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Two chests and two heads."""
    return writePhantoms(tmp_path_factory.mktemp("phantoms"))


@pytest.fixture(scope="module")
def abdomens(tmp_path_factory):
    return writePhantoms(tmp_path_factory.mktemp("more"), 3, ("abdomen",))


@pytest.fixture(scope="module")
def indexedFolder(tmp_path_factory, archive):
    """The folder of a database that holds the archive and is indexed; tests take copies."""
    return makeIndexedDatabase(tmp_path_factory.mktemp("database"), archive)


@pytest.fixture
def widget(archive, tmp_path):
    """The module's widget with a database of which nothing is indexed; the encoder is the one whose children start
    fastest."""
    Settings(encoder="descriptor").save()
    openDatabase(tmp_path / "database")
    importSeries(archive)
    with aWidget() as made:
        yield made


@pytest.fixture
def indexed(indexedFolder, tmp_path):
    """The same where everything is indexed."""
    Settings(encoder="descriptor").save()
    openDatabase(shutil.copytree(indexedFolder, tmp_path / "database"))
    with aWidget() as made:
        waitUntil(lambda: made.ui.indexCollapsibleButton.text == "Index: 4 of 4 series")
        yield made


@contextmanager
def aWidget():
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
    waitUntil(lambda: "0 of 4 series" in widget.ui.indexCollapsibleButton.text)
    widget.ui.updateIndexButton.click()
    waitUntil(lambda: "added" in widget.ui.indexStatusLabel.text)


def loadQuery(widget):
    scan = make_query(organ="heart", field_of_view="chest", spacing_mm=COARSE).scan
    widget.panel.query.useVolume(nodeOf(Volume.from_array(scan.voxels, scan.affine), "unseen"))


def test_one_click_indexes_searches_and_another_compares(widget):
    waitUntil(lambda: "0 of 4 series" in widget.ui.indexCollapsibleButton.text)
    loadQuery(widget)

    widget.ui.searchButton.click()
    waitUntil(lambda: widget.ui.resultsTable.rowCount)

    assert widget.panel.status.text == '4 similar volumes for "unseen"'
    assert widget.ui.indexCollapsibleButton.text == "Index: 4 of 4 series"
    boxes = (widget.ui.modalityFilterComboBox, widget.ui.bodyPartFilterComboBox)
    offered = [[box.itemText(index) for index in range(box.count)] for box in boxes]
    assert offered == [["Any", "CT"], ["Any", "CHEST", "HEAD"]]
    row = widget.panel.results.table.row(0)
    assert row.title.startswith("1  Phantom") and row.series.startswith("CT ") and row.thumbnail
    widget.panel.results.table.table.selectRow(0)
    widget.ui.compareButton.click()
    assert len(slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")) == 2
    assert widget.ui.removeShownButton.enabled
    widget.ui.removeShownButton.click()
    assert not widget.ui.removeShownButton.enabled


def test_automatic_indexes_with_the_default_encoder_and_says_what_ran(widget, tmp_path):
    command = commandWithoutTorch(tmp_path / "engine")
    widget.logic._indexing._makeCommand = lambda: command
    assert "It will be indexed with: Descriptor" in widget.ui.indexStatusLabel.toolTip
    widget.ui.encoderComboBox.setCurrentIndex(0)
    index(widget)
    made = widget.ui.indexStatusLabel.toolTip
    if find_spec("onnxruntime") is None:
        assert "Encoder: Descriptor" in made
    else:
        assert "Encoder: Radiology ResNet" in made and "cpu (onnxruntime), float32" in made


def test_cancelling_with_the_button_lets_the_next_update_go_on(widget):
    waitUntil(lambda: "0 of 4 series" in widget.ui.indexCollapsibleButton.text)
    widget.ui.updateIndexButton.click()
    waitUntil(lambda: widget.ui.indexProgressLabel.text)
    widget.ui.cancelIndexingButton.click()
    waitUntil(lambda: "stopped" in widget.ui.indexStatusLabel.text)

    widget.ui.updateIndexButton.click()
    waitUntil(lambda: widget.ui.indexCollapsibleButton.text == "Index: 4 of 4 series")


def startIndexing(widget, abdomens):
    """Returns whether it still runs."""
    importSeries(abdomens)
    waitUntil(lambda: "4 of 7 series" in widget.ui.indexCollapsibleButton.text)
    widget.ui.updateIndexButton.click()
    waitUntil(lambda: widget.logic._indexing.job._process._enginePID)
    return lambda: widget.logic._indexing.job is not None


def startSearching(widget, _abdomens):
    loadQuery(widget)
    widget.ui.searchButton.click()
    waitUntil(lambda: widget.logic._client._worker._enginePID)
    return lambda: widget.panel.search.isRunning


WORK = pytest.mark.parametrize("start", [startIndexing, startSearching])


@WORK
@pytest.mark.parametrize("how", WAYS_TO_GO)
def test_the_module_goes_away_while_it_works(sameModulesAfterwards, indexed, abdomens, start, how):
    isRunning = start(indexed, abdomens)
    pids = indexed.logic.pids
    assert isRunning() and any(ProcessIDs.isRunning(pid) for pid in pids)

    letGo(indexed, how)

    assert not list(Path(slicer.app.temporaryPath).glob("VolumeRetrieval-*")), "voxels are left"


@WORK
def test_closing_the_scene_while_the_module_works_leaves_it_working(indexed, abdomens, start):
    isRunning = start(indexed, abdomens)
    assert isRunning()
    slicer.mrmlScene.Clear(0)
    waitUntil(lambda: not isRunning())
    assert not indexed.panel.status.isError
    if start is startIndexing:
        waitUntil(lambda: "3 added" in indexed.ui.indexStatusLabel.text)
    else:  # what it was to find can be shown no more
        assert indexed.ui.resultsTable.rowCount == 0
        assert "Load a volume" in indexed.ui.resultsEmptyLabel.text


@WORK
@pytest.mark.parametrize("how", ["close", "switch"])
def test_the_database_goes_away_while_the_module_works(indexed, abdomens, tmp_path, start, how):
    isRunning = start(indexed, abdomens)
    pids = indexed.logic.pids
    assert isRunning()
    slicer.dicomDatabase.closeDatabase() if how == "close" else openDatabase(tmp_path / "other")
    waitUntil(lambda: not isRunning())
    waitUntil(lambda: not any(ProcessIDs.isRunning(pid) for pid in pids))
    assert not indexed.panel.status.isError
    if start is startSearching:
        assert indexed.panel.status.text == "The search was stopped."
    waitUntil(lambda: not indexed.logic.status().reading)  # until then the other database may have images
    assert not indexed.ui.searchButton.enabled


def test_a_database_that_is_closed_is_said_in_the_panel(widget):
    slicer.dicomDatabase.closeDatabase()
    assert "No DICOM database" in widget.ui.indexStatusLabel.text
    assert widget.ui.indexCollapsibleButton.text == "Index: no DICOM database"
    assert not widget.ui.updateIndexButton.enabled
