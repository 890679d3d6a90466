"""slicer.parameterNodeWrapper for bool, int, float, str and MRML nodes.

Read in Slicer 5.12, Base/Python/slicer/parameterNodeWrapper: wrapper.py (defaults are written at once, values are kept
in a vtkMRMLScriptedModuleNode, connectGui goes by the dynamic property SlicerParameterName), serializers.py (how values
become text; nodes are node references), guiConnectors.py (which widgets fit which type), validators.py (WithinRange).
"""

from __future__ import annotations

import typing
import weakref
from dataclasses import dataclass

import qt
import slicer
import vtk

__all__ = ["WithinRange", "parameterNodeWrapper"]


@dataclass(frozen=True)
class WithinRange:
    """A value outside raises ValueError (validators.py)."""

    minimum: float
    maximum: float

    def validate(self, value):
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"Value must be within range [{self.minimum}, {self.maximum}], is {value}")


class _Parameter:
    def __init__(self, name, annotation, default, hasDefault):
        self.name = name
        arguments = typing.get_args(annotation)
        self.type = arguments[0] if arguments else annotation
        self.validators = [one for one in arguments[1:] if isinstance(one, WithinRange)]
        self.isNode = issubclass(self.type, slicer.vtkMRMLNode)
        if not self.isNode and self.type not in (bool, int, float, str):
            raise TypeError(f"{name}: the stand-in has no serializer for {self.type}")
        self.default = default if hasDefault else (None if self.isNode else self.type())

    def isIn(self, node):
        return bool(node.GetNodeReferenceID(self.name)) if self.isNode else node.HasParameter(self.name)

    def read(self, node):
        if not self.isIn(node):
            self.write(node, self.default)  # wrapper.py, _Parameter.read
        if self.isNode:
            return node.GetNodeReference(self.name)
        text = node.GetParameter(self.name)
        return text == "True" if self.type is bool else self.type(text)

    def write(self, node, value):
        for one in self.validators:
            one.validate(value)
        if self.isNode:
            if value is not None and not isinstance(value, self.type):
                raise TypeError(f"{self.name}: expected {self.type.__name__}, got {value!r}")
            node.SetNodeReferenceID(self.name, value.GetID() if value is not None else None)
            return
        if type(value) is not self.type and not (self.type is float and type(value) is int):
            raise TypeError(f"{self.name}: expected {self.type.__name__}, got {value!r}")  # serializers check types
        node.SetParameter(self.name, str(self.type(value)))


#: widget class, parameter type, signal, reader, writer (guiConnectors.py; type(widget) must be exactly that class)
_CONNECTORS = (
    ("QCheckBox", bool, "stateChanged", lambda w: w.checked, lambda w, v: setattr(w, "checked", v)),
    ("QSpinBox", int, "valueChanged", lambda w: w.value, lambda w, v: setattr(w, "value", v)),
    ("QDoubleSpinBox", float, "valueChanged", lambda w: w.value, lambda w, v: setattr(w, "value", v)),
    ("QLineEdit", str, "textChanged", lambda w: w.text, lambda w, v: setattr(w, "text", v)),
    ("qMRMLNodeComboBox", None, "currentNodeChanged", lambda w: w.currentNode(), lambda w, v: w.setCurrentNode(v)),
)


def _connector(widget, parameter):
    for className, kind, signal, read, write in _CONNECTORS:
        if widget.className() == className and (parameter.isNode if kind is None else parameter.type is kind):
            return signal, read, write
    raise RuntimeError(f"Unable to create GUI connector from {parameter.type} to widget {widget.className()}")


