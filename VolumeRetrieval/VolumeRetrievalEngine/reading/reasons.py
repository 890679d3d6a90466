"""Why a file or a volume could not be read, in words that hold nothing of what the file holds."""

from __future__ import annotations

import logging
import traceback
from pathlib import Path

from ..errors import NotAVolumeError, UnreadableFileError, VolumeRetrievalError

logger = logging.getLogger(__name__)


EMPTY = "an empty file; copy or export it again"


def not_readable(error: OSError) -> str:
    """Why the system gave no access to a file or folder, and what to look at."""
    return f"not readable: {error.strerror or type(error).__name__}; check the rights to it, the disk and the network"


def reason_of(error: Exception, path: Path) -> str:
    """Why a file could not be read, without anything that could be from the file itself.

    Our own errors explain themselves. The text of any other may quote a patient's attribute, so only its type is given,
    and where it came from (with --verbose, all of the way there).
    """
    if isinstance(error, UnreadableFileError | NotAVolumeError) and error.path == path:
        return error.reason
    if isinstance(error, VolumeRetrievalError):
        return str(error)
    if isinstance(error, MemoryError):
        return "not enough memory to read it; close other programs, or save it smaller"
    if isinstance(error, OSError) and error.strerror:
        return not_readable(error)
    frames = traceback.extract_tb(error.__traceback__, limit=-50)  # of a recursion the end tells enough
    logger.debug("%s: %s\n%s", path, type(error).__name__, "".join(traceback.format_list(frames)))
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"not readable ({type(error).__name__}{place}); copy or export it again"
