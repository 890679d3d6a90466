"""The command line as a test runs it: in this process where that is enough, else in one of its own."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from engine.archives import write_image
from VolumeRetrievalEngine.commands import main

PACKAGES = Path(__file__).resolve().parents[2] / "VolumeRetrieval"

#: Indexes with an encoder that never finishes its second volume; says "waiting" when it is there.
STUCK = """
import sys, time
from VolumeRetrievalEngine.commands import main
from VolumeRetrievalEngine.encoders.descriptor import Descriptor
embed, calls = Descriptor.embed, []
def stuck(self, slices):
    calls.append(slices)
    if len(calls) > 1:
        print("waiting", flush=True)
        time.sleep(600)
    return embed(self, slices)
Descriptor.embed = stuck
sys.exit(main(sys.argv[1:]))
"""


@dataclass(frozen=True)
class Finished:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out, parse_constant=_no_constant)


def run(*arguments: object) -> Finished:
    """Run a command in this process; `index` at normal priority, so that the tests after it keep theirs."""
    words = _with_an_encoder(arguments)
    if words[0] == "index":
        words.append("--full-speed")
    out, err = io.StringIO(), io.StringIO()
    with _unchanged_process(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(words)
        except SystemExit as end:  # argparse
            code = int(end.code or 0)
    return Finished(code, out.getvalue(), err.getvalue())


def start(*arguments: object, program: str = "", **settings: Any) -> subprocess.Popen:
    """Start a command (or a program with these arguments) in a process of its own, with text pipes."""
    command = ["-c", program] if program else ["-m", "VolumeRetrievalEngine"]
    words = _with_an_encoder(arguments)
    environment = {**os.environ, "PYTHONPATH": str(PACKAGES), "OMP_NUM_THREADS": "1", **settings.pop("env", {})}
    return subprocess.Popen(
        [sys.executable, *command, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=environment,
        **settings,
    )


def finish(process: subprocess.Popen, timeout: float = 600) -> Finished:
    """Wait for a started command; one that hangs fails the test and is ended."""
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return Finished(process.returncode, out, err)


def blob_volume(seed: int, shape: tuple[int, int, int] = (8, 24, 24)) -> np.ndarray:
    """int16 [k, j, i]: a bright ball of a place and size of its own in a striped, noisy field."""
    chance = np.random.default_rng(seed)
    where = np.indices(shape)
    size = np.reshape(shape, (3, 1, 1, 1))
    middle = chance.uniform(0.3, 0.7, (3, 1, 1, 1)) * size
    ball = (((where - middle) / size) ** 2).sum(axis=0) < chance.uniform(0.05, 0.15)
    stripes = where[1] % (2 + seed % 5)
    return (1500 * ball + 100 * stripes + chance.normal(0, 20, shape)).astype(np.int16)


def write_blobs(
    folder: Path, count: int, shape: tuple[int, int, int] = (8, 24, 24), ending: str = ".nii"
) -> list[Path]:
    """Small volumes in files of their own, "volume-000.nii" and so on."""
    affine = np.diag([2.0, 2.0, 4.0, 1.0])
    names = (f"volume-{number:03d}.nii" for number in range(count))
    return [write_image(folder / name, blob_volume(number, shape), affine) for number, name in enumerate(names)]


def listed(store: Path) -> list[dict[str, Any]]:
    """What `list --json` says."""
    return run("list", "--store", store, "--json").json


def _with_an_encoder(arguments: Sequence[object]) -> list[str]:
    """The words of a command, with the descriptor where `index` into a new store names no encoder.

    The default encoder would load torch, which takes seconds. Tests of the default say `--encoder ""`.
    """
    words = [str(one) for one in arguments]
    if "index" not in words or any(word.startswith("--encoder") for word in words):
        return words
    store = next((after for word, after in pairwise(words) if word == "--store"), "")
    store = store or next((word.removeprefix("--store=") for word in words if word.startswith("--store=")), "")
    is_new = bool(store) and not (Path(os.path.expanduser(store)) / "last-used.json").exists()  # noqa: PTH111
    return [*words, "--encoder", "descriptor"] if is_new else words


@contextlib.contextmanager
def _unchanged_process() -> Iterator[None]:
    """What a command changes in its process is undone: log levels and the environment."""
    loggers = [logging.getLogger(), logging.getLogger("VolumeRetrievalEngine")]
    before = [(one.level, list(one.handlers)) for one in loggers]
    environment = dict(os.environ)
    try:
        yield
    finally:
        for one, (level, handlers) in zip(loggers, before, strict=True):
            one.setLevel(level)
            one.handlers[:] = handlers
        os.environ.clear()
        os.environ.update(environment)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
