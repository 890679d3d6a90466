"""The log of one run: a line of JSON for every so many steps, and a line to read now and then."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

import torch

#: Steps between lines of the log, and between lines that are reported.
_LOGGED, _REPORTED = 20, 100


class TrainingLog:
    """Writes <path> anew; a context manager.

    Args:
        steps: of the run, for the time that is left.
        report: is given a line to read.
    """

    def __init__(self, path: Path, steps: int, report: Callable[[str], None]):
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("w", encoding="utf-8")
        self._steps, self._report = steps, report
        self._started = time.monotonic()

    def __enter__(self) -> TrainingLog:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()

    def add(self, step: int, loss: torch.Tensor, terms: Mapping[str, torch.Tensor]) -> None:
        """Note a step, from 0, if it is one of those that are noted."""
        last = step == self._steps - 1
        if step % _LOGGED and not last:
            return
        seconds = time.monotonic() - self._started
        told = {"loss": round(loss.item(), 4), **{name: round(value.item(), 4) for name, value in terms.items()}}
        self._file.write(json.dumps({"step": step, "seconds": round(seconds, 1), **told}) + "\n")
        self._file.flush()
        if step % _REPORTED == 0 or last:
            minutes = seconds / (step + 1) * (self._steps - step - 1) / 60
            self._report(f"step {step + 1} of {self._steps}, loss {told['loss']:.3f}, {minutes:.0f} min left")
