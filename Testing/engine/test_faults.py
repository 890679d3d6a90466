"""What goes wrong around an archive and its store, through the command line as a user meets it."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from engine.archives import write_image
from engine.commands import STUCK, blob_volume, finish, listed, run, start, write_blobs
from engine.dicom_files import slice_data_set, stored_values, write, write_series
from VolumeRetrievalEngine.store.schema import SCHEMA_VERSION, STORE_FILE

AFFINE = np.diag([2.0, 2.0, 4.0, 1.0])

#: Indexes slowly, and says how far it is.
#: From its second volume on, it embeds one for each line it is sent, and all of them at the end of the lines.
SLOW = STUCK.replace("time.sleep(600)", "sys.stdin.readline()")


@contextlib.contextmanager
def mounted(*arguments: object, at: Path) -> Iterator[None]:
    """A file system mounted at a folder; the test is skipped where that is not allowed."""
    command = ["mount", *map(str, arguments), str(at)]
    if sys.platform != "linux" or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("no file system can be mounted here (needs root on Linux)")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(at)], check=True)


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Nothing below the folder can be changed, by root neither."""
    with mounted("--bind", folder, at=folder):
        subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
        yield


@pytest.fixture
def indexed(tmp_path: Path) -> Path:
    """<folder>/archive of four volumes and its index <folder>/store."""
    write_blobs(tmp_path / "archive", 4)
    assert run("index", tmp_path / "archive", "--store", tmp_path / "store").code == 0
    return tmp_path


def store_file(store: Path) -> Path:
    (file,) = store.glob(f"*/{STORE_FILE}")
    return file


# Several processes


def test_a_second_writer_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    write_blobs(tmp_path / "archive", 3)
    words = ["index", tmp_path / "archive", "--store", tmp_path / "store", "--full-speed"]
    first = start(*words, program=STUCK)
    try:
        assert first.stdout.readline() == "waiting\n"
        second = finish(start(*words))
        assert second.code == 1
        assert f"process {first.pid} on " in second.err
        assert "wait for it or end it" in second.err
        assert "Traceback" not in second.err
        removal = run("remove", tmp_path / "archive", "--store", tmp_path / "store")
        assert (removal.code, str(first.pid) in removal.err) == (1, True)
        assert len(listed(tmp_path / "store")) == 1  # readers need no lock
    finally:
        first.kill()
        finish(first)
    assert run(*words, "--json").json["added"] == 2  # and a dead process holds none


def test_searching_goes_on_while_another_process_writes(tmp_path: Path) -> None:
    paths = write_blobs(tmp_path / "archive", 15)
    words = ["--store", tmp_path / "store"]
    run("index", paths[0], *words)
    writer = start("index", tmp_path / "archive", *words, "--full-speed", program=SLOW, stdin=subprocess.PIPE)
    found: list[int] = []
    try:
        for _ in range(8):
            assert writer.stdout.readline() == "waiting\n"  # what it was sent for is stored
            writer.stdin.write("\n")
            writer.stdin.flush()
            matches = run("search", paths[0], *words, "--json", "--exhaustive", "--top", 99).json
            assert len(matches) == len({one["id"] for one in matches})
            assert matches == sorted(matches, key=lambda one: one["rank"])
            found.append(len(matches))
    finally:
        done = finish(writer)
    assert done.code == 0, done.err
    assert found == sorted(found)
    assert len(set(found)) > 1, "nothing was written between the searches: the test has tested nothing"
    assert len(run("search", paths[0], *words, "--json", "--exhaustive", "--top", 99).json) == 14


# No room, no right


def test_a_full_disk_loses_nothing_and_the_run_goes_on_when_there_is_room(tmp_path: Path) -> None:
    write_blobs(tmp_path / "archive", 60, shape=(24, 32, 32))
    store = tmp_path / "disk" / "store"
    store.parent.mkdir()
    with mounted("-t", "tmpfs", "-o", "size=1500k", "tmpfs", at=store.parent):
        full = run("index", tmp_path / "archive", "--store", store, "--slice-step", 0)
        assert full.code == 1
        assert "the disk is full" in full.err
        assert "Free some space and start again" in full.err
        assert "Traceback" not in full.err
        kept = listed(store)
        assert 3 < len(kept) < 60
        assert run("verify", "--store", store).code == 0
        assert run("search", kept[0]["id"], "--store", store).code == 0

        subprocess.run(["mount", "-o", "remount,size=60m", str(store.parent)], check=True)
        rest = run("index", tmp_path / "archive", "--store", store, "--json").json
        assert (rest["unchanged"], rest["added"]) == (len(kept), 60 - len(kept))
        assert run("verify", "--store", store).code == 0


