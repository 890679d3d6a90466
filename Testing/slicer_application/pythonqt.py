"""PyQt5 objects that behave as they do through PythonQt, which is how Slicer's Python sees Qt.

A wrapper holds the real Qt object and lets only that through which PythonQt would let through. Every rule below names
the file of PythonQt that it was read in: MeVisLab/pythonqt of 2026 (9992368e, called 4.1), which Slicer 5.12 is built
with, with commontk's patch for QFlags on top. Where PythonQt only prints a warning, this
raises: the stand-in is stricter than need be.
"""

from __future__ import annotations

import inspect
import logging
import re
import weakref
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from PyQt5 import QtCore, sip

from . import pythonqt_names as names

#: What went wrong in Python code that Qt called. PythonQt prints such errors and goes on (PythonQtSignalReceiver.cpp,
#: PythonQtSignalTarget::call, handleError); a test that leaves one here fails (see the fixture in Testing/module).
errorsInSlots: list[BaseException] = []

_classes: dict[type, ClassWrapper] = {}


class ClassWrapper(type):
    """The type of the wrapped classes: gives their enumerations and static methods."""

    def __instancecheck__(cls, instance: Any) -> bool:
        # PythonQt.cpp, createNewPythonQtClassWrapper: every class of C++ has one base, the instance wrapper, so that a
        # button is no instance of qt.QWidget; `inherits` tells.
        return cls.__subclasscheck__(type(instance))

    def __subclasscheck__(cls, subclass: type) -> bool:
        if "_qtClass" not in cls.__dict__ or cls.__dict__["_qtClass"] is None:
            return type.__subclasscheck__(cls, subclass)
        return next((one for one in subclass.__mro__ if one.__dict__.get("_qtClass")), None) is cls

    def __getattr__(cls, name: str) -> Any:
        qtClass = cls.__dict__.get("_qtClass") or _qtClassOf(cls)
        if name.startswith("__") or qtClass is None:
            raise AttributeError(name)
        for owner in qtClass.__mro__:
            if name in owner.__dict__:
                value = getattr(qtClass, name)
                if isinstance(value, int | type):  # an enumerator, or the enumeration itself
                    return value
                if _methodIsKnown(qtClass, name):
                    return _function(value, f"{cls.__name__}.{name}")
        raise AttributeError(f"{cls.__name__} has no attribute named '{name}' in PythonQt (see pythonqt_names.py)")


class Wrapper(metaclass=ClassWrapper):
    """One Qt object, as PythonQtInstanceWrapper.cpp shows it."""

    _qtClass: type | None = None

    def __init__(self, *args: Any, **keywords: Any):
        # PythonQtSlot.cpp, PythonQtSlotFunction_CallImpl: "Called ... with keyword arguments, but called slot does
        # not support kwargs"; constructors are such slots (PythonQtInstanceWrapper_init).
        if keywords:
            raise ValueError(f"{type(self).__name__}: PythonQt takes no keyword arguments, got {sorted(keywords)}")
        qtClass = _qtClassOf(type(self))
        if qtClass is None:
            raise ValueError(f"No constructors available for {type(self).__name__}")
        object.__setattr__(self, "_qt", _shell(self, qtClass)(*map(unwrap, args)))
        if isinstance(self._qt, QtCore.QObject):
            # PythonQt deletes what Python made and nobody owns; with a parent, C++ owns it, and an object of a class
            # derived in Python stays whole (PythonQtInstanceWrapper_init, passOwnershipToCPP).
            owned = self._qt.parent() is not None and not type(self).__dict__.get("_qtClass")
            self._qt.pythonQtWrapper = (lambda: self) if owned else weakref.ref(self)

    def __getattribute__(self, name: str) -> Any:
        # Attributes of Python classes come first (PythonQtInstanceWrapper_getattro).
        if name.startswith("_") or name in ("className", "inherits", "delete"):
            return object.__getattribute__(self, name)
        for owner in type(self).__mro__:
            if owner is Wrapper:
                break
            if name in owner.__dict__ and "_qtClass" not in owner.__dict__:
                return object.__getattribute__(self, name)
        if name in object.__getattribute__(self, "__dict__"):
            return object.__getattribute__(self, name)
        return _member(self, self._qt, name)

    def __setattr__(self, name: str, value: Any) -> None:
        qt = self._qt
        if isinstance(qt, QtCore.QObject):
            _aliveOrError(qt, type(self).__name__, name)
            index = _propertyIndex(qt, name)
            if index >= 0:
                metaProperty = qt.metaObject().property(index)
                if not metaProperty.isWritable():
                    raise AttributeError(f"Property '{name}' of {self.className()} object is not writable")
                if value is None or not qt.setProperty(metaProperty.name(), unwrap(value)):
                    raise AttributeError(
                        f"Property '{name}' of type '{metaProperty.typeName()}' does not accept {value!r}"
                    )
                return
            if _isMethodOrSignal(qt, name):
                raise AttributeError(f"Slot '{name}' can not be overwritten on {self.className()} object")
            if name.encode() in [bytes(one) for one in qt.dynamicPropertyNames()]:
                qt.setProperty(name, unwrap(value))
                return
        # PythonQtInstanceWrapper_setattro: new attributes only on objects of a class derived in Python, because the
        # wrapper of a C++ object may go away while the object lives.
        if type(self).__dict__.get("_qtClass") is not None:
            raise AttributeError(
                f"'{name}' does not exist on {self.className()} and creating new attributes on C++ objects is not "
                "allowed"
            )
        object.__setattr__(self, name, value)

    def __eq__(self, other: object) -> bool:
        # PythonQtInstanceWrapper_richcompare: the same object, or an operator that the class has.
        if isinstance(other, Wrapper):
            return self._qt is other._qt or (not isinstance(self._qt, QtCore.QObject) and bool(self._qt == other._qt))
        return NotImplemented

    def __hash__(self) -> int:
        return hash(id(self._qt))

    def __bool__(self) -> bool:
        # PythonQtInstanceWrapper_nonzero: false for a destroyed object.
        return not (isinstance(self._qt, QtCore.QObject) and sip.isdeleted(self._qt))

    def __repr__(self) -> str:
        return f"{self.className()} (stand-in for PythonQt)"

    def className(self) -> str:
        if isinstance(self._qt, QtCore.QObject) and not sip.isdeleted(self._qt):
            name = self._qt.metaObject().className()
            return names.classNames.get(name, name)
        return type(self).__name__

    def inherits(self, name: str) -> bool:
        return any(one.__name__ == name for one in type(self._qt).__mro__)

    def delete(self) -> None:
        sip.delete(self._qt)


