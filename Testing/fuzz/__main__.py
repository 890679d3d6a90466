"""`make fuzz`: mutated files and killed runs against the rules of reading and storing.

    python -m fuzz [--inputs 10000] [--kills 1000] [--seed 1] [--folder DIR]

run in Testing/, on Linux or macOS. It goes on where it was stopped, and keeps each input that broke a rule in
FOLDER/findings. Exit code 1 if anything was found.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from .inputs import BATCH, BATCH_SECONDS, HANG_SECONDS, input_of, reference, tried
from .kills import kill_often
from .state import State

_ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Run what is left of the campaign."""
    options = _options()
    folder: Path = options.folder
    state = State.of(folder, options.seed)
    told = _Told()
    if state.inputs < options.inputs:
        _try_inputs(folder, state, options.inputs, told)
    if state.kills < options.kills:
        kill_often(folder / "killed", state, options.kills, told)
        state.save(folder)
    print(
        f"\nseed {state.seed}: {state.inputs} inputs, {state.kills} kills ({state.kills_in_work} between the first and "
        f"the last volume): {len(state.findings)} findings"
    )
    for finding in state.findings:
        print(f"  {finding}")
    return 1 if state.findings else 0


def _try_inputs(folder: Path, state: State, count: int, told: _Told) -> None:
    good = reference(folder / "batch")
    if len(good) != 3:
        raise SystemExit(f"of 3 good volumes {len(good)} are indexed without any mutated input next to them")
    begun, first = time.monotonic(), state.inputs
    while state.inputs < count:
        numbers = range(state.inputs, min(state.inputs + BATCH, count))
        if tried(folder / "batch", state.seed, numbers, good, BATCH_SECONDS).faults:
            _find(folder, state, numbers, good)
        state.inputs = numbers.stop
        state.save(folder)
        rate = (state.inputs - first) / (time.monotonic() - begun)
        left = (count - state.inputs) / rate / 60
        told(f"inputs {state.inputs}/{count}, {rate:.1f}/s, {left:.0f} min left, {len(state.findings)} findings")


def _find(folder: Path, state: State, numbers: Sequence[int], good: dict[str, int]) -> None:
    """Which inputs of a batch that broke a rule are at fault: found by halves; all, if none is alone."""
    before = len(state.findings)
    halves = [list(numbers[: len(numbers) // 2]), list(numbers[len(numbers) // 2 :])]
    for half in halves if len(numbers) > 1 else [list(numbers)]:
        seconds = HANG_SECONDS if len(half) == 1 else BATCH_SECONDS
        faults = tried(folder / "batch", state.seed, half, good, seconds).faults
        if faults and len(half) > 1:
            _find(folder, state, half, good)
        elif faults:
            (number,) = half
            kept = folder / "findings" / f"input-{number:06}"
            shutil.copytree(folder / "batch" / "archive" / f"input-{number:06}", kept, dirs_exist_ok=True)
            (kept / "fault.txt").write_text("\n".join(faults))
            kind = input_of(state.seed, number)[0]
            state.findings.append(f"{number} ({kind}): {faults[0].splitlines()[0]}, see {kept}")
    if len(state.findings) == before:
        faults = tried(folder / "batch", state.seed, numbers, good, BATCH_SECONDS).faults
        state.findings.append(f"{numbers[0]} to {numbers[-1]} together: {faults[0] if faults else 'once, not again'}")


class _Told:
    """Progress: a line that is redrawn in a terminal, now and then a new one in a file."""

    def __init__(self) -> None:
        self._last = 0.0

    def __call__(self, text: str) -> None:
        terminal = sys.stdout.isatty()
        if time.monotonic() - self._last < (0.2 if terminal else 20):
            return
        self._last = time.monotonic()
        print(f"\r{text}" if terminal else text, end="" if terminal else "\n", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=10_000, metavar="N", help="mutated inputs (default: 10000)")
    parser.add_argument("--kills", type=int, default=1000, metavar="N", help="killed runs (default: 1000)")
    parser.add_argument("--seed", type=int, default=1, help="another seed is another campaign (default: 1)")
    parser.add_argument("--folder", type=Path, default=_ROOT / "build" / "fuzz", help="default: build/fuzz")
    options = parser.parse_args()
    options.folder = options.folder.resolve()
    return options


if __name__ == "__main__":
    sys.exit(main())