def test_a_disk_without_room_for_a_store_says_so(tmp_path: Path) -> None:
    write_blobs(tmp_path / "archive", 1)
    disk = tmp_path / "disk"
    disk.mkdir()
    with mounted("-t", "tmpfs", "-o", "size=8k", "tmpfs", at=disk):
        full = run("index", tmp_path / "archive", "--store", disk / "store")
        assert full.code == 1
        assert str(disk / "store") in full.err
        assert "full" in full.err or os.strerror(errno.ENOSPC) in full.err
        assert "Traceback" not in full.err


def test_a_read_only_store_can_be_searched_but_not_changed(indexed: Path) -> None:
    store = indexed / "store"
    query = indexed / "archive" / "volume-000.nii"
    before = run("search", query, "--store", store, "--json").json
    write_image(indexed / "archive" / "new.nii", blob_volume(9), AFFINE)
    with read_only(store):
        assert run("search", query, "--store", store, "--json").json == before
        assert len(listed(store)) == 4
        assert run("info", "--store", store).code == 0
        assert run("verify", "--store", store).code == 0
        for words in (["index", indexed / "archive"], ["remove", query], ["rebuild"]):
            refused = run(*words, "--store", store)
            assert refused.code == 1, words
            assert "cannot be written" in refused.err
            assert "Traceback" not in refused.err
    assert run("index", indexed / "archive", "--store", store, "--json").json["added"] == 1


def test_a_store_that_lies_in_a_read_only_folder_is_not_made(tmp_path: Path) -> None:
    write_blobs(tmp_path / "archive", 1)
    (tmp_path / "shelf").mkdir()
    with read_only(tmp_path / "shelf"):
        refused = run("index", tmp_path / "archive", "--store", tmp_path / "shelf" / "store")
    assert refused.code == 1
    assert str(tmp_path / "shelf" / "store") in refused.err
    assert "choose another" in refused.err


# Stores of another kind


def test_a_store_of_another_recipe_is_left_alone(indexed: Path) -> None:
    store = indexed / "store"
    (known,) = (path for path in store.iterdir() if path.is_dir())
    # Somebody has put another recipe's store into this recipe's folder.
    with sqlite3.connect(known / STORE_FILE) as connection:
        recipe = json.loads(connection.execute("SELECT value FROM meta WHERE name = 'recipe'").fetchone()[0])
        recipe["slice_step_mm"] = 9.0
        connection.execute("UPDATE meta SET value = ? WHERE name = 'recipe'", (json.dumps(recipe),))
    connection.close()
    refused = run("index", indexed / "archive", "--store", store, "--slice-step", 3)
    assert refused.code == 1
    assert "slice_step_mm 9.0 in the store, 3.0 asked" in refused.err
    assert len(listed(store)) == 4


def test_a_store_of_a_newer_version_is_refused_with_what_to_do(indexed: Path) -> None:
    store = indexed / "store"
    with sqlite3.connect(store_file(store)) as connection:
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    connection.close()
    content = store_file(store).read_bytes()
    for words in (["list"], ["search", indexed / "archive" / "volume-000.nii"], ["index", indexed / "archive"]):
        refused = run(*words, "--store", store)
        assert refused.code == 1, words
        assert "upgrade VolumeRetrieval" in refused.err
        assert "index something first" not in refused.err
        assert "Traceback" not in refused.err
    assert run("verify", "--store", store).code == 3
    assert store_file(store).read_bytes() == content


def test_a_damaged_store_says_so_and_a_new_one_can_be_made(indexed: Path) -> None:
    store = indexed / "store"
    store_file(store).write_bytes(b"\x07 no database" * 4000)
    for words in (["list"], ["index", indexed / "archive"]):
        refused = run(*words, "--store", store)
        assert refused.code == 1, words
        assert "move it away and index again" in refused.err
    shutil.move(store_file(store).parent, indexed / "moved away")
    assert run("index", indexed / "archive", "--store", store, "--json").json["added"] == 4


def test_derived_files_may_be_lost_or_damaged(indexed: Path) -> None:
    store = indexed / "store"
    query = indexed / "archive" / "volume-000.nii"
    before = run("search", query, "--store", store, "--json").json
    for file in [*store.glob("*/*.index"), store / "scan-cache.sqlite", store / "last-used.json"]:
        file.write_bytes(b"damaged")
    assert run("search", query, "--store", store, "--json").json == before
    assert run("index", indexed / "archive", "--store", store, "--json").json["unchanged"] == 4
    for file in [*store.glob("*/*.index"), store / "scan-cache.sqlite", store / "last-used.json"]:
        file.unlink()
    assert run("search", query, "--store", store, "--json").json == before
    assert run("index", indexed / "archive", "--store", store, "--json").json["unchanged"] == 4


# Bad input


