"""Indexing as Slicer and a nightly job start it: from its database, from lists of files, with messages."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from engine.dicom_files import stored_values, write_series
from engine.slicer_databases import import_files, remove_series
from engine.store_samples import RECIPE, new_volume
from VolumeRetrievalEngine.commands import main
from VolumeRetrievalEngine.errors import MetadataError, UnreadableFileError
from VolumeRetrievalEngine.indexing.run import IndexingReport
from VolumeRetrievalEngine.reading import Skipped
from VolumeRetrievalEngine.retriever import Retriever
from VolumeRetrievalEngine.slicer_database.database_file import DATABASE_FILE, read_series
from VolumeRetrievalEngine.slicer_database.index_series import index_series
from VolumeRetrievalEngine.slicer_database.series_list import DATABASE_ROOT, ListedSeries, SeriesList
from VolumeRetrievalEngine.slicer_database.series_register import SeriesRegister
from VolumeRetrievalEngine.store import VolumeStore
from VolumeRetrievalEngine.store.folder import StoreFolder
from VolumeRetrievalEngine.store.mapping import MAPPED
from VolumeRetrievalEngine.store.volume_names import roots_of
from VolumeRetrievalEngine.worker.messages import decode

ENGINE = Path(__file__).resolve().parents[3] / "VolumeRetrieval"
LOCALIZER = ("ORIGINAL", "PRIMARY", "LOCALIZER")
OWN, LINKED, SCOUT = "1.2.1", "1.2.2", "1.2.3"


def a_series(folder: Path, uid: str, slices: int = 6) -> list[Path]:
    return write_series(folder, stored_values((slices, 24, 24), seed=int(uid[-1])), series=uid, gap=4.0)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database with a series whose files it holds, one whose files are linked, and a localizer."""
    folder = tmp_path / "SlicerDICOMDatabase"
    files = a_series(folder / "dicom" / OWN, OWN) + a_series(tmp_path / "archive" / LINKED, LINKED)
    files += write_series(tmp_path / "archive" / SCOUT, stored_values((1, 8, 8)), series=SCOUT, image_type=LOCALIZER)
    return import_files(folder, files)


@pytest.fixture
def index(database: Path, capsys):
    """Indexes the database in this process; returns what the command prints."""

    def run(*arguments: str) -> dict:
        words = ["--slicer-database", str(database), "--json", "--full-speed", "--encoder", "descriptor", *arguments]
        assert main(["index", *words]) == 0
        return json.loads(capsys.readouterr().out)

    return run


def register(database: Path) -> SeriesRegister:
    with VolumeStore.open(StoreFolder(database / "VolumeRetrieval").choose()) as store:
        return SeriesRegister.of_store(store)


def indexed_series(database: Path) -> set[str]:
    return {record.series_uid for record in Retriever.open(database / "VolumeRetrieval").listing()}


def test_the_database_is_read_with_the_files_of_every_series(database):
    listed = read_series(database)

    assert {one.uid: len(one.files) for one in listed.series} == {OWN: 6, LINKED: 6, SCOUT: 1}
    assert all(Path(file).is_file() for one in listed.series for file in one.files)
    assert listed.complete


def test_a_folder_without_a_database_is_named(tmp_path):
    with pytest.raises(UnreadableFileError, match=DATABASE_FILE):
        read_series(tmp_path)
    (tmp_path / DATABASE_FILE).write_bytes(b"not SQLite at all" * 100)
    with pytest.raises(UnreadableFileError, match="cannot be read as a DICOM database"):
        read_series(tmp_path)


def test_the_database_is_not_written(database):
    before = (database / DATABASE_FILE).read_bytes()
    (database / DATABASE_FILE).chmod(0o400)

    read_series(database)

    assert (database / DATABASE_FILE).read_bytes() == before
    assert [file.name for file in database.glob("ctkDICOM*")] == [DATABASE_FILE]


def test_a_nightly_run_indexes_every_series_beside_the_database(database, index):
    report = index()

    assert report["added"] == 2
    assert indexed_series(database) == {OWN, LINKED}
    assert register(database).seen[SCOUT].reason == "a localizer"


def test_what_is_unchanged_is_not_looked_at_again(database, index):
    index()
    for file in (database / "dicom" / OWN).iterdir():
        file.unlink()

    again = index()

    assert (again["added"], again["failed"]) == (0, [])
    assert again["series"] == {"indexed": 0, "unchanged": 3, "skipped": 0, "failed": 0, "removed": 0}
    assert indexed_series(database) == {OWN, LINKED}


def test_a_run_opens_the_store_for_writing_once(database, index, monkeypatch):
    index()
    remove_series(database, OWN)
    more = a_series(database / "dicom" / "1.2.4", "1.2.4")
    import_files(database, more)
    opened = []
    real = VolumeStore.open.__func__

    def counted(cls, *arguments, **options):
        opened.append(options.get("writable", False))
        return real(cls, *arguments, **options)

    monkeypatch.setattr(VolumeStore, "open", classmethod(counted))
    listed = read_series(database)
    retriever = Retriever.create(database / "VolumeRetrieval", "descriptor")
    opened.clear()
    report = index_series(retriever, listed)

    assert opened == [True]
    assert (len(report.added), report.pruned) == (1, 1)