class Signal:
    """A signal of an object: `connect`, `disconnect` and `emit`, as in PythonQtSignal.cpp."""

    def __init__(self, wrapper: Wrapper, name: str):
        self._wrapper = wrapper
        self._name = name

    def connect(self, callable_: Any) -> bool:
        return _connect(self._wrapper, self._name, callable_)

    def disconnect(self, callable_: Any = None) -> bool:
        return _disconnect(self._wrapper, self._name, callable_)

    def emit(self, *args: Any) -> None:
        getattr(self._wrapper._qt, self._name).emit(*map(unwrap, args))

    def __call__(self, *args: Any) -> None:
        self.emit(*args)


def wrapClass(qtClass: type) -> ClassWrapper:
    """The class that Slicer's Python would see for this PyQt5 class."""
    if qtClass not in _classes:
        bases = tuple(
            wrapClass(base) for base in qtClass.__bases__ if base.__module__ not in ("builtins", "sip", "PyQt5.sip")
        )
        _classes[qtClass] = ClassWrapper(qtClass.__name__, bases or (Wrapper,), {"_qtClass": qtClass})
    return _classes[qtClass]


def wrap(value: Any) -> Any:
    """What Python gets for a value that Qt returned."""
    if isinstance(value, QtCore.QObject) and getattr(value, "pythonQtWrapper", lambda: None)() is not None:
        return value.pythonQtWrapper()
    if isinstance(value, QtCore.QByteArray):
        return wrapInstance(value)
    if isinstance(value, list | tuple):
        return tuple(wrap(one) for one in value)  # PythonQtConversion.cpp: lists of C++ come as tuples
    if isinstance(value, sip.simplewrapper):
        return wrapInstance(value)
    return value


def wrapInstance(value: Any) -> Wrapper:
    qtClass = next(one for one in type(value).__mro__ if not one.__dict__.get("_isShell"))
    wrapper = object.__new__(wrapClass(qtClass))
    object.__setattr__(wrapper, "_qt", value)
    return wrapper


def unwrap(value: Any) -> Any:
    """What Qt gets for a value that Python passed."""
    if isinstance(value, Wrapper):
        return value._qt
    if isinstance(value, list | tuple):
        return [unwrap(one) for one in value]
    return value


def _qtClassOf(cls: type) -> type | None:
    return next((one.__dict__["_qtClass"] for one in cls.__mro__ if one.__dict__.get("_qtClass")), None)


