"""Children for tests: the real engine with this Python, and engines that misbehave."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterable
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import slicer
from VolumeRetrievalLib.Processes import ProcessIDs
from VolumeRetrievalLib.Processes.EngineProcess import EngineCommand

#: Ends what would otherwise wait for ever; nothing is measured with it.
_PATIENCE_SECONDS = 600


def waitUntil(condition: Callable[[], object], what: str = "") -> None:
    """Let the event loop run until the condition holds."""
    until = monotonic() + _PATIENCE_SECONDS
    while not condition():
        assert monotonic() < until, f"waited {_PATIENCE_SECONDS} s for {what or condition}"
        slicer.app.processEvents()
        sleep(0.005)


#: The ways in which a module's widget goes.
WAYS_TO_GO = ("cleanup", "unload", "reload", "quit")


def letGo(widget: Any, how: str) -> None:
    """Take the module's widget away as Slicer does; afterwards none of its children runs."""
    pids = widget.logic.pids
    if how == "quit":
        slicer.app._qt.aboutToQuit.emit()
    elif how == "unload":
        slicer.app.moduleManager()._qt.moduleAboutToBeUnloaded.emit("VolumeRetrieval")
    elif how == "reload":
        widget.onReload()
        new = slicer.modules.VolumeRetrievalWidget
        assert new is not widget and new.logic.pids == ()
        new.cleanup()
    else:
        widget.cleanup()
    assert not any(ProcessIDs.isRunning(pid) for pid in pids), "a child is left"


def cleanUp(logics: Iterable[Any]) -> None:
    """Let these logics end; afterwards none of their children runs."""
    for one in logics:
        pids = one.pids
        one.cleanUp()
        assert not any(ProcessIDs.isRunning(pid) for pid in pids), "a child is left"


def realCommand() -> EngineCommand:
    return EngineCommand(sys.executable)


def commandWithoutTorch(folder: Path) -> EngineCommand:
    """The real engine where torch is not installed; it takes seconds to load."""
    folder.mkdir(parents=True, exist_ok=True)
    # Python imports a module of this name when it starts (documentation of the module site).
    (folder / "sitecustomize.py").write_text('import sys\nsys.modules["torch"] = None\n')
    return EngineCommand(sys.executable, folder)


def fakeCommand(folder: Path, body: str) -> EngineCommand:
    """An engine that does `body` instead; `say(**message)` and `write(bytes)` are defined for it."""
    package = folder / "VolumeRetrievalEngine"
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text(_BEGINNING + textwrap.dedent(body), encoding="utf-8")
    return EngineCommand(sys.executable, folder)


def launcherCommand(folder: Path, body: str) -> EngineCommand:
    """The same behind a launcher, as PythonSlicer is one: it starts another process and waits for it."""
    command = fakeCommand(folder, body)
    launcher = folder / "launcher"
    launcher.write_text(
        f"#!{sys.executable}\nimport subprocess, sys\nsys.exit(subprocess.call([{sys.executable!r}, *sys.argv[1:]]))\n"
    )
    launcher.chmod(0o700)
    return EngineCommand(str(launcher), command.folder)


_BEGINNING = """
import json, os, sys, time

def write(data):
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()

def say(**message):
    write(json.dumps(message).encode() + b"\\n")

def hello():
    say(type="hello", protocol=1, pid=os.getpid())

def requests():
    for line in sys.stdin.buffer:
        yield json.loads(line)

"""


class Told:
    """Callbacks or an answer that remember what they were told."""

    def __init__(self):
        self.results, self.errors, self.steps = [], [], []
        self.cancellations = 0

    @property
    def isOver(self):
        return bool(self.results or self.errors or self.cancellations)

    def arguments(self):
        return self.results.append, self.errors.append, self._onCancelled, self.steps.append

    def _onCancelled(self):
        self.cancellations += 1
