"""What goes wrong with a store sooner or later, and what is then still there."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from engine.store_samples import RECIPE, WRITER, new_volume, python_process, volume_id
from VolumeRetrievalEngine.errors import (
    DamagedStoreError,
    RecipeError,
    StoreError,
    StoreReadOnlyError,
    StoreVersionError,
)
from VolumeRetrievalEngine.recipe import Recipe
from VolumeRetrievalEngine.store import VolumeStore
from VolumeRetrievalEngine.store import schema as store_schema
from VolumeRetrievalEngine.store.folder import StoreFolder
from VolumeRetrievalEngine.store.schema import SCHEMA_VERSION, STORE_FILE

VOLUMES = 4


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The closed store of a few volumes."""
    folder = tmp_path_factory.mktemp("untouched") / "recipe"
    with VolumeStore.create(folder, RECIPE) as store:
        for number in range(VOLUMES):
            store.add(new_volume(number, rows=60, dimension=64))
    return folder


@pytest.fixture
def folder(untouched: Path, tmp_path: Path) -> Path:
    """A copy of that store, to be ruined."""
    return shutil.copytree(untouched, tmp_path / "recipe")


def alter(folder: Path, *statements: str) -> None:
    """Change the store's file behind its back."""
    connection = sqlite3.connect(folder / STORE_FILE)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def mounted(*arguments: str) -> bool:
    """Whether a file system could be mounted; only root on Linux may."""
    return sys.platform == "linux" and subprocess.run(["mount", *arguments], capture_output=True).returncode == 0


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """The folder cannot be written, as on a read-only share; also not by root."""
    if mounted("--bind", str(folder), str(folder)):
        try:
            assert mounted("-o", "remount,bind,ro", str(folder))
            yield
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
    elif sys.platform != "win32" and os.geteuid() != 0:
        everything = [folder, *folder.iterdir()]
        for path in everything:
            path.chmod(0o555 if path.is_dir() else 0o444)
        try:
            yield
        finally:
            for path in everything:
                path.chmod(0o755 if path.is_dir() else 0o644)
    else:
        pytest.skip("no folder can be made read-only here (root without the right to mount, or Windows)")


# Killed


def test_a_killed_indexing_run_keeps_every_finished_volume(tmp_path: Path) -> None:
    folder = tmp_path / "recipe"
    chance = random.Random(20240517)
    finished: set[int] = set()
    interrupted = 0
    for run in range(40):
        process = python_process(WRITER, folder, 1000 * run, 1000, "run")
        assert process.stdout.readline() == "ready\n"
        seen = [process.stdout.readline() for _ in range(1 + chance.randrange(9))]
        time.sleep(chance.uniform(0.0, 0.01))  # in the middle of another one, or between two
        process.kill()
        out, _ = process.communicate()
        finished |= {int(line) for line in "".join([*seen, out]).split("\n")[:-1]}
        journal = folder / f"{STORE_FILE}-journal"
        interrupted += journal.exists() and journal.stat().st_size > 0

        with VolumeStore.open(folder) as reader:
            stored = {int(record.volume_id, 16) for record in reader.listing()}
            assert finished <= stored
            assert len(stored - finished) <= run + 1  # killed between storing one and saying so
            finished = stored
            assert reader.verify() == []
            assert reader.generation == len(stored)
        if run >= 9 and interrupted:  # how often a kill lands inside a transaction depends on the machine
            break
    assert finished
    assert interrupted, "no run was killed inside a transaction: the test has tested nothing"

    with VolumeStore.open(folder, writable=True) as store:
        store.add(new_volume(1, rows=120, dimension=64, seed=5))
        assert store.verify() == []


def die_inside_a_transaction(folder: Path) -> None:
    """Another process dies with half a volume written to the file itself, not only to the journal."""
    program = """
import os, sys
from engine.store_samples import new_volume
from VolumeRetrievalEngine.store import VolumeStore
store = VolumeStore.open(sys.argv[1], writable=True)
store._connection.execute("PRAGMA cache_size=1")
store._connection.execute("PRAGMA cache_spill=1")
store._insert_pooled = lambda *_: os._exit(9)
store.add(new_volume(99, rows=500, dimension=64))
"""
    process = python_process(program, folder)
    process.communicate()
    assert process.returncode == 9
    assert (folder / f"{STORE_FILE}-journal").stat().st_size > 0


