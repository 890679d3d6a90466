"""QUiLoader: .ui files with PyQt5's own reader, custom widgets from this folder.

Slicer loads .ui files with QUiLoader (slicer/util.py, loadUI), which finds custom widgets through Designer plugins.
"""

from __future__ import annotations

import io
import re
import sys
import types
from pathlib import Path

from PyQt5 import QtCore, QtWidgets, uic

from . import ctk_widgets, mrml_widgets

_customWidgets = {**ctk_widgets.classes, **mrml_widgets.classes}


class QUiLoader(QtCore.QObject):
    """Only `load(QFile)`; a widget class that Slicer does not have raises, instead of becoming an empty QWidget."""

    def load(self, file: QtCore.QFile, parent: QtWidgets.QWidget | None = None) -> QtWidgets.QWidget:
        text = Path(file.fileName()).read_text(encoding="utf-8")
        # Each <customwidget> names its header; PyQt5's reader imports a Python module of that name.
        for name, header in re.findall(
            r"<customwidget>\s*<class>(\w+)</class>.*?<header[^>]*>([^<]+)</header>", text, re.DOTALL
        ):
            if name not in _customWidgets:
                raise RuntimeError(f"{file.fileName()}: the stand-in has no widget class {name}")
            module = types.ModuleType(header.replace(".h", "").replace("/", "."))
            setattr(module, name, _customWidgets[name])
            sys.modules[module.__name__] = module
        _refuseTypos(text, file.fileName())
        connections = re.search(r"<connections>.*?</connections>", text, re.DOTALL)
        plain = text.replace(connections.group(0), "") if connections else text
        widget = uic.loadUi(io.StringIO(plain))
        if parent is not None:
            widget.setParent(parent)
        if connections:
            _connectScene(widget, connections.group(0))
        return widget


def _refuseTypos(text: str, path: str) -> None:
    """Two widgets of one name would hide each other in slicer.util.childWidgetVariables."""
    names = re.findall(r'<(?:widget|layout|action)[^>]*name="(\w+)"', text)
    double = sorted({one for one in names if names.count(one) > 1})
    if double:
        raise RuntimeError(f"{path}: more than one object is called {double}")


def _connectScene(widget: QtWidgets.QWidget, text: str) -> None:
    """The connections of a .ui file; only mrmlSceneChanged to setMRMLScene is needed, anything else is refused."""
    for sender, signal, receiver, slot in re.findall(
        r"<sender>(.*?)</sender>\s*<signal>(.*?)</signal>\s*<receiver>(.*?)</receiver>\s*<slot>(.*?)</slot>",
        text,
        re.DOTALL,
    ):
        if (signal, slot) != ("mrmlSceneChanged(vtkMRMLScene*)", "setMRMLScene(vtkMRMLScene*)"):
            raise RuntimeError(f"connection {signal} -> {slot}: connect it in Python, where a test sees it")
        source = widget if widget.objectName() == sender else widget.findChild(QtCore.QObject, sender)
        target = widget.findChild(QtCore.QObject, receiver)
        if source is None or target is None:
            raise RuntimeError(f"connection {sender} -> {receiver}: no such widget")
        source.mrmlSceneChanged.connect(target.setMRMLScene)
