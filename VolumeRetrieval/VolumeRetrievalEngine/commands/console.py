"""What the commands print: progress with an estimate to stderr, tables and JSON to stdout.

Plain text, because it has to work with what Slicer's Python ships.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from ..progress import Progress
from ..readable import printable

_REDRAW_SECONDS = 0.2
_LINE_SECONDS = 30.0


def print_json(value: Any) -> None:
    """One JSON document on stdout, in ASCII, so that no terminal's encoding can spoil it; NaN becomes null."""
    print(json.dumps(_json_value(value), allow_nan=False))


def _json_value(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _json_value(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_value(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_line(text: object, lines: bool = False, error: bool = False) -> None:
    """A line on stdout (or stderr), with nothing in it that a terminal would obey; with `lines`, several."""
    print(printable(text, lines), file=sys.stderr if error else sys.stdout)


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]], right: Sequence[int] = ()) -> None:
    """Columns as wide as their widest cell; the columns numbered in `right` are right-aligned."""
    cells = [[printable(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    for row in cells:
        aligned = (
            text.rjust(width) if column in right else text.ljust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join(aligned).rstrip())


def readable_duration(seconds: float) -> str:
    """Seconds as a person reads them: 2 h 05 min, 3 min 20 s, 12 s."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    if whole >= 60:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole} s"


class ProgressLine:
    """One line on stderr that is redrawn in a terminal, and now and then a new one in a log file.

    Use as a context manager, so that whatever is printed next begins on a line of its own. `text` words a step.
    """

    def __init__(self, text: Callable[[Progress], str] | None = None) -> None:
        self._text = text or progress_text
        self._terminal = sys.stderr.isatty()
        self._last = 0.0
        self._drawn = False

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(self, *_: object) -> None:
        if self._drawn:
            print(file=sys.stderr)

    def __call__(self, step: Progress) -> None:
        now = time.monotonic()
        finished = bool(step.total) and step.done == step.total
        if not finished and now - self._last < (_REDRAW_SECONDS if self._terminal else _LINE_SECONDS):
            return
        self._last = now
        text = printable(self._text(step))
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1
            print(f"\r{_shortened(text, width):<{width}}", end="", file=sys.stderr, flush=True)
            self._drawn = True
        else:
            print(text, file=sys.stderr, flush=True)


def progress_text(step: Progress) -> str:
    """Where the work stands, its rate and the time that remains: "index 12/107, 4.1/s, 23 s left: /data/ct.nii.gz"."""
    parts = [f"{step.stage} {step.done}" + (f"/{step.total}" if step.total else "")]
    if step.rate:
        parts.append(f"{step.rate:.1f}/s" if step.rate >= 1 else f"{60 * step.rate:.1f}/min")
    if step.remaining is not None and step.done < step.total:
        parts.append(f"{readable_duration(step.remaining)} left")
    return ", ".join(parts) + (f": {step.item}" if step.item and step.done < step.total else "")


def _shortened(text: str, width: int) -> str:
    """The text with its middle left out where it is too long: counts are at its beginning, file names at its end."""
    if len(text) <= width:
        return text
    begin = max(0, width - 3) * 2 // 3
    return f"{text[:begin]}...{text[len(text) - max(0, width - 3 - begin) :]}"
