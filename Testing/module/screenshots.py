"""Renders the panel in each of its states, and results beside their query, to PNG files.

    python Testing/module/screenshots.py [FOLDER]        (Resources/Screenshots by default)

Everything shown is made here: phantoms, indexed and searched by the engine with its default encoder.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "VolumeRetrieval"), str(ROOT / "Testing"), str(Path(__file__).parent)]
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import slicer_application  # noqa: E402
from PyQt5 import QtCore  # noqa: E402

# As Slicer does (qMRMLWidget::preInitializeApplication).
QtCore.QCoreApplication.setAttribute(QtCore.Qt.AA_UseHighDpiPixmaps)
slicer_application.start()

import numpy as np  # noqa: E402
import slicer  # noqa: E402
from fake_logic import CLOSED, EMPTY, READY, FakeLogic, aResult, aThumbnail  # noqa: E402
from panel_factory import loadFont, makePanel  # noqa: E402
from phantom_story import PhantomLogic, PhantomStory, tell  # noqa: E402
from PyQt5 import QtGui, QtWidgets  # noqa: E402
from VolumeRetrievalEngine.encoders.default import DefaultEncoder  # noqa: E402
from VolumeRetrievalEngine.progress import Progress  # noqa: E402
from VolumeRetrievalEngine.searching.searched_store import SearchedStore  # noqa: E402
from VolumeRetrievalLib.Database import IndexFolderTexts  # noqa: E402
from VolumeRetrievalLib.Encoders import EncoderTexts  # noqa: E402
from VolumeRetrievalLib.Encoders.Encoders import Encoders  # noqa: E402
from VolumeRetrievalLib.Settings import Settings  # noqa: E402
from VolumeRetrievalLib.Values import IndexFolder, IndexFolderState, MatchDescription, ShownPair  # noqa: E402
from VolumeRetrievalLib.Views.MatchDisplay import MatchDisplay, ShownMatch  # noqa: E402

#: The index of the phantoms, as it is made.
_COUNTS = {"volumes": 17, "expected": 17, "series": 17, "indexedSeries": 17, "slices": 1604, "sizeBytes": 9_700_000}
_INDEXED = replace(
    READY, notIndexed=0, skipped=(), encoder="Radiology ResNet", madeOn={"cpu (MONAI), float32": 17}, **_COUNTS
)
_FRESH = replace(EMPTY, expected=17, notIndexed=17, series=17)


def savePanel(panel, widget, path: Path, width: int = 450, height: int = 0) -> None:
    """Save the panel at this size; without a height as high as it needs to be."""
    widget.show()
    for _ in range(4):  # the height of labels follows the width
        widget.resize(width, height or max(widget._qt.minimumSizeHint().height(), 200))
        slicer.app.processEvents()
    widget._qt.grab().save(str(path))
    panel.cleanUp()
    widget.close()


def openSections(panel, *names: str) -> None:
    for name in names:
        getattr(panel.ui, f"{name}CollapsibleButton").collapsed = False


def makeFor(story: PhantomStory, status, installer=None):
    """(panel, widget, logic) with the query of the story in the scene, a segment of it as the region."""
    slicer.mrmlScene.Clear(0)
    logic = PhantomLogic(story, status)
    panel, widget = makePanel(logic, installer)
    node = story.queryNode()
    node.SetName("Chest 4.0 mm")
    panel.query.useVolume(node)
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Organs")
    segmentation.GetSegmentation().AddEmptySegment("liver", "liver")
    panel.region.chooseSegment(segmentation, "liver")
    return panel, widget, logic


def searched(story: PhantomStory, status=_INDEXED):
    panel, widget, logic = makeFor(story, status)
    panel.ui.searchButton.click()
    logic.jobs[-1].finish(story.result)
    return panel, widget, logic


def compared(story: PhantomStory):
    """With the best three next to the query, and the second one selected."""
    panel, widget, logic = searched(story)
    panel.ui.compareButton.click()
    panel.ui.resultsTable.selectRow(1)
    match = story.result.matches[1]
    similarity = match.similarity[match.best_query_row, match.best_row]
    logic.pairChanged(ShownPair(match, match.best_query_slice, match.best_slice, similarity))
    return panel, widget, logic


def panels(folder: Path, story: PhantomStory) -> None:
    """The panel in each state, 450 pixels wide next to views 1080 or 740 high, and 340 pixels wide."""
    tall, short = 820, 530  # what toolbars and the module panel leave of a window of 1080 and of 740 pixels
    slicer.mrmlScene.Clear(0)
    savePanel(*makePanel(PhantomLogic(story, CLOSED)), folder / "empty.png", height=tall)
    panel, widget, _logic = makeFor(story, _FRESH)
    savePanel(panel, widget, folder / "first-search.png", height=tall)

    panel, widget, logic = makeFor(story, _FRESH)
    panel.ui.searchButton.click()
    step = Progress("index", 6, 17, "Phantom 0007, 2021-08-06, Chest 4.0 mm", remaining=130.0)
    logic.jobs[0].callbacks.progress(step)
    openSections(panel, "index")
    logic.changeStatus(replace(_FRESH, indexing=step))
    savePanel(panel, widget, folder / "indexing.png", height=tall)

    panel, widget, _logic = compared(story)
    savePanel(panel, widget, folder / "results.png", height=tall)
    panel, widget, _logic = compared(story)
    savePanel(panel, widget, folder / "results-340.png", width=340, height=tall)
    panel, widget, _logic = compared(story)
    savePanel(panel, widget, folder / "results-740.png", height=short)
    panel, widget, _logic = compared(story)
    openSections(panel, "filters", "matchMap")
    panel.ui.modalityFilterComboBox.setCurrentIndex(1)
    panel.ui.dateToLineEdit.text = "1.2.2010"
    savePanel(panel, widget, folder / "match-map.png")

    panel, widget, logic = searched(story, replace(READY, notIndexed=6))
    openSections(panel, "index")
    panel.ui.skippedButton.click()
    logic.failure = "Result 2: 41 of 41 files are gone from /data/archive/PHANTOM-0004/chest-abdomen."
    panel.ui.compareButton.click()
    savePanel(panel, widget, folder / "error.png", height=tall)

    application = QtWidgets.QApplication.instance()
    light = application.palette()
    application.setPalette(darkPalette())
    panel, widget, _logic = compared(story)
    openSections(panel, "matchMap")
    savePanel(panel, widget, folder / "results-dark.png")
    application.setPalette(light)


def darkPalette() -> QtGui.QPalette:
    """As of Slicer's dark style (qSlicerStyle, "Dark Slicer")."""
    palette = QtGui.QPalette(QtGui.QColor(50, 50, 50))
    palette.setColor(QtGui.QPalette.Base, QtGui.QColor(36, 36, 36))
    palette.setColor(QtGui.QPalette.AlternateBase, QtGui.QColor(44, 44, 44))
    palette.setColor(QtGui.QPalette.Highlight, QtGui.QColor(80, 130, 180))
    palette.setColor(QtGui.QPalette.HighlightedText, QtGui.QColor(255, 255, 255))
    return palette


