"""What is remembered about weights: whose license was agreed to, and which files were found to be whole."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ..catalog.entry import CatalogEntry

CONSENTS_FILE = "consents.json"
RECORD_FILE = "installed.json"


class Consents:
    """The licenses that were agreed to, in <folder>/consents.json: for each entry the license, its address, a date."""

    def __init__(self, folder: Path):
        self.file = folder / CONSENTS_FILE

    def has(self, entry: CatalogEntry) -> bool:
        """Whether this entry's license, as it is now, was agreed to."""
        given = _read_json(self.file).get(entry.name)
        return isinstance(given, dict) and _terms(entry) == {name: given.get(name) for name in _terms(entry)}

    def add(self, entry: CatalogEntry) -> None:
        """Remember it; the caller holds the folder's lock."""
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        write_json(self.file, {**_read_json(self.file), entry.name: {**_terms(entry), "date": now}})


@dataclass(frozen=True)
class InstalledRecord:
    """That a file was checked, kept next to it; costs no reading of the file as long as this has not changed.

    Attributes:
        file: its name.
        hash: what it was found to have: the publisher's, or its own sha256 where the publisher states none.
        checked: "hash" (the publisher's), "fit" (its tensors are those of the network) or "nothing".
        size_bytes, mtime_ns: of the file when it was checked.
    """

    file: str
    hash: str
    checked: str
    size_bytes: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path, hash: str, checked: str) -> InstalledRecord:
        state = path.stat()
        return cls(path.name, hash, checked, state.st_size, state.st_mtime_ns)

    @classmethod
    def read(cls, folder: Path) -> InstalledRecord | None:
        """The record in an entry's folder; None if there is none that makes sense."""
        values = _read_json(folder / RECORD_FILE)
        try:
            name = Path(str(values["file"])).name  # never outside the folder, whatever the record says
            numbers = int(values["size_bytes"]), int(values["mtime_ns"])
            return cls(name, str(values["hash"]), str(values["checked"]), *numbers)
        except (KeyError, ValueError, TypeError):
            return None

    def write(self, folder: Path) -> None:
        write_json(folder / RECORD_FILE, asdict(self))

    def is_unchanged(self, path: Path) -> bool:
        """Whether the file is the one that was checked, by size and time."""
        state = path.stat()
        return (state.st_size, state.st_mtime_ns) == (self.size_bytes, self.mtime_ns)


def expected_hash(entry: CatalogEntry, path: Path) -> str:
    """The publisher's, or what this file had when it was installed; "" for a file that something else has put there."""
    record = InstalledRecord.read(path.parent)
    return entry.source.hash or (record.hash if record and record.file == path.name else "")


def hash_of(path: Path, algorithm: str = "sha256") -> str:
    """ "sha256:..." or "md5:..." of a file's content."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, lambda: hashlib.new(algorithm, usedforsecurity=False))
    return f"{algorithm}:{digest.hexdigest()}"


def has_hash(path: Path, expected: str) -> bool:
    """Whether a file's content has this hash, in one of the forms of WeightsSource.hash."""
    return is_hash(hash_of(path, expected.partition(":")[0].removesuffix("-prefix")), expected)


def is_hash(found: str, expected: str) -> bool:
    """Whether what :func:`hash_of` found is the hash that is expected, in one of the forms of WeightsSource.hash."""
    kind, _, digits = expected.partition(":")
    return (
        found.startswith(f"{kind.removesuffix('-prefix')}:{digits}") if kind.endswith("-prefix") else found == expected
    )


def write_json(file: Path, values: Mapping[str, Any]) -> None:
    """Write the file whole or not at all."""
    temporary = file.with_name(f"{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        temporary.write_text(json.dumps(values, indent=1, sort_keys=True), encoding="utf-8")
        temporary.replace(file)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _terms(entry: CatalogEntry) -> dict[str, Any]:
    return {"license": entry.license.name, "url": entry.license.url}


def _read_json(file: Path) -> dict[str, Any]:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
