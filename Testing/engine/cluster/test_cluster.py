"""Indexing by a cluster of real processes: the same embeddings, and whatever dies takes nothing finished with it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from engine.archives import a_scan, write_scan
from engine.cluster.spoilt_sources import MEMORY, SpoiltSource
from engine.commands import PACKAGES, run
from VolumeRetrievalEngine.cluster import order as orders
from VolumeRetrievalEngine.cluster.connection import connected
from VolumeRetrievalEngine.cluster.dask_embedding import OnCluster
from VolumeRetrievalEngine.cluster.order import Order, carry_out, refusal
from VolumeRetrievalEngine.encoders.encode import recipe_for
from VolumeRetrievalEngine.encoders.request import EncoderRequest
from VolumeRetrievalEngine.errors import ClusterError, StoreError
from VolumeRetrievalEngine.indexing.embedding import InThisProcess
from VolumeRetrievalEngine.indexing.run import IndexingReport, index_volumes
from VolumeRetrievalEngine.patients import PatientTokens
from VolumeRetrievalEngine.progress import Cancelled, Progress
from VolumeRetrievalEngine.reading import Discovery, Root, Roots, discover
from VolumeRetrievalEngine.store import VolumeStore

dask = pytest.importorskip("dask", reason="needs Dask: pip install 'VolumeRetrievalEngine[cluster]'")
distributed = pytest.importorskip("distributed", reason="needs Dask: pip install 'VolumeRetrievalEngine[cluster]'")

REQUEST = EncoderRequest("descriptor")
RECIPE = recipe_for(REQUEST.create())


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    for number in range(6):
        write_scan(folder / f"{number}.nii.gz", a_scan(number % 2, "head"))
    return folder


@pytest.fixture(scope="module")
def client() -> Iterator[object]:
    # Without a grace period, so that a worker that takes too much memory is ended at once.
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, memory_limit=MEMORY, host="127.0.0.1", dashboard_address=":0"
    )
    with cluster, distributed.Client(cluster, set_as_default=False) as one:
        yield one


@dataclass
class Bench:
    """An archive's sources, and a store to index them into."""

    folder: Path
    store: Path

    def found(self) -> Discovery:
        return discover([self.folder], root=self.roots, tokens=PatientTokens(b"secret" * 8))

    @property
    def roots(self) -> Roots:
        return Roots([Root("archive", self.folder)])

    def run(self, embedding, spoil: dict[int, tuple[str, Path]] | None = None, progress=None) -> IndexingReport:
        found = self.found()
        for number, (behavior, marker) in (spoil or {}).items():
            found.sources[number] = SpoiltSource.of(found.sources[number], behavior, marker)
        opened = (
            VolumeStore.open(self.store, writable=True)
            if self.store.exists()
            else VolumeStore.create(self.store, RECIPE)
        )
        with opened as store:
            return index_volumes(found, store, embedding, self.roots, progress=progress)

    def stored(self) -> dict[str, np.ndarray]:
        with VolumeStore.open(self.store) as store:
            return {one.label: store.many_embeddings([one.key])[0] for one in store.records(store.keys())}

    def slices(self) -> dict[str, list[int]]:
        with VolumeStore.open(self.store) as store:
            return {one.label: store.slices(one.key).index.tolist() for one in store.records(store.keys())}


@pytest.fixture
def bench(archive, tmp_path) -> Bench:
    return Bench(archive, tmp_path / "store")


def test_a_cluster_embeds_what_one_process_embeds(client, bench, tmp_path):
    report = bench.run(OnCluster(client, REQUEST))
    assert len(report.added) == 6
    alone = replace(bench, store=tmp_path / "alone")
    alone.run(InThisProcess(REQUEST.create()))
    ours, theirs = bench.stored(), alone.stored()
    assert ours.keys() == theirs.keys()
    for label, rows in ours.items():
        assert np.einsum("nd,nd->n", rows, theirs[label]).min() >= 0.99999
    assert bench.slices() == alone.slices()


