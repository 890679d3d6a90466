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
#: What is of use only with torch; without it they are not installed, because pip would fetch a torch from PyPI for
#: monai. MONAI's vision transformers need einops.
NEED_TORCH = ("monai", "safetensors", "einops")
#: What of all this runs the encoder that ships with the extension, where there is no onnxruntime.
RUN_DEFAULT = ("torch", "monai", "safetensors")
#: The small way: some tens of megabytes, and no torch. onnxruntime runs the encoder that ships with the extension.
SMALL = ("onnxruntime", "faiss-cpu")
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

    `versions` has "" for what is not installed; `missing` are the packages that an installation would bring here,
    `missingSmall` those of them that the small one brings; `sentences` say in words what does not work, and why.
    """

    versions: dict[str, str]
    missing: tuple[str, ...]
    networksPossible: bool
    sentences: tuple[str, ...]
    missingSmall: tuple[str, ...] = ()


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
        packages = ("torch", *SMALL, *NEED_TORCH)
        versions = {package: self.pip.version(package) for package in packages}
        wanted = packages if self.networksPossible else SMALL
        missing = tuple(package for package in wanted if not versions[package])
        sentences = tuple(self._encoderSentences(versions) + self._otherSentences(versions))
        small = tuple(package for package in missing if package in SMALL)
        return PackageState(versions, missing, self.networksPossible, sentences, small)

    def _encoderSentences(self, versions: dict[str, str]) -> list[str]:
        """Which encoders work with what is there, and what would bring more."""
        if not self.networksPossible:
            if versions["onnxruntime"]:
                return []
            return [
                _(
                    "Only the descriptor encoder works: there is no current PyTorch for Intel builds on macOS. "
                    "onnxruntime (about 20 MB) runs the better default encoder."
                )
            ]
        lacking = [package for package in ("torch", *NEED_TORCH) if not versions[package]]
        if not lacking:
            return []
        if all(versions[package] for package in RUN_DEFAULT):
            text = _("Some networks need {packages}.")
        elif versions["onnxruntime"]:
            text = _("The default encoder runs through onnxruntime. Other networks need {packages}.")
        else:
            text = _(
                "Only the descriptor encoder works. onnxruntime (about 20 MB) runs the better default encoder; "
                "{packages} run it and the other networks."
            )
        return [text.format(packages=_listed(lacking))]

    def _otherSentences(self, versions: dict[str, str]) -> list[str]:
        sentences = []
        if not versions["faiss-cpu"]:
            sentences.append(_("Search is exact but slower for large databases: faiss is not installed."))
        return sentences

    def install(self, wheelFolder: Path | None = None, small: bool = False) -> None:
        """Install what is missing, from PyPI or only from a folder of wheels, after asking.

        :param small: only what is small: no torch, and nothing that needs it. A folder without a wheel of torch brings
            of the small packages those that are in it.
        :raises InstallationDeclined: if the user does not agree.
        :raises InstallationFailed: with what failed and what to do. What was installed before that stays.
        """
        state = self.state()
        missing = self._installable(state, wheelFolder, small)
        if not missing:
            return
        if not self.ask(self._question(missing, wheelFolder)):
            raise InstallationDeclined(
                _("Nothing was installed. The descriptor encoder and exact search work without it.")
            )
        with tempfile.TemporaryDirectory() as folder:
            if "torch" in missing:
                self._installTorch(wheelFolder, Path(folder))
            constraints = self._constraints(Path(folder))
            able = SMALL if small or not self.pip.version("torch") else (*SMALL, *NEED_TORCH)
            known = {one for one in able if one in missing or state.versions[one]}  # or too old
            requirements = [one for one in self.pip.requirements(self.requirementsPath) if _name(one) in known]
            if requirements:
                self.pip.install([*_source(wheelFolder), *requirements], constraints)

    def _installable(self, state: PackageState, wheelFolder: Path | None, small: bool) -> tuple[str, ...]:
        """What of the missing packages this installation brings."""
        if wheelFolder is None or not state.missing:
            return state.missingSmall if small else state.missing
        if not any(wheelFolder.glob("*.whl")):
            raise InstallationFailed(
                _("{folder} holds no wheels (*.whl). See the README on installing without a network.").format(
                    folder=wheelFolder
                )
            )
        if small or ("torch" in state.missing and not _hasWheel(wheelFolder, "torch")):
            there = tuple(package for package in state.missingSmall if _hasWheel(wheelFolder, package))
            if not there:
                raise InstallationFailed(
                    _("{folder} holds no wheel of {packages}. See the README on installing without a network.").format(
                        folder=wheelFolder, packages=_listed(("torch", *state.missingSmall))
                    )
                )
            return there
        return state.missing

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
                    "Manager, restart Slicer and try again. The small packages need no PyTorch."
                )
            )

    def _constraints(self, folder: Path) -> Path:
        """A constraints file that pins what must not change: Slicer's packages and the torch that is there."""
        versions = {package: self.pip.version(package) for package in (*PROTECTED_PACKAGES, "torch", "torchvision")}
        path = folder / "constraints.txt"
        path.write_text("".join(f"{name}=={version}\n" for name, version in versions.items() if version))
        return path

    def _question(self, missing: Iterable[str], wheelFolder: Path | None) -> str:
        source = _("from {folder}").format(folder=wheelFolder) if wheelFolder else _("from the network")
        size = (
            _("It takes several minutes and, with PyTorch, some gigabytes of disk space.")
            if "torch" in missing
            else _("They and what they need take less than 200 MB of disk space.")
        )
        return _(
            "VolumeRetrieval can install these Python packages {source}:\n\n{packages}\n\n"
            "Slicer's own packages are not changed. {size}"
        ).format(
            source=source,
            packages="\n".join(f"- {package}: {_purpose(package)}" for package in missing),
            size=size,
        )


def _purpose(package: str) -> str:
    if package == "onnxruntime":
        return _("runs the encoder that ships with this extension")
    if package == "faiss-cpu":
        return _("searches large databases faster")
    return _("neural networks")


def _listed(packages: Iterable[str]) -> str:
    """ "torch, monai and einops"."""
    *first, last = packages
    return _("{first} and {last}").format(first=", ".join(first), last=last) if first else last


def _hasWheel(folder: Path, package: str) -> bool:
    """Wheels are called by their package's name with underscores (PyPA, binary distribution format)."""
    return any(folder.glob(f"{package.replace('-', '_')}-*.whl"))


def _source(wheelFolder: Path | None) -> list[str]:
    """Wheels only: nothing is built on the user's computer."""
    only = ["--only-binary", ":all:"]
    return only if wheelFolder is None else [*only, "--no-index", "--find-links", str(wheelFolder)]


def _name(requirement: str) -> str:
    end = next((i for i, letter in enumerate(requirement) if not (letter.isalnum() or letter in "-_.")), None)
    return requirement[:end]
