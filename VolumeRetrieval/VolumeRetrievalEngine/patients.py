"""Knowing that two volumes are of the same patient without knowing the patient.

The store never holds a patient's name, ID or birth date. "Same patient" and "same study" are decided by keyed hashes
(HMAC-SHA256) whose secret lies in the store's folder and never leaves it: without it the tokens cannot be turned back
by trying out IDs, and the tokens of two stores cannot be linked.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from .errors import StoreError

SECRET_FILE = "secret"
_SECRET_BYTES = 32


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
        """The tokens of the store in this folder; makes the secret if there is none and the folder can be written."""
        path = Path(folder) / SECRET_FILE
        try:
            return cls(_checked(path, path.read_bytes()))
        except FileNotFoundError:
            pass
        fresh = secrets.token_bytes(_SECRET_BYTES)
        temporary = path.with_name(f"{SECRET_FILE}.{os.getpid()}.{secrets.token_hex(4)}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(fresh)
            temporary.chmod(0o600)
            _claim(temporary, path)
        except OSError:
            return cls(fresh) if not path.exists() else cls(_checked(path, path.read_bytes()))
        finally:
            temporary.unlink(missing_ok=True)
        # Another process may have been first: the secret on disk is the one that counts.
        return cls(_checked(path, path.read_bytes()))

    def token(self, issuer: str, value: str) -> str:
        """32 hex digits for an identifier of this issuer; "" for an unknown one, which equals nothing."""
        if not value.strip():
            return ""
        text = f"{issuer.strip()}\0{value.strip()}".encode()
        return hmac.new(self._secret, text, hashlib.sha256).hexdigest()[:32]


def _claim(temporary: Path, path: Path) -> None:
    """Give the file its name unless another process has, in one step."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links (FAT, some network shares)
        if not path.exists():
            temporary.replace(path)


def _checked(path: Path, secret: bytes) -> bytes:
    if len(secret) != _SECRET_BYTES:
        raise StoreError(
            f"{path}: expected {_SECRET_BYTES} bytes, found {len(secret)}; restore the file from a backup, or delete it "
            "(volumes indexed so far will then no longer be known as the same patient's as new ones)"
        )
    return secret