def test_a_volume_that_ends_its_worker_twice_is_reported_and_no_other_is_blamed(client, bench, tmp_path):
    spoil = {
        0: ("kill", tmp_path / "killed"),
        1: ("kill once", tmp_path / "once"),
        2: ("raise", tmp_path / "raised"),
        3: ("eat", tmp_path / "eaten"),
    }
    allowed = client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.allowed_failures)
    report = bench.run(OnCluster(client, REQUEST), spoil)
    assert sorted(bench.stored()) == ["1.nii.gz", "4.nii.gz", "5.nii.gz"]
    reasons = {one.path.name: one.reason for one in report.failed}
    assert "ended the worker that embedded it, twice" in reasons["0.nii.gz"]
    assert "ended the worker that embedded it, twice" in reasons["3.nii.gz"]
    assert "RuntimeError" in reasons["2.nii.gz"]
    assert "Doe" not in reasons["2.nii.gz"]
    assert client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.allowed_failures) == allowed


def test_a_slow_volume_holds_up_no_other_and_the_number_given_out_is_bounded(client, bench, tmp_path):
    marker = tmp_path / "go on"
    done = []

    def progress(step: Progress) -> None:
        done.append(step.done)
        if step.done == 5:  # all but the slow one are stored
            marker.touch()

    report = bench.run(OnCluster(client, REQUEST), {0: ("wait", marker)}, progress)
    assert len(report.added) == 6
    assert done[-1] == 6


def test_stopping_keeps_what_is_finished_and_the_next_run_goes_on(client, bench, tmp_path):
    def stop(step: Progress) -> None:
        if step.done == 2:
            raise Cancelled

    report = bench.run(OnCluster(client, REQUEST), progress=stop)
    assert report.cancelled
    assert len(bench.stored()) == 2
    again = bench.run(OnCluster(client, REQUEST))
    assert (again.unchanged, len(again.added)) == (2, 4)


def test_a_full_disk_ends_the_run_with_what_is_stored(client, bench, monkeypatch):
    add, added = VolumeStore.add, []

    def fill_up(self: VolumeStore, entry: object) -> int:
        if len(added) == 2:
            raise StoreError("the disk is full")
        added.append(entry)
        return add(self, entry)

    monkeypatch.setattr(VolumeStore, "add", fill_up)
    with pytest.raises(StoreError, match="full"):
        bench.run(OnCluster(client, REQUEST))
    assert len(bench.stored()) == 2


def test_workers_that_differ_are_refused_by_name(client, bench, monkeypatch):
    monkeypatch.setattr(orders, "__version__", "0.0.1")
    with pytest.raises(ClusterError, match=r"the worker tcp://.* differs.*has version .* the head 0\.0\.1: install"):
        bench.run(OnCluster(client, REQUEST))
    assert bench.stored() == {}


def test_an_order_for_other_weights_is_refused_by_worker_and_task(archive):
    other = Order.of(REQUEST, replace(RECIPE, weights="ab" * 32))
    assert "sha256" in refusal(other)
    found = Bench(archive, archive).found()
    with pytest.raises(ClusterError, match="sha256"):
        carry_out(other, found.sources[0])
    # A request without a name is for the encoder of the recipe, not for the worker's default one.
    assert Order.of(EncoderRequest(), RECIPE).request.name == "descriptor"
    assert carry_out(Order.of(EncoderRequest(), RECIPE), found.sources[0]).embeddings.dtype == np.float16


