"""Numbers as people read them, the same in every text of the command line, the errors and the panel."""

from __future__ import annotations


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
