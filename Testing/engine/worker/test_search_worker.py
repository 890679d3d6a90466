"""The search worker as a real process, spoken to through its pipes as Slicer would."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from engine.archives import a_scan, write_archive
from engine.dicom_files import stored_values, write_series
from VolumeRetrievalEngine.errors import MessageTooLongError
from VolumeRetrievalEngine.retriever import Retriever
from VolumeRetrievalEngine.searching.match import SearchResult
from VolumeRetrievalEngine.searching.refinement import Refinement
from VolumeRetrievalEngine.worker import messages
from VolumeRetrievalEngine.worker.matrices import decode_matrix, encode_matrix
from VolumeRetrievalEngine.worker.messages import LineSplitter, MessageWriter, decode, encode
from VolumeRetrievalEngine.worker.retriever_pool import RetrieverPool
from VolumeRetrievalEngine.worker.search_worker import SearchWorker

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


def indexed(store: Path) -> list[str]:
    """The ids of the indexed volumes."""
    with Retriever.open(store) as retriever:
        return [one.volume_id for one in retriever.listing()]


@pytest.fixture
def worker(store: Path):
    one = Worker(store)
    yield one
    one.close()


def test_the_first_message_says_which_process_works(worker):
    hello = worker.message()

    assert (hello["type"], hello["protocol"]) == ("hello", 2)
    assert hello["pid"] == worker.process.pid


def test_a_search_with_voxels_from_a_file_gives_matches_and_their_matrices_on_request(worker, tmp_path):
    query = a_scan(7, "chest")
    np.save(tmp_path / "voxels.npy", query.voxels)
    volume = {"file": str(tmp_path / "voxels.npy"), "affine": query.affine.tolist(), "modality": "CT"}

    worker.send(1, "search", volume=volume, region={"slices": [10, 20]}, options={"top": 2}, name="my scan")
    result = SearchResult.from_dict(worker.answer(1)["result"])
    best = result.matches[0]
    worker.send(2, "similarity", search=result.search_id, key=best.key)
    matrix = decode_matrix(worker.answer(2)["result"])

    assert result.query_path == "my scan"
    assert len(result.matches) == 2
    assert matrix.dtype == np.float32 and matrix.shape == (len(result.query_table), best.n_rows)
    assert matrix.max(axis=1).mean() == pytest.approx(best.score, abs=1e-3)
    assert matrix[best.best_query_row, best.best_row] == pytest.approx(best.ranges[0].similarity, abs=0.1)


def test_a_search_that_is_no_longer_remembered_has_no_matrices(worker):
    worker.send(1, "similarity", search="0" * 32, key=1)
    worker.send(2, "similarity", key=1)

    assert worker.answer(1)["error"]["type"] == "UnknownSearchError"
    assert "expected search and key" in worker.answer(2)["error"]["text"]


def test_a_match_of_the_last_searches_is_refined_on_request(worker, store):
    worker.send(2, "search", query=indexed(store)[0], options={"top": 1})
    result = SearchResult.from_dict(worker.answer(2)["result"])
    worker.send(3, "refine", search=result.search_id, key=result.matches[0].key)
    found = Refinement.from_dict(worker.answer(3)["result"])
    assert found.matrix.shape == (4, 4) and (found.success or found.reason)
    worker.send(4, "refine", search=result.search_id, key=99999)
    worker.send(5, "refine", search="0" * 32, key=1)
    worker.send(6, "refine", search=result.search_id)
    assert "not among the results" in worker.answer(4)["error"]["text"]
    assert worker.answer(5)["error"]["type"] == "UnknownSearchError"
    assert "expected search and key" in worker.answer(6)["error"]["text"]


def test_a_search_can_name_the_files_of_the_query(worker, tmp_path):
    files = write_series(tmp_path, stored_values((6, 32, 32)), gap=8.0)

    worker.send(1, "search", files=[str(file) for file in files], options={"top": 1})

    assert worker.answer(1)["result"]["query_table"]["index"] == list(range(6))


def test_an_indexed_volume_is_searched_with_by_its_id(worker, store):
    query = indexed(store)[0]
    worker.send(2, "search", query=query, options={"top": 1, "ranking": "exhaustive"})
    match = worker.answer(2)["result"]["matches"][0]

    assert match["volume_id"] != query
    assert match["first_stage"] is None


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

    assert worker.process.wait(timeout=600) == 0


def test_it_ends_when_told_to(worker):
    worker.send(1, "shutdown")

    assert worker.answer(1)["result"] is True
    assert worker.process.wait(timeout=600) == 0


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


def test_several_stores_are_searched_as_one_and_what_is_asked_afterwards_is_answered_by_them(worker, store, tmp_path):
    write_archive(tmp_path / "archive", seeds=range(4, 5))
    other = tmp_path / "other"
    Retriever.create(other, "descriptor").add([tmp_path / "archive"])
    stores = {"stores": [str(store), str(other), str(tmp_path / "nowhere")]}

    query = str(tmp_path / "archive" / "chest-4.nii.gz")
    worker.send(1, "search", path=query, pictures=True, options={"top": 20}, **stores)
    values = worker.answer(1)["result"]
    pictures = values.pop("pictures")
    result = SearchResult.from_dict(values)

    assert {match.store for match in result.matches} == {str(store), str(other)}
    assert [one.problem_type for one in result.stores] == ["", "", "NoStoreError"]
    assert all(base64.b64decode(pictures[str(match.key)]).startswith(b"\xff\xd8") for match in result.matches)
    away = next(match for match in result.matches if match.store == str(other))
    worker.send(2, "similarity", search=result.search_id, key=away.key, **stores)
    assert worker.answer(2)["result"]["shape"] == [len(result.query_table), away.n_rows]
    worker.send(3, "refine", search=result.search_id, key=away.key, **stores)
    assert np.shape(Refinement.from_dict(worker.answer(3)["result"]).matrix) == (4, 4)
    worker.send(4, "search_again", search=result.search_id, options={"like": [away.volume_id]}, **stores)
    again = SearchResult.from_dict(worker.answer(4)["result"])
    assert again.matches[0].volume_id == away.volume_id and again.matches[0].store == str(other)
    worker.send(5, "search", query=away.volume_id, **stores)
    assert worker.answer(5)["result"]["query_id"] == away.volume_id


def test_the_first_store_decides_on_the_encoder_as_soon_as_it_has_one(tmp_path):
    write_archive(tmp_path / "archive", seeds=range(1))
    first, second = tmp_path / "first", tmp_path / "second"
    Retriever.create(second, "descriptor").add([tmp_path / "archive"])
    query = tmp_path / "archive" / "head-0.nii.gz"
    pool = RetrieverPool(first)
    stores = [str(first), str(second)]

    def problems() -> list[str]:
        return [one.problem_type for one in pool.united(stores).search(query).stores]

    assert problems() == ["NoStoreError", ""]
    Retriever.create(first, "descriptor", slice_step_mm=0.0).add([tmp_path / "archive"])
    assert problems() == ["", "OtherRecipeError"]
    Retriever.create(first, "descriptor", slice_step_mm=3.0).add([tmp_path / "archive"])
    assert problems() == ["", ""]
    assert pool.united(stores, is_asked_again=True) is pool.united(stores)
    pool.close()


def test_a_worker_keeps_the_sets_of_stores_open_that_were_searched_last(tmp_path):
    write_archive(tmp_path / "archive", seeds=range(1))
    stores = [str(tmp_path / name) for name in "abcd"]
    for store in stores:
        Retriever.create(store, "descriptor").add([tmp_path / "archive"])
    pool = RetrieverPool(tmp_path / "a")
    first, second = pool.united(stores[:1]), pool.united(stores[:2])
    assert pool.united(stores[:1]) is first
    pool.united(stores[:3])
    assert pool.united(stores[:1]) is first
    assert pool.united(stores[:2]) is not second
    pool.close()


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


def test_a_line_that_is_too_long_is_an_error_however_it_comes():
    splitter = LineSplitter(maximum_bytes=10)
    assert splitter.feed(b"0123456789\n01234") == [b"0123456789"]
    with pytest.raises(MessageTooLongError, match="longer than"):
        splitter.feed(b"567890")
    with pytest.raises(MessageTooLongError):
        LineSplitter(maximum_bytes=10).feed(b"01234567890\n")


def test_a_result_that_is_too_long_is_an_error_to_whoever_asked(monkeypatch):
    monkeypatch.setattr(messages, "MAXIMUM_LINE_BYTES", 1 << 20)
    stream = io.BytesIO()
    with pytest.raises(MessageTooLongError, match=r"longer than 1 MB: ask for fewer results"):
        MessageWriter(stream).result("x" * (1 << 20), 1)
    assert stream.getvalue() == b""


def test_a_request_that_is_too_long_ends_the_worker_with_an_error(monkeypatch):
    monkeypatch.setattr(messages.LineSplitter.__init__, "__defaults__", (1000,))
    answers = io.BytesIO()
    SearchWorker(RetrieverPool(Path("nowhere")), io.BytesIO(b"x" * 2000), MessageWriter(answers)).run()
    said = [decode(line) for line in answers.getvalue().splitlines()]
    assert [one["type"] for one in said] == ["hello", "error"]
    assert said[1]["error"]["type"] == "MessageTooLongError" and "id" not in said[1]


def test_a_matrix_travels_as_float16():
    matrix = np.random.default_rng(0).uniform(-1, 1, (3, 5)).astype(np.float32)
    again = decode_matrix(json.loads(json.dumps(encode_matrix(matrix))))
    assert again == pytest.approx(matrix, abs=5e-4)
    for broken in ({}, {"shape": [2, 2], "float16": "!"}, {"shape": [2, 2], "float16": "AAAA"}):
        with pytest.raises(ValueError):
            decode_matrix(broken)
