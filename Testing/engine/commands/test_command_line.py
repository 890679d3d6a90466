"""What the commands print, what they return, and what they say when they cannot do what was asked."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import random
import shutil
import sqlite3
import sys
from pathlib import Path

import pytest
from engine.commands import Finished, finish, listed, run, start, write_blobs
from engine.dicom_files import stored_values, write_series
from VolumeRetrievalEngine.commands.console import (
    ProgressLine,
    print_json,
    progress_text,
    readable_duration,
)
from VolumeRetrievalEngine.progress import Progress
from VolumeRetrievalEngine.readable import readable_size
from VolumeRetrievalEngine.store.schema import STORE_FILE

VOLUMES = 5


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """<folder>/archive of small volumes and their index <folder>/store, for tests that only read."""
    folder = tmp_path_factory.mktemp("indexed")
    write_blobs(folder / "archive", VOLUMES)
    assert run("index", folder / "archive", "--store", folder / "store", "--modality", "MR").code == 0
    return folder


@pytest.fixture
def store(indexed: Path, tmp_path: Path) -> Path:
    """A copy of the store, to be changed."""
    return shutil.copytree(indexed / "store", tmp_path / "store")


def store_file(store: Path) -> Path:
    (file,) = store.glob(f"*/{STORE_FILE}")
    return file


def said(finished: Finished) -> str:
    """The one line of an error; the command failed and printed nothing else."""
    assert finished.code == 1
    assert finished.out == ""
    assert finished.err.startswith("error: ")
    return finished.err


# Help


@pytest.mark.parametrize("command", ["index", "search", "list", "info", "remove", "verify", "rebuild"])
def test_every_command_explains_itself_with_examples(command: str) -> None:
    helped = run(command, "--help")
    assert helped.code == 0
    assert f"python -m VolumeRetrievalEngine {command} " in helped.out.partition("examples:")[2]


def test_every_example_of_the_help_is_a_valid_command_line() -> None:
    from VolumeRetrievalEngine.commands import _parser

    texts = [run(*words).out for words in (("--help",), *((name, "--help") for name in ("index", "search", "verify")))]
    examples = [line.split() for text in texts for line in text.splitlines() if line.startswith("  python -m ")]
    assert len(examples) > 10
    for words in examples:
        _parser().parse_args([word.strip("'") for word in words[3:]])  # exits for an unknown option


@pytest.mark.parametrize("words", [["--verbose", "list"], ["list", "--verbose"]])
def test_verbose_may_stand_before_and_behind_the_command(indexed: Path, words: list[str]) -> None:
    assert run(*words, "--store", indexed / "store").code == 0


# index


def test_a_run_says_what_it_did_and_a_second_that_nothing_changed(tmp_path: Path) -> None:
    write_blobs(tmp_path / "archive", 3)
    first = run("index", tmp_path / "archive", "--store", tmp_path / "store")
    second = run("index", tmp_path / "archive", "--store", tmp_path / "store")
    assert first.code == second.code == 0
    assert "done: 3 added, 0 unchanged, 0 failed" in first.out
    assert "3 volumes indexed" in first.out
    assert "done: 0 added, 3 unchanged, 0 failed" in second.out


def test_index_json_counts_the_run_and_describes_the_store(tmp_path: Path) -> None:
    write_blobs(tmp_path / "archive", 2)
    (tmp_path / "archive" / "notes.txt").write_text("no image")
    (tmp_path / "archive" / "empty.nii").touch()
    values = run("index", tmp_path / "archive", "--store", tmp_path / "store", "--json").json
    assert (values["added"], values["unchanged"], values["cancelled"]) == (2, 0, False)
    assert [Path(one["path"]).name for one in values["failed"]] == ["empty.nii"]
    assert [Path(one["path"]).name for one in values["skipped"]] == ["notes.txt"]
    assert values["store"]["volumes"] == 2


def test_failures_are_listed_with_file_and_reason_and_the_run_succeeds(tmp_path: Path) -> None:
    write_blobs(tmp_path / "archive", 1)
    (tmp_path / "archive" / "empty.nii").touch()
    finished = run("index", tmp_path / "archive", "--store", tmp_path / "store")
    assert finished.code == 0
    assert f"failed: {tmp_path / 'archive' / 'empty.nii'}: an empty file" in finished.err


def test_a_run_that_could_read_nothing_fails(tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / "empty.nii").touch()
    finished = run("index", tmp_path / "archive", "--store", tmp_path / "store")
    assert finished.code == 1
    assert "1 failed" in finished.out


def test_many_files_that_are_no_images_are_counted_not_listed(tmp_path: Path) -> None:
    write_blobs(tmp_path / "archive", 1)
    for number in range(50):
        (tmp_path / "archive" / f"notes-{number}.txt").write_text("no image")
    finished = run("index", tmp_path / "archive", "--store", tmp_path / "store")
    assert "skipped: 50 files" in finished.out
    assert "notes-7.txt" not in finished.out


@pytest.mark.parametrize("option", ["index", "--metadata", "--weights"])
def test_a_path_that_is_not_there_is_named_before_anything_is_made(tmp_path: Path, option: str) -> None:
    write_blobs(tmp_path / "archive", 1)
    missing = tmp_path / "not there"
    words = [tmp_path / "archive", missing] if option == "index" else [tmp_path / "archive", option, missing]
    assert str(missing) in said(run("index", *words, "--store", tmp_path / "store"))
    assert not (tmp_path / "store").exists()


def test_exclude_leaves_out_paths(tmp_path: Path) -> None:
    write_blobs(tmp_path / "archive", 2)
    write_blobs(tmp_path / "archive" / "patient" / "labels", 2)
    write_blobs(tmp_path / "archive" / "old", 1)
    finished = run(
        "index", tmp_path / "archive", "--store", tmp_path / "store", "--exclude", "*/labels/*", "--exclude", "old"
    )
    assert finished.code == 0
    assert [Path(one["path"]).parent.name for one in listed(tmp_path / "store")] == ["archive", "archive"]


def test_a_tilde_is_the_users_folder_in_every_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    write_blobs(tmp_path / "archive", 1)
    (tmp_path / "table.csv").write_text("path,body_part\narchive,knee\n")
    assert run("index", "~/archive", "--store=~/store", "--metadata", "~/table.csv").code == 0
    (only,) = run("list", "--store=~/store", "--json").json
    assert only["path"] == str(tmp_path / "archive" / "volume-000.nii")
    assert only["body_part"] == "KNEE"
    assert run("info", "~/archive/volume-000.nii", "--store=~/store").code == 0
    assert "no such file" in said(run("index", "~/nothing", "--store=~/store"))


@pytest.mark.parametrize(
    "words",
    [
        ["--threads", "0"],
        ["--batch-size", "x"],
        ["--modality", "dog"],
        ["--plane", "oblique"],
        ["--store"],
    ],
)
def test_a_wrong_value_is_an_error_of_the_command_line(tmp_path: Path, words: list[str]) -> None:
    write_blobs(tmp_path / "archive", 1)
    finished = run("index", tmp_path / "archive", "--store", tmp_path / "store", *words)
    assert finished.code == 2
    assert words[0] in finished.err
    assert not (tmp_path / "store").exists()


def test_modality_is_what_people_call_it(tmp_path: Path) -> None:
    write_blobs(tmp_path / "archive", 1)
    run("index", tmp_path / "archive", "--store", tmp_path / "store", "--modality", "pet")
    assert [one["modality"] for one in listed(tmp_path / "store")] == ["PT"]


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system binds no process to cores")
def test_a_core_is_left_free_and_the_priority_is_low(tmp_path: Path) -> None:
    write_blobs(tmp_path / "archive", 1)
    program = """
