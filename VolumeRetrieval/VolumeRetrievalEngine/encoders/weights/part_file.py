"""What has come of a download so far: NAME.part, and next to it NAME.part.json with what is needed to go on."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class PartFile:
    """The beginning of a file that is being downloaded.

    Attributes:
        file: what it will be called when it is whole and checked.
    """

    file: Path

    @property
    def path(self) -> Path:
        return self.file.with_name(f"{self.file.name}.part")

    @property
    def note(self) -> Path:
        """The JSON next to it: address, ETag and full length."""
        return self.file.with_name(f"{self.file.name}.part.json")

    @property
    def size(self) -> int:
        """Bytes that have come; 0 where there are none."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    def begin(self, url: str, etag: str, total: int) -> None:
        """Start over. The old bytes go first: they must never be taken for bytes of what the note describes."""
        self.discard()
        self.note.write_text(json.dumps({"url": url, "etag": etag, "total": total}), encoding="utf-8")

    def resumable(self, url: str) -> str:
        """The ETag with which a download from this address can go on; "" if it has to begin again.

        Only a strong ETag says that the rest will be of the same bytes (RFC 9110, 13.1.5).
        """
        note = self._noted()
        etag = str(note.get("etag", ""))
        usable = self.size > 0 and note.get("url") == url and etag.startswith('"')
        return etag if usable else ""

    def is_whole(self, url: str) -> bool:
        """Whether every byte has come, as far as the server said how many there are."""
        return bool(self.resumable(url)) and self.size == self._noted().get("total")

    def hand_over(self) -> None:
        """Give the bytes, safely on the disk, their name, and forget the note."""
        with self.path.open("rb+") as stream:
            os.fsync(stream.fileno())
        self.path.replace(self.file)
        self.note.unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove what has come."""
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)

    def _noted(self) -> dict[str, Any]:
        with contextlib.suppress(OSError, ValueError):
            note = json.loads(self.note.read_text(encoding="utf-8"))
            if isinstance(note, dict):
                return note
        return {}
