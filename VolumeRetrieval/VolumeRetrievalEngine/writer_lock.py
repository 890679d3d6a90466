"""One writer at a time, known by name.

The lock is the operating system's, on a file in the store's folder, so that it ends with the process however the
process ends; what the file says (who, where, since when, doing what) is for people and for the log. The file stays
when the lock is released: removing it would let two processes lock two files of one name.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import sys
import time
import weakref
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from .errors import StoreError, StoreLockedError, StoreReadOnlyError

LOCK_FILE = "writer.lock"

#: Windows locks bytes against reading too: lock one far behind the text.
_WINDOWS_LOCKED_BYTE = 1 << 30

#: Characters of a command line that are worth showing.
_LONGEST_COMMAND = 300

#: A holder needs a moment between locking the file and writing its name into it.
_PATIENCE_S = 0.5

_HELD_ELSEWHERE = {errno.EACCES, errno.EAGAIN, errno.EDEADLK}

_held: weakref.WeakSet[WriterLock] = weakref.WeakSet()


@dataclass(frozen=True)
class LockHolder:
    """Who writes. `since` is local time, ISO 8601 with its offset."""

    pid: int
    host: str
    since: str
    command: str

    @classmethod
    def this_process(cls, command: str = "") -> LockHolder:
        argv = getattr(sys, "argv", None) or [sys.executable]
        since = datetime.now().astimezone().isoformat(timespec="seconds")
        return cls(os.getpid(), socket.gethostname(), since, (command or " ".join(argv))[:_LONGEST_COMMAND])

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since} ({self.command})"


class WriterLock:
    """The right to write to the store in one folder; held from `acquire` until `release` or the process's end."""

    def __init__(self, descriptor: int, path: Path, left_behind: LockHolder | None):
        self._descriptor: int | None = descriptor
        self.path = path
        #: Who held the lock before and ended without releasing it (was killed), if anybody.
        self.left_behind = left_behind

    @classmethod
    def acquire(cls, folder: Path, command: str = "") -> WriterLock:
        """Take the lock, also from a process that has died.

        Raises:
            StoreLockedError: a living process holds it; the text names the process.
            StoreReadOnlyError: the folder cannot be written.
        """
        path = Path(folder) / LOCK_FILE
        descriptor = _open(path)
        try:
            if not _lock_patiently(descriptor):
                raise _locked(path.parent, _holder(descriptor))
            lock = cls(descriptor, path, _holder(descriptor))
        except OSError as error:
            os.close(descriptor)
            raise StoreError(
                f"{path}: cannot be locked ({error.strerror}); keep the store on a disk that can"
            ) from error
        except StoreLockedError:
            os.close(descriptor)
            raise
        with contextlib.suppress(OSError):  # on a full disk the lock holds all the same
            _write(descriptor, json.dumps(asdict(LockHolder.this_process(command))))
        _held.add(lock)
        return lock

    def release(self) -> None:
        """Give the lock back; a second time does nothing."""
        if self._descriptor is None:
            return
        descriptor, self._descriptor = self._descriptor, None
        with contextlib.suppress(OSError):
            _write(descriptor, "")
        with contextlib.suppress(OSError):
            _unlock(descriptor)
        os.close(descriptor)

    def _forget_in_child(self) -> None:
        """A forked child (a data loader's worker) must not keep the lock when its parent dies."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def current_holder(folder: Path) -> LockHolder | None:
    """Who is writing to the store in this folder now; None if nobody is, or if that cannot be known from here."""
    path = Path(folder) / LOCK_FILE
    try:
        descriptor = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
    except OSError:
        return None
    try:
        if _try_lock(descriptor):
            _unlock(descriptor)
            return None
        return _holder(descriptor)
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise StoreReadOnlyError(
                f"{path.parent}: cannot be written ({error.strerror}); the store can be searched, but not changed",
                folder=str(path.parent),
            ) from error
        raise StoreError(f"{path}: cannot be opened for locking ({error.strerror})") from error


def _lock_patiently(descriptor: int) -> bool:
    """Whether the lock could be had; waits a moment for a holder that is just ending, or has not yet said who it is."""
    deadline = time.monotonic() + _PATIENCE_S
    while not _try_lock(descriptor):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _locked(folder: Path, holder: LockHolder | None) -> StoreLockedError:
    who = str(holder) if holder else "another process"
    return StoreLockedError(
        f"{folder}: {who} is writing to this store; wait for it or end it, then try again (searching goes on)",
        folder=str(folder),
        **(asdict(holder) if holder else {}),
    )


def _holder(descriptor: int) -> LockHolder | None:
    """What the lock's file says; None if it says nothing, or nothing that makes sense."""
    try:
        os.lseek(descriptor, 0, os.SEEK_SET)
        values = json.loads(os.read(descriptor, 65536).decode("utf-8"))
        return LockHolder(int(values["pid"]), str(values["host"]), str(values["since"]), str(values["command"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(descriptor: int, text: str) -> None:
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, text.encode("utf-8", "backslashreplace"))


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        os.lseek(descriptor, _WINDOWS_LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            if error.errno in _HELD_ELSEWHERE:
                return False
            raise
        return True

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, _WINDOWS_LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    # flock, not lockf: it belongs to the open file, so that two writers in one process exclude each other too, and
    # reading the file's text elsewhere in the process does not drop it.
    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _HELD_ELSEWHERE:
                return False
            raise
        return True

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def _after_fork_in_child() -> None:
    for lock in list(_held):
        lock._forget_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
