"""The engine's encoders, and the weights of those of its catalog: listed here, installed by a child process."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from ..Processes.ChildProcess import ProcessProtocol, QtProcess
from ..Processes.EngineJob import EngineJob, RunningJobs
from ..Processes.EngineProcess import EngineCommand
from ..Settings import Settings
from ..Values import Callbacks, EncoderChoice, WeightsInfo
from . import EncoderTexts

#: How long a download may go on after it was cancelled; what has come stays, however it ends.
_CANCEL_MILLISECONDS = 3000


#: The encoder that needs no package, and the one that ships with the engine and is better.
FLOOR, SHIPPED = "descriptor", "radiology-resnet"


def canRun(name: str) -> bool:
    """Whether the packages of one of the two are there: microseconds, so that an installation shows at once. That they
    work, only a child process finds out."""
    from VolumeRetrievalEngine.encoders.radiology_resnet.backend import ONNX_PACKAGES, TORCH_PACKAGES

    ways: dict[str, list[tuple[str, ...]]] = {FLOOR: [()], SHIPPED: [TORCH_PACKAGES, ONNX_PACKAGES]}
    return any(all(find_spec(package) is not None for package in packages) for packages in ways[name])


class Encoders:
    """What can be asked of encoders. `onChanged` is called after every installation and removal, before its answer."""

    def __init__(
        self,
        onChanged: Callable[[], None],
        loadSettings: Callable[[], Settings] = Settings.load,
        makeCommand: Callable[[], EngineCommand] = EngineCommand.ofSlicer,
        makeProcess: Callable[[], ProcessProtocol] = QtProcess,
    ):
        self._onChanged = onChanged
        self._loadSettings = loadSettings
        self._makeCommand = makeCommand
        self._makeProcess = makeProcess
        self.job: EngineJob | None = None
        self._jobs = RunningJobs()
        self._known: dict[str, tuple[Any, Any]] = {}

    @property
    def folder(self) -> Path:
        """Where weights are kept, whether it is there yet or not."""
        return self._weights().folder

    def choices(self) -> list[EncoderChoice]:
        """Every encoder, in the engine's order. Only looks into files: no network, no torch."""
        from VolumeRetrievalEngine.encoders.catalog import CATALOG
        from VolumeRetrievalEngine.encoders.choice import available_encoders

        weights = self._weights()
        made = []
        for one in available_encoders():
            entry = CATALOG.get(one.name)
            info = None if entry is None else self._info(entry, weights)
            made.append(
                EncoderChoice(
                    one.name,
                    EncoderTexts.title(one.name),
                    EncoderTexts.problem(one.missing, info),
                    one.needs_weights and entry is None,
                    info,
                    tuple(one.missing),
                )
            )
        return made

    def findDefault(self, answer: Callbacks) -> EngineJob:
        """Ask a process, which may load networks, what an index is made with if no encoder is chosen."""
        job = EngineJob(
            self._makeCommand(),
            "encoders",
            answer,
            _("Could not determine which encoder runs here ({problem}). The application log may say why."),
            self._makeProcess(),
            _CANCEL_MILLISECONDS,
        )
        self._jobs.add(job)
        job.start(["encoders", "--json"])
        return job

    def install(self, name: str, file: str, consent: bool, answer: Callbacks) -> EngineJob:
        """Download the weights of an encoder of the catalog, or take them from a file, and check them.

        Raises:
            ValueError: no such encoder, no consent, or weights that cannot be downloaded. RuntimeError: one is running.
        """
        choice = self._ofCatalog(name)
        if self.job is not None:
            raise RuntimeError(_("Weights are being installed already: wait until that has ended, or cancel it."))
        if not file and (reason := EncoderTexts.notDownloadable(choice.installable)):
            raise ValueError(reason)
        if file and not Path(file).is_file():
            raise ValueError(_("{file}: there is no such file.").format(file=file))
        needed = [self._ofCatalog(one) for one in (() if file else choice.installable.alsoNeeded)]
        terms = [one for one in (choice, *needed) if not one.installable.isConsented]
        if terms and not consent:
            raise ValueError(EncoderTexts.consentNeeded(terms))
        arguments = ["weights", "install", name, "--yes", "--json", "--folder", str(self.folder)]
        if file:
            arguments += ["--file", str(file)]
        self.job = job = EngineJob(
            self._makeCommand(),
            "weights",
            Callbacks(
                self._ending(answer.finished),
                self._ending(answer.failed),
                self._ending(answer.cancelled),
                answer.progress,
            ),
            _(
                "Installing weights ended unexpectedly ({problem}). What was downloaded is kept: install them again to "
                "resume. The application log may say why."
            ),
            self._makeProcess(),
            _CANCEL_MILLISECONDS,
        )
        self._jobs.add(job)
        job.start(arguments)
        return job

    def remove(self, name: str) -> int:
        """Delete the weights of an encoder of the catalog; how many bytes that frees.

        Raises:
            ValueError: no such encoder. RuntimeError: weights are being installed, or the file cannot be deleted.
        """
        from VolumeRetrievalEngine.encoders.catalog import entry
        from VolumeRetrievalEngine.errors import WeightsError

        self._ofCatalog(name)
        if self.job is not None:
            raise RuntimeError(_("Weights are being installed: wait until that has ended, or cancel it."))
        try:
            freed = self._weights().remove(entry(name))
        except WeightsError as error:
            raise RuntimeError(str(error)) from error
        except OSError as error:
            text = _("The weights cannot be deleted ({reason}): close the programs that use them.")
            raise RuntimeError(text.format(reason=error.strerror or error)) from error
        finally:
            self._onChanged()
        return freed

    def stop(self) -> None:
        """End what is running and wait until it is gone."""
        self._jobs.stop()

    @property
    def pids(self) -> tuple[int, ...]:
        """Of the processes that may be running."""
        return self._jobs.pids

    def _ending(self, tell: Callable[..., None]) -> Callable[..., None]:
        def end(*values: Any) -> None:
            self.job = None
            self._onChanged()
            tell(*values)

        return end

    def _weights(self) -> Any:
        from VolumeRetrievalEngine.encoders.weights.folder import WeightsFolder

        chosen = self._loadSettings().weightsFolder
        return WeightsFolder(Path(chosen).expanduser() if chosen else None)

    def _ofCatalog(self, name: str) -> EncoderChoice:
        known = {one.name: one for one in self.choices() if one.weights is not None}
        if name not in known:
            text = _("The catalog has no encoder {name}: expected one of {known}.")
            raise ValueError(text.format(name=name, known=", ".join(known)))
        return known[name]

    def _isThere(self, name: str, folder: Any) -> bool:
        from VolumeRetrievalEngine.encoders.catalog import entry

        return self._status(entry(name), folder).state == "installed"

    def _status(self, entry: Any, folder: Any) -> Any:
        # Where the folder is read-only, the engine reads a whole file each time to check it: not while it is the same.
        files = _listing(folder.folder / entry.name)
        before, status = self._known.get(entry.name, (None, None))
        if status is None or before != (folder.folder, files):
            status = folder.status(entry)
            self._known[entry.name] = ((folder.folder, files), status)
        return status

    def _info(self, entry: Any, folder: Any) -> WeightsInfo:
        status = self._status(entry, folder)
        return WeightsInfo(
            state=status.state,
            sizeBytes=status.size_bytes if status.state == "installed" else entry.source.size_bytes,
            dimension=entry.dimension,
            license=entry.license.name,
            licenseUrl=entry.license.url,
            commercial=entry.license.commercial,
            isVerified=entry.verified,
            isConsented=folder.consented(entry),
            address=entry.source.url,
            requestAddress=entry.source.request_url,
            problem=status.problem,
            alsoNeeded=tuple(name for name in entry.needs if not self._isThere(name, folder)),
            cautions=tuple(entry.cautions),
            citation=entry.citation,
            isChecked=status.checked != "nothing",
        )


def _listing(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Name, size and time of a folder's files; () if there is none."""
    try:
        files = [(one.name, one.stat()) for one in folder.iterdir()]
    except OSError:
        return ()
    return tuple(sorted((name, found.st_size, found.st_mtime_ns) for name, found in files))
