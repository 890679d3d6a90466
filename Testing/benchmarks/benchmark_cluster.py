"""Indexing by workers of a cluster on this computer, as ratios to one process; and how many workers one writer feeds.

    python Testing/benchmarks/benchmark_cluster.py [--volumes 40] [--turns 3] [--encoders descriptor radiology-resnet]

Volumes are those of ../shared/data, or phantoms. One process is `index --threads 1`, which keeps to one core; `local:1`
and `local:2` are as for `index --cluster`. Each is a process of its own with a new store, and they take turns: a ratio
is that within a turn, and the median of the turns is printed. Starting (the encoder is loaded, also in each worker, and
worker processes are started) is told apart from the rest, in which volumes are read, embedded, sent and stored: a short
run is mostly starting.

The model: a volume is read and embedded in r + e seconds of a worker, and sent and written in t + w of the head, each
measured alone. N workers need max((r + e) / N, t + w) a volume, so that one writer feeds (r + e) / (t + w) of them; on
a computer of C cores no less than (r + e + t + w) / C. Target: one worker needs at most 1.1 of the time of one process.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from measuring import met, print_table
from VolumeRetrievalEngine.cluster.connection import connected
from VolumeRetrievalEngine.cluster.dask_embedding import OnCluster
from VolumeRetrievalEngine.cluster.order import Order, carry_out, refusal
from VolumeRetrievalEngine.commands.interruption import use_cores
from VolumeRetrievalEngine.encoders.default import default_encoder
from VolumeRetrievalEngine.encoders.encode import recipe_for
from VolumeRetrievalEngine.encoders.networks.device import available_cores
from VolumeRetrievalEngine.encoders.request import EncoderRequest
from VolumeRetrievalEngine.indexing.embedding import InThisProcess, VolumeEmbedding
from VolumeRetrievalEngine.indexing.run import index_volumes
from VolumeRetrievalEngine.patients import PatientTokens
from VolumeRetrievalEngine.phantoms import write_archive
from VolumeRetrievalEngine.reading import Discovery, Roots, VolumeSource, discover
from VolumeRetrievalEngine.store import NewVolume, VolumeStore

_SHARED = Path(os.environ.get("VOLUMERETRIEVAL_SHARED", Path(__file__).resolve().parents[3] / "shared"))
_ALONE = "one process"
_OVERHEAD = 1.1


@dataclass(frozen=True)
class Parts:
    """Seconds a volume: read, embed, transfer, write; and how many bytes are sent."""

    read: float
    embed: float
    transfer: float
    write: float
    size: float

    @property
    def of_worker(self) -> float:
        return self.read + self.embed

    @property
    def of_head(self) -> float:
        return self.transfer + self.write

    def seconds(self, workers: int, cores: int) -> float:
        """A volume's seconds with so many workers."""
        return max(self.of_worker / workers, self.of_head, (self.of_worker + self.of_head) / cores)


