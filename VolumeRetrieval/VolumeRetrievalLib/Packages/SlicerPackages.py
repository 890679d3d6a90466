"""pip and torch as Slicer offers them. The thin layer under PackageInstaller; checked by reading, not by installing.

Read: Slicer 5.12, Base/Python/slicer/packaging.py (pip_install takes a list of pip arguments and a constraints file,
raises CalledProcessError; pip_check honours markers; it asks nothing, as pip_ensure does; where it shows its progress
dialog it also shows a dialog when pip fails, and keeps pip's words to itself: hence without the dialog, and with a
callback for each line; in testing mode it waits, whatever `blocking` says, and calls back nobody);
fepegar/SlicerPyTorch e1c85cc, PyTorchUtils/PyTorchUtils.py
(installTorch: askConfirmation, torchVersionRequirement; returns None if the user declined; runs pip through
light_the_torch in a process of its own, and imports torch here afterwards).
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any

from slicer.i18n import tr as _

from ..Settings import packagesDeclined, setPackagesDeclined
from .PackageInstaller import InstallationFailed, PackageInstaller, Questions

#: Characters of a line of pip's that are shown.
_LONGEST_LINE = 80

#: Other distributions of the same module. pip would write its files over theirs, and what another module of Slicer uses
#: would be gone.
_SAME_MODULE = {
    "onnxruntime": ("onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino"),
    "faiss-cpu": ("faiss-gpu", "faiss-gpu-cu11", "faiss-gpu-cu12"),
}


class SlicerPip:
    """slicer.packaging, with a progress dialog of Slicer's own."""

    requester = "VolumeRetrieval"

    def version(self, package: str) -> str:
        importlib.invalidate_caches()
        return next(filter(None, map(_version, (package, *_SAME_MODULE.get(package, ())))), "")

    def requirements(self, path: Path) -> list[str]:
        import slicer.packaging

        return [
            str(one)
            for one in slicer.packaging.load_requirements(path)
            if not slicer.packaging.pip_check(one) and not any(map(_version, _SAME_MODULE.get(one.name, ())))
        ]

    def install(self, requirements: list[str], constraints: Path, wheelFolder: Path | None = None) -> None:
        run = _PipRun()
        if not run.succeeds([*_source(wheelFolder), *requirements], constraints):
            raise InstallationFailed(_failure(requirements, run.problem, wheelFolder))


def _source(wheelFolder: Path | None) -> list[str]:
    """Wheels only: nothing is built on the user's computer."""
    only = ["--only-binary", ":all:"]
    return only if wheelFolder is None else [*only, "--no-index", "--find-links", str(wheelFolder)]


class _PipRun:
    """One run of pip with a progress dialog; the event loop goes on meanwhile.

    Attributes:
        problem: the last line that pip has called an error; empty if there was none.
    """

    def __init__(self) -> None:
        self.problem = ""
        self._dialog: Any = None
        self._loop: Any = None
        self._exitCode: int | None = None

    def succeeds(self, arguments: list[str], constraints: Path) -> bool:
        """Run it and wait for its end."""
        import qt
        import slicer
        import slicer.packaging

        self._dialog = slicer.util.createProgressDialog(
            maximum=0, labelText=_("Looking for Python packages..."), windowTitle=_("Installing Python packages")
        )
        self._dialog.setCancelButton(None)  # half of an installation would be left
        self._dialog.show()
        try:
            slicer.packaging.pip_install(
                arguments,
                constraints=constraints,
                blocking=False,
                show_progress=False,
                requester=SlicerPip.requester,
                logCallback=self._onLine,
                completedCallback=self._onCompleted,
            )
            if slicer.app.testingEnabled():
                return True
            if self._exitCode is None:
                self._loop = qt.QEventLoop()
                self._loop.exec_()
        except CalledProcessError:
            return False
        except RuntimeError as error:  # another installation is in progress, for example
            self.problem = str(error)
            return False
        finally:
            self._dialog.close()
            self._dialog.deleteLater()
        if self._exitCode is None:
            self.problem = _("Slicer is closing")
        return self._exitCode == 0

    def _onLine(self, line: str) -> None:
        print(line)  # to Slicer's Python console, as pip_install does by itself
        if line.startswith("ERROR:"):
            self.problem = line.removeprefix("ERROR:").strip()
        elif line.startswith(("Collecting ", "Downloading ", "Installing ", "Processing ")):
            self._dialog.labelText = line[:_LONGEST_LINE]

    def _onCompleted(self, exitCode: int) -> None:
        self._exitCode = exitCode
        if self._loop is not None:
            self._loop.exit(0)


