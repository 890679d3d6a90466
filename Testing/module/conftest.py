"""What tests of the Slicer module may ask for. They run without Slicer, see Testing/slicer_application."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from pathlib import Path

import pytest

_PACKAGES = ("slicer", "trame_slicer", "PyQt5")
#: Debian's and Ubuntu's packages of what Qt and VTK load when they draw off screen.
_LIBRARIES = {
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libdbus-1.so.3": "libdbus-1-3",
    "libfontconfig.so.1": "libfontconfig1",
}


def _missing() -> str:
    packages = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if packages:
        return f"needs {', '.join(packages)}: pip install -r Testing/module/requirements.txt"
    if not sys.platform.startswith("linux"):
        return ""
    absent = []
    for library, package in _LIBRARIES.items():
        try:
            ctypes.CDLL(library)
        except OSError:
            absent.append(package)
    return f"needs system libraries: apt-get install -y libgl1-mesa-dri {' '.join(absent)}" if absent else ""


#: Why these tests cannot run here; "" if they can.
REASON = _missing()
if REASON:
    # One test is left to say so (test_requirements.py).
    collect_ignore = [
        path.name for path in Path(__file__).parent.glob("test_*.py") if path.name != "test_requirements.py"
    ]
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
    from slicer_application import i18n, packaging, pythonqt

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
    errors = list(pythonqt.errorsInSlots)
    pythonqt.errorsInSlots.clear()
    assert not errors, f"Python code called by Qt failed: {errors}"
