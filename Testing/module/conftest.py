"""What tests of the Slicer module may ask for. They run without Slicer, see Testing/slicer_application."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest
import system_libraries

_PACKAGES = ("slicer", "trame_slicer", "PyQt5")


def _missing() -> str:
    packages = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if packages:
        return f"needs {', '.join(packages)}: pip install -c constraints.txt '.[module-test]'"
    libraries = system_libraries.missingPackages()
    return f"needs system libraries: {system_libraries.installCommand(libraries)}" if libraries else ""


#: Why these tests cannot run here; "" if they can.
REASON = _missing()
if REASON:
    # One test is left to say so (test_requirements.py).
    collect_ignore_glob = ["*/test_*.py", *(path.name for path in Path(__file__).parent.glob("test_*.py"))]
    collect_ignore_glob.remove("test_requirements.py")
else:
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    import slicer_application

    slicer_application.start()


@pytest.fixture(autouse=True)
def application():
    """The application with an empty scene and no DICOM database; fails the test if Python code called by Qt failed."""
    if REASON:
        pytest.skip(REASON)
    import qt
    import slicer
    from PyQt5 import QtWidgets
    from slicer_application import i18n, mrml_widgets, packaging, pythonqt

    before = set(QtWidgets.QApplication.allWidgets())
    slicer.mrmlScene.Clear(0)
    slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    slicer.app._qt.testing = True
    pythonqt.errorsInSlots.clear()
    i18n.translation.clear()
    packaging.pip.clear()
    qt.QSettings()._qt.clear()
    yield slicer.app
    slicer.app.processEvents()
    if slicer.dicomDatabase.isOpen:
        slicer.dicomDatabase.closeDatabase()
    for widget in set(QtWidgets.QApplication.allWidgets()) - before:
        if isinstance(widget, mrml_widgets.qMRMLNodeComboBox):
            widget.stopObserving()
    errors = list(pythonqt.errorsInSlots)
    pythonqt.errorsInSlots.clear()
    assert not errors, f"Python code called by Qt failed: {errors}"


@pytest.fixture
def sameModulesAfterwards():
    """The library's modules as other tests have imported them."""
    before = {name: module for name, module in sys.modules.items() if name.startswith("VolumeRetrieval")}
    yield
    for name in [name for name in sys.modules if name.startswith("VolumeRetrieval")]:
        del sys.modules[name]
    sys.modules.update(before)
