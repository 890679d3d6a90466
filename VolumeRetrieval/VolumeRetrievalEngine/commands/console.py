"""What the commands print: progress with an estimate to stderr, tables and JSON to stdout.

Plain text, because it has to work with what Slicer's Python ships.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from ..progress import Step

_REDRAW_SECONDS = 0.2
_LINE_SECONDS = 30.0
_WIDTH = 110


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    print(json.dumps(value, ensure_ascii=False))


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]], right: Sequence[int] = ()) -> None:
    """Columns as wide as their widest cell; the columns numbered in `right` are right-aligned."""
    cells = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    for row in cells:
        aligned = (
            text.rjust(width) if column in right else text.ljust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join(aligned).rstrip())


def readable_size(n_bytes: float) -> str:
    """Bytes as a person reads them: 1.3 GB."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}" if unit == "bytes" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} TB"


def readable_duration(seconds: float) -> str:
    """Seconds as a person reads them: 2 h 05 min, 3 min 20 s, 12 s."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    if whole >= 60:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole} s"


class ProgressLine:
    """One line on stderr that is redrawn in a terminal, and now and then a new one in a log file."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._last = 0.0
        self._drawn = False

    def __call__(self, step: Step) -> None:
        now = time.monotonic()
        finished = bool(step.total) and step.done == step.total
        if not finished and now - self._last < (_REDRAW_SECONDS if self._terminal else _LINE_SECONDS):
            return
        self._last = now
        text = _as_text(step)
        if self._terminal:
            print(f"\r{text[:_WIDTH]:<{_WIDTH}}", end="", file=sys.stderr, flush=True)
            self._drawn = True
        else:
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Leave the cursor on a line of its own."""
        if self._drawn:
            print(file=sys.stderr)


def _as_text(step: Step) -> str:
    parts = [f"{step.stage} {step.done}" + (f"/{step.total}" if step.total else "")]
    if step.rate:
        parts.append(f"{step.rate:.1f}/s")
    if step.remaining is not None:
        parts.append(f"{readable_duration(step.remaining)} left")
    return ", ".join(parts) + (f"  {step.item}" if step.item else "")
