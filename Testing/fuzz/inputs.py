"""Mutated inputs against the rules: no crash, no hang, none unaccounted for, no good volume lost, no name in the store.

Inputs are tried in batches, in one run of `index` each, next to good volumes. Where a rule is broken, every input of
the batch is tried alone, so that the one at fault is known.
"""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .children import Ended, run
from .mutations import mutated
from .planted import found_in
from .seeds import SERIES, Files, good_files, seed_of, seeds, series_uid

BATCH = 100
#: Processor seconds of one input, and of a batch (of which nearly all are good time); and by the clock, on a machine
#: that is busy with other work. A file that is waited for takes no processor time at all.
HANG_SECONDS = 30
BATCH_SECONDS = 120
_WALL_SECONDS = 900.0


@dataclass(frozen=True)
class Tried:
    """One run: what it broke, in words; and the checksums of the good volumes' embeddings by id."""

    faults: list[str]
    good: dict[str, int]


def input_of(seed: int, number: int) -> tuple[str, Files]:
    """The kind and the files of the input of this number."""
    chance = random.Random(f"{seed} {number}")
    kind = chance.choice(sorted(seeds()))
    files = mutated(seed_of(kind, number), kind, chance)
    return kind, {name: content.replace(SERIES.encode(), series_uid(number)) for name, content in files.items()}


def reference(folder: Path) -> dict[str, int]:
    """The good volumes alone: the checksums of their embeddings by id."""
    return tried(folder, 0, [], {}, BATCH_SECONDS).good


def tried(folder: Path, seed: int, numbers: Sequence[int], good: dict[str, int], seconds: int) -> Tried:
    """Index these inputs and the good volumes; what does not go by the rules."""
    shutil.rmtree(folder, ignore_errors=True)
    archive, store = folder / "archive", folder / "store"
    _write(archive, good_files())
    for number in numbers:
        _write(archive / f"input-{number:06}", input_of(seed, number)[1])
    words = ["--verbose", "index", archive, "--store", store, "--encoder", "descriptor", "--full-speed", "--json"]
    ended = run(words, folder, cpu_seconds=seconds, wall_seconds=_WALL_SECONDS)
    faults = _faults_of_run(ended)
    stored = _checksums(store)
    if lost := [volume_id for volume_id, checksum in good.items() if stored.get(volume_id) != checksum]:
        faults.append(f"{len(lost)} good volumes lost or changed")
    if not faults:
        faults += _unaccounted(archive, store, json.loads(ended.out))
    for path in [*store.rglob("*"), folder / "out", folder / "err"]:
        if path.is_file() and (names := found_in(path.read_bytes())):
            faults.append(f"the patient is in {path.relative_to(folder)}: {names}")
    return Tried(faults, stored)


def _write(folder: Path, files: Files) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _faults_of_run(ended: Ended) -> list[str]:
    if ended.too_long:
        return [f"hangs: ended after {ended.seconds:.0f} s"]
    if ended.code < 0:
        return [f"crash: signal {-ended.code}\n{ended.err[-1500:]}"]
    if ended.code != 0:
        return [f"exit code {ended.code}\n{ended.err[-1500:]}"]
    return []


def _checksums(store: Path) -> dict[str, int]:
    found: dict[str, int] = {}
    for file in store.glob("*/volumes.sqlite"):
        connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
        sql = "SELECT volume_id, embeddings.checksum FROM volumes JOIN embeddings USING (key)"
        found.update(connection.execute(sql).fetchall())
        connection.close()
    return found


def _unaccounted(archive: Path, store: Path, report: dict) -> list[str]:
    """Files that are neither in a volume nor listed with a reason."""
    listed = {one["path"] for one in (*report["skipped"], *report["failed"]) if one["reason"].strip()}
    volumes = set()
    for file in store.glob("*/volumes.sqlite"):
        connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
        volumes |= {str(archive / label) for (label,) in connection.execute("SELECT label FROM volumes")}
        connection.close()
    known = listed | volumes
    missing = [
        path
        for path in archive.rglob("*")
        if path.is_file() and str(path) not in known and str(path.parent) not in known and path.suffix != ".json"
    ]
    companions = (".raw", ".img")
    missing = [path for path in missing if path.suffix not in companions]
    return (
        [f"not accounted for: {', '.join(str(path.relative_to(archive)) for path in missing[:5])}"] if missing else []
    )