def test_why_a_series_was_not_indexed_is_known_by_series_even_if_no_file_of_it_can_be_read(database, index):
    files = a_series(database / "dicom" / "1.2.5", "1.2.5")
    import_files(database, files)
    for file in files:
        file.write_bytes(file.read_bytes()[:200])
    missing = a_series(database / "dicom" / "1.2.6", "1.2.6")
    import_files(database, missing)
    for file in missing:
        file.unlink()

    report = index()

    assert {one["series_uid"] for one in report["failed"]} == {"1.2.5", "1.2.6"}
    assert {one["series_uid"] for one in report["skipped"]} == {SCOUT}
    seen = register(database).seen
    assert seen["1.2.5"].failed and seen["1.2.6"].failed
    assert seen["1.2.6"].reason == "there is no such file or folder"
    assert not seen[SCOUT].failed


def test_a_series_that_got_more_slices_is_indexed_anew(database, index):
    index()
    more = write_series(
        database / "dicom" / OWN, stored_values((2, 24, 24), seed=9), series=OWN, gap=4.0, first=7, start=24.0
    )
    import_files(database, more)

    assert index()["replaced"] == 1
    with Retriever.open(database / "VolumeRetrieval") as retriever:
        assert {one.series_uid: one.n_files for one in retriever.listing()} == {OWN: 8, LINKED: 6}


def test_a_series_that_lost_slices_is_indexed_anew(database, index):
    index()
    remove_series(database, OWN)
    import_files(database, sorted((database / "dicom" / OWN).iterdir())[:4], "2026-03-02")

    index()

    with Retriever.open(database / "VolumeRetrieval") as retriever:
        assert {one.series_uid: one.n_files for one in retriever.listing()} == {OWN: 4, LINKED: 6}


def test_a_series_that_is_gone_from_the_database_leaves_the_index(database, index):
    index()
    remove_series(database, LINKED)
    remove_series(database, SCOUT)

    assert index()["pruned"] == 1
    assert indexed_series(database) == {OWN}
    assert set(register(database).seen) == {OWN}


def test_what_was_indexed_from_a_folder_stays_when_the_database_is_updated(database, index, tmp_path):
    a_series(tmp_path / "elsewhere", "1.2.7")
    Retriever.create(database / "VolumeRetrieval", "descriptor").add([tmp_path / "elsewhere"])

    index()

    assert indexed_series(database) == {OWN, LINKED, "1.2.7"}


def test_a_mapped_volume_that_could_not_be_embedded_is_tried_again(tmp_path):
    series = [ListedSeries(f"1.2.{number}", "stamp", (f"{number}.dcm",)) for number in (1, 2)]
    report = IndexingReport(failed=[Skipped(Path("1.dcm"), "not readable", True, "1.2.1")])
    seen = SeriesRegister()
    with VolumeStore.create(tmp_path / "store", RECIPE) as store:
        for number, precision in ((1, MAPPED), (2, "float32")):
            store.add(replace(new_volume(number), precision=precision))
        seen.note(series, report, store)
    assert [seen.is_settled(one.uid, one.stamp) for one in series] == [False, True]
    assert seen.seen["1.2.1"].reason == "not readable"


def test_a_series_that_failed_is_tried_again(database, index):
    files = sorted((database / "dicom" / OWN).iterdir())
    whole = [file.read_bytes() for file in files]
    for file in files:
        file.write_bytes(file.read_bytes()[:300])
    counts = index()["series"]
    failed = register(database).seen[OWN]

    for file, content in zip(files, whole, strict=True):
        file.write_bytes(content)
    index()

    assert failed.failed and failed.reason
    assert (counts["indexed"], counts["skipped"], counts["failed"]) == (1, 1, 1)  # series, however many files
    assert register(database).seen[OWN].reason == ""
    assert indexed_series(database) == {OWN, LINKED}


def test_series_of_which_only_the_address_is_known_are_skipped(database, index):

    with contextlib.closing(sqlite3.connect(database / DATABASE_FILE)) as opened, opened:
        opened.execute("INSERT INTO Series VALUES ('1.2.8', '1.2', '2026-03-01')")
        opened.execute("INSERT INTO Images VALUES ('1.2.8.1', '', 'https://server/1', '1.2.8', '2026-03-01')")

    index()

    assert "not on this computer" in register(database).seen["1.2.8"].reason


def test_a_database_that_moved_is_known_again(database, index, tmp_path, capsys):
    index()
    moved = database.rename(tmp_path / "moved")
    capsys.readouterr()

    main(["index", "--slicer-database", str(moved), "--json"])

    assert json.loads(capsys.readouterr().out)["added"] == 0
    with VolumeStore.open(StoreFolder(moved / "VolumeRetrieval").choose()) as store:
        assert {root.name: root.path for root in roots_of(store)}[DATABASE_ROOT] == moved
        assert all(path.is_file() for one in store.listing() for path in roots_of(store).absolute(one.files))