def main() -> None:
    """Measure each way in processes of their own, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--volumes", type=int, default=40)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--encoders", nargs="+", default=list(dict.fromkeys(["descriptor", default_encoder().name])))
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--archive", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        with tempfile.TemporaryDirectory() as folder:
            measure = _parts if options.measure == "parts" else _indexed
            print(json.dumps(measure(options.measure, options.encoders[0], _sources(options), Path(folder) / "store")))
        return
    with tempfile.TemporaryDirectory() as folder:
        options.archive = _SHARED / "data"
        if not options.archive.is_dir():
            options.archive = Path(folder) / "phantoms"
            write_archive(options.archive, options.volumes)
        for encoder in options.encoders:
            _compare(encoder, options)


def _compare(encoder: str, options: argparse.Namespace) -> None:
    cores = available_cores()
    parts = Parts(**_child("parts", encoder, options))
    ways = [_ALONE, *(f"local:{count}" for count in options.workers)]
    turns = [{way: _child(way, encoder, options) for way in ways} for _ in range(options.turns)]
    alone = [turn[_ALONE] for turn in turns]
    rows, ratios = [], {}
    for way in ways:
        own = [turn[way] for turn in turns]
        ratios[way] = statistics.median(a["rest"] / b["rest"] for a, b in zip(own, alone, strict=True))
        whole = ((a["start"] + a["rest"]) / (b["start"] + b["rest"]) for a, b in zip(own, alone, strict=True))
        seconds = [statistics.median(one[name] for one in own) for name in ("start", "rest")]
        expected = None
        if way != _ALONE:  # in one process, one core does everything
            expected = parts.seconds(int(way.rpartition(":")[2]), cores) / (parts.of_worker + parts.write)
        rows.append((way, *seconds, ratios[way], expected, statistics.median(whole)))
    first = alone[0]
    print_table(
        f"{encoder}: {first['volumes']} volumes, {first['slices']} slices, {cores} cores, {options.turns} turns",
        ("", "start, s", "rest, s", "rest, to one process", "by the model", "with start, to one process"),
        rows,
    )
    shown = [f"{name} {1e3 * getattr(parts, name):.1f} ms" for name in ("read", "embed", "transfer", "write")]
    fed = parts.of_worker / parts.of_head
    print(
        f"a volume: {', '.join(shown)}; {parts.size / 1e3:.0f} kB are sent\n"
        f"one writer feeds {fed:.0f} workers: at most {1 / parts.of_head:.0f} volumes a second"
    )
    if "local:1" in ratios:
        print(f"one worker, to one process: {met(ratios['local:1'], _OVERHEAD)}", flush=True)


def _child(measure: str, encoder: str, options: argparse.Namespace) -> dict[str, Any]:
    arguments = ["--measure", measure, "--archive", options.archive, "--volumes", options.volumes]
    command = [sys.executable, __file__, *map(str, arguments), "--encoders", encoder]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.splitlines()[-1])


def _sources(options: argparse.Namespace) -> list[VolumeSource]:
    """So many of the archive's volumes, spread over it."""
    found = discover([options.archive], root=Roots(), exclude=["*/labels/*"], tokens=PatientTokens.ephemeral()).sources
    chosen = np.linspace(0, len(found) - 1, min(options.volumes, len(found))).astype(int)
    return [found[number] for number in chosen]


def _indexed(how: str, encoder: str, sources: list[VolumeSource], folder: Path) -> dict[str, float]:
    """Seconds of an indexing run."""
    request = EncoderRequest(encoder)
    if how == _ALONE:
        use_cores(1, asked=True)
    started = time.perf_counter()
    with ExitStack() as opened:
        made = request.create()
        recipe = recipe_for(made)
        embedding: VolumeEmbedding = InThisProcess(made)
        if how != _ALONE:
            client = opened.enter_context(connected(how))
            client.run(refusal, Order.of(request, recipe))
            embedding = OnCluster(client, request)
        start = time.perf_counter() - started
        with VolumeStore.create(folder, recipe) as store:
            started = time.perf_counter()
            report = index_volumes(Discovery(sources), store, embedding, Roots())
            rest = time.perf_counter() - started
    return {"start": start, "rest": rest, "slices": report.slices, "volumes": len(report.added)}


def _parts(_: str, encoder: str, sources: list[VolumeSource], folder: Path) -> dict[str, float]:
    """The seconds of each part, with nothing else at work."""
    use_cores(1, asked=True)
    request = EncoderRequest(encoder)
    order = Order.of(request, recipe_for(request.create()))
    refusal(order)  # loads the encoder
    read = worked = 0.0
    outcomes = []
    for source in sources:
        started = time.perf_counter()
        source.read()
        read += time.perf_counter() - started
        started = time.perf_counter()
        outcome = carry_out(order, source)
        worked += time.perf_counter() - started
        if isinstance(outcome, NewVolume):
            outcomes.append(outcome)
    with connected("local:1") as client:
        client.run(_keep, outcomes)
        client.submit(_kept, 0, pure=False).result()
        started = time.perf_counter()
        for number in range(len(outcomes)):
            client.submit(_kept, number, pure=False).result()
        transfer = time.perf_counter() - started
    with VolumeStore.create(folder, recipe_for(request.create())) as store:
        started = time.perf_counter()
        for outcome in outcomes:
            store.add(outcome)
        write = time.perf_counter() - started
    count = len(sources)
    size = sum(_bytes(one) for one in outcomes)
    seconds = {"read": read, "embed": worked - read, "transfer": transfer, "write": write, "size": size}
    return {name: value / count for name, value in seconds.items()}


def _bytes(outcome: NewVolume) -> int:
    arrays = (outcome.embeddings, outcome.pooled, outcome.slices.origin, outcome.slices.normal)
    return sum(one.nbytes for one in arrays) + sum(map(len, outcome.thumbnails))


def _keep(outcomes: list[NewVolume], dask_worker: Any) -> None:
    dask_worker.kept = outcomes


def _kept(number: int) -> NewVolume:
    from distributed import get_worker

    return get_worker().kept[number]


if __name__ == "__main__":
    main()
