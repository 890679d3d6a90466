"""A process and its pipes, as Qt offers them. The thinnest layer; everything above takes a ProcessProtocol.

Read in commontk/PythonQt patched-10: generated_cpp_511/com_trolltech_qt_core/com_trolltech_qt_core2.cpp (QProcess:
start(program, arguments), setProcessEnvironment, closeWriteChannel, readAllStandardOutput, waitForFinished),
com_trolltech_qt_core_builtin0.h (QByteArray.data() gives bytes), PythonQtConversion.cpp (bytes are taken where Qt wants
a QByteArray). Slicer's core uses QProcess and its signals in the same way: DICOMLib/DICOMProcesses.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import qt
from slicer.i18n import tr as _


@dataclass(frozen=True)
class ProcessListener:
    """Told, on the main thread, what a process writes and when it ends. `ended` gets "" after a normal exit, and
    otherwise why it ended; it is called once, also when the process could not be started."""

    output: Callable[[bytes], None]
    errorOutput: Callable[[bytes], None]
    ended: Callable[[str], None]


class ProcessProtocol(Protocol):
    """Only what is defined here is relied on; tests pass processes of their own."""

    @property
    def pid(self) -> int:
        """Of the process that was started, which may be a launcher; 0 while there is none."""

    def start(
        self, program: str, arguments: Sequence[str], environment: dict[str, str], listener: ProcessListener
    ) -> None:
        """Start with these environment variables in addition to Slicer's own."""

    def write(self, data: bytes) -> None: ...

    def closeInput(self) -> None:
        """Close its standard input, after what was written has been taken."""

    def waitForEnd(self, milliseconds: int) -> bool:
        """Wait without an event loop; whether it has ended."""

    def terminate(self) -> None: ...

    def kill(self) -> None: ...


class QtProcess:
    """A QProcess; for one run."""

    def __init__(self) -> None:
        self._process = qt.QProcess()
        self._listener: ProcessListener  # of the start: nothing is told before
        self._ended = False

    @property
    def pid(self) -> int:
        return int(self._process.processId() or 0)

    def start(
        self, program: str, arguments: Sequence[str], environment: dict[str, str], listener: ProcessListener
    ) -> None:
        self._listener = listener
        variables = qt.QProcessEnvironment.systemEnvironment()
        for name, value in environment.items():
            variables.insert(name, value)
        process = self._process
        process.setProcessEnvironment(variables)
        process.connect("readyReadStandardOutput()", self._onOutput)
        process.connect("readyReadStandardError()", self._onErrorOutput)
        process.connect("finished(int,QProcess::ExitStatus)", self._onFinished)
        process.connect("errorOccurred(QProcess::ProcessError)", self._onError)
        process.start(program, list(arguments))

    def write(self, data: bytes) -> None:
        self._process.write(data)

    def closeInput(self) -> None:
        self._process.closeWriteChannel()

    def waitForEnd(self, milliseconds: int) -> bool:
        if self._process.state() == qt.QProcess.NotRunning:
            return True
        return bool(self._process.waitForFinished(milliseconds))

    def terminate(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()

    def _onOutput(self) -> None:
        self._listener.output(self._process.readAllStandardOutput().data())

    def _onErrorOutput(self) -> None:
        self._listener.errorOutput(self._process.readAllStandardError().data())

    def _onFinished(self, exitCode: int, exitStatus: int) -> None:
        self._onOutput()
        self._onErrorOutput()
        if exitStatus == qt.QProcess.CrashExit:
            self._end(_("it crashed"))
        else:
            self._end("" if exitCode == 0 else _("exit code {code}").format(code=exitCode))

    def _onError(self, error: int) -> None:
        # Every other error is followed by finished(), or does not end the process (qprocess.cpp).
        if error == qt.QProcess.FailedToStart:
            self._end(self._process.errorString())

    def _end(self, problem: str) -> None:
        if not self._ended:
            self._ended = True
            self._listener.ended(problem)
