"""The weights of the catalog's encoders on this computer: installed, checked, found, removed.

<folder>/consents.json              the licenses that were agreed to
<folder>/<entry>/<file>             the weights, under the publisher's name
<folder>/<entry>/installed.json     that this file was checked, and how
<folder>/<entry>/<file>.part[.json] a download that can go on
<folder>/<entry>/writer.lock        one installation of an entry at a time

Nothing is downloaded but by :meth:`WeightsFolder.install`. Everything else works without a network.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ...errors import MissingPackageError, NeededWeightsError, StoreError, StoreLockedError, WeightsError
from ...progress import ProgressCallback
from ...writer_lock import LOCK_FILE, WriterLock, current_holder
from .. import catalog
from ..catalog.entry import CatalogEntry
from .container import require_container
from .download import TIMEOUT_S, download, require_requests, require_space
from .part_file import PartFile
from .records import Consents, InstalledRecord, expected_hash, has_hash, hash_of, is_hash

log = logging.getLogger(__name__)

#: The environment variable that names the folder.
FOLDER_VARIABLE = "VOLUME_RETRIEVAL_WEIGHTS"

#: Asked before weights are installed; whether the user agrees to the entry's license (and its size).
Consent = Callable[[CatalogEntry], bool]

#: Makes the encoder with a file of weights; WeightsError if its tensors do not fit, NeededWeightsError or
#: MissingPackageError if that cannot be found out.
Fit = Callable[[CatalogEntry, Path], None]


#: For the command line.
_OTHER_FOLDER = f"--folder or {FOLDER_VARIABLE}"


@dataclass(frozen=True)
class WeightsStatus:
    """What there is of an entry's weights.

    Attributes:
        state: "installed", "partial" (a download that was stopped), "damaged" (or cannot be read) or "absent".
        path: of the weights, or where they would be.
        size_bytes: on the disk now; 0 if absent.
        checked: how an installed file was checked: "hash" (the publisher's), "fit" (its tensors are those of the
            network) or "nothing"; "" if it is not installed.
        problem: what is wrong and what to do, if it is damaged; else "". `hint` is what to type on the command line.
        is_replaceable: whether an installation may put the right file in its place; not if it is somebody's own.
    """

    state: str
    path: Path
    size_bytes: int = 0
    checked: str = ""
    problem: str = ""
    is_replaceable: bool = True
    hint: str = ""


def default_weights_folder() -> Path:
    """VOLUME_RETRIEVAL_WEIGHTS, else "weights" in VolumeRetrieval's folder of the user's data directory.

    The directories are those that platformdirs.user_data_dir gives. It is not asked, because weights must not seem to
    be gone in a Python where it is not installed.
    """
    chosen = os.environ.get(FOLDER_VARIABLE, "").strip()
    return Path(os.path.expanduser(chosen)) if chosen else _user_data() / "VolumeRetrieval" / "weights"  # noqa: PTH111


def _user_data() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    return Path(os.environ.get("XDG_DATA_HOME", "").strip() or Path.home() / ".local" / "share")


class WeightsFolder:
    """The weights in one folder, which need not exist yet.

    Args:
        folder: None for :func:`default_weights_folder`.
        fit: how to check tensors where the publisher states no hash. Needed to install such weights only: pass None to
            look, and see `pretrained.installing_folder` for one that makes the encoder.
    """

    def __init__(self, folder: Path | str | None = None, fit: Fit | None = None):
        self.folder = Path(folder) if folder is not None else default_weights_folder()
        self._fit = fit

    def path(self, entry: CatalogEntry) -> Path:
        """Where the entry's weights are, or would be."""
        folder = self._folder_of(entry)
        record = None if entry.source.hash else InstalledRecord.read(folder)
        if record is not None and (folder / record.file).is_file():
            return folder / record.file  # it was installed from a file, perhaps of another format
        return folder / entry.source.file_name

    def is_there(self, entry: CatalogEntry) -> bool:
        """Whether there is a file of weights, without checking it.

        Raises:
            WeightsError: the folder cannot be looked into.
        """
        try:
            return self.path(entry).is_file()
        except OSError as error:
            raise WeightsError(_unreadable(self._folder_of(entry), error), _OTHER_FOLDER) from error

    def installed(self, entry: CatalogEntry) -> Path | None:
        """The entry's weights, checked; None if they are not installed. Reads the file only if it has changed.

        Raises:
            WeightsError: they were damaged or exchanged since.
        """
        status = self.status(entry)
        if status.state == "damaged":
            raise WeightsError(status.problem, status.hint)
        return status.path if status.state == "installed" else None

    def require_content(self, entry: CatalogEntry, path: Path, sha256: str) -> None:
        """WeightsError if installed weights have another sha256 than when they were checked.

        Whoever has read the file anyway asks this: on a bad disk, or by somebody's hand, its content can change while
        its size and time stay as they were.
        """
        expected = expected_hash(entry, path)
        if expected.startswith("sha256") and not is_hash(f"sha256:{sha256}", expected):
            raise _damaged(entry, path, expected)

    def status(self, entry: CatalogEntry) -> WeightsStatus:
        """What there is. Reads the file only if it has changed since it was checked."""
        try:
            path = self.path(entry)
            if path.is_file():
                return self._status_of_file(entry, path)
        except OSError as error:
            folder = self._folder_of(entry)
            path, problem = folder / entry.source.file_name, _unreadable(folder, error)
            return WeightsStatus("damaged", path, problem=problem, is_replaceable=False, hint=_OTHER_FOLDER)
        part = PartFile(path).size
        return WeightsStatus("partial" if part else "absent", path, part)

    def _status_of_file(self, entry: CatalogEntry, path: Path) -> WeightsStatus:
        size = path.stat().st_size
        record, error = self._checked(entry, path)
        if error is not None:
            is_ours = bool(expected_hash(entry, path))
            return WeightsStatus("damaged", path, size, "", error.text, is_ours, error.hint)
        return WeightsStatus("installed", path, size, record.checked if record else "hash")

    def consented(self, entry: CatalogEntry) -> bool:
        """Whether the entry's license was agreed to here."""
        return Consents(self.folder).has(entry)

    def install(
        self,
        entry: CatalogEntry,
        *,
        consent: Consent,
        progress: ProgressCallback | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> Path:
        """Download and check the entry's weights, unless they are there; an earlier download is resumed.

        Args:
            consent: asked if this license was not agreed to before. Nothing is sent before it has answered.
            progress: bytes of stage "download"; may raise Cancelled, which keeps what has come.
            timeout_s: seconds to wait for the server each time.

        Raises:
            WeightsError: there is no address, no consent, no space, or the server gives no such file; or there is a
                file that somebody has put there, and nothing to check it with.
            MissingPackageError: requests is not installed.
        """
        if path := self._installed_or_replaceable(entry):
            return path
        _require_address(entry)
        self._require_needed(entry)
        require_requests()
        self._agree(entry, consent)
        with self._locked(entry):
            if path := self._installed_or_replaceable(entry):  # by another process, meanwhile
                return path
            self.path(entry).unlink(missing_ok=True)
            path = self.path(entry)
            require_space(path, entry.source.size_bytes - PartFile(path).size)
            download(entry, path, progress, timeout_s)
            self._record_downloaded(entry, path)
        log.info("weights of %s installed: %s", entry.name, path)
        return path

    def install_file(self, entry: CatalogEntry, file: Path, *, consent: Consent) -> Path:
        """Install the entry's weights from a file that the user has; needs no network.

        Raises:
            WeightsError: it is another file than the publisher's; or, where the publisher states no hash, its tensors
                are not those of the network.
        """
        file = Path(file)
        if not file.is_file():
            raise WeightsError(f"{file}: no such file; expected {entry.source.file_name}, the weights of {entry.name}")
        if entry.source.hash and not has_hash(file, entry.source.hash):
            raise _not_this_one(entry, file)
        checked = "hash" if entry.source.hash else self._checked_by_fit(entry, file)
        self._agree(entry, consent)
        with self._locked(entry):
            before, path = self.path(entry), self._folder_of(entry) / entry.source.file_name
            if not entry.source.hash:
                path = path.with_suffix(file.suffix)  # tensors are read as the suffix says
            require_space(path, file.stat().st_size)
            hash = entry.source.hash or hash_of(file)
            _copy(file, path, hash)
            InstalledRecord.of(path, hash, checked).write(path.parent)
            if before != path:
                before.unlink(missing_ok=True)
            PartFile(before).discard()
        log.info("weights of %s installed from a file: %s", entry.name, path)
        return path

    def remove(self, entry: CatalogEntry) -> int:
        """Delete the entry's weights and what a download has left; returns the bytes that are free now."""
        folder = self._folder_of(entry)
        if not folder.is_dir():
            return 0
        freed = 0
        with self._locked(entry):
            for file in folder.iterdir():
                if file.is_file() and file.name != LOCK_FILE:
                    freed += file.stat().st_size
                    file.unlink()
        return freed

    def _folder_of(self, entry: CatalogEntry) -> Path:
        for name in (entry.name, entry.source.file_name):
            if not re.fullmatch(r"\w[\w.+-]*", name):
                raise WeightsError(f"{name!r} in the catalog cannot be the name of a file")
        return self.folder / entry.name

    def _installed_or_replaceable(self, entry: CatalogEntry) -> Path | None:
        """The installed weights; None if they can be put there, WeightsError if they must not."""
        status = self.status(entry)
        if not status.is_replaceable:
            raise WeightsError(status.problem, status.hint)
        return status.path if status.state == "installed" else None

    def _checked(self, entry: CatalogEntry, path: Path) -> tuple[InstalledRecord | None, WeightsError | None]:
        """The record of a file that is as it should be, or what is wrong with it."""
        record, expected = InstalledRecord.read(path.parent), expected_hash(entry, path)
        if not expected:
            return None, WeightsError(
                f"{path}: was put there by hand, and its publisher states no hash to check it with; install it from "
                "this file",
                f"weights install {entry.name} --file {path}",
            )
        if record is not None and record.hash == expected and record.is_unchanged(path):
            return record, None
        if not has_hash(path, expected):
            return None, _damaged(entry, path, expected)
        record = InstalledRecord.of(path, expected, record.checked if record and not entry.source.hash else "hash")
        with contextlib.suppress(OSError):  # a folder that many share may be read-only: it is checked each time then
            record.write(path.parent)
        return record, None

    def _record_downloaded(self, entry: CatalogEntry, path: Path) -> None:
        """Remember a download, whose hash is right; where none is stated, only if its tensors fit."""
        try:
            checked = "hash" if entry.source.hash else self._checked_by_fit(entry, path)
        except NeededWeightsError as error:  # somebody removed them meanwhile; this file may be as it should
            log.warning("%s: not checked (%s)", path, error)
            checked = "nothing"
        except WeightsError:
            path.unlink(missing_ok=True)
            raise
        InstalledRecord.of(path, entry.source.hash or hash_of(path), checked).write(path.parent)

    def _checked_by_fit(self, entry: CatalogEntry, file: Path) -> str:
        """ "fit" if the tensors are those of the network, "nothing" where that cannot be tried; else WeightsError.

        Without torch it has to be a file of tensors at least: the network says later whether they are its own.
        """
        if self._fit is None:
            raise ValueError(
                f"{entry.name}: its publisher states no hash, and this folder was given nothing to check it by"
            )
        try:
            self._fit(entry, file)
        except MissingPackageError as error:
            require_container(file)
            log.debug("%s: not checked (%s)", file, error)
            return "nothing"
        return "fit"

    def _require_needed(self, entry: CatalogEntry) -> None:
        """Before a long download: without a hash, its tensors are tried in a network that other weights belong to."""
        for name in () if entry.source.hash else entry.needs:
            if self.installed(catalog.entry(name)) is None:
                raise WeightsError(f"{entry.name}: needs the weights of {name} first", f"weights install {name}")

    def _agree(self, entry: CatalogEntry, consent: Consent) -> None:
        consents = Consents(self.folder)
        if consents.has(entry):
            return
        if not consent(entry):
            raise WeightsError(
                f"{entry.name}: nothing was installed, because its license ({entry.license.name}) was not agreed to"
            )
        with self._lock(self.folder, "the list of licenses"):
            consents.add(entry)

    def _locked(self, entry: CatalogEntry) -> contextlib.AbstractContextManager[None]:
        return self._lock(self._folder_of(entry), entry.name)

    @contextmanager
    def _lock(self, folder: Path, what: str) -> Iterator[None]:
        """One process at a time; WeightsError names the other, or says why the folder cannot be written."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = WriterLock.acquire(folder)
        except StoreLockedError as error:
            holder = current_holder(folder) or "another process"
            raise WeightsError(f"{what}: {holder} is working on it; wait for it or end it, then try again") from error
        except (OSError, StoreError) as error:
            reason = getattr(error, "strerror", None) or error
            raise WeightsError(
                f"{folder}: cannot be written ({reason}); choose another folder", _OTHER_FOLDER
            ) from error
        try:
            yield
        finally:
            lock.release()


def _require_address(entry: CatalogEntry) -> None:
    source = entry.source
    if source.url:
        return
    where = f"get it at {source.request_url}" if source.request_url else f"get it as {source.read_from} says"
    raise WeightsError(
        f"{entry.name}: {source.file_name} cannot be downloaded by programs: {where}, then install it from the file",
        f"weights install {entry.name} --file FILE",
    )


def _unreadable(folder: Path, error: OSError) -> str:
    return f"{folder}: cannot be read ({error.strerror or error}); have it made readable, or choose another folder"


def _damaged(entry: CatalogEntry, path: Path, expected: str) -> WeightsError:
    text = f"{path}: is damaged, or not the file of {entry.name}: its hash is not {expected}; install it again"
    return WeightsError(text, f"weights remove {entry.name}, then weights install {entry.name}")


def _not_this_one(entry: CatalogEntry, file: Path) -> WeightsError:
    source, owner = entry.source, _owner(file)
    expected = f"expected {source.file_name}, the weights of {entry.name} ({source.hash})"
    if owner is not None and owner.name != entry.name:
        text = f"{file}: is the file of {owner.name}; {expected}"
        return WeightsError(text, f"weights install {owner.name} --file {file}")
    return WeightsError(
        f"{file}: is damaged, cut off or another file: {expected}. Get it again from {source.url or source.read_from}"
    )


def _owner(file: Path) -> CatalogEntry | None:
    """The entry of the catalog whose weights these are, if any."""
    hashes = (hash_of(file), hash_of(file, "md5"))
    return next(
        (one for one in catalog.CATALOG.values() if any(is_hash(found, one.source.hash) for found in hashes)), None
    )


def _copy(file: Path, path: Path, hash: str) -> None:
    """Copy to a name of its own, check what has arrived on the disk, then give it its name."""
    temporary = path.with_name(f"{path.name}.copy")
    try:
        with file.open("rb") as source, temporary.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
            target.flush()
            os.fsync(target.fileno())
        if not has_hash(temporary, hash):
            raise WeightsError(f"{file}: changed while it was copied, or {path.parent} is on a bad disk; try again")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
