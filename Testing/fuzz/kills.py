"""kill -9 at random moments of an indexing run: no finished volume may be lost, and the next run goes on."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from VolumeRetrievalEngine.store.folder import StoreFolder

from .children import run, started, text_of
from .seeds import good_files, seeds, voxels
from .state import State

_VOLUMES = 9
#: Every so many kills each byte of the store is checked.
_VERIFY_EVERY = 10


def kill_often(folder: Path, state: State, count: int, told: Callable[[str], None]) -> None:
    """Kill runs until `count` were killed in this campaign; what is lost goes to the findings."""
    chance = random.Random(f"{state.seed} kills {state.kills}")
    archive, store = folder / "archive", folder / "store"
    shutil.rmtree(folder, ignore_errors=True)
    _write_archive(archive)
    words = ["--verbose", "index", archive, "--store", store, "--encoder", "descriptor", "--full-speed"]
    begun = time.monotonic()
    ended = run(words, folder, cpu_seconds=600, wall_seconds=600)
    whole = time.monotonic() - begun
    reference = _checksums(store)
    if ended.code != 0 or len(reference) != _VOLUMES + 3:
        raise RuntimeError(f"the archive cannot be indexed without being killed: {ended.err[-800:]}")
    shutil.rmtree(store)
    finished: set[str] = set()
    while state.kills < count:
        child = started(words, folder)
        # At any moment of a whole run; a run that ends before is none that was killed.
        time.sleep(chance.uniform(0.0, whole))
        killed = os.waitpid(child, os.WNOHANG)[0] == 0
        if killed:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            state.kills += 1
        finished |= _said_to_be_stored(text_of(folder / "err"), archive)
        stored = _checksums(store)
        paths = _paths(store)
        state.kills_in_work += killed and 0 < len(stored) < len(reference)
        if lost := finished - paths:
            state.findings.append(f"kill {state.kills}: lost {sorted(lost)}")
        if any(reference.get(volume_id) != checksum for volume_id, checksum in stored.items()):
            state.findings.append(f"kill {state.kills}: a volume is not what it was")
        if state.kills % _VERIFY_EVERY == 0 and (problems := StoreFolder(store).verify("")):
            state.findings.append(f"kill {state.kills}: {problems[:3]}")
        if not killed:
            if len(stored) != len(reference):
                state.findings.append(f"after kill {state.kills}: a whole run left {len(stored)} of {len(reference)}")
            shutil.rmtree(store)
            finished = set()
        told(f"kills {state.kills}/{count}, {state.kills_in_work} between the first and the last volume")
        state.save(folder.parent)


def _write_archive(archive: Path) -> None:
    for name, content in good_files().items():
        (archive / name).parent.mkdir(parents=True, exist_ok=True)
        (archive / name).write_bytes(content)
    header = seeds()["NRRD"]["a.nrrd"].partition(b"\n\n")[0] + b"\n\n"
    for number in range(_VOLUMES):
        (archive / f"volume-{number:02}.nrrd").write_bytes(header + (voxels() + 3 * number).astype("<i2").tobytes())


def _said_to_be_stored(log: str, archive: Path) -> set[str]:
    return {str(Path(path).relative_to(archive)) for path in re.findall(r"stored (.+), \d+ slices\n", log)}


def _paths(store: Path) -> set[str]:
    return {row[0] for row in _rows(store, "SELECT label FROM volumes")}


def _checksums(store: Path) -> dict[str, int]:
    sql = "SELECT volume_id, embeddings.checksum FROM volumes JOIN embeddings USING (key)"
    return {row[0]: row[1] for row in _rows(store, sql)}


def _rows(store: Path, sql: str) -> list[tuple]:
    rows: list[tuple] = []
    for file in store.glob("*/volumes.sqlite"):
        connection = sqlite3.connect(file)  # a hot journal has to be played back, as any next user does
        try:
            rows += connection.execute(sql).fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" not in str(error):  # killed before the store was made
                raise
        finally:
            connection.close()
    return rows
