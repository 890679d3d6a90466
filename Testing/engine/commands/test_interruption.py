"""An indexing run that is ended: by kill -9 at any moment, by Ctrl-C once and twice, by a termination request."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from engine.commands import STUCK, finish, listed, run, start, write_blobs
from VolumeRetrievalEngine.store.folder import StoreFolder

VOLUMES = 80

#: Embeds a volume for each line it is sent, and all of them at the end of the lines.
SLOW = """
import sys
from VolumeRetrievalEngine.commands import main
from VolumeRetrievalEngine.encoders.descriptor import Descriptor
embed = Descriptor.embed
def slow(self, slices):
    print("embedding", flush=True)
    sys.stdin.readline()
    return embed(self, slices)
Descriptor.embed = slow
sys.exit(main(sys.argv[1:]))
"""

#: Is killed some seconds (its second argument) after so many volumes (its first) were stored; by itself, because a
#: machine that is busy might give no time to another process until all is done.
DYING = """
import logging, os, signal, sys, threading
from VolumeRetrievalEngine.commands import main
left, seconds = int(sys.argv.pop(1)), float(sys.argv.pop(1))
kill = getattr(signal, "SIGKILL", signal.SIGTERM)  # SIGTERM on Windows: TerminateProcess
class Count(logging.Handler):
    def emit(self, record):
        global left
        left -= record.msg.startswith("stored ")
        if left == 0:
            threading.Timer(seconds, os.kill, (os.getpid(), kill)).start()
logging.getLogger("VolumeRetrievalEngine").addHandler(Count())
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many") / "archive"
    write_blobs(folder, VOLUMES)
    return folder


def finished_volumes(log: str) -> set[str]:
    """The names of the volumes that a run with --verbose said it had stored."""
    return {Path(path).name for path in re.findall(r"stored (.+), \d+ slices\n", log)}


def test_a_killed_run_keeps_every_finished_volume_and_the_next_goes_on(archive: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    chance = random.Random(7)
    in_the_middle = 0
    finished: set[str] = set()
    for _ in range(5):
        # At full speed, and therefore in a transaction for much of the time; standard error is where the log goes.
        # Some volumes later and a moment more: at another point of the work each time, on a machine of any speed.
        death = (chance.randint(1, 5), chance.uniform(0.0, 0.02))
        died = finish(start(*death, "index", archive, "--store", store, "--verbose", "--full-speed", program=DYING))
        finished |= finished_volumes(died.err)
        stored = {Path(one["path"]).name for one in listed(store)}
        assert finished <= stored
        assert run("verify", "--store", store).code == 0
        in_the_middle += 0 < len(stored) < VOLUMES
    assert in_the_middle, "no run was killed between its first and its last volume: the test has tested nothing"

    rest = run("index", archive, "--store", store, "--json").json
    assert rest["added"] + rest["unchanged"] == VOLUMES
    assert rest["unchanged"] >= len(finished)
    assert len(listed(store)) == VOLUMES
    query = archive / "volume-003.nii"
    assert len(run("search", query, "--store", store, "--json", "--exhaustive", "--top", 99).json) == VOLUMES - 1
    assert run("verify", "--store", store).code == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no signal to a process without a console")
@pytest.mark.parametrize("request_to_stop", [signal.SIGINT, signal.SIGTERM])
def test_a_request_to_stop_ends_the_run_after_the_volume_in_work(
    archive: Path, tmp_path: Path, request_to_stop: signal.Signals
) -> None:
    store = tmp_path / "store"
    process = start("index", archive, "--store", store, "--full-speed", program=SLOW, stdin=subprocess.PIPE)
    for _ in range(3):
        assert process.stdout.readline() == "embedding\n"
        process.stdin.write("\n")
        process.stdin.flush()
    assert process.stdout.readline() == "embedding\n"
    process.send_signal(request_to_stop)
    stopped = finish(process)  # ends the lines
    assert stopped.code == 130
    assert "stopping after the volume in work" in stopped.err
    assert "Traceback" not in stopped.err
    assert "stopped: " in stopped.out
    assert "run the same command again" in stopped.out
    kept = len(listed(store))
    assert 3 <= kept < VOLUMES
    assert run("verify", "--store", store).code == 0

    resumed = run("index", archive, "--store", store, "--json").json
    assert (resumed["added"], resumed["unchanged"], resumed["cancelled"]) == (VOLUMES - kept, kept, False)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no signal to a process without a console")
def test_a_second_ctrl_c_ends_the_run_at_once(archive: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    process = start("index", archive, "--store", store, "--full-speed", program=STUCK)
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGINT)
    assert "stopping after the volume in work" in (process.stderr.readline() + read_until(process, "stopping"))
    process.send_signal(signal.SIGINT)
    stopped = finish(process)
    assert stopped.code == 130
    assert "Traceback" not in stopped.err
    assert len(listed(store)) == 1
    assert run("verify", "--store", store).code == 0


def read_until(process, text: str) -> str:
    lines = ""
    while text not in lines:
        line = process.stderr.readline()
        assert line, f"the process said nothing of {text!r}: {lines}"
        lines += line
    return lines


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no signal to a process without a console")
def test_ctrl_c_while_the_program_starts_leaves_no_traceback(archive: Path, tmp_path: Path) -> None:
    program = """
import os, runpy, signal, sys
class Interrupts:
    def find_spec(self, name, *_):
        if name == "VolumeRetrievalEngine.commands":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupts())
runpy.run_module("VolumeRetrievalEngine", run_name="__main__")
"""
    stopped = finish(start("index", archive, "--store", tmp_path / "store", program=program))
    assert stopped.code == 130
    assert stopped.err == ""
    assert not (tmp_path / "store").exists()


@pytest.mark.skipif(not hasattr(os, "setpgid"), reason="needs POSIX process groups")
def test_a_search_that_is_interrupted_says_so(archive: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    run("index", archive / "volume-000.nii", "--store", store)
    query = archive / "volume-001.nii"
    program = STUCK.replace("len(calls) > 1", "True")
    process = start("search", query, "--store", store, program=program)
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGINT)
    stopped = finish(process)
    assert stopped.code == 130
    assert stopped.err.splitlines()[-1].startswith("stopped")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no signal to a process")
def test_a_request_to_end_does_what_ctrl_c_does_in_every_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("only the main thread of a process gets signals")
    before = signal.getsignal(signal.SIGTERM)

    def ended(_: object) -> list[str]:
        signal.raise_signal(signal.SIGTERM)
        return ["the signal did nothing"]

    monkeypatch.setattr(StoreFolder, "verify", lambda self, encoder: ended(self))
    stopped = run("verify", "--store", tmp_path / "store")
    assert (stopped.code, stopped.err) == (130, "stopped; everything finished so far is kept\n")
    assert signal.getsignal(signal.SIGTERM) == before
