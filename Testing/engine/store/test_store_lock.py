"""One writer at a time, any number of readers, in one process or several."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen

import numpy as np
import pytest
from engine.store_samples import RECIPE, WRITER, new_volume, python_process, volume_id
from VolumeRetrievalEngine.errors import StoreError, StoreLockedError, StoreReadOnlyError
from VolumeRetrievalEngine.store import VolumeStore
from VolumeRetrievalEngine.store import volume_store as store_module
from VolumeRetrievalEngine.writer_lock import LOCK_FILE, WriterLock, current_holder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "recipe"


@pytest.fixture
def another_writer(folder: Path) -> Iterator[Popen[str]]:
    """Another process that has the store open for writing, and adds a volume for every line it is sent."""
    process = python_process(WRITER, folder, 0, 50, "step")
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


def let_it_add(process: Popen[str]) -> int:
    process.stdin.write("\n")
    process.stdin.flush()
    return int(process.stdout.readline())


def test_a_second_writer_is_told_who_is_writing(folder: Path, another_writer: Popen[str]) -> None:
    for attempt in (
        lambda: VolumeStore.open(folder, writable=True),
        lambda: VolumeStore.create(folder, RECIPE),
    ):
        with pytest.raises(StoreLockedError) as raised:
            attempt()
        said = str(raised.value)
        assert f"process {another_writer.pid} " in said
        assert socket.gethostname() in said
        assert "since 20" in said
        assert "step" in said  # its command line
    assert current_holder(folder).pid == another_writer.pid


def test_two_writers_in_one_process_exclude_each_other_too(folder: Path) -> None:
    with VolumeStore.create(folder, RECIPE), pytest.raises(StoreLockedError, match=str(os.getpid())):
        VolumeStore.open(folder, writable=True)


def test_a_refused_writer_harms_neither_the_store_nor_the_lock(folder: Path) -> None:
    with VolumeStore.create(folder, RECIPE) as store:
        for _ in range(2):
            with pytest.raises(StoreLockedError):
                VolumeStore.open(folder, writable=True)
        store.add(new_volume(1))
        assert json.loads((folder / LOCK_FILE).read_text())["pid"] == os.getpid()


def test_the_next_writer_may_begin_when_one_has_closed(folder: Path) -> None:
    VolumeStore.create(folder, RECIPE).close()
    assert current_holder(folder) is None
    with VolumeStore.open(folder, writable=True) as store:
        assert store.left_behind is None
        store.close()
        store.close()


def test_a_failed_opening_gives_the_lock_back(folder: Path) -> None:
    with VolumeStore.create(folder, RECIPE) as store:
        file = store.file
    file.write_bytes(b"no database" * 1000)
    with pytest.raises(Exception, match="damaged"):
        VolumeStore.open(folder, writable=True)
    WriterLock.acquire(folder).release()


def test_the_lock_of_a_killed_process_is_taken_over_and_its_holder_named(
    folder: Path, another_writer: Popen[str]
) -> None:
    let_it_add(another_writer)
    another_writer.kill()
    another_writer.wait()
    with VolumeStore.open(folder, writable=True) as store:
        assert store.left_behind.pid == another_writer.pid
        assert [record.volume_id for record in store.listing()] == [volume_id(0)]
        store.add(new_volume(1, rows=120, dimension=64))
    with VolumeStore.open(folder, writable=True) as store:
        assert store.left_behind is None


def test_a_lock_file_full_of_nonsense_stops_nobody(folder: Path) -> None:
    folder.mkdir()
    (folder / LOCK_FILE).write_bytes(b"\xff{]")
    with VolumeStore.create(folder, RECIPE) as store:
        assert store.left_behind is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system with fork")
def test_a_forked_child_does_not_keep_the_lock_of_its_dead_parent(folder: Path) -> None:
    program = """
import os, sys, time
from VolumeRetrievalEngine.writer_lock import WriterLock
lock = WriterLock.acquire(sys.argv[1])
child = os.fork()
if child == 0:
    time.sleep(60)
    os._exit(0)
print(child, flush=True)
os._exit(0)
"""
    folder.mkdir()
    process = python_process(program, folder)
    child = int(process.stdout.readline())
    process.wait()
    process.stdin.close()
    process.stdout.close()
    try:
        os.kill(child, 0)  # is alive
        WriterLock.acquire(folder).release()
    finally:
        os.kill(child, 9)


def test_reading_needs_no_lock_and_sees_each_volume_as_soon_as_it_is_finished(
    folder: Path, another_writer: Popen[str]
) -> None:
    with VolumeStore.open(folder) as reader:
        assert reader.listing() == []
        for expected in range(4):
            number = let_it_add(another_writer)
            assert number == expected
            record = reader.find(volume_id(number))
            sent = new_volume(number, rows=120, dimension=64).embeddings
            np.testing.assert_allclose(reader.embeddings(record.key), sent, atol=4e-4)
            assert reader.generation == number + 1


def test_reading_while_another_process_writes_at_full_speed_sees_whole_volumes_only(folder: Path) -> None:
    writer = python_process(WRITER, folder, 0, 60, "run")
    assert writer.stdout.readline() == "ready\n"
    seen = []
    with VolumeStore.open(folder) as reader:
        while writer.poll() is None or not seen or seen[-1] < 60:
            with reader.snapshot():
                records = reader.listing()
                rows, offsets = reader.many_embeddings([record.key for record in records])
                assert reader.generation == len(records)
            seen.append(len(records))
            if records:
                last = int(records[-1].volume_id, 16)
                sent = new_volume(last, rows=120, dimension=64).embeddings
                np.testing.assert_allclose(rows[offsets[-2] :], sent, atol=4e-4)
                assert len(reader.slices(records[-1].key)) == 120
            assert writer.poll() in (None, 0)
    writer.stdin.close()
    writer.stdout.close()
    assert seen == sorted(seen)


def test_a_folder_that_cannot_be_written_cannot_be_locked(tmp_path: Path) -> None:
    if sys.platform == "win32" or os.geteuid() == 0:
        pytest.skip("needs an account that permissions apply to (see the read-only mount in test_store_faults.py)")
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(StoreReadOnlyError, match="cannot be written"):
            WriterLock.acquire(tmp_path)
    finally:
        tmp_path.chmod(0o755)


def test_verifying_while_another_process_writes_and_removes_raises_no_false_alarm(folder: Path) -> None:
    program = """
import sys
from engine.store_samples import RECIPE, new_volume, volume_id
from VolumeRetrievalEngine.store import VolumeStore
with VolumeStore.create(sys.argv[1], RECIPE) as store:
    print("ready", flush=True)
    for number in range(60):
        store.add(new_volume(number % 7, fingerprint=str(number)))
        if number % 5 == 4:
            store.remove([volume_id(number % 7)])
"""
    writer = python_process(program, folder)
    assert writer.stdout.readline() == "ready\n"
    rounds = 0
    with VolumeStore.open(folder) as reader:
        while writer.poll() is None or not rounds:
            assert reader.verify() == []
            rounds += 1
    assert writer.returncode == 0
    writer.stdin.close()
    writer.stdout.close()


def test_a_writer_that_readers_never_let_through_gives_up_with_nothing_lost(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "WRITER_PATIENCE_S", 0.1)
    with VolumeStore.create(folder, RECIPE) as store, VolumeStore.open(folder) as reader:
        store.add(new_volume(1))
        store._connection.execute("PRAGMA busy_timeout=20")
        with reader.snapshot(), pytest.raises(StoreError, match="busy"):
            store.add(new_volume(2))
        assert len(reader.listing()) == 1
        store.add(new_volume(2))
        assert store.verify() == []
