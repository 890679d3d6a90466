"""The search worker as a real process, spoken to through its pipes as Slicer would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from engine.archives import a_scan, write_archive
from engine.dicom_files import stored_values, write_series
from VolumeRetrievalEngine.retriever import Retriever
from VolumeRetrievalEngine.worker.messages import LineSplitter, decode, encode

ENGINE = Path(__file__).resolve().parents[3] / "VolumeRetrieval"


class Worker:
    """A worker process: send requests, read messages."""

    def __init__(self, store: Path):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "VolumeRetrievalEngine", "serve", "--store", str(store)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ENGINE)},
        )

    def send(self, request: int, method: str, **params: object) -> None:
        self.send_line(encode({"id": request, "method": method, "params": params}))

    def send_line(self, line: bytes) -> None:
        self.process.stdin.write(line)
        self.process.stdin.flush()

    def message(self) -> dict:
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read().decode()
        return decode(line)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()

    def answer(self, request: int) -> dict:
        """The result or error of this request; progress is passed over."""
        while True:
            message = self.message()
            if message.get("id") == request and message["type"] in ("result", "error"):
                return message


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("worker")
    write_archive(folder / "archive", range(2))
    Retriever.create(folder / "store", "descriptor").add([folder / "archive"])
    return folder / "store"


@pytest.fixture
def worker(store: Path):
    one = Worker(store)
    yield one
    one.close()


def test_the_first_message_says_which_process_works(worker):
    hello = worker.message()

    assert (hello["type"], hello["protocol"]) == ("hello", 1)
    assert hello["pid"] == worker.process.pid


def test_a_search_with_voxels_from_a_file_gives_matches_with_their_matrices(worker, tmp_path):
    query = a_scan(7, "chest")
    np.save(tmp_path / "voxels.npy", query.voxels)
    volume = {"file": str(tmp_path / "voxels.npy"), "affine": query.affine.tolist(), "modality": "CT"}

    worker.send(1, "search", volume=volume, region={"slices": [10, 20]}, options={"top": 2}, name="my scan")
    result = worker.answer(1)["result"]

    assert result["query"] == "my scan"
    assert len(result["matches"]) == 2
    best = result["matches"][0]
    assert np.shape(best["similarity"]) == (len(result["query_slices"]), len(best["slice_index"]))
    assert {"first_slice", "last_slice", "extent_mm"} <= set(best["ranges"][0])


def test_a_search_can_name_the_files_of_the_query(worker, tmp_path):
    files = write_series(tmp_path, stored_values((6, 32, 32)), gap=8.0)

    worker.send(1, "search", files=[str(file) for file in files], options={"top": 1})

    assert worker.answer(1)["result"]["query_slices"] == list(range(6))


def test_an_indexed_volume_is_searched_with_by_its_id_and_has_thumbnails(worker):
    worker.send(1, "list", filter=[])
    volumes = worker.answer(1)["result"]
    worker.send(2, "search", query=volumes[0]["id"], options={"top": 1, "ranking": "exhaustive"})
    match = worker.answer(2)["result"]["matches"][0]
    worker.send(3, "thumbnails", slices=[[volumes[0]["key"], 0]])

    assert match["id"] != volumes[0]["id"]
    assert match["first_stage"] is None
    assert len(worker.answer(3)["result"][0]) > 100


@pytest.mark.parametrize(
    ("method", "params", "kind"),
    [
        ("search", {"query": "ffffffffffff"}, "UnknownVolumeError"),
        ("search", {}, "QueryError"),
        ("search", {"path": "/no/such/file.nii.gz"}, "UnknownVolumeError"),
        ("dance", {}, "QueryError"),
        ("status", {"encoder": "no-such"}, "StoreError"),
    ],
)
def test_an_error_has_a_type_and_a_text_and_the_worker_goes_on(worker, method, params, kind):
    worker.send(1, method, **params)
    error = worker.answer(1)["error"]
    worker.send(2, "status")

    assert error["type"] == kind
    assert error["text"]
    assert worker.answer(2)["result"]["volumes"] == 6


def test_a_line_that_is_no_request_is_passed_over(worker):
    worker.send_line(b"garbage \xff\n[1]\n{}\n")
    worker.send(5, "status")

    assert worker.answer(5)["type"] == "result"


def test_a_request_can_arrive_in_pieces(worker):
    line = encode({"id": 1, "method": "status", "params": {"encoder": "descriptor", "note": "Schädel"}})
    for piece in (line[:20], line[20:-3], line[-3:]):
        worker.send_line(piece)

    assert worker.answer(1)["type"] == "result"


def test_a_waiting_request_can_be_cancelled(worker):
    for request in range(1, 6):
        worker.send(request, "search", query="0" * 31)
    worker.send(50, "status")
    worker.send(99, "cancel", id=50)
    answers = {}
    while len(answers) < 7:
        message = worker.message()
        if "id" in message:
            answers[message["id"]] = message

    # Whether the status was still waiting is a matter of time; what is said of it has to be true.
    if answers[99]["result"]:
        assert answers[50]["error"]["type"] == "Cancelled"
    else:
        assert answers[50]["type"] == "result"


def test_an_unknown_request_cannot_be_cancelled(worker):
    worker.send(1, "cancel", id=1234)

    assert worker.answer(1)["result"] is False


def test_it_ends_with_the_program_that_started_it(worker):
    worker.message()
    worker.process.stdin.close()

    assert worker.process.wait(timeout=20) == 0


def test_it_ends_when_told_to(worker):
    worker.send(1, "shutdown")

    assert worker.answer(1)["result"] is True
    assert worker.process.wait(timeout=20) == 0


def test_it_sees_what_is_indexed_while_it_runs(tmp_path):
    paths = write_archive(tmp_path / "archive", range(1))
    Retriever.create(tmp_path / "store", "descriptor").add([paths["head-0"]])
    worker = Worker(tmp_path / "store")
    try:
        worker.send(1, "status")
        before = worker.answer(1)["result"]["volumes"]
        Retriever.create(tmp_path / "store").add([tmp_path / "archive"])
        worker.send(2, "status")

        assert (before, worker.answer(2)["result"]["volumes"]) == (1, 3)
    finally:
        worker.close()


def test_lines_are_split_whatever_the_chunks():
    messages = [{"n": number, "text": "Größe 胸部 " * number} for number in range(5)]
    data = b"".join(encode(message) for message in messages)
    for size in (1, 2, 3, 7, 1000):
        splitter = LineSplitter()
        lines = [line for start in range(0, len(data), size) for line in splitter.feed(data[start : start + size])]
        assert [decode(line) for line in lines] == messages
        assert splitter.unfinished == b""


def test_a_message_that_is_not_json_is_refused_where_it_is_made():
    with pytest.raises(ValueError):
        encode({"value": float("nan")})
    assert decode(b"[1, 2]") is None
    assert decode(json.dumps({"a": 1}).encode()) == {"a": 1}
