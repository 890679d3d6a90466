"""Which paths ITK can be given."""

from __future__ import annotations

from pathlib import Path

from ..errors import UnreadableFileError

NOT_TEXT = "its path is not valid text (UTF-8), which ITK needs: rename the file or the folder"


def is_text(path: Path | str) -> bool:
    """Whether a path is text. One with Latin-1 letters on a UTF-8 system is not, and ITK ends the process for it."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def check_is_text(path: Path | str) -> None:
    """UnreadableFileError for a path that ITK cannot be given."""
    if not is_text(path):
        raise UnreadableFileError(path, NOT_TEXT)