def highDpi(folder: Path) -> None:
    """The results on a display with two pixels for one, in a process of its own: Qt reads the factor at its start."""
    logic = FakeLogic(_INDEXED)
    logic.pictures = {f"volume{rank}": aThumbnail(rank) for rank in range(1, 9)}
    panel, widget = makePanel(logic)
    volume = slicer.util.addVolumeFromArray(np.zeros((120, 20, 20), np.float32), name="Chest 4.0 mm")
    panel.query.useVolume(volume)
    panel.ui.searchButton.click()
    logic.jobs[0].finish(aResult(8))
    panel.ui.resultsTable.selectRow(1)
    openSections(panel, "matchMap")
    savePanel(panel, widget, folder / "results-2x.png")


def encoders(path: Path, logic: PhantomLogic) -> None:
    """The real catalog, as if one encoder were installed and the weights of another were coming."""
    with tempfile.TemporaryDirectory() as weights:
        Settings(weightsFolder=weights).save()
        logic.catalog = [one for one in Encoders(lambda: None).choices() if one.weights is not None]
        Settings().save()
    logic.setState("efficientnet-b0-imagenet", "installed")
    panel, widget = makePanel(logic)
    openSections(panel, "encoders", "advanced")
    reason = "radiology-resnet runs by onnxruntime on the processor; PyTorch with MONAI is not installed (no torch)"
    logic.questions[0].finish(DefaultEncoder("radiology-resnet", "onnxruntime", reason))
    panel.encoders.select("dinov2-vits14")
    panel.encoders.ask = lambda text: True
    panel.ui.installWeightsButton.click()
    logic.jobs[0].callbacks.progress(Progress("download", 31_000_000, 88_283_115, "dinov2-vits14", remaining=95.0))
    savePanel(panel, widget, path)