def test_processes_of_this_computer_keep_the_memory_that_they_will_need_again(monkeypatch):
    started = {}

    def start(**values: object) -> None:
        started.update(dask.config.get("distributed.nanny.pre-spawn-environ"))
        raise RuntimeError("far enough")

    monkeypatch.setattr(distributed, "LocalCluster", start)
    with pytest.raises(RuntimeError, match="far enough"), connected("local:1"):
        pass
    assert "MALLOC_TRIM_THRESHOLD_" not in started
    assert started["OMP_NUM_THREADS"] == 1


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("nowhere", "expected the address of a Dask scheduler"),
        ("local:0", "one process or more"),
        ("missing.json", "not a JSON file that describes jobs"),
        ("tcp://127.0.0.1:9", "no scheduler answers there"),
    ],
)
def test_an_address_that_is_no_cluster_says_what_was_expected(address, expected, monkeypatch):
    monkeypatch.setattr("VolumeRetrievalEngine.cluster.connection._ANSWER_SECONDS", 1)
    with pytest.raises(ClusterError, match=expected), connected(address):
        pass


def test_a_file_of_jobs_is_checked_before_anything_is_submitted(tmp_path):
    file = tmp_path / "jobs.json"
    file.write_text(json.dumps({"class": "HTCondorCluster", "jobs": 2}))
    with pytest.raises(ClusterError, match=r'expected "class" \(one of SLURMCluster, PBSCluster'), connected(str(file)):
        pass


# Processes of their own, to be killed


@pytest.fixture
def scheduler(tmp_path) -> Iterator[tuple[str, subprocess.Popen]]:
    """A scheduler's address and its process, with one worker."""
    file = tmp_path / "scheduler.json"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PACKAGES), str(PACKAGES.parent / "Testing")])}
    quiet = {"env": environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
    programs = {
        "scheduler": ["--host", "127.0.0.1", "--port", "0", "--no-dashboard"],
        "worker": ["--nthreads", "1", "--no-dashboard"],
    }
    one, worker = (
        subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.dask_{name}", "--scheduler-file", str(file), *options], **quiet
        )
        for name, options in programs.items()
    )
    try:
        with distributed.Client(scheduler_file=str(file), set_as_default=False, timeout=60) as client:
            client.wait_for_workers(1, 60)
            address = client.scheduler_info()["address"]
        yield address, one
    finally:
        for process in (worker, one):
            process.kill()
            process.wait()


#: The command line, which stores three volumes and then waits until it is killed.
STUCK_HEAD = """
import sys
from VolumeRetrievalEngine.commands import main
from VolumeRetrievalEngine.store import VolumeStore

add, added = VolumeStore.add, []

def stuck(self, volume):
    if len(added) == 3:
        print("stuck", flush=True)
        sys.stdin.readline()
    added.append(volume)
    return add(self, volume)

VolumeStore.add = stuck
main(sys.argv[1:])
"""


def test_whoever_is_killed_the_next_run_goes_on(scheduler, archive, tmp_path, monkeypatch):
    monkeypatch.setattr("VolumeRetrievalEngine.cluster.connection._ANSWER_SECONDS", 5)
    address, process = scheduler
    store = tmp_path / "index"
    arguments = ["index", archive, "--store", store, "--encoder", "descriptor"]
    command = [sys.executable, "-c", STUCK_HEAD, *map(str, arguments), "--cluster", address]
    head = subprocess.Popen(command, cwd=PACKAGES, stdout=subprocess.PIPE, stdin=subprocess.PIPE)
    assert b"stuck\n" in head.stdout
    head.send_signal(signal.SIGKILL)
    head.wait()
    finished = json.loads(run("list", "--store", store, "--json").out)
    assert len(finished) == 3

    # The scheduler dies while the second head waits for a volume.
    bench = Bench(archive, tmp_path / "store")
    with connected(address) as client:

        def kill(step: Progress) -> None:
            if step.done == 5:
                process.kill()

        with pytest.raises(ClusterError, match="the scheduler is gone; what was finished is stored"):
            bench.run(OnCluster(client, REQUEST), {5: ("wait", tmp_path / "never")}, kill)
    assert len(bench.stored()) == 5
    lost = run(*arguments, "--cluster", address)
    assert (lost.code, "no scheduler answers there" in lost.err) == (1, True)
    last = json.loads(run(*arguments, "--json").out)
    assert (last["unchanged"], last["added"]) == (len(finished), 6 - len(finished))