def test_a_reader_undoes_what_a_killed_writer_left_half_done(folder: Path) -> None:
    die_inside_a_transaction(folder)
    with VolumeStore.open(folder) as reader:
        assert [record.volume_id for record in reader.listing()] == [volume_id(number) for number in range(VOLUMES)]
        assert reader.verify() == []


def test_a_process_killed_while_making_a_store_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    program = """
import os, sys
from engine.store_samples import RECIPE
from VolumeRetrievalEngine.store import schema as store_schema
from VolumeRetrievalEngine.store import VolumeStore
class Deadly(tuple):
    def __iter__(self):
        yield from tuple.__iter__(self)
        os._exit(9)
store_schema.TABLES = Deadly(store_schema.TABLES)
VolumeStore.create(sys.argv[1], RECIPE)
"""
    folder = tmp_path / "recipe"
    process = python_process(program, folder)
    process.communicate()
    assert process.returncode == 9
    assert (folder / STORE_FILE).exists()

    with pytest.raises(StoreError, match="index something first"):
        VolumeStore.open(folder)
    with VolumeStore.create(folder, RECIPE) as store:
        store.add(new_volume(1))
        assert store.verify() == []


def test_an_interrupted_addition_leaves_nothing_behind(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with VolumeStore.open(folder, writable=True) as store:

        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(store, "_insert_pooled", interrupt)
        with pytest.raises(KeyboardInterrupt):
            store.add(new_volume(0, rows=60, dimension=64, fingerprint="changed"))
        monkeypatch.undo()
        assert store.find(volume_id(0)).fingerprint == "fingerprint-0"
        assert store.generation == VOLUMES
        store.add(new_volume(50, rows=60, dimension=64))
        assert store.verify() == []


# No space


def test_a_full_disk_loses_nothing_and_says_what_to_do(folder: Path) -> None:
    with VolumeStore.open(folder, writable=True) as store:
        pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
        store._connection.execute(f"PRAGMA max_page_count={pages + 2}")
        with pytest.raises(StoreError, match=r"disk is full.*Free some space"):
            store.add(new_volume(50, rows=2000, dimension=64))
        assert len(store.listing()) == VOLUMES
        assert store.generation == VOLUMES
        assert store.verify() == []
        store._connection.execute("PRAGMA max_page_count=1000000")
        store.add(new_volume(50, rows=2000, dimension=64))
        assert store.verify() == []


def test_a_really_full_disk_loses_nothing_and_says_what_to_do(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if not mounted("-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)):
        pytest.skip("no small file system can be mounted here (needs root on Linux)")
    try:
        stored = 0
        with VolumeStore.create(disk / "recipe", RECIPE) as store:
            with pytest.raises(StoreError, match="disk is full"):
                for number in range(100):
                    store.add(new_volume(number, rows=60, dimension=384, thumbnail_bytes=1000))
                    stored = number + 1
            assert stored > 3
            assert len(store.listing()) == stored
        with VolumeStore.open(disk / "recipe") as reader:
            assert len(reader.listing()) == stored
            assert reader.verify() == []
        with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
            while filler.write(bytes(4096)):  # what was too little for a volume may be enough for an empty store
                pass
        with pytest.raises(StoreError, match="disk is full"):
            VolumeStore.create(disk / "another recipe", RECIPE)
        shutil.rmtree(disk / "recipe")
        with VolumeStore.create(disk / "another recipe", RECIPE) as store:
            assert store.listing() == []
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


# Read-only


def test_a_read_only_store_can_be_searched_but_not_changed(folder: Path) -> None:
    with read_only(folder):
        with VolumeStore.open(folder) as store:
            assert len(store.listing()) == VOLUMES
            assert store.many_embeddings(store.keys())[0].shape == (60 * VOLUMES, 64)
            assert store.verify() == []
        for attempt in (
            lambda: VolumeStore.open(folder, writable=True),
            lambda: VolumeStore.create(folder, RECIPE),
        ):
            with pytest.raises(StoreReadOnlyError, match="cannot be written"):
                attempt()
        with pytest.raises(StoreReadOnlyError):
            VolumeStore.create(folder / "inside", RECIPE)


def test_a_reader_that_may_not_write_sees_what_another_account_writes(folder: Path, tmp_path: Path) -> None:
    view = tmp_path / "read-only view"
    view.mkdir()
    if not mounted("--bind", str(folder), str(view)):
        pytest.skip("no folder can be mounted a second time here (needs root on Linux)")
    try:
        assert mounted("-o", "remount,bind,ro", str(view))
        with VolumeStore.open(view) as reader, VolumeStore.open(folder, writable=True) as writer:
            for number in range(50, 55):
                key = writer.add(new_volume(number, rows=60, dimension=64))
                np.testing.assert_array_equal(reader.embeddings(key), writer.embeddings(key))
    finally:
        subprocess.run(["umount", "--lazy", str(view)], check=True)


def test_a_half_written_store_that_cannot_be_set_right_is_not_read(folder: Path) -> None:
    die_inside_a_transaction(folder)
    with read_only(folder):
        with pytest.raises(StoreReadOnlyError, match="account that may write"):
            VolumeStore.open(folder)
        problems = StoreFolder(folder.parent).verify()
        assert len(problems) == 1
        assert "account that may write" in problems[0]
    with VolumeStore.open(folder) as store:
        assert store.verify() == []


class WithoutLocks:
    """Files that can be opened only as immutable, as on some shares and media."""

    def __init__(self, real: Callable[[Path, str], sqlite3.Connection]):
        self.real = real
        self.options: list[str] = []

    def __call__(self, file: Path, options: str) -> sqlite3.Connection:
        self.options.append(options)
        if "immutable=1" not in options:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_LOCK
            raise error
        return self.real(file, options)


@pytest.fixture
def without_locks(monkeypatch: pytest.MonkeyPatch) -> WithoutLocks:
    fake = WithoutLocks(store_schema._open)
    monkeypatch.setattr(store_schema, "_open", fake)
    return fake


def test_where_nothing_can_be_locked_or_written_the_store_is_opened_as_immutable(
    folder: Path, without_locks: WithoutLocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_schema, "_can_write", lambda file: False)
    with VolumeStore.open(folder) as store:
        assert len(store.listing()) == VOLUMES
        assert store.verify() == []
    assert without_locks.options == ["mode=rw", "mode=ro&immutable=1"]


def test_where_others_could_write_without_locks_the_store_is_not_opened(
    folder: Path, without_locks: WithoutLocks
) -> None:
    with pytest.raises(StoreError, match="disk I/O error"):
        VolumeStore.open(folder)


# Not ours, or not of this time


def test_no_store_at_all_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"index something first: python -m VolumeRetrievalEngine index --store"):
        VolumeStore.open(tmp_path / "nothing")
    (tmp_path / STORE_FILE).write_bytes(b"")
    with pytest.raises(StoreError, match="index something first"):
        VolumeStore.open(tmp_path, writable=True)


def test_a_store_of_another_recipe_is_refused_with_what_differs(folder: Path) -> None:
    other = dataclasses.replace(RECIPE, slice_step_mm=1.5, plane="coronal")
    for attempt in (
        lambda: VolumeStore.open(folder, other),
        lambda: VolumeStore.open(folder, other, writable=True),
        lambda: VolumeStore.create(folder, other),
    ):
        with pytest.raises(RecipeError) as raised:
            attempt()
        said = str(raised.value)
        assert "slice_step_mm 3.0 in the store, 1.5 asked" in said
        assert "plane 'auto' in the store, 'coronal' asked" in said
        assert "size" not in said
    VolumeStore.open(folder, Recipe("descriptor")).close()


def test_a_store_of_a_newer_version_is_refused_politely(folder: Path) -> None:
    alter(folder, f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    for writable in (False, True):
        with pytest.raises(StoreVersionError, match="upgrade VolumeRetrieval"):
            VolumeStore.open(folder, writable=writable)


def test_a_store_of_the_first_version_is_read_as_it_is_and_brought_up_to_date_by_a_writer(folder: Path) -> None:
    alter(folder, "DROP TABLE outlines")
    alter(folder, "PRAGMA user_version=1")
    with VolumeStore.open(folder) as old:
        keys = old.keys().tolist()
        assert old.outlines(keys[0]) is None and old.without_outlines().tolist() == keys
        assert len(old.embeddings(keys[0])) and old.verify() == []
        with VolumeStore.open(folder, writable=True) as store:
            store.set_outlines(keys[0], np.zeros((len(store.slices(keys[0])), 4), np.float32))
            assert store.without_outlines().tolist() == keys[1:]
        assert old.outlines(keys[0]) is not None, "a reader that was open already sees it, too"


def test_damaged_outlines_are_found(folder: Path) -> None:
    with VolumeStore.open(folder, writable=True) as store:
        key = int(store.keys()[0])
        store.set_outlines(key, np.ones((len(store.slices(key)), 4), np.float32))
    alter(folder, "UPDATE outlines SET checksum = checksum + 1")
    with VolumeStore.open(folder) as store:
        assert "outlines are not what was written" in store.verify()[0]
        with pytest.raises(DamagedStoreError):
            store.outlines(key)


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / STORE_FILE)
    connection.execute("CREATE TABLE bills (amount)")
    connection.commit()
    connection.close()
    for attempt in (lambda: VolumeStore.open(tmp_path), lambda: VolumeStore.create(tmp_path, RECIPE)):
        with pytest.raises(DamagedStoreError, match="not a store of VolumeRetrieval"):
            attempt()


# Damaged


@pytest.mark.parametrize("damage", ["garbage", "cut in half", "cut to a page", "garbled start"])
def test_a_damaged_file_is_called_damaged_and_the_way_out_is_said(folder: Path, damage: str) -> None:
    file = folder / STORE_FILE
    content = file.read_bytes()
    file.write_bytes(
        {
            "garbage": b"\x07no database" * 5000,
            "cut in half": content[: len(content) // 2],
            "cut to a page": content[:16384],
            "garbled start": b"\0" * 100 + content[100:],
        }[damage]
    )
    with pytest.raises(DamagedStoreError, match="move it away and index again"), VolumeStore.open(folder) as store:
        store.listing()


def flip_a_bit_of(folder: Path, planted: bytes) -> None:
    file = folder / STORE_FILE
    content = bytearray(file.read_bytes())
    assert content.count(planted) == 1
    content[content.index(planted) + 3] ^= 0x10
    file.write_bytes(bytes(content))


@pytest.mark.parametrize("table", ["embeddings", "pooled"])
def test_a_single_flipped_bit_of_an_embedding_is_found(folder: Path, table: str) -> None:
    with VolumeStore.open(folder) as store:
        key = store.find(volume_id(2)).key
        data = store._connection.execute(f"SELECT data FROM {table} WHERE key = ?", (key,)).fetchone()[0]
    flip_a_bit_of(folder, data[200:300])

    with VolumeStore.open(folder) as store:
        problems = store.verify()
        assert len(problems) == 1
        assert volume_id(2) in problems[0]
        assert "checksum" in problems[0]
        read = store.many_embeddings if table == "embeddings" else store.many_pooled
        with pytest.raises(DamagedStoreError, match=f"remove {volume_id(2)}"):
            read(store.keys())
        others = [key for key in store.keys().tolist() if key != store.find(volume_id(2)).key]
        assert len(read(others)[1]) == VOLUMES


ZEROS = "zeroblob(60 * 64 * 2)"
NAN_FIRST = "CAST(x'007e' || substr(data, 3) AS BLOB)"


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE embeddings SET data = substr(data, 3) WHERE key = 2", "expected 60 x 64 x 2"),
        (f"UPDATE embeddings SET data = {ZEROS} WHERE key = 2", "60 of its embeddings are not finite rows of length 1"),
        (f"UPDATE embeddings SET data = {NAN_FIRST} WHERE key = 2", "1 of its embeddings are not finite"),
        (
            "UPDATE embeddings SET data = x'007e' || substr(data, 3) WHERE key = 2",
            "cannot be read",
        ),  # as undecodable text
        ("UPDATE embeddings SET checksum = 1 WHERE key = 2", "pooled rows were made from other embeddings"),
        ("DELETE FROM embeddings WHERE key = 2", "embeddings are missing"),
        ("UPDATE pooled SET data = substr(data, 3) WHERE key = 2", "pooled rows have"),
        ("UPDATE pooled SET first_row = substr(first_row, 5) WHERE key = 2", "do not divide"),
        ("DELETE FROM pooled WHERE key = 2", "pooled rows are missing"),
        ("UPDATE slice_geometry SET position = substr(position, 9) WHERE key = 2", "slice table cannot be read"),
        ("UPDATE slice_geometry SET origin = substr(origin, 2) WHERE key = 2", "slice table cannot be read"),
        ("UPDATE slice_geometry SET sop_uids = x'1234' WHERE key = 2", "slice table cannot be read"),
        ("UPDATE volumes SET n_rows = 59 WHERE key = 2", "slice table has 60 rows, expected 59"),
        ("DELETE FROM slice_geometry WHERE key = 2", "slice table is missing"),
        ("UPDATE files SET paths = x'00' WHERE key = 2", "list of files cannot be read"),
        ("UPDATE thumbnails SET row = 4711 WHERE key = 2 AND row = 5", "1 thumbnails belong to no slice"),
        ("INSERT INTO pooled SELECT 77, data, first_row, checksum, source FROM pooled WHERE key = 1", "no row of"),
        ("INSERT INTO tombstones VALUES (2, 1)", "listed as removed"),
        ("UPDATE meta SET value = '1' WHERE name = 'generation'", "store of generation 1"),
        ("UPDATE meta SET value = '{}' WHERE name = 'recipe'", "recipe"),
        ("DELETE FROM meta WHERE name = 'store_id'", "does not say its store_id"),
    ],
)
def test_verify_finds_what_does_not_belong_together(folder: Path, statement: str, found: str) -> None:
    with VolumeStore.open(folder) as store:
        assert store.verify() == []
        alter(folder, statement)
        assert any(found in problem for problem in store.verify()), store.verify()


def test_verify_reports_a_file_that_is_damaged_in_the_middle(folder: Path) -> None:
    file = folder / STORE_FILE
    content = bytearray(file.read_bytes())
    pages = len(content) // 16384
    for page in range(pages // 3, pages):  # the first pages hold the schema: it opens
        content[page * 16384 : page * 16384 + 64] = b"\xa5" * 64
    file.write_bytes(bytes(content))
    with VolumeStore.open(folder) as store:
        assert any("damaged" in problem for problem in store.verify())


def test_a_damaged_volume_can_be_removed_and_indexed_again(folder: Path) -> None:
    alter(folder, "UPDATE embeddings SET data = zeroblob(10) WHERE key = 2")
    with VolumeStore.open(folder, writable=True) as store:
        damaged = store.records([2])[0]
        assert store.verify()
        store.remove([damaged.volume_id])
        assert store.verify() == []
        store.add(new_volume(int(damaged.volume_id, 16), rows=60, dimension=64))
        assert store.verify() == []


def test_a_store_copied_elsewhere_is_the_same_store(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    with VolumeStore.open(folder) as here, VolumeStore.open(tmp_path / "copy", writable=True) as there:
        assert here.store_id == there.store_id
        np.testing.assert_array_equal(here.many_embeddings([1, 2])[0], there.many_embeddings([1, 2])[0])
