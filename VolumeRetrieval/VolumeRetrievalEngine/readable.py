"""Numbers and texts as people read them, the same in every text of the command line, the errors and the panel."""

from __future__ import annotations

import re

#: What a terminal takes for a command (C0, DEL, C1), or what turns the order of the letters around it (bidirectional
#: marks, embeddings, overrides and isolates, https://www.unicode.org/reports/tr9), or breaks a line.
_NOT_PRINTED = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def readable_size(n_bytes: float) -> str:
    """Bytes with their unit; a digit behind the point below 100.

    >>> readable_size(512), readable_size(86_600_000), readable_size(1.3e9)
    ('512 bytes', '86.6 MB', '1.3 GB')
    """
    unit = "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if n_bytes < 999.5:
            break
        n_bytes, unit = n_bytes / 1000, larger
    return f"{n_bytes:.0f} {unit}" if n_bytes >= 99.95 or unit == "bytes" else f"{n_bytes:.1f} {unit}"


def printable(text: object, lines: bool = False) -> str:
    """A text as it may be sent to a terminal: what would command it, or hide what is written, is shown as an escape.

    Paths and descriptions come from files and may hold anything. With `lines`, line ends stay.

    >>> printable("CT\\x1b[2J\\u202egnp.exe"), printable("one\\ntwo"), printable("one\\ntwo", lines=True) == "one\\ntwo"
    ('CT\\\\x1b[2J\\\\u202egnp.exe', 'one\\\\ntwo', True)
    """
    return _NOT_PRINTED.sub(lambda found: _escaped(found.group(), lines), str(text))


def _escaped(letter: str, lines: bool) -> str:
    return letter if lines and letter == "\n" else letter.encode("unicode_escape").decode()
