"""pip and torch as Slicer offers them. The thin layer under PackageInstaller; checked by reading, not by installing.

Read: Slicer 5.12, Base/Python/slicer/packaging.py (pip_install takes a list of pip arguments and a constraints file,
raises CalledProcessError; pip_check honours markers); fepegar/SlicerPyTorch e1c85cc, PyTorchUtils/PyTorchUtils.py
(installTorch: askConfirmation, torchVersionRequirement; returns None if the user declined; runs pip through
light_the_torch in a process of its own, and imports torch here afterwards).
"""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import CalledProcessError

from slicer.i18n import tr as _

from .PackageInstaller import InstallationFailed, PackageInstaller

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

    def install(self, arguments: list[str], constraints: Path) -> None:
        import slicer.packaging

        try:
            slicer.packaging.pip_install(arguments, constraints=constraints, requester=self.requester)
        except CalledProcessError as error:
            raise InstallationFailed(
                _(
                    "pip could not install {packages}. The application log says why. Without a network, download the "
                    "wheels on another computer and choose their folder (see the README)."
                ).format(packages=", ".join(one for one in arguments if not one.startswith("-") and ":" not in one))
            ) from error


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
    """An installer for this Slicer, which asks with a dialog of Slicer's."""
    import platform
    import sys

    import slicer

    def ask(text: str) -> bool:
        # In testing mode this returns False, not True as its documentation says: it compares True with
        # QMessageBox.Ok (Slicer 5.12, slicer/util.py, confirmOkCancelDisplay). So a test never installs anything.
        return slicer.util.confirmOkCancelDisplay(text, _("Install Python packages"))

    return PackageInstaller(requirementsPath, SlicerPip(), PyTorchExtension(), ask, (sys.platform, platform.machine()))
