"""Knowing that two volumes are of the same patient without knowing the patient.

The store never holds a patient's name, ID or birth date. "Same patient" and "same study" are decided by keyed hashes
(HMAC-SHA256) whose secret lies in the store's folder and never leaves it: without it the tokens cannot be turned back
by trying out IDs, and the tokens of two stores cannot be linked.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import hmac
import os
import secrets
from pathlib import Path

from .errors import StoreError

SECRET_FILE = "secret"
_SECRET_BYTES = 32
_READ_ONLY = {errno.EACCES, errno.EPERM, errno.EROFS}


class PatientTokens:
    """Turns identifiers into tokens with the secret of one store."""

    def __init__(self, secret: bytes):
        self._secret = secret

    @classmethod
    def ephemeral(cls) -> PatientTokens:
        """Tokens that can be compared with each other only, for reading volumes outside any store."""
        return cls(secrets.token_bytes(_SECRET_BYTES))

    @classmethod
    def of_store(cls, folder: Path) -> PatientTokens:
        """The tokens of the store in this folder; makes the secret if there is none and the folder can be written.

        In a read-only folder without a secret there is nothing to compare with, and any tokens will do.

        Raises:
            StoreError: the secret is there but cannot be read, is damaged, or cannot be written for want of space.
        """
        path = Path(folder) / SECRET_FILE
        if (secret := _read(path)) is not None:
            return cls(secret)
        try:
            _make(path)
        except OSError as error:
            if error.errno not in _READ_ONLY:
                raise StoreError(f"{path}: cannot be written ({error.strerror}); free some space, try again") from error
        # Another process may have been first: the secret on disk is the one that counts.
        return cls(_read(path) or secrets.token_bytes(_SECRET_BYTES))

    def token(self, issuer: str, value: str) -> str:
        """32 hex digits for an identifier of this issuer; "" for an unknown one, which equals nothing."""
        if not value.strip():
            return ""
        text = f"{issuer.strip()}\0{value.strip()}"
        encoded = text.encode("utf-8", "backslashreplace")  # a damaged header may hold what is no text
        return hmac.new(self._secret, encoded, hashlib.sha256).hexdigest()[:32]


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{SECRET_FILE}.{os.getpid()}.{secrets.token_hex(4)}")
    # For its owner's eyes from the first moment on, not only after a chmod.
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_SECRET_BYTES))
            file.flush()
            os.fsync(file.fileno())  # tokens made with it outlive a power failure, so it must, too
        _claim(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _claim(temporary: Path, path: Path) -> None:
    """Give the file its name unless another process has, in one step."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links (FAT, some network shares)
        if not path.exists():
            temporary.replace(path)


def _read(path: Path) -> bytes | None:
    """The secret; None if there is none."""
    try:
        secret = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be read ({error.strerror}); without it no patient is known again: ask the store's owner "
            "for the right to read it"
        ) from error
    if len(secret) != _SECRET_BYTES:
        raise StoreError(
            f"{path}: expected {_SECRET_BYTES} bytes, found {len(secret)}; restore the file from a backup, or delete "
            "it (volumes indexed so far will then no longer be known as the same patient's as new ones)"
        )
    return secret