def parameterNodeWrapper(cls):
    hints = typing.get_type_hints(cls, include_extras=True)
    parameters = {
        name: _Parameter(name, hint, getattr(cls, name, None), hasattr(cls, name)) for name, hint in hints.items()
    }

    def makeProperty(parameter):
        return property(
            lambda self: self._cache[parameter.name], lambda self, value: self.setValue(parameter.name, value)
        )

    for name, parameter in parameters.items():
        setattr(cls, name, makeProperty(parameter))

    def initialize(self, parameterNode, prefix=None):
        self.parameterNode = parameterNode
        self._guis = {}
        for parameter in parameters.values():
            if not parameter.isIn(parameterNode) and not parameter.isNode:
                parameter.write(parameterNode, parameter.default)
        # wrapper.py, _CachedParameterWrapper: values are read when the node says that it was modified, and kept. When a
        # scene is opened, the referenced node may come after that: then None stays until somebody wraps the node anew.
        self._cache = {name: parameter.read(parameterNode) for name, parameter in parameters.items()}
        weak = weakref.ref(self)

        def onModified(*_):
            alive = weak()
            if alive is not None:
                alive._cache = {name: parameter.read(parameterNode) for name, parameter in parameters.items()}

        self._cacheObserver = parameterNode.AddObserver(vtk.vtkCommand.ModifiedEvent, onModified)

    def setValue(self, name, value):
        with slicer.util.NodeModify(self.parameterNode):
            parameters[name].write(self.parameterNode, value)
            # Read back before anybody is told.
            self._cache[name] = parameters[name].read(self.parameterNode)

    def connectGui(self, gui):
        connections, updating = [], [False]
        for widget in vars(gui).values():
            name = widget.property("SlicerParameterName")
            if not name:
                continue
            if name not in parameters:
                raise ValueError(f"Cannot find a param with the given name: {name}")
            connections.append((name, widget, *_connector(widget, parameters[name])))
            if widget.className() in ("QSpinBox", "QDoubleSpinBox"):
                # guiConnectors.py, QSliderOrSpinBoxToIntConnector: a parameter without a range widens the box's.
                found = parameters[name].validators or [WithinRange(-(2**31), 2**31 - 1)]
                widget.setRange(found[0].minimum, found[0].maximum)

        def toNode(name, widget, read):
            def slot():
                if not updating[0]:
                    setValue(self, name, read(widget))

            return slot

        def toGui(*_):
            if updating[0]:
                return
            updating[0] = True
            try:
                for name, widget, _signal, _read, write in connections:
                    write(widget, self._cache[name])
            finally:
                updating[0] = False

        toGui()
        slots = []
        for name, widget, signal, read, _write in connections:
            slot = toNode(name, widget, read)
            getattr(widget, signal).connect(slot)
            slots.append((widget, signal, slot))
        tag = len(self._guis)
        self._guis[tag] = (slots, self.parameterNode.AddObserver(vtk.vtkCommand.ModifiedEvent, toGui))
        return tag

    def disconnectGui(self, tag):
        slots, observer = self._guis.pop(tag, ((), None))
        for widget, signal, slot in slots:
            getattr(widget, signal).disconnect(slot)
        if observer is not None:
            self.parameterNode.RemoveObserver(observer)

    members = {
        "__init__": initialize,
        "setValue": setValue,
        "getValue": lambda self, name: self._cache[name],
        "isCached": lambda self, name: name in self._cache,
        "__del__": lambda self: self.parameterNode.RemoveObserver(self._cacheObserver),
        "connectGui": connectGui,
        "disconnectGui": disconnectGui,
        "AddObserver": lambda self, event, slot, priority=0.0: self.parameterNode.AddObserver(event, slot, priority),
        "RemoveObserver": lambda self, tag: self.parameterNode.RemoveObserver(tag),
        "StartModify": lambda self: self.parameterNode.StartModify(),
        "EndModify": lambda self, was: self.parameterNode.EndModify(was),
        "Modified": lambda self: self.parameterNode.Modified(),
    }
    for name, member in members.items():
        setattr(cls, name, member)
    cls._is_parameter_node_wrapper = True
    # The names are attributes of instances only; Slicer makes properties, too.
    return cls


# qt is imported to fail early where the stand-in was not started.
assert qt.QObject