def indexFolders(path: Path) -> None:
    """Three other index folders, of which one is away and one is of another encoder, and results from two indexes."""
    own = f"{_INDEXED.directory}/VolumeRetrieval"
    share, away, old = "/mnt/radiology/index", "/media/usb/teaching/index", "/home/me/descriptor/index"
    logic = FakeLogic(_INDEXED)
    unused = "/data/phantoms/index"
    logic.folders = (*map(IndexFolder, (share, away, old)), IndexFolder(unused, isSearched=False))
    panel, widget = makePanel(logic)
    panel.query.useVolume(slicer.util.addVolumeFromArray(np.zeros((120, 20, 20), np.float32), name="Chest 4.0 mm"))
    openSections(panel, "advanced", "indexFolders")

    def problem(kind: str, **fields: object) -> dict[str, str]:
        short, details = IndexFolderTexts.problem(kind, "", fields)
        return {"problem": short, "details": details}

    other = {"encoders": ["descriptor"], "expected": "radiology-resnet"}
    logic.looks[-1].finish(
        [
            IndexFolderState(share, share, 1204),
            IndexFolderState(away, away, **problem("NoStoreError")),
            IndexFolderState(old, old, **problem("OtherRecipeError", **other)),
            IndexFolderState(unused, unused, 17),
        ]
    )
    describe = logic.describe
    logic.describe = lambda match: MatchDescription() if match.store == share else describe(match)
    logic.pictures = {f"volume{rank}": aThumbnail(rank) for rank in range(1, 9)}
    panel.ui.searchButton.click()
    found = aResult(5)
    stores = (
        SearchedStore(own),
        SearchedStore(share),
        SearchedStore(away, "gone", "NoStoreError"),
        SearchedStore(old, "made with descriptor", "OtherRecipeError", other),
    )
    matches = tuple(replace(one, store=share if one.rank in (1, 4) else own) for one in found.matches)
    logic.jobs[-1].finish(replace(found, matches=matches, stores=stores))
    savePanel(panel, widget, path)


def consent(path: Path) -> None:
    """The question before weights are installed."""
    choice = next(one for one in Encoders(lambda: None).choices() if one.name == "dinov2-vits14")
    box = QtWidgets.QMessageBox(QtWidgets.QMessageBox.Question, "Install weights", EncoderTexts.consent(choice))
    box.setStandardButtons(QtWidgets.QMessageBox.Ok | QtWidgets.QMessageBox.Cancel)
    box.show()
    slicer.app.processEvents()
    box.grab().save(str(path))
    box.close()


def compare(
    path: Path, story: PhantomStory, count: int, size: tuple[int, int] = (1150, 850), isOverlaid: bool = False
) -> None:
    """Results next to the query, or over it, as large as the views are next to a panel of 450 pixels in a window of
    1600."""
    manager = slicer.app.layoutManager()
    container = manager._qt.container
    container.resize(*size)
    container.show()
    slicer.app.processEvents()
    display = MatchDisplay()
    matches = [
        ShownMatch(match, story.loadMatch(match), name=Path(match.path).parent.name)
        for match in story.result.matches[:count]
    ]
    display.show(story.queryNode(), story.result, matches)
    for one in matches:
        display.setSimilarity(one.match, one.match.similarity)
    display.setOverlay(isOverlaid)
    for widget in manager._qt.shownWidgets():
        widget.sliceView().forceRender()
    slicer.app.processEvents()
    container.grab().save(str(path))
    container.hide()
    display.remove()
    display.cleanUp()


def main() -> None:
    parser = argparse.ArgumentParser(description="Pictures of the panel in each state, and of results next to a query.")
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "Resources" / "Screenshots")
    parser.add_argument("--high-dpi", action="store_true", help="only the picture with two pixels for one")
    options = parser.parse_args()
    folder = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    loadFont()
    if options.high_dpi:
        highDpi(folder)
        return
    command = [sys.executable, __file__, str(folder), "--high-dpi"]
    subprocess.run(command, check=True, env={**os.environ, "QT_SCALE_FACTOR": "2"})
    with tempfile.TemporaryDirectory() as scratch:
        story = tell(Path(scratch), patients=12)
        panels(folder, story)
        status = replace(READY, better="radiology-resnet", madeOn={"cpu, float32": 412})
        encoders(folder / "encoders.png", PhantomLogic(story, status))
        consent(folder / "consent.png")
        indexFolders(folder / "index-folders.png")
        compare(folder / "compare.png", story, 3)
        compare(folder / "overlay.png", story, 3, isOverlaid=True)
        compare(folder / "one-result.png", story, 1)
        compare(folder / "five-results.png", story, 5, (1470, 900))


if __name__ == "__main__":
    main()
