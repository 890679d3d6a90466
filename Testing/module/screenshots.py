"""Renders the panel in each of its states, and results beside their query, to PNG files.

    python Testing/module/screenshots.py [FOLDER]        (Resources/Screenshots by default)

Everything shown is made here: phantoms, indexed and searched by the engine with its default encoder.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "VolumeRetrieval"), str(ROOT / "Testing"), str(Path(__file__).parent)]
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import slicer_application  # noqa: E402

slicer_application.start()

import slicer  # noqa: E402
from fake_logic import CLOSED, EMPTY, READY, FakeInstaller  # noqa: E402
from panel_factory import makePanel  # noqa: E402
from phantom_story import PhantomLogic, PhantomStory, tell  # noqa: E402
from PyQt5 import QtGui, QtWidgets  # noqa: E402
from VolumeRetrievalEngine.encoders.default import DefaultEncoder  # noqa: E402
from VolumeRetrievalEngine.progress import Progress  # noqa: E402
from VolumeRetrievalLib.Encoders import EncoderTexts  # noqa: E402
from VolumeRetrievalLib.Encoders.Encoders import Encoders  # noqa: E402
from VolumeRetrievalLib.Packages.PackageInstaller import PackageInstaller, PackageState  # noqa: E402
from VolumeRetrievalLib.Settings import Settings  # noqa: E402
from VolumeRetrievalLib.Views.MatchDisplay import MatchDisplay, ShownMatch  # noqa: E402

_WIDTH = 500
_MADE_ON = {"cpu, float32": 412}
#: The index of the phantoms, as it is made.
_INDEXED = {"encoder": "Radiology ResNet (comes with the extension)", "madeOn": {"cpu (MONAI), float32": 17}}


class _NoPip:
    """Of a Slicer in which nothing was installed yet."""

    def version(self, package: str) -> str:
        return ""


def nothingInstalled() -> PackageState:
    return PackageInstaller(Path(), _NoPip(), None, lambda text: False, ("linux", "x86_64")).state()


def loadFont() -> None:
    """A bare machine has no fonts, and Qt draws boxes then: matplotlib brings DejaVu."""
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    for name in ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf"):
        if QtGui.QFontDatabase.addApplicationFont(str(folder / name)) < 0:
            raise SystemExit(f"{folder / name} could not be loaded as a font")
    QtWidgets.QApplication.instance().setFont(QtGui.QFont("DejaVu Sans", 9))


def savePanel(panel, widget, path: Path, collapsed: tuple[str, ...] = ()) -> None:
    """Save the panel as high as it wants to be."""
    for name in collapsed:
        getattr(panel.ui, f"{name}CollapsibleButton").collapsed = True
    widget.resize(_WIDTH, 200)
    widget.show()
    for _ in range(3):
        slicer.app.processEvents()
    widget.resize(_WIDTH, widget._qt.sizeHint().height())
    for _ in range(3):
        slicer.app.processEvents()
    widget._qt.grab().save(str(path))
    widget.close()


def chooseQuery(panel, story: PhantomStory) -> None:
    slicer.mrmlScene.Clear(0)
    panel.ui.queryVolumeSelector.setCurrentNode(story.queryNode())
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Organs")
    segmentation.GetSegmentation().AddEmptySegment("liver", "Liver")
    panel.ui.regionComboBox.setCurrentIndex(2)
    panel.ui.segmentSelector.setCurrentNode(segmentation)


def panels(folder: Path, story: PhantomStory) -> None:
    logic = PhantomLogic(story, CLOSED)
    savePanel(*makePanel(logic), folder / "empty.png", ("results", "matchMap"))

    logic = PhantomLogic(story, EMPTY)
    panel, widget = makePanel(logic, FakeInstaller(nothingInstalled()))
    savePanel(panel, widget, folder / "nothing-installed.png", ("results", "matchMap"))
    encoders(folder / "encoders.png", PhantomLogic(story, replace(READY, better="radiology-resnet", madeOn=_MADE_ON)))

    logic = PhantomLogic(story, READY)
    panel, widget = makePanel(logic)
    panel.ui.updateIndexButton.click()
    logic.jobs[0].callbacks.progress(Progress("index", 164, 418, "PHANTOM-0007/neck", remaining=1260.0))
    panel.ui.skippedButton.click()
    savePanel(panel, widget, folder / "indexing.png", ("results", "matchMap"))

    counts = {"volumes": 17, "expected": 17, "slices": 1604, "sizeBytes": 9_700_000, "notIndexed": 0}
    status = replace(READY, skipped=(), **counts, **_INDEXED)
    logic = PhantomLogic(story, status)
    panel, widget = makePanel(logic)
    chooseQuery(panel, story)
    panel.ui.searchButton.click()
    logic.jobs[0].finish(story.result)
    savePanel(panel, widget, folder / "results.png")

    logic = PhantomLogic(story, status)
    panel, widget = makePanel(logic)
    panel.showResult(story.result)
    chooseQuery(panel, story)
    panel.messages.showError("The series is no longer on disk: /data/archive/PHANTOM-0004/chest-abdomen")
    savePanel(panel, widget, folder / "error.png", ("query", "matchMap"))


def encoders(path: Path, logic: PhantomLogic) -> None:
    """The real catalogue, as if one encoder were installed and the weights of another were coming."""
    with tempfile.TemporaryDirectory() as weights:
        Settings(weightsFolder=weights).save()
        logic.catalogue = [one for one in Encoders(lambda: None).choices() if one.weights is not None]
        Settings().save()
    logic.setState("efficientnet-b0-imagenet", "installed")
    panel, widget = makePanel(logic)
    for name in ("encoders", "advanced"):
        getattr(panel.ui, f"{name}CollapsibleButton").collapsed = False
    reason = "radiology-resnet runs by onnxruntime on the processor; PyTorch with MONAI is not installed (no torch)"
    logic.questions[0].finish(DefaultEncoder("radiology-resnet", "onnxruntime", reason))
    panel.encoders.select("dinov2-vits14")
    panel.encoders.ask = lambda text: True
    panel.ui.installWeightsButton.click()
    logic.jobs[0].callbacks.progress(Progress("download", 31_000_000, 88_283_115, "dinov2-vits14", remaining=95.0))
    savePanel(panel, widget, path, ("query", "results", "matchMap"))


def consent(path: Path) -> None:
    """The question before weights are installed."""
    choice = next(one for one in Encoders(lambda: None).choices() if one.name == "dinov2-vits14")
    box = QtWidgets.QMessageBox(QtWidgets.QMessageBox.Question, "Install weights", EncoderTexts.consent(choice))
    box.setStandardButtons(QtWidgets.QMessageBox.Ok | QtWidgets.QMessageBox.Cancel)
    box.show()
    slicer.app.processEvents()
    box.grab().save(str(path))
    box.close()


def compare(path: Path, story: PhantomStory, count: int, size: tuple[int, int] = (1150, 850)) -> None:
    """Results next to the query, as large as the views are next to a panel of 450 pixels in a window of 1600."""
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
    for widget in manager._qt.shownWidgets():
        widget.sliceView().forceRender()
    slicer.app.processEvents()
    container.grab().save(str(path))
    container.hide()
    display.remove()
    display.cleanUp()


def main() -> None:
    parser = argparse.ArgumentParser(description="Pictures of the panel in each state, and of results beside a query.")
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "Resources" / "Screenshots")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    loadFont()
    with tempfile.TemporaryDirectory() as scratch:
        story = tell(Path(scratch), patients=12)
        panels(folder, story)
        consent(folder / "consent.png")
        compare(folder / "compare.png", story, 3)
        compare(folder / "one-result.png", story, 1)
        compare(folder / "five-results.png", story, 5, (1470, 900))


if __name__ == "__main__":
    main()