def test_a_thousand_linked_series_make_few_roots():
    files = [f"/data/archive/p{number}/s/1.dcm" for number in range(1000)] + ["/mnt/disk/x/1.dcm"]
    listed = SeriesList(Path("/db"), tuple(ListedSeries(file, "", (file,)) for file in files))

    assert [str(root.path) for root in listed.roots()] == ["/db", "/data/archive", "/mnt/disk/x"]


def test_a_list_of_files_is_indexed_and_what_it_names_is_removed(database, index, tmp_path, capsys):
    index()
    listed = SeriesList(
        database, (ListedSeries("1.2.7", "now 6", tuple(map(str, a_series(tmp_path / "new", "1.2.7")))),), False, (OWN,)
    )
    (tmp_path / "list.json").write_text(json.dumps(listed.to_dict()), encoding="utf-8")

    assert main(["index", "--files", str(tmp_path / "list.json"), "--json"]) == 0

    assert json.loads(capsys.readouterr().out)["pruned"] == 1
    assert indexed_series(database) == {LINKED, "1.2.7"}
    assert set(register(database).seen) == {LINKED, SCOUT, "1.2.7"}


@pytest.mark.parametrize("text", ["", "[]", '{"series": [{"uid": "1"}]}'])
def test_a_list_that_is_none_is_refused_with_its_name(tmp_path, text):
    (tmp_path / "list.json").write_text(text)

    with pytest.raises(MetadataError, match=r"list\.json"):
        SeriesList.from_file(tmp_path / "list.json")


def test_something_to_index_has_to_be_named_and_only_one_thing(tmp_path, database):
    for arguments in ([], ["--slicer-database", str(database), "--files", "list.json"]):
        with pytest.raises(SystemExit) as stopped:
            main(["index", "--store", str(tmp_path), *arguments])
        assert stopped.value.code == 2


#: The engine that embeds its second volume, and those after it, only when the end of its input was noticed.
WAITS_FOR_THE_END_OF_ITS_INPUT = """
import sys, threading, time
from VolumeRetrievalEngine.commands import main
from VolumeRetrievalEngine.encoders.descriptor import Descriptor
embed, calls = Descriptor.embed, []
def wait(self, slices):
    calls.append(slices)
    while len(calls) > 1 and any(one.name == "input" for one in threading.enumerate()):
        time.sleep(0.005)
    return embed(self, slices)
Descriptor.embed = wait
sys.exit(main(sys.argv[1:]))
"""


class Job:
    """`index --json-progress` as a process."""

    def __init__(self, *arguments: str, program: str = ""):
        words = ["index", "--json-progress", "--full-speed", "--encoder", "descriptor", *arguments]
        command = ["-c", program] if program else ["-m", "VolumeRetrievalEngine"]
        self.process = subprocess.Popen(
            [sys.executable, *command, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ENGINE)},
        )

    def messages(self) -> list[dict]:
        """The rest of what it says."""
        said = [decode(line) for line in self.process.stdout]
        self.close()
        return said

    def close(self) -> None:
        self.process.wait(timeout=600)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()


def test_a_program_gets_hello_progress_and_result(database):
    job = Job("--slicer-database", str(database))
    said = job.messages()

    assert (said[0]["type"], said[-1]["type"]) == ("hello", "result")
    assert said[0]["pid"] == job.process.pid
    assert {one["stage"] for one in said[1:-1]} == {"scan", "index"}
    assert {one["series"] for one in said[1:-1] if one["stage"] == "index"} == {OWN, LINKED}
    assert (said[-1]["result"]["added"], said[-1]["result"]["store"]["volumes"]) == (2, 2)
    assert job.process.returncode == 0


def test_a_program_gets_an_error_with_its_type(tmp_path):
    job = Job("--slicer-database", str(tmp_path))
    said = job.messages()

    assert said[-1]["error"]["type"] == "UnreadableFileError"
    assert DATABASE_FILE in said[-1]["error"]["text"]
    assert job.process.returncode == 1


def test_closing_its_input_stops_the_job_between_two_volumes_and_the_next_run_goes_on(database, tmp_path, index):
    series = [a_series(tmp_path / "many" / str(number), f"1.3.{number}") for number in range(100, 104)]
    import_files(database, [file for files in series for file in files])
    job = Job("--slicer-database", str(database), program=WAITS_FOR_THE_END_OF_ITS_INPUT)
    for line in job.process.stdout:
        message = decode(line)
        if message.get("stage") == "index" and message["done"] >= 1:
            break
    job.process.stdin.close()
    said = job.messages()

    result = said[-1]["result"]
    assert result["cancelled"] and 1 <= result["store"]["volumes"] < 6
    assert job.process.returncode == 130
    assert result["store"]["volumes"] + index()["added"] == 6


def test_a_job_ends_when_nobody_listens_any_more(database):
    job = Job("--slicer-database", str(database))
    job.process.stdout.close()
    job.process.stdin.close()

    assert job.process.wait(timeout=600) != 0
    job.process.stderr.close()
