"""The whole module: the panel, the logic and the engine's children, on a database of phantoms."""

from __future__ import annotations

from pathlib import Path

import pytest
import slicer
from children import realCommand, waitUntil
from phantom_database import COARSE, PhantomReader, importSeries, nodeOf, openDatabase, writePhantoms
from slicer_application.application import loadModule, makeWidget
from VolumeRetrievalEngine.phantoms import make_query
from VolumeRetrievalEngine.volume import Volume
from VolumeRetrievalLib import ProcessIDs

MODULE_FILE = Path(__file__).parents[2] / "VolumeRetrieval" / "VolumeRetrieval.py"


@pytest.fixture
def widget(tmp_path):
    """The module's widget with a database of two chests and two heads, nothing of it indexed."""
    openDatabase(tmp_path / "database")
    importSeries(writePhantoms(tmp_path / "archive"))
    module = loadModule(MODULE_FILE)

    class Widget(module.VolumeRetrievalWidget):
        def setup(self):
            self.moduleName = "VolumeRetrieval"
            self.logic = self._ownLogic = module.VolumeRetrievalLogic(
                makeCommand=realCommand, reader=PhantomReader(), quietMilliseconds=50
            )
            super().setup()

    made = makeWidget(Widget)
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
    widget.logic.showMatches(widget.panel._result["matches"][:2])
    assert len(slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")) == 3
    widget.logic.removeShown()


def test_cancelling_with_the_button_lets_the_next_update_go_on(widget):
    waitUntil(lambda: "not indexed" in widget.ui.databaseStatusLabel.text)
    widget.ui.updateIndexButton.click()
    waitUntil(lambda: widget.ui.indexProgressLabel.text)
    widget.ui.cancelIndexingButton.click()
    waitUntil(lambda: widget.panel.database._job is None)

    widget.ui.updateIndexButton.click()
    waitUntil(lambda: "4 of 4 volumes indexed" in widget.ui.databaseStatusLabel.text)


@pytest.mark.parametrize("how", ["cleanup", "reload", "quit"])
def test_the_module_goes_away_while_it_indexes_and_searches(widget, how):
    index(widget)
    widget.logic.search(widget.logic.series()[0].seriesUID, callbacks=None)
    importSeries(writePhantoms(Path(slicer.dicomDatabase.databaseDirectory) / "more", 3, ("abdomen",)))
    waitUntil(lambda: "not indexed" in widget.ui.databaseStatusLabel.text)
    widget.ui.updateIndexButton.click()
    waitUntil(lambda: widget.logic._indexing.job._process._enginePID)
    pids = widget.logic.pids
    assert len(pids) >= 2

    if how == "quit":
        slicer.app._qt.aboutToQuit.emit()
    elif how == "reload":
        slicer.app.moduleManager()._qt.moduleAboutToBeUnloaded.emit("VolumeRetrieval")
    else:
        widget.cleanup()

    assert not any(ProcessIDs.isRunning(pid) for pid in pids)


def test_a_database_that_is_closed_is_said_in_the_panel(widget):
    slicer.dicomDatabase.closeDatabase()
    assert "No DICOM database" in widget.ui.databaseStatusLabel.text
    assert not widget.ui.updateIndexButton.enabled
