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
#: The small way: no torch. onnxruntime runs the encoder that comes with the extension.
SMALL = ("onnxruntime", "faiss-cpu")
#: What is downloaded: the wheels of 2026 for Linux, 28 and 19 MB, and what onnxruntime needs.
_DOWNLOAD_MB = {"onnxruntime": 30, "faiss-cpu": 20}
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

    def install(self, requirements: list[str], constraints: Path, wheelFolder: Path | None = None) -> None:
        """pip install, of wheels only; from a folder alone if one is given. InstallationFailed with the reason.

        Asks nothing: who calls has asked.
        """


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


@dataclass(frozen=True)
class Questions:
    """How the user is asked.

    `confirm` shows a text with OK and Cancel. `offer` shows a sentence with two buttons and returns whether the first
    was pressed, None where nobody can be asked. `isDeclined` and `setDeclined` keep what was answered to the offer.
    """

    confirm: Callable[[str], bool]
    offer: Callable[[str, str, str], bool | None] = lambda text, install, goOn: None
    isDeclined: Callable[[], bool] = lambda: False
    setDeclined: Callable[[bool], None] = lambda declined: None


class PackageInstaller:
    """Decides what to install and in which order; asking, pip and torch are given to it."""

    def __init__(
        self,
        requirementsPath: Path,
        pip: PipProtocol,
        torch: TorchProtocol,
        questions: Questions,
        platform: tuple[str, str],
    ):
        """`platform` is (sys.platform, platform.machine())."""
        self.requirementsPath = requirementsPath
        self.pip = pip
        self.torch = torch
        self.questions = questions
        self.platform = platform
        self._hasFailed = False

    @property
    def networksPossible(self) -> bool:
        """False on the official macOS Slicer: the last torch for x86_64 macOS is 2.2.2, older than MONAI needs."""
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
                    "onnxruntime (about 30 MB) runs the better default encoder."
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
                "Only the descriptor encoder works. onnxruntime (about 30 MB) runs the better default encoder; "
                "{packages} run it and the other networks."
            )
        return [text.format(packages=_listed(lacking))]

    def _otherSentences(self, versions: dict[str, str]) -> list[str]:
        sentences = []
        if not versions["faiss-cpu"]:
            sentences.append(_("Search is exact but slower for large databases: faiss is not installed."))
        return sentences

    def offerOnce(self) -> str:
        """Ask once, before the first search, whether to install the small packages; with one sentence and two buttons.

        Whatever the answer, work goes on with what is there then. After "no" it is not asked again, and after a failure
        not before the next start: section Advanced installs, too.

        Returns:
            A sentence for the status line; empty where there is nothing to say.

        Raises:
            InstallationFailed: what was asked for could not be installed; the search can go on.
        """
        state = self.state()
        if not self._isWorthOffering(state) or self._hasFailed or self.questions.isDeclined():
            return ""
        answer = self.questions.offer(_offer(state.missingSmall), _("Install and search"), _("Search without"))
        if not answer:
            if answer is not None:
                self.questions.setDeclined(True)
            return ""
        try:
            self._installNow(state, state.missingSmall, None, small=True)
        except InstallationFailed:
            self._hasFailed = True
            raise
        return _("Installed: {packages}.").format(packages=_listed(state.missingSmall))

    def _isWorthOffering(self, state: PackageState) -> bool:
        """Whether a search would be better with the small packages."""
        runsDefault = state.versions["onnxruntime"] or all(state.versions[package] for package in RUN_DEFAULT)
        return not runsDefault or "faiss-cpu" in state.missingSmall

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
        if "torch" in missing and wheelFolder is None and not self.torch.isAvailable():
            raise InstallationFailed(
                _(
                    "PyTorch is installed by the extension PyTorch, which is missing: install it in the Extensions "
                    "Manager, restart Slicer and try again. The small packages need no PyTorch."
                )
            )
        if not self.questions.confirm(self._question(missing, wheelFolder)):
            raise InstallationDeclined(_("Nothing was installed."))
        self._installNow(state, missing, wheelFolder, small)

    def _installNow(self, state: PackageState, missing: tuple[str, ...], wheelFolder: Path | None, small: bool) -> None:
        """Install, the user having agreed."""
        with tempfile.TemporaryDirectory() as folder:
            if "torch" in missing:
                self._installTorch(wheelFolder, Path(folder))
            constraints = self._constraints(Path(folder))
            able = SMALL if small or not self.pip.version("torch") else (*SMALL, *NEED_TORCH)
            known = {one for one in able if one in missing or state.versions[one]}  # or too old
            requirements = [one for one in self.pip.requirements(self.requirementsPath) if _name(one) in known]
            if requirements:
                self.pip.install(requirements, constraints, wheelFolder)
        self.questions.setDeclined(False)  # who removes them later is asked again

    def _installable(self, state: PackageState, wheelFolder: Path | None, small: bool) -> tuple[str, ...]:
        """What of the missing packages this installation brings."""
        if wheelFolder is None or not state.missing:
            return state.missingSmall if small else state.missing
        if not any(wheelFolder.glob("*.whl")):
            raise InstallationFailed(
                _("{folder} has no wheels (*.whl). See the user guide: installing without a network.").format(
                    folder=wheelFolder
                )
            )
        if small or ("torch" in state.missing and not _hasWheel(wheelFolder, "torch")):
            there = tuple(package for package in state.missingSmall if _hasWheel(wheelFolder, package))
            if not there:
                raise InstallationFailed(
                    _(
                        "{folder} has no wheel of {packages}. See the user guide on installing without a network."
                    ).format(folder=wheelFolder, packages=_listed(("torch", *state.missingSmall)))
                )
            return there
        return state.missing

    def _installTorch(self, wheelFolder: Path | None, folder: Path) -> None:
        constraints = self._constraints(folder)
        if wheelFolder is not None:
            self.pip.install([f"torch{TORCH_REQUIREMENT}"], constraints, wheelFolder)
        else:
            self.torch.install(TORCH_REQUIREMENT, constraints)

    def _constraints(self, folder: Path) -> Path:
        """A constraints file that pins what must not change: Slicer's packages and the torch that is there."""
        versions = {package: self.pip.version(package) for package in (*PROTECTED_PACKAGES, "torch", "torchvision")}
        path = folder / "constraints.txt"
        path.write_text("".join(f"{name}=={version}\n" for name, version in versions.items() if version))
        return path

    def _question(self, missing: Iterable[str], wheelFolder: Path | None) -> str:
        source = _("from {folder}").format(folder=wheelFolder) if wheelFolder else _("from the network")
        size = (
            _("Installing takes several minutes and, with PyTorch, several gigabytes of disk space.")
            if "torch" in missing
            else _("These packages and their dependencies take less than 200 MB of disk space.")
        )
        return _(
            "VolumeRetrieval can install these Python packages {source}:\n\n{packages}\n\n"
            "{size} Packages that came with Slicer are not changed."
        ).format(
            source=source,
            packages="\n".join(f"- {package}: {_purpose(package)}" for package in missing),
            size=size,
        )


def _offer(packages: tuple[str, ...]) -> str:
    """What these small packages bring to a search, and how much is downloaded."""
    if packages == ("faiss-cpu",):
        text = _("Searches in large databases are faster with {packages} (about {size} MB to download, {rest}).")
    elif packages == ("onnxruntime",):
        text = _("Searches find better matches with {packages} (about {size} MB to download, {rest}).")
    else:
        text = _("Searches are faster and find better matches with {packages} (about {size} MB to download, {rest}).")
    return text.format(
        packages=_listed(packages),
        size=sum(_DOWNLOAD_MB[package] for package in packages),
        rest=_("from the Python Package Index; packages that came with Slicer are not changed"),
    )


def _purpose(package: str) -> str:
    if package == "onnxruntime":
        return _("runs the bundled encoder")
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


def _name(requirement: str) -> str:
    end = next((i for i, letter in enumerate(requirement) if not (letter.isalnum() or letter in "-_.")), None)
    return requirement[:end]