#: What is refused where Slicer was installed by somebody else, or is on a read-only disk.
_NOT_WRITABLE = ("permission denied", "operation not permitted", "read-only file system", "access is denied")


def _failure(requirements: list[str], problem: str, wheelFolder: Path | None) -> str:
    """What pip could not do, why, and what helps against that."""
    if any(one in problem.lower() for one in _NOT_WRITABLE):
        text = _(
            "Python packages cannot be installed, because Slicer's folder {folder} is not writable. Install Slicer "
            "in a folder of your own, or ask whoever installed it."
        )
        return text.format(folder=sysconfig.get_paths()["purelib"])
    text = _("pip could not install {packages}: {problem}").format(
        packages=", ".join(requirements), problem=problem.rstrip(".") or _("the Python console says why")
    )
    if wheelFolder is not None:
        help = _("Does {folder} have wheels for this computer and for Python {version}?")
        help = help.format(folder=wheelFolder, version=".".join(map(str, sys.version_info[:2])))
    else:
        help = _("Without a network, download the wheels on another computer and choose their folder.")
    return f"{text}. {help}"


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


class PyTorchExtension:
    """The extension PyTorch, which finds the build of torch that fits the computer's graphics card."""

    def isAvailable(self) -> bool:
        import slicer

        # slicer.modules has every loaded module in lower case (Base/Python/slicerqt.py, setSlicerModules).
        return hasattr(slicer.modules, "pytorchutils")

    def install(self, requirement: str, constraints: Path) -> None:
        import PyTorchUtils

        try:
            # The user has been asked already. installTorch takes no constraints file, but pip reads this variable
            # (pip documentation, "Environment Variables": PIP_<OPTION>), also in the process that light_the_torch runs.
            with _environmentVariable("PIP_CONSTRAINT", str(constraints)):
                torch = PyTorchUtils.PyTorchUtilsLogic().installTorch(
                    askConfirmation=False, torchVersionRequirement=requirement
                )
        except Exception as error:  # it lets through whatever pip, light_the_torch or importing torch raised
            raise InstallationFailed(
                _("The extension PyTorch could not install torch ({reason}). The application log says more.").format(
                    reason=error
                )
            ) from error
        if torch is None:
            raise InstallationFailed(_("The extension PyTorch did not install torch."))


@contextmanager
def _environmentVariable(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def makeInstaller(requirementsPath: Path) -> PackageInstaller:
    """An installer for this Slicer, which asks with dialogs of Slicer's."""
    questions = Questions(_confirm, _offer, packagesDeclined, setPackagesDeclined)
    where = (sys.platform, platform.machine())
    return PackageInstaller(requirementsPath, SlicerPip(), PyTorchExtension(), questions, where)


def _confirm(text: str) -> bool:
    import slicer

    # In testing mode this returns False, not True as its documentation says: it compares True with
    # QMessageBox.Ok (Slicer 5.12, slicer/util.py, confirmOkCancelDisplay). So a test never installs anything.
    return slicer.util.confirmOkCancelDisplay(text, _("Install Python packages"))


def _offer(text: str, install: str, goOn: str) -> bool | None:
    import qt
    import slicer

    if slicer.app.testingEnabled() or slicer.util.mainWindow() is None:
        return None
    box = qt.QMessageBox(slicer.util.mainWindow())
    box.windowTitle = _("Volume Retrieval")
    box.text = text
    # Standard buttons, renamed: Escape and closing the window mean the second.
    box.setStandardButtons(qt.QMessageBox.Ok | qt.QMessageBox.Cancel)
    box.button(qt.QMessageBox.Ok).text = install
    box.button(qt.QMessageBox.Cancel).text = goOn
    box.setDefaultButton(qt.QMessageBox.Ok)
    answer = box.exec_()
    box.deleteLater()
    return answer == qt.QMessageBox.Ok
