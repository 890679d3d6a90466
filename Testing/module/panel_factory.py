"""Makes the panel from the real .ui file around a given logic."""

from __future__ import annotations

from pathlib import Path

import slicer
from fake_logic import FakeInstaller
from PyQt5 import QtGui, QtWidgets
from VolumeRetrievalLib.Panel.Panel import Panel
from VolumeRetrievalLib.Settings import Settings

UI_FILE = Path(__file__).parents[2] / "VolumeRetrieval" / "Resources" / "UI" / "VolumeRetrieval.ui"


def makePanel(logic, installer=None, settings=None):
    """(the panel, its widget); keep both, the widgets go with the widget."""
    widget = slicer.util.loadUI(str(UI_FILE))
    ui = slicer.util.childWidgetVariables(widget)
    widget.setMRMLScene(slicer.mrmlScene)
    panel = Panel(ui, logic, installer or FakeInstaller(), settings or Settings())
    return panel, widget


def loadFont() -> None:
    """A bare machine has no fonts, and Qt draws boxes then: matplotlib brings DejaVu, wider than most."""
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    for name in ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf"):
        if QtGui.QFontDatabase.addApplicationFont(str(folder / name)) < 0:
            raise SystemExit(f"{folder / name} could not be loaded as a font")
    QtWidgets.QApplication.instance().setFont(QtGui.QFont("DejaVu Sans", 9))