def test_a_batch_of_bad_files_reports_each_and_indexes_the_rest(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    good = write_blobs(archive, 3)
    write_series(archive / "series", stored_values((5, 12, 10)))
    failed = {
        "truncated.nii": lambda path: path.write_bytes(good[0].read_bytes()[:3000]),
        "truncated.nii.gz": lambda path: _truncated_gz(path),
        "empty.nii": lambda path: path.touch(),
        "empty.dcm": lambda path: path.touch(),
        "text.dcm": lambda path: path.write_text("this is no DICOM"),
        "text.nrrd": lambda path: path.write_text("this is no NRRD"),
        "nan.nii": lambda path: write_image(path, np.full((5, 9, 9), np.nan, np.float32), AFFINE),
    }
    skipped = {
        "constant.nii": lambda path: write_image(path, np.full((5, 9, 9), 7, np.int16), AFFINE),
        "one voxel.nii": lambda path: write_image(path, np.ones((1, 1, 1), np.int16), AFFINE),
        "four dimensions.nii": _write_4d,
        "notes.txt": lambda path: path.write_text("no image"),
    }
    for name, make in {**failed, **skipped}.items():
        make(archive / name)
    cut = write_series(archive / "cut series", stored_values((5, 12, 10)), series="1.2.826.0.1.77")
    for path in cut:
        path.write_bytes(path.read_bytes()[:-60])

    finished = run("index", archive, "--store", tmp_path / "store", "--json")
    values = finished.json
    assert finished.code == 0
    assert "Traceback" not in finished.err
    assert values["added"] == 4
    reported = {Path(one["path"]).name: one["reason"] for one in values["failed"]}
    assert set(reported) == {*failed, *(path.name for path in cut)}
    assert all(len(reason) > 10 for reason in reported.values())
    left_out = {Path(one["path"]).name: one["reason"] for one in values["skipped"]}
    assert set(left_out) == set(skipped)
    assert "4D" in left_out["four dimensions.nii"]
    assert "fewer than 3 slices" in left_out["one voxel.nii"]

    again = run("index", archive, "--store", tmp_path / "store", "--json").json
    assert (again["added"], again["unchanged"]) == (0, 4)
    assert (len(again["failed"]), len(again["skipped"])) == (len(reported), len(left_out))


def _truncated_gz(path: Path) -> None:
    write_image(path, blob_volume(1), AFFINE)
    path.write_bytes(path.read_bytes()[:2000])


def _write_4d(path: Path) -> None:
    import SimpleITK as sitk

    volumes = [sitk.GetImageFromArray(blob_volume(seed)) for seed in range(3)]
    sitk.WriteImage(sitk.JoinSeries(volumes), str(path))


def test_a_volume_of_one_patient_may_be_strange_without_harm(tmp_path: Path) -> None:
    """Some NaN voxels, huge values, three slices, one that is a line: indexed and found without a warning."""
    archive = tmp_path / "archive"
    some_nan = blob_volume(1).astype(np.float32)
    some_nan[2, 3:6, :] = np.nan
    write_image(archive / "some nan.nii", some_nan, AFFINE)
    write_image(archive / "huge.nii", 1e30 * blob_volume(2).astype(np.float32), AFFINE)
    write_image(archive / "three.nii", blob_volume(3, (3, 3, 3)), AFFINE)
    write_image(archive / "line.nii", blob_volume(4, (40, 3, 300)), AFFINE)
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        finished = run("index", archive, "--store", tmp_path / "store", "--json")
    assert finished.json["added"] == 4, finished.out
    assert run("verify", "--store", tmp_path / "store").code == 0
    assert len(run("search", archive / "huge.nii", "--store", tmp_path / "store", "--json").json) == 3


def test_a_region_that_selects_nothing_is_an_error_that_says_why(indexed: Path) -> None:
    affine = AFFINE.copy()
    affine[:3, 3] = 5000
    far = write_image(indexed / "far.nii", np.ones((4, 8, 8), np.uint8), affine)
    empty = write_image(indexed / "empty.nii", np.zeros((8, 24, 24), np.uint8), AFFINE)
    (indexed / "text.nii").write_text("no mask")
    for region, expected in (
        (far, "misses the volume"),
        (empty, "no voxel"),
        (indexed / "text.nii", "text.nii"),
        ("slice=99", "counted from 1 (inferior) to 8"),
    ):
        query = indexed / "archive" / "volume-000.nii"
        for extra in ([], ["--crop"]):
            refused = run("search", query, "--store", indexed / "store", "--region", region, *extra)
            assert refused.code == 1, region
            assert expected in refused.err
            assert "Traceback" not in refused.err


def test_a_query_that_is_no_volume_is_an_error_that_says_why(indexed: Path) -> None:
    flat = write_image(indexed / "flat.nii", np.zeros((5, 16, 16), np.int16), AFFINE)
    single = write(indexed / "single" / "slice.dcm", slice_data_set(stored_values((1, 12, 10))[0]))
    (indexed / "notes.txt").write_text("no image")
    (indexed / "nothing").mkdir()
    for query, expected in (
        (flat, "no contrast"),
        (single, "fewer than 3 slices"),
        (indexed / "notes.txt", "not an image"),
        (indexed / "nothing", "no files"),
        (indexed / "archive", "it holds 4 volumes"),
    ):
        refused = run("search", query, "--store", indexed / "store")
        assert refused.code == 1, query
        assert expected in refused.err, refused.err
        assert "Traceback" not in refused.err


def test_encoders_that_cannot_be_had_are_refused_before_anything_is_made(tmp_path: Path) -> None:
    write_blobs(tmp_path / "archive", 1)
    for words, expected in (
        (["--encoder", "nonsense"], "expected one of radiology-resnet, descriptor"),
        (["--encoder", "torchscript"], "weights"),
        (["--encoder", "descriptor", "--weights", __file__], "takes no weights"),
    ):
        refused = run("index", tmp_path / "archive", "--store", tmp_path / "store", *words)
        assert refused.code == 1, words
        assert expected in refused.err
        assert not (tmp_path / "store").exists()


def test_weights_that_do_not_fit_are_refused_before_anything_is_made(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    write_blobs(tmp_path / "archive", 1)
    words = ["index", tmp_path / "archive", "--store", tmp_path / "store", "--device", "cpu"]

    class Wrong(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mean()  # one number for all slices: no embedding

    weights = tmp_path / "wrong.pt"
    torch.jit.script(Wrong()).save(weights)
    weights.with_suffix(".json").write_text(json.dumps({"name": "wrong", "input_size": 32, "mean": [0], "std": [1]}))
    (tmp_path / "text.pt").write_text("no network")
    shutil.copy(weights.with_suffix(".json"), tmp_path / "text.json")
    for file in (weights, tmp_path / "text.pt"):
        refused = run(*words, "--encoder", "torchscript", "--weights", file)
        assert refused.code == 1, file
        assert str(file.stem) in refused.err
        assert "Traceback" not in refused.err

    pytest.importorskip("monai")
    torch.save({"conv1.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "state.pt")
    refused = run(*words, "--encoder", "monai:resnet18", "--weights", tmp_path / "state.pt")
    assert refused.code == 1
    assert str(tmp_path / "state.pt") in refused.err
    assert not (tmp_path / "store").exists()


def test_paths_with_blanks_and_letters_of_any_script_work_throughout(tmp_path: Path) -> None:
    archive = tmp_path / "Übungs archiv" / "胸部 & 'head'"
    store = tmp_path / "индекс store"
    names = ["première série.nii", "ゼロ 1.nii.gz", "a%20b#c?.nii"] if sys.platform != "win32" else ["série.nii"]
    for number, name in enumerate(names):
        write_image(archive / name, blob_volume(number), AFFINE)
    write_series(archive / "série DICOM", stored_values((5, 12, 10)))
    assert finish(start("index", archive, "--store", store)).code == 0
    assert {Path(one["path"]).name for one in listed(store)} == {*names, "série DICOM"}
    report = tmp_path / "Ergebnis für Ärzte.html"
    found = run("search", archive / names[0], "--store", store, "--report", report, "--filter", "path~série", "--json")
    assert found.code == 0, found.err
    assert [Path(one["path"]).name for one in found.json] == ["série DICOM"]
    assert "série DICOM" in report.read_text(encoding="utf-8")
    assert run("remove", archive, "--store", store).code == 0
    assert listed(store) == []


def test_a_volume_that_disappears_during_the_run_is_reported(tmp_path: Path) -> None:
    """Found by the scan, gone when its turn comes; the rest is indexed."""
    paths = write_blobs(tmp_path / "archive", 12)
    program = STUCK.replace("time.sleep(600)", "sys.stdin.readline()").replace("len(calls) > 1", "len(calls) == 1")
    words = ["index", tmp_path / "archive", "--store", tmp_path / "store", "--full-speed"]
    process = start(*words, program=program, stdin=subprocess.PIPE)
    assert process.stdout.readline() == "waiting\n"
    time.sleep(0.3)  # for the reading thread to run ahead as far as it may
    paths[-1].unlink()
    paths[-2].write_bytes(b"")
    process.stdin.write("go on\n")
    done = finish(process)
    assert done.code == 0, done.err
    assert f"failed: {paths[-1]}: " in done.err
    assert f"failed: {paths[-2]}: " in done.err
    assert "Traceback" not in done.err
    assert len(listed(tmp_path / "store")) == 10