def _shell(wrapper: Wrapper, qtClass: type) -> type:
    """The PyQt5 class to make: `qtClass`, or for a class derived in Python one that calls back what it overrides."""
    cls = type(wrapper)
    if cls.__dict__.get("_qtClass"):
        return qtClass
    for refused, reason in names.notToDerive.items():
        if any(one.__name__ == refused for one in qtClass.__mro__):
            raise TypeError(f"{cls.__name__} derives from {refused}: {reason}")
    overridden = {
        name: member
        for owner in reversed(cls.__mro__)
        if issubclass(owner, Wrapper) and "_qtClass" not in owner.__dict__ and owner is not Wrapper
        for name, member in owner.__dict__.items()
        if inspect.isfunction(member) and hasattr(qtClass, name) and not name.startswith("__")
    }

    def forward(name: str) -> Any:
        def method(qt: Any, *args: Any) -> Any:
            wrapper = getattr(qt, "pythonQtWrapper", lambda: None)()
            if wrapper is None:
                return getattr(qtClass, name)(qt, *args)
            try:
                result = getattr(wrapper, name)(*map(wrap, args))
            except Exception as error:
                _note(error)
                result = None
            # A virtual method that returns nothing where a bool is due counts as false in PythonQt's shells.
            return bool(result) if name in ("eventFilter", "event") else unwrap(result)

        return method

    members: dict[str, Any] = {name: forward(name) for name in overridden}
    return type(cls.__name__, (qtClass,), {**members, "_isShell": True})


def _member(wrapper: Wrapper, qt: Any, name: str) -> Any:
    """PythonQtClassInfo.cpp, PythonQtClassInfo::member: properties, then methods and signals, then enumerations."""
    if isinstance(qt, QtCore.QObject):
        _aliveOrError(qt, type(wrapper).__name__, name)
        index = _propertyIndex(qt, name)
        if index >= 0:
            return wrap(qt.property(qt.metaObject().property(index).name()))
        if name in ("connect", "disconnect"):
            function = _connect if name == "connect" else _disconnect
            return lambda signal, *rest: function(wrapper, signal, *rest)
        if name == "findChildren" or name == "findChild":
            return lambda cls, *rest: _findChildren(qt, name, cls, *rest)
        if _signals(qt, name):
            return Signal(wrapper, name)
    # PythonQtClassInfo::member: one trailing underscore stands for a name that is a Python keyword (exec_).
    keyword = name.endswith("_") and (not hasattr(qt, name) or _methodIsKnown(type(qt), name[:-1]))
    plain = name[:-1] if keyword else name
    if _methodIsKnown(type(qt), plain) or (isinstance(qt, QtCore.QObject) and _slots(qt, plain)):
        return _function(getattr(qt, name if hasattr(qt, name) else plain), f"{wrapper.className()}.{name}")
    try:
        value = getattr(type(wrapper), name)
        if isinstance(value, int | type):
            return value
    except AttributeError:
        pass
    if isinstance(qt, QtCore.QObject):
        if name.encode() in [bytes(one) for one in qt.dynamicPropertyNames()]:
            return wrap(qt.property(name))
        for child in qt.children():
            if child.objectName() == name:
                return wrap(child)
    raise AttributeError(
        f"{wrapper.className()} has no attribute named '{name}' in PythonQt, as far as pythonqt_names.py knows"
    )


def _function(function: Any, label: str) -> Any:
    def call(*args: Any, **keywords: Any) -> Any:
        if keywords:
            raise ValueError(f"Called {label} with keyword arguments, but called slot does not support kwargs.")
        result = function(*map(unwrap, args))
        # PyQt5 returns the chosen filter, too; PythonQt only the name, as C++ does.
        isFileName = label in ("QFileDialog.getSaveFileName", "QFileDialog.getOpenFileName")
        return result[0] if isFileName else wrap(result)

    return call


def _methodIsKnown(qtClass: type, name: str) -> bool:
    return any(name in names.methods.get(one.__name__, ()) for one in qtClass.__mro__)


def _propertyIndex(qt: QtCore.QObject, name: str) -> int:
    # lookForPropertyAndCache: `name` stands for objectName; QTimer's singleShot is left to its methods.
    if name == "singleShot" and isinstance(qt, QtCore.QTimer):
        return -1
    index = qt.metaObject().indexOfProperty(name)
    return qt.metaObject().indexOfProperty("objectName") if index < 0 and name == "name" else index


@dataclass(frozen=True)
class _Method:
    """What is asked of a QMetaMethod, which lives no longer than its class."""

    signature: str
    isSignal: bool
    isPublic: bool


#: By Python's class, weakly, because tests derive classes of one name, and by Qt's: a class made in C++ may have no
#: Python class of its own.
_methodsOfClasses: WeakKeyDictionary[type, dict[str, dict[str, list[_Method]]]] = WeakKeyDictionary()