import os, sys
from pathlib import Path
before = os.getpriority(os.PRIO_PROCESS, 0)
from VolumeRetrievalEngine.commands import main
code = main(sys.argv[1:])
threads = [int(path.name) for path in Path("/proc/self/task").iterdir()]
print("cores", max(len(os.sched_getaffinity(one)) for one in threads))
print("nicer", min(os.getpriority(os.PRIO_PROCESS, one) for one in threads) - before)
"""
    cores = len(os.sched_getaffinity(0))
    words = ["index", tmp_path / "archive", "--store", tmp_path / "store"]
    pool = {"OMP_NUM_THREADS": str(max(2, cores))}  # numpy starts these threads before the command is read
    polite = finish(start(*words, program=program, env=pool)).out
    full = finish(start(*words, "--full-speed", program=program, env=pool)).out
    assert f"cores {max(1, cores - 1)}\n" in polite
    assert "nicer 0" not in polite
    assert f"cores {cores}\nnicer 0" in full


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="this system does not list a process's threads")
def test_numpy_has_no_more_threads_than_indexing_has_cores() -> None:
    program = """
import os, sys
from pathlib import Path
for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.pop(name, None)
from VolumeRetrievalEngine.__main__ import main
try:
    main()
finally:
    assert "numpy" in sys.modules
    print("threads", len(list(Path("/proc/self/task").iterdir())))
