"""Which Python packages are there, and installing the missing ones without changing what Slicer brought."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from slicer.i18n import tr as _

#: Slicer ships these, and other modules rely on their versions: an installation that would change one must fail.
PROTECTED_PACKAGES = ("numpy", "scipy", "SimpleITK", "pydicom", "pillow", "highdicom", "requests", "pip", "setuptools")
#: These need torch; without it they are not installed, because pip would fetch a torch from PyPI for them.
NEED_TORCH = ("monai", "safetensors")
TORCH_REQUIREMENT = ">=2.8"


class InstallationDeclined(RuntimeError):
    """The user said no; not an error."""


class InstallationFailed(RuntimeError):
    """pip or the PyTorch extension could not install; the text says what to do."""


class PipProtocol(Protocol):
    """What is asked of pip; SlicerPackages.SlicerPip is the real one."""

    def version(self, package: str) -> str:
        """The installed version, "" if it is not installed. Imports nothing."""

    def requirements(self, path: Path) -> list[str]:
        """The requirements of a file that apply here and are not satisfied."""

    def install(self, arguments: list[str], constraints: Path) -> None:
        """pip install; InstallationFailed with the reason."""


class TorchProtocol(Protocol):
    """What is asked of the PyTorch extension; SlicerPackages.PyTorchExtension is the real one."""

    def isAvailable(self) -> bool:
        """Whether the extension is installed in this Slicer."""

    def install(self, requirement: str, constraints: Path) -> None:
        """Install torch; InstallationFailed with the reason."""


@dataclass(frozen=True)
class PackageState:
    """What can be done with the packages that are there.

    `versions` has "" for what is not installed; `missing` are the packages that an installation would bring here;
    `sentences` say in words what does not work, and why.
    """

    versions: dict[str, str]
    missing: tuple[str, ...]
    networksPossible: bool
    sentences: tuple[str, ...]


class PackageInstaller:
    """Decides what to install and in which order; asking, pip and torch are given to it."""

    def __init__(
        self,
        requirementsPath: Path,
        pip: PipProtocol,
        torch: TorchProtocol,
        ask: Callable[[str], bool],
        platform: tuple[str, str],
    ):
        """`ask` shows a text and returns whether the user agrees; `platform` is (sys.platform, platform.machine())."""
        self.requirementsPath = requirementsPath
        self.pip = pip
        self.torch = torch
        self.ask = ask
        self.platform = platform

    @property
    def networksPossible(self) -> bool:
        """False on the factory's macOS Slicer: the last torch for x86_64 macOS is 2.2.2, older than MONAI needs."""
        return self.platform != ("darwin", "x86_64")

    def state(self) -> PackageState:
        packages = ("torch", "faiss-cpu", *NEED_TORCH)
        versions = {package: self.pip.version(package) for package in packages}
        sentences = []
        if not versions["faiss-cpu"]:
            sentences.append(_("Search is exact but slower for large databases: faiss is not installed."))
        if not self.networksPossible:
            sentences.append(
                _(
                    "Neural networks cannot run in this Slicer: there is no current PyTorch for Intel builds on "
                    "macOS. The descriptor encoder works."
                )
            )
        elif not versions["torch"] or not versions["monai"]:
            sentences.append(_("Only the descriptor encoder works: PyTorch or MONAI is not installed."))
        wanted = packages if self.networksPossible else ("faiss-cpu",)
        missing = tuple(package for package in wanted if not versions[package])
        return PackageState(versions, missing, self.networksPossible, tuple(sentences))

    def install(self, wheelFolder: Path | None = None) -> None:
        """Install what is missing, from PyPI or only from a folder of wheels, after asking.

        :raises InstallationDeclined: if the user does not agree.
        :raises InstallationFailed: with what failed and what to do. What was installed before that stays.
        """
        missing = self.state().missing
        if not missing:
            return
        if wheelFolder is not None and not any(wheelFolder.glob("*.whl")):
            raise InstallationFailed(
                _("{folder} holds no wheels (*.whl). See the README on installing without a network.").format(
                    folder=wheelFolder
                )
            )
        if not self.ask(self._question(missing, wheelFolder)):
            raise InstallationDeclined(
                _("Nothing was installed. The descriptor encoder and exact search work without it.")
            )
        with tempfile.TemporaryDirectory() as folder:
            if "torch" in missing:
                self._installTorch(wheelFolder, Path(folder))
            constraints = self._constraints(Path(folder))
            requirements = [one for one in self.pip.requirements(self.requirementsPath) if self._isWanted(one)]
            if requirements:
                self.pip.install([*_source(wheelFolder), *requirements], constraints)

    def _installTorch(self, wheelFolder: Path | None, folder: Path) -> None:
        constraints = self._constraints(folder)
        if wheelFolder is not None:
            self.pip.install([*_source(wheelFolder), f"torch{TORCH_REQUIREMENT}"], constraints)
        elif self.torch.isAvailable():
            self.torch.install(TORCH_REQUIREMENT, constraints)
        else:
            raise InstallationFailed(
                _(
                    "PyTorch is installed by the extension PyTorch, which is not there: install it in the Extensions "
                    "Manager, restart Slicer and try again."
                )
            )

    def _isWanted(self, requirement: str) -> bool:
        name = _name(requirement)
        return name not in NEED_TORCH or (self.networksPossible and bool(self.pip.version("torch")))

    def _constraints(self, folder: Path) -> Path:
        """A constraints file that pins what must not change: Slicer's packages and the torch that is there."""
        versions = {package: self.pip.version(package) for package in (*PROTECTED_PACKAGES, "torch", "torchvision")}
        path = folder / "constraints.txt"
        path.write_text("".join(f"{name}=={version}\n" for name, version in versions.items() if version))
        return path

    def _question(self, missing: Iterable[str], wheelFolder: Path | None) -> str:
        source = _("from {folder}").format(folder=wheelFolder) if wheelFolder else _("from the network")
        return _(
            "VolumeRetrieval can install these Python packages {source}:\n\n{packages}\n\n"
            "They make searching large databases faster and neural networks possible. Slicer's own packages are not "
            "changed. It takes several minutes and, with PyTorch, some gigabytes of disk space."
        ).format(source=source, packages="\n".join(f"- {package}" for package in missing))


def _source(wheelFolder: Path | None) -> list[str]:
    """Wheels only: nothing is built on the user's computer."""
    only = ["--only-binary", ":all:"]
    return only if wheelFolder is None else [*only, "--no-index", "--find-links", str(wheelFolder)]


def _name(requirement: str) -> str:
    end = next((i for i, letter in enumerate(requirement) if not (letter.isalnum() or letter in "-_.")), None)
    return requirement[:end]