def _metaMethods(qt: QtCore.QObject, name: str) -> list[_Method]:
    meta = qt.metaObject()
    byClass = _methodsOfClasses.setdefault(type(qt), {})
    methods = byClass.get(meta.className())
    if methods is None:
        methods = byClass[meta.className()] = {}
        for one in map(meta.method, range(meta.methodCount())):
            signature = bytes(one.methodSignature()).decode()
            isSignal = one.methodType() == QtCore.QMetaMethod.Signal
            isPublic = one.access() == QtCore.QMetaMethod.Public
            methods.setdefault(bytes(one.name()).decode(), []).append(_Method(signature, isSignal, isPublic))
    return methods.get(name, [])


def _signals(qt: QtCore.QObject, name: str) -> list[_Method]:
    return [one for one in _metaMethods(qt, name) if one.isSignal]


def _slots(qt: QtCore.QObject, name: str) -> list[_Method]:
    return [one for one in _metaMethods(qt, name) if not one.isSignal and one.isPublic]


def _isMethodOrSignal(qt: QtCore.QObject, name: str) -> bool:
    return bool(_metaMethods(qt, name)) or _methodIsKnown(type(qt), name)


def _aliveOrError(qt: QtCore.QObject, className: str, name: str) -> None:
    if sip.isdeleted(qt):
        raise ValueError(f"Trying to read property '{name}' from a destroyed {className} object")


def _boundSignal(wrapper: Wrapper, text: str) -> Any:
    """The PyQt5 signal for `name` or `name(types)`; PythonQt wants the types spelled as the class declares them."""
    qt = wrapper._qt
    _aliveOrError(qt, type(wrapper).__name__, text)
    name, _, types = text.partition("(")
    if not types:
        return getattr(qt, name)
    aliases = getattr(type(qt), "VTK_SIGNALS", {})
    if text in aliases:
        return getattr(qt, aliases[text])
    signature = bytes(QtCore.QMetaObject.normalizedSignature(text)).decode()
    known = [one.signature for one in _signals(qt, name)]
    if signature not in known:
        raise ValueError(f"signal '{text}' does not exist on {wrapper.className()}, which has {known}")
    arguments = re.sub(r"^.*?\(|\)$", "", signature)
    bound = getattr(qt, name)
    return bound[tuple(arguments.split(","))] if arguments and len(known) > 1 else bound


def _connect(wrapper: Wrapper, signal: str, callable_: Any, slot: str | None = None) -> bool:
    if isinstance(callable_, Wrapper) and slot is not None:  # connect(signal, receiver, slot)
        callable_ = getattr(callable_, slot.partition("(")[0])
    if not callable(callable_):
        raise ValueError(f"cannot connect '{signal}' to {callable_!r}, which is not callable")
    count = _argumentCount(callable_)

    def relay(*args: Any) -> None:
        try:
            callable_(*[wrap(one) for one in (args if count is None else args[:count])])
        except Exception as error:
            _note(error)

    _boundSignal(wrapper, signal).connect(relay)
    _connections(wrapper._qt).append((_signalKey(wrapper, signal), callable_, relay))
    return True


def _disconnect(wrapper: Wrapper, signal: str, callable_: Any = None, slot: str | None = None) -> bool:
    if isinstance(callable_, Wrapper) and slot is not None:
        callable_ = getattr(callable_, slot.partition("(")[0])
    connections = _connections(wrapper._qt)
    key = _signalKey(wrapper, signal)
    found = [one for one in connections if one[0] == key and (callable_ is None or one[1] == callable_)]
    for one in found:
        _boundSignal(wrapper, signal).disconnect(one[2])
        connections.remove(one)
    return bool(found)


def _signalKey(wrapper: Wrapper, signal: str) -> str:
    return str(_boundSignal(wrapper, signal).signal)


def _connections(qt: QtCore.QObject) -> list[tuple[str, Any, Any]]:
    if not hasattr(qt, "pythonQtConnections"):
        qt.pythonQtConnections = []
    return qt.pythonQtConnections


def _argumentCount(callable_: Any) -> int | None:
    """PythonQtSignalReceiver.cpp, PythonQtSignalTarget::call: functions and methods with a fixed number of arguments
    get that many; anything else (partial objects, other callables) gets all."""
    if inspect.isfunction(callable_) or inspect.ismethod(callable_):
        code = callable_.__code__
        if code.co_flags & inspect.CO_VARARGS:
            return None
        return code.co_argcount - (1 if inspect.ismethod(callable_) else 0)
    return None


def _findChildren(qt: QtCore.QObject, method: str, cls: Any, *rest: Any) -> Any:
    qtClass = _qtClassOf(cls) if isinstance(cls, type) else QtCore.QObject
    return wrap(getattr(qt, method)(qtClass, *map(unwrap, rest)))


def _note(error: BaseException) -> None:
    logging.getLogger(__name__).error("error in Python code called by Qt", exc_info=error)
    errorsInSlots.append(error)
