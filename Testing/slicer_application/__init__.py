"""A small stand-in for the Slicer application, for tests: real MRML, real Qt widgets, no Slicer.

- MRML, VTK, displayable managers, layouts: the C++ code of Slicer itself, from the PyPI wheel slicer-core.
- Qt: PyQt5, because Slicer 5.12 is built with Qt 5.15 and PyQt5 is the same Qt, enumerations and .ui reader included
  (PySide6 is Qt 6, which Slicer's factory does not build with). PyQt5 is GPL: it is used by tests only and is neither
  shipped nor needed by the extension.
- What is left (qt, ctk, slicer.app, the DICOM database ...) is in this folder, small, and stricter than Slicer.

`start()` makes `import slicer, qt, ctk` work.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any


def start() -> None:
    """Make `import slicer, qt, ctk` work; may be called more than once."""
    from .application import start as startApplication

    startApplication()


def openedElsewhere(path: Path) -> Any:
    """What a fresh Slicer without the extension shows after opening this scene (see io_manager.py, OpenedScene)."""
    from .io_manager import openedElsewhere as opened

    return opened(path)
