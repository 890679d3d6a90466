"""Stores that workers of a cluster hold open give what the same stores give when they are opened here."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine.archives import a_scan, write_scan
from engine.commands import PACKAGES, run
from engine.store_samples import RECIPE, unit_rows, volume_id
from engine.two_stores import FIRST, SEARCHES, SECOND, a_volume
from VolumeRetrievalEngine.cluster import dask_store, held_store
from VolumeRetrievalEngine.cluster.connection import connected
from VolumeRetrievalEngine.cluster.dask_store import Place, StoreOnWorker, open_stores_on
from VolumeRetrievalEngine.cluster.held_store import Failure, HeldStore
from VolumeRetrievalEngine.cluster.remote_store import RemoteSession
from VolumeRetrievalEngine.encoders.request import EncoderRequest
from VolumeRetrievalEngine.errors import StoreError, StoreLostError, UnknownVolumeError
from VolumeRetrievalEngine.query.region import SliceRange
from VolumeRetrievalEngine.retriever import Retriever
from VolumeRetrievalEngine.searching.options import SearchOptions
from VolumeRetrievalEngine.searching.session import SearchSession
from VolumeRetrievalEngine.store import VolumeStore
from VolumeRetrievalEngine.store.attribute_filter import AttributeFilter
from VolumeRetrievalEngine.store.folder import StoreFolder
from VolumeRetrievalEngine.united.united_retriever import open_stores

pytest.importorskip("dask", reason="needs Dask: pip install 'VolumeRetrievalEngine[cluster]'")
distributed = pytest.importorskip("distributed", reason="needs Dask: pip install 'VolumeRetrievalEngine[cluster]'")


OPTIONS = SEARCHES | {"other patients": {"exclude": frozenset({"volume", "patient"}), "top": 40}}


def a_store(folder: Path, numbers: range) -> Path:
    path = StoreFolder(folder).path_for(RECIPE)
    with VolumeStore.create(path, RECIPE) as store:
        for number in numbers:
            store.add(a_volume(number))
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("held")
    a_store(folder / "first", FIRST)
    a_store(folder / "second", SECOND)
    return folder


@pytest.fixture(scope="module")
def client() -> Iterator[object]:
    """Of a cluster of two processes, which are called 0 and 1."""
    with connected("local:2", direct=True) as one:
        yield one


@pytest.fixture(scope="module", params=["both", "one here"])
def pair(request, client, base) -> Iterator[tuple[Retriever, Retriever]]:
    """The stores opened here, and held by workers."""
    places = [f"0:{base / 'first'}", f"1:{base / 'second'}" if request.param == "both" else str(base / "second")]
    with open_stores([base / "first", base / "second"]) as here, open_stores_on(client, places) as held:
        yield here, held


def found(retriever: Retriever, query: str, options: SearchOptions, region: SliceRange | None = None) -> tuple:
    result = retriever.search(query, region=region, options=options)
    return (
        result.n_volumes,
        result.n_candidates,
        result.score,
        result.filter,
        [re.sub(r"\b[01]:/", "/", note) for note in result.notes],  # stores are called by their workers, too
        [
            (one.volume_id, one.key, one.path, one.place, one.files, one.likeness, pytest.approx(one.score))
            for one in result.matches
        ],
    )


@pytest.mark.parametrize("region", [None, SliceRange(8, 14)], ids=["whole", "region"])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_results_are_those_of_the_same_stores_opened_here(pair, region, options):
    here, held = pair
    asked = SearchOptions(**{"top": 12, **options})
    for number in (3, 24):
        assert found(held, volume_id(number), asked, region) == found(here, volume_id(number), asked, region)


def test_the_twin_at_the_other_worker_comes_first_and_equals_keep_their_order(pair):
    here, held = pair
    for retriever in pair:
        assert retriever.search(volume_id(3), options=SearchOptions(top=1)).matches[0].volume_id == volume_id(30)
    both = SearchOptions(top=2, exclude=frozenset(), ranking="exhaustive", score="paper")
    results = [one.search(volume_id(3), options=both) for one in (here, held)]
    for result in results:
        assert [one.volume_id for one in result.matches] == [volume_id(3), volume_id(30)]
        assert result.matches[0].score == result.matches[1].score


def on_worker(client: object, name: str, folder: Path, kind: str = "auto") -> StoreOnWorker:
    address = dask_store._address(client, Place(name, str(folder)))
    return StoreOnWorker(client, address, (str(folder), EncoderRequest(), kind, "", dask_store.__version__))


@pytest.mark.parametrize("kind", ["numpy", "flat", "hnsw"])
def test_an_index_and_a_reader_elsewhere_answer_as_those_here(client, base, kind):
    if kind != "numpy":
        pytest.importorskip("faiss")
    folder = StoreFolder(base / "second").choose()
    remote = RemoteSession(on_worker(client, "1", base / "second", kind), folder, RECIPE)
    queries, mean = unit_rows(5, 16, 24), unit_rows(1, 16, 99)[0] / 10
    with SearchSession(folder, kind) as here:
        every = here.store.keys()
        for level in ("slices", "pooled"):
            ours, theirs = (getattr(session, level) for session in (remote, here))
            assert (ours.holds_rows, ours.compares_all) == (theirs.holds_rows, theirs.compares_all)
            remote.store.keys(AttributeFilter.parse(["modality=CT"]))  # these keys are not sent back
            for keys in (None, every[3:9], here.store.keys(AttributeFilter.parse(["modality=CT"])), every[:0]):
                assert ours.count_allowed(keys) == theirs.count_allowed(keys)
                for k in (0, 7, 400):
                    hits, expected = ours.search(queries, k, keys), theirs.search(queries, k, keys)
                    for name in ("similarity", "key", "row"):
                        assert np.array_equal(getattr(hits, name), getattr(expected, name))
                        assert getattr(hits, name).dtype == getattr(expected, name).dtype
                for how in ("scores", "directions", "maxima"):
                    for one, other in zip(
                        getattr(ours, how)(queries, keys, mean), getattr(theirs, how)(queries, keys, mean), strict=True
                    ):
                        np.testing.assert_allclose(one, other, atol=1e-6)
        key = int(every[4])
        for read in ("embeddings", "outlines", "files"):
            assert np.array_equal(getattr(remote.store, read)(key), getattr(here.store, read)(key)), read
        assert remote.store.slices(key).sop_uid == here.store.slices(key).sop_uid
        assert remote.store.thumbnail(key, 2) == here.store.thumbnail(key, 2)
        for how in ("many_embeddings", "many_pooled"):
            for _ in ("asked", "kept"):
                rows, offsets = getattr(remote.store, how)(every[[5, 2]])
                expected, bounds = getattr(here.store, how)(every[[5, 2]])
                assert np.array_equal(rows, expected)
                assert offsets.tolist() == bounds.tolist()
        assert remote.store.listing() == here.store.listing()
        assert remote.store.find_series("1.2.24") == here.store.find_series("1.2.24")
        assert remote.store.find_series("1.2.24")[0].files == here.store.find_series("1.2.24")[0].files
        assert remote.store.records([key]) == here.store.records([key])
        assert remote.store.keys_of_other_modality("CT").tolist() == here.store.keys_of_other_modality("CT").tolist()
        with pytest.raises(UnknownVolumeError, match="holds no volume with the key 99"):
            remote.store.embeddings(99)


class Counted(StoreOnWorker):
    """Notes what is asked of the store in `folder`; `interrupt` is called before each question."""

    def __init__(self, *arguments: Any):
        super().__init__(*arguments)
        self.folder: str = arguments[-1][0]
        self.asked: list[str] = []
        self.interrupt: Callable[[str], None] = lambda question: None

    def __call__(self, question: str, *values: object) -> object:
        self.interrupt(question)
        self.asked.append(question)
        return super().__call__(question, *values)


@pytest.fixture
def lines(monkeypatch) -> list[Counted]:
    """The ways to the stores that are opened from now on."""
    made = []

    def make(*arguments: object) -> Counted:
        made.append(Counted(*arguments))
        return made[-1]

    monkeypatch.setattr(dask_store, "StoreOnWorker", make)
    return made


def test_a_search_asks_each_store_a_few_questions_whatever_is_found(client, base, lines):
    with open_stores_on(client, [f"0:{base / 'first'}", f"1:{base / 'second'}"]) as held:
        held.search(volume_id(3), options=SearchOptions(top=3))
        for line in lines:
            line.asked.clear()
        result = held.search(volume_id(4), options=SearchOptions(top=12))
        assert len(result.matches) == 12
        for line in lines:
            assert len(line.asked) <= 9, line.asked


def test_a_volume_that_is_added_or_removed_meanwhile_is_seen(client, tmp_path, lines):
    folder = a_store(tmp_path / "store", range(8))
    path = StoreFolder(folder).choose()
    with open_stores_on(client, [f"0:{folder}"]) as held:
        assert len(held.search(volume_id(3)).matches) == 7
        with VolumeStore.open(path, writable=True) as store:
            store.add(a_volume(8))
        assert len(held.search(volume_id(3)).matches) == 8

        def remove(question: str) -> None:
            if question == "volumes" and "rows" in lines[0].asked:
                lines[0].asked.clear()
                lines[0].interrupt = lambda question: None
                with VolumeStore.open(path, writable=True) as store:  # while a search is under way
                    store.remove([volume_id(5)])

        lines[0].asked.clear()
        lines[0].interrupt = remove
        result = held.search(volume_id(3))
        assert volume_id(5) not in {one.volume_id for one in result.matches}
        assert len(result.matches) == 7
        with pytest.raises(UnknownVolumeError):
            held.search(volume_id(5))


def opened_there(client: object) -> dict[str, dict[str, int]]:
    return client.run(lambda: {str(path): id(one) for (path, _), one in held_store._OPEN.items()})


def test_a_store_stays_open_when_a_search_process_has_ended_until_another_is_in_its_place(client, tmp_path):
    folder = a_store(tmp_path / "store", range(3))
    path = str(StoreFolder(folder).choose())
    address = dask_store._address(client, Place("1", ""))
    with open_stores_on(client, [f"1:{folder}"]) as held:
        assert len(held.search(volume_id(1)).matches) == 2
    before = opened_there(client)[address][path]
    with connected(client.scheduler.address, direct=True) as other, open_stores_on(other, [f"1:{folder}"]) as held:
        assert len(held.search(volume_id(1)).matches) == 2
    assert opened_there(client)[address][path] == before
    shutil.rmtree(folder)
    a_store(folder, range(6))
    with open_stores_on(client, [f"1:{folder}"]) as held:
        assert len(held.search(volume_id(1)).matches) == 5


def test_what_cannot_be_searched_is_named_and_the_others_answer(client, base, monkeypatch):
    stores = [f"0:{base / 'first'}", f"0:{base / 'nowhere'}", f"node-7:{base / 'second'}"]
    with open_stores_on(client, stores) as held:
        result = held.search(volume_id(3), options=SearchOptions(top=40))
    assert len(result.matches) == len(FIRST) - 1
    assert any(f"{stores[1]} is not searched: no store" in note for note in result.notes)
    assert any(f"{stores[2]} is not searched: the cluster has no worker of this name" in one for one in result.notes)
    monkeypatch.setattr(dask_store, "__version__", "0.0.1")
    with pytest.raises(StoreError, match=r"has version .* of the engine, the head 0\.0\.1"):
        open_stores_on(client, stores[:1])


def test_a_cluster_that_is_gone_is_named_and_the_stores_here_answer(client, base):
    stores = [f"0:{base / 'first'}", str(base / "second")]
    with connected(client.scheduler.address, direct=True) as own, open_stores_on(own, stores) as held:
        assert len(held.search(volume_id(21), options=SearchOptions(top=40)).matches) == len(FIRST) + len(SECOND) - 1
        own.close()  # as it does by itself some time after the scheduler has gone
        for problem in ("StoreLostError", "ClusterError"):  # found out, and tried again
            result = held.search(volume_id(21), options=SearchOptions(top=40))
            assert len(result.matches) == len(SECOND) - 1
            assert [one.problem_type for one in result.stores] == [problem, ""]
    assert "scheduler does not answer any more" in result.stores[0].problem


@pytest.fixture
def start_worker(client, tmp_path) -> Iterator[Callable[[], subprocess.Popen]]:
    """Starts a worker of the cluster without a nanny, which is called "mortal"."""
    started = []

    def start() -> subprocess.Popen:
        options = ["--name", "mortal", "--nthreads", "1", "--host", "127.0.0.1", "--no-nanny", "--no-dashboard"]
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "distributed.cli.dask_worker", client.scheduler.address, *options],
                env={**os.environ, "PYTHONPATH": str(PACKAGES)},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=tmp_path,
            )
        )
        give_up = time.monotonic() + 120
        while not any("mortal" in names for names in client.run(dask_store._names_of, on_error="ignore").values()):
            assert time.monotonic() < give_up, "the worker does not start"
            time.sleep(0.1)
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.parametrize("moment", ["between searches", "while it is asked"])
def test_a_worker_that_is_killed_is_named_and_the_others_answer(client, base, lines, start_worker, moment):
    worker = start_worker()
    stores = [f"0:{base / 'first'}", f"mortal:{base / 'second'}"]
    with open_stores_on(client, stores) as held:
        lost = held.search(volume_id(3), options=SearchOptions(top=1))
        assert lost.matches[0].volume_id == volume_id(30)
        # Stores are opened side by side: which of the ways was made first is chance.
        way = next(one for one in lines if one.folder == str(base / "second"))

        def kill() -> None:
            worker.kill()
            worker.wait()  # until then it may still answer

        if moment == "between searches":
            kill()
        else:
            way.interrupt = lambda question: kill() if question in ("index", "rows") else None
        result = held.search(volume_id(3), options=SearchOptions(top=40))
        assert {one.store for one in result.matches} == {stores[0]}
        assert len(result.matches) == len(FIRST) - 1
        assert [one.problem_type for one in result.stores] == ["", "StoreLostError"]
        assert any(note.startswith(f"{stores[1]} is not searched: the worker") for note in result.notes)
        with pytest.raises(UnknownVolumeError, match="not searched any more"):
            held.thumbnail(lost.matches[0].key, 0)
        with pytest.raises(StoreLostError):
            way("open")
        if moment == "between searches":
            start_worker()
            again = held.search(volume_id(3), options=SearchOptions(top=40))
            assert [one.problem for one in again.stores] == ["", ""]
            assert again.matches[0].volume_id == volume_id(30)


def test_the_querys_patient_is_known_by_the_secret_of_the_store_at_the_worker(client, tmp_path):
    archive = tmp_path / "archive"
    for number, patient in enumerate(("one", "two", "three")):
        write_scan(archive / f"{patient}.nii.gz", a_scan(number, "head"))
    table = tmp_path / "patients.csv"
    table.write_text("path,patient\narchive/one.nii.gz,one\narchive/two.nii.gz,two\nnew/scan.nii.gz,one\n")
    store = tmp_path / "index"
    run("index", archive, "--store", store, "--encoder", "descriptor", "--metadata", table)
    query = write_scan(tmp_path / "new" / "scan.nii.gz", a_scan(7, "head"))
    arguments = ["search", query, "--metadata", table, "--exclude-same", "patient", "--json"]
    here = run(*arguments, "--store", store)
    held = run(*arguments, "--cluster", client.scheduler.address, "--store", f"0:{store}")
    assert held.code == 0
    found = [[{**one, "store": ""} for one in json.loads(result.out)] for result in (held, here)]
    assert found[0] == found[1]
    assert [Path(one["path"]).name for one in found[0]] == ["two.nii.gz", "three.nii.gz"]


def test_a_folder_at_a_worker_is_told_from_one_here():
    assert Place.of("node1:/data/index") == Place("node1", "/data/index")
    assert str(Place.of("10.0.0.7:~/index")) == "10.0.0.7:~/index"
    assert Place.of("0:index") == Place("0", "index")
    for text in ("C:\\index", "/data/index", "./a:b/index", "index"):
        assert Place.of(text) is None, text


def test_a_question_that_fails_by_a_fault_of_ours_is_answered_all_the_same(base, caplog):
    held = HeldStore(str(base / "first"), EncoderRequest(), "auto", "", dask_store.__version__)
    answer = held.ask("volumes", "no keys")
    assert isinstance(answer, Failure) and "ValueError in the process that holds it" in str(answer.error)
    assert "volumes" in caplog.text
    held_store._OPEN.popitem()[1].close()