"""
    assert "threads 1\n" in finish(start("index", "--help", program=program)).out


def test_progress_tells_rate_and_remaining_time() -> None:
    text = progress_text(Progress("index", 12, 107, "/data/ct.nii.gz", rate=4.06, remaining=83.0))
    assert text == "index 12/107, 4.1/s, 1 min 23 s left: /data/ct.nii.gz"
    assert "30.0/min" in progress_text(Progress("index", 1, 9, rate=0.5, remaining=16.0))
    assert progress_text(Progress("index", 0, 9, "a.nii")) == "index 0/9: a.nii"


def test_a_terminal_gets_one_line_that_fits(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with ProgressLine() as line:
        line(Progress("index", 3, 9, "/a/very/long/path/of/many/folders/to/the/volume.nii.gz", 1.0, 6.0))
    drawn = capsys.readouterr().err
    assert drawn.startswith("\rindex 3/9")
    assert drawn.rstrip().endswith("volume.nii.gz")
    assert len(drawn.strip("\r\n")) <= 50


@pytest.mark.parametrize(
    ("value", "text"),
    [(12.4, "12 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")],
)
def test_durations_are_readable(value: float, text: str) -> None:
    assert readable_duration(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(999, "999 bytes"), (86_640_000, "86.6 MB"), (299_990_000, "300 MB"), (1.3e9, "1.3 GB"), (2e12, "2.0 TB")],
)
def test_sizes_are_readable(value: float, text: str) -> None:
    assert readable_size(value) == text


# list, info


def test_list_json_is_an_array_with_id_path_series_modality_and_slices(indexed: Path) -> None:
    values = listed(indexed / "store")
    assert len(values) == VOLUMES
    for one in values:
        assert len(one["id"]) == 32
        assert Path(one["path"]).is_file()
        assert one["series_uid"] == ""
        assert one["modality"] == "MR"
        assert one["slices"] == 8


def test_list_can_be_filtered_and_names_unknown_attributes(indexed: Path) -> None:
    store = indexed / "store"
    assert len(run("list", "--store", store, "--filter", "path~volume-003", "--json").json) == 1
    assert run("list", "--store", store, "--filter", "modality=CT", "--json").json == []
    assert "'color'" in said(run("list", "--store", store, "--filter", "color=red"))


def test_list_shows_a_line_for_each_volume(indexed: Path) -> None:
    lines = run("list", "--store", indexed / "store").out.splitlines()
    assert lines[0].split()[:2] == ["id", "modality"]
    assert len(lines) == 1 + VOLUMES


def test_a_reader_that_goes_away_is_no_error(indexed: Path) -> None:
    process = start("list", "--store", indexed / "store", "--json")
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    process.wait(timeout=600)


def test_info_describes_the_store_or_a_volume(indexed: Path) -> None:
    store = indexed / "store"
    volume = listed(store)[0]
    assert run("info", "--store", store, "--json").json["volumes"] == VOLUMES
    assert run("info", volume["id"][:8], "--store", store, "--json").json["id"] == volume["id"]
    assert run("info", volume["path"], "--store", store, "--json").json["id"] == volume["id"]
    text = run("info", "--store", store).out
    assert "volumes: 5" in text
    assert "{'" not in text and "()" not in text


def test_where_nothing_is_indexed_the_error_says_how_to_begin(tmp_path: Path) -> None:
    for command in (["list"], ["info"], ["rebuild"], ["remove", "x"], ["search", "x"]):
        assert f"index --store {tmp_path / 'store'} FOLDER" in said(run(*command, "--store", tmp_path / "store"))
    assert not (tmp_path / "store").exists()


# search


def test_search_json_is_an_array_with_rank_id_path_score_and_ranges(indexed: Path) -> None:
    query = indexed / "archive" / "volume-000.nii"
    values = run("search", query, "--store", indexed / "store", "--json", "--top", "3").json
    assert [one["rank"] for one in values] == [1, 2, 3]
    ids = {one["id"]: one["path"] for one in listed(indexed / "store")}
    for one in values:
        assert ids[one["id"]] == one["path"] != str(query)
        assert -1 <= one["score"] <= 1
        for found in one["ranges"]:
            assert 0 <= found["first_slice"] <= found["last_slice"] < one["slices"]
    assert values == sorted(values, key=lambda one: -one["score"])


def test_an_exhaustive_search_is_valid_json_too(indexed: Path) -> None:
    query = indexed / "archive" / "volume-000.nii"
    values = run("search", query, "--store", indexed / "store", "--json", "--exhaustive", "--score", "paper").json
    assert len(values) == VOLUMES - 1
    assert values[0]["first_stage"] is None
    refused = run("search", query, "--store", indexed / "store", "--score", "loudness")
    assert refused.code == 1 and "unknown part 'loudness'" in refused.err and "directions" in refused.err


def test_a_query_is_a_file_an_id_or_the_beginning_of_one(indexed: Path) -> None:
    volume = listed(indexed / "store")[2]
    rankings = [
        [one["id"] for one in run("search", name, "--store", indexed / "store", "--json").json]
        for name in (volume["path"], volume["id"], volume["id"][:6])
    ]
    assert rankings[0] == rankings[1] == rankings[2]
    assert volume["id"] not in rankings[0]


def test_search_prints_the_ranking_and_writes_the_report(indexed: Path, tmp_path: Path) -> None:
    query = indexed / "archive" / "volume-000.nii"
    report = tmp_path / "result.html"
    finished = run(
        "search", query, "--store", indexed / "store", "--top", "2", "--region", "slices=2-5", "--report", report
    )
    assert finished.code == 0
    assert finished.out.startswith(f"query: {query} (")
    assert [line.split()[0] for line in finished.out.splitlines()[1:4]] == ["rank", "1", "2"]
    assert "<html" in report.read_text(encoding="utf-8").lower()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ["--region", "slice=8"],
            "--region slice=8, which counts from 0: no axial slice 9: the volume has 8, counted from 1",
        ),
        (["--region", "slices=5-2"], "'slices=5-2': expected the lower number first"),
        (["--region", "nothing.nii"], "no such file"),
        (["--region", "box=1,2,3"], "six numbers"),
        (["--region", "box=900,900,900,901,901,901"], "misses the volume"),
        (["--crop"], "bounded in plane"),
        (["--filter", "color=red"], "'color'"),
        (["--encoder", "resnet"], "'resnet'"),
        (["--index-kind", "tree"], "'tree'"),
        (["--volume", "7"], "number 7"),
        (["--metadata", "nothing.csv"], "nothing.csv"),
    ],
)
def test_a_search_that_cannot_be_done_says_why(indexed: Path, words: list[str], expected: str) -> None:
    query = indexed / "archive" / "volume-000.nii"
    assert expected in said(run("search", query, "--store", indexed / "store", *words))


def test_a_query_that_is_not_there_is_named(indexed: Path, tmp_path: Path) -> None:
    error = said(run("search", tmp_path / "scan.nii", "--store", indexed / "store"))
    assert str(tmp_path / "scan.nii") in error
    assert "no such file" in error


def test_a_name_that_the_system_refuses_is_an_error_of_one_line(indexed: Path) -> None:
    error = said(run("search", "x" * 5000, "--store", indexed / "store"))
    assert len(error.splitlines()) == 1
    assert os.strerror(errno.ENAMETOOLONG) in error


def test_json_has_no_numbers_that_json_does_not_know(capsys: pytest.CaptureFixture) -> None:
    print_json({"a": [float("nan"), 1.5], "b": (float("inf"), "NaN ü")})
    out = capsys.readouterr().out
    assert json.loads(out) == {"a": [None, 1.5], "b": [None, "NaN ü"]}
    assert out.isascii()


def test_a_filter_that_nothing_passes_gives_an_empty_ranking(indexed: Path) -> None:
    query = indexed / "archive" / "volume-000.nii"
    words = ["search", query, "--store", indexed / "store", "--filter", "modality=CT"]
    assert run(*words, "--json").json == []
    assert "no volume passes the filter (modality=CT)" in run(*words).out


def test_the_same_patient_can_be_left_out(tmp_path: Path) -> None:
    paths = write_blobs(tmp_path / "archive", 4)
    (tmp_path / "table.csv").write_text(
        "path,patient\n" + "".join(f"{path},{number // 2}\n" for number, path in enumerate(paths))
    )
    store = tmp_path / "store"
    run("index", tmp_path / "archive", "--store", store, "--metadata", tmp_path / "table.csv")
    values = run("search", paths[0], "--store", store, "--json", "--exclude-same", "patient").json
    assert {Path(one["path"]).name for one in values} == {"volume-002.nii", "volume-003.nii"}


# remove, rebuild, verify


def test_remove_takes_ids_paths_and_folders_and_leaves_the_files(store: Path, indexed: Path) -> None:
    volumes = listed(store)
    assert run("remove", volumes[0]["id"][:8], volumes[1]["path"], "--store", store).out == "removed 2 volumes\n"
    assert len(listed(store)) == VOLUMES - 2
    gone = run("remove", indexed / "archive", "--store", store, "--json").json["removed"]
    assert sorted(gone) == sorted(one["id"] for one in volumes[2:])
    assert len(list((indexed / "archive").iterdir())) == VOLUMES
    assert volumes[0]["id"] in said(run("remove", volumes[0]["id"], "--store", store))


def test_an_id_that_is_no_longer_clear_removes_nothing(store: Path) -> None:
    with sqlite3.connect(store_file(store)) as connection:
        connection.execute("UPDATE volumes SET volume_id = 'abcdef' || substr(volume_id, 7) WHERE key <= 2")
    connection.close()
    assert "2 ids begin like this" in said(run("remove", "abcdef", "--store", store))
    assert len(listed(store)) == VOLUMES


def test_rebuild_makes_the_indexes_anew(store: Path) -> None:
    query = listed(store)[0]["id"]
    before = run("search", query, "--store", store, "--json").json
    indexes = list(store.glob("*/*.index"))
    for file in indexes:
        file.write_bytes(b"damaged")
    assert run("rebuild", "--store", store).code == 0
    assert run("search", query, "--store", store, "--json").json == before
    assert all(file.read_bytes() != b"damaged" for file in indexes)


def test_rebuild_changes_the_kind_of_index(store: Path) -> None:
    pytest.importorskip("faiss")
    assert run("rebuild", "--store", store, "--index-kind", "hnsw", "--json").json["index_kind"] == "hnsw"
    assert run("info", "--store", store, "--json").json["index_kind"] == "hnsw"


def test_rebuild_adds_the_outlines_that_an_older_version_did_not_find(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (file,) = store.glob("*/volumes.sqlite")
    with contextlib.closing(sqlite3.connect(file)) as old:
        old.execute("DROP TABLE outlines")
        old.execute("PRAGMA user_version=1")
        old.commit()
    count = run("info", "--store", store, "--json").json["volumes"]
    query = listed(store)[0]["id"]
    assert f"without outlines: {count}" in run("info", "--store", store).out
    before = run("search", query, "--store", store, "--json").json
    assert "no outline of the body" in run("search", query, "--store", store).out
    with monkeypatch.context() as broken:
        broken.setattr("VolumeRetrievalEngine.retriever.read_again", lambda *_: [][0])
        failed = run("rebuild", "--store", store, "--outlines", "--json").json["outlines"]["failed"]
    assert len(failed) == count and "IndexError" in failed[0]["reason"]
    done = run("rebuild", "--store", store, "--outlines", "--json")
    values = done.json
    assert f"outlines {count}/{count}" in done.err
    assert values["outlines"] == {"added": count, "failed": [], "cancelled": False} and values["without_outlines"] == 0
    after = run("search", query, "--store", store, "--json").json
    assert [one["score"] for one in after] == [one["score"] for one in before]
    assert "no outline" not in run("search", query, "--store", store).out


def test_the_box_of_a_region_is_printed_and_can_be_refined(indexed: Path) -> None:
    query = indexed / "archive" / "volume-000.nii"
    words = ("search", query, "--store", indexed / "store", "--top", "2")
    values = run(*words, "--json", "--refine", "1").json
    assert len(values[0]["box"]["center"]) == 3 and values[1]["refinement"] is None
    refined = values[0]["refinement"]
    assert len(refined["matrix"]) == 4 and (refined["success"] or refined["reason"])
    printed = run(*words, "--refine", "1").out
    assert "box in 1: " in printed and "refined" in printed and "mm" in printed


def test_verify_passes_where_there_is_nothing_or_nothing_wrong(indexed: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in (indexed / "store", tmp_path / "empty", tmp_path / "absent"):
        assert run("verify", "--store", folder).code == 0
        assert run("verify", "--store", folder, "--json").json == {"problems": []}
    write_blobs(tmp_path / "archive", 1)
    run("index", tmp_path / "archive", "--store", tmp_path / "store")
    run("remove", tmp_path / "archive", "--store", tmp_path / "store")
    assert run("verify", "--store", tmp_path / "store").code == 0


@pytest.mark.parametrize(
    "column", ["embeddings.data", "pooled.data", "thumbnails.jpeg", "slice_geometry.origin", "slice_geometry.position"]
)
def test_verify_fails_where_a_bit_was_flipped(store: Path, column: str) -> None:
    file = store_file(store)
    table, name = column.split(".")
    with sqlite3.connect(file) as connection:
        written = connection.execute(f"SELECT {name} FROM {table} WHERE key = 3").fetchone()[0]
    connection.close()
    content = bytearray(file.read_bytes())
    place = content.index(written[20:60]) + 7
    content[place] ^= 0x04
    file.write_bytes(bytes(content))
    finished = run("verify", "--store", store)
    assert finished.code == 3
    assert str(file.parent) in finished.out
    assert "remove it and index it again" in finished.out
    assert finished.out.splitlines()[-1] in ("1 problem", "2 problems")
    assert run("verify", "--store", store, "--json").json["problems"]


@pytest.mark.parametrize("seed", range(4))
def test_verify_fails_where_a_piece_of_the_store_was_overwritten(store: Path, seed: int) -> None:
    file = store_file(store)
    content = bytearray(file.read_bytes())
    chance = random.Random(seed)
    first = chance.randrange(0, len(content) - 40_000)
    content[first : first + 40_000] = chance.randbytes(40_000)
    file.write_bytes(bytes(content))
    assert run("verify", "--store", store).code == 3


def test_verify_fails_where_the_store_is_no_database(store: Path) -> None:
    store_file(store).write_bytes(b"something else" * 1000)
    assert run("verify", "--store", store).code == 3


def test_verify_of_an_encoder_that_was_never_indexed_is_an_error(indexed: Path) -> None:
    assert "'resnet'" in said(run("verify", "--store", indexed / "store", "--encoder", "resnet"))


# Several encoders in one folder


def test_each_recipe_is_a_folder_and_the_one_used_last_is_searched(store: Path, indexed: Path) -> None:
    run("index", indexed / "archive", "--store", store, "--slice-step", "8")
    folders = sorted(path.name for path in store.iterdir() if path.is_dir())
    assert len(folders) == 2
    assert all(name.startswith("descriptor-") for name in folders)
    last = json.loads((store / "last-used.json").read_text())["folder"]
    (other,) = set(folders) - {last}
    assert run("info", "--store", store, "--json").json["folder"].endswith(last)
    assert run("info", "--store", store, "--json", "--encoder", other).json["folder"].endswith(other)
    assert run("info", "--store", store, "--json").json["folder"].endswith(other)
    assert run("verify", "--store", store).code == 0


def test_a_store_is_found_by_the_name_that_its_encoder_was_asked_for_by(store: Path) -> None:
    with sqlite3.connect(store_file(store)) as connection:
        connection.execute("UPDATE meta SET value = ? WHERE name = 'encoder_note'", (json.dumps({"name": "kind:one"}),))
    connection.close()
    assert run("list", "--store", store, "--encoder", "kind:one").code == 0
    assert run("verify", "--store", store, "--encoder", "kind:one").code == 0


def test_a_network_is_indexed_with_and_found_by_the_name_torchscript(shared: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    paths = write_blobs(tmp_path / "archive", 2)
    weights = tmp_path / "network.torchscript.pt"
    shutil.copy(shared / "weights" / "mobilenet_v2_imagenet.torchscript.pt", weights)
    spec = {"name": "small", "input_size": 64, "mean": [0.5] * 3, "std": [0.25] * 3}
    weights.with_suffix(".json").write_text(json.dumps(spec))
    words = ["--store", tmp_path / "store"]
    network = ["--encoder", "torchscript", "--weights", weights, "--device", "cpu"]
    assert run("index", tmp_path / "archive", *words, *network).code == 0
    run("index", tmp_path / "archive", *words, "--encoder", "descriptor")

    values = run("search", paths[0], *words, "--encoder", "torchscript", "--json").json
    assert [Path(one["path"]).name for one in values] == ["volume-001.nii"]
    assert run("info", *words, "--json").json["encoder"] == "torchscript-small"
    # The store knows where its weights are: the nightly command needs not say it again.
    assert "2 unchanged" in run("index", tmp_path / "archive", *words).out


# The process


def test_the_module_runs_as_a_process_of_its_own(tmp_path: Path) -> None:
    write_blobs(tmp_path / "archive", 1)
    finished = finish(start("index", tmp_path / "archive", "--store", tmp_path / "store", "--json"))
    assert finished.code == 0
    assert json.loads(finished.out)["added"] == 1
    assert "index 1/1" in finished.err


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has file names that are no text")
def test_files_whose_path_is_no_text_are_indexed(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    strange = Path(os.fsdecode(os.fsencode(archive) + b"/sch\xe4del"))
    paths = write_blobs(archive, 2)
    write_series(strange / "dicom", stored_values((5, 12, 10)))
    shutil.copy(paths[0], strange / "volume.nii")
    words = ["--store", tmp_path / "store"]

    finished = finish(start("index", archive, *words))
    assert finished.code == 0, finished.err
    assert "4 added" in finished.out
    assert "failed: " not in finished.err
    shown = finish(start("list", *words))
    assert shown.code == 0, shown.err
    assert len(shown.out.splitlines()) == 5
    found = finish(start("search", paths[0], *words, "--json"))
    assert found.code == 0, found.err
    assert len(json.loads(found.out)) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has file names that are no text")
def test_an_archive_whose_own_name_is_no_text_is_indexed(tmp_path: Path) -> None:
    strange = Path(os.fsdecode(os.fsencode(tmp_path) + b"/arch\xefv"))
    write_series(strange / "dicom", stored_values((5, 12, 10)))
    words = ["--store", tmp_path / "store"]
    assert finish(start("index", strange, *words)).code == 0
    again = finish(start("index", strange, *words))
    assert "1 unchanged" in again.out
