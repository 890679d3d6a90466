"""Searching stores that workers of a cluster hold open, as a ratio to the same stores opened here.

    python Testing/benchmarks/benchmark_held_stores.py [--volumes 1000] [--slices 120] [--dimension 256] [--stores 2]

Synthetic stores of so many volumes each (benchmark_store.py), on this computer, each at a process of its own. Queries
are indexed volumes; the two ways take turns. Besides the time: how many questions a search asks each store, how many
bytes that are each way, and what a question costs that is answered at once. On a network each question takes its round
trip more.
"""

from __future__ import annotations

import argparse
import os
import pickle
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any
from unittest import mock

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from benchmark_store import RECIPE, synthetic_rows, synthetic_volume
from measuring import print_table
from VolumeRetrievalEngine.cluster import dask_store
from VolumeRetrievalEngine.cluster.connection import connected
from VolumeRetrievalEngine.cluster.dask_store import StoreOnWorker, open_stores_on
from VolumeRetrievalEngine.query.region import SliceRange
from VolumeRetrievalEngine.retriever import Retriever
from VolumeRetrievalEngine.store import VolumeStore
from VolumeRetrievalEngine.store.folder import StoreFolder
from VolumeRetrievalEngine.united.united_retriever import UnitedRetriever


class Counted(StoreOnWorker):
    """Counts questions and bytes, once it is told to."""

    counts: Counter[str] | None = None

    def __call__(self, question: str, *values: Any) -> Any:
        answer = super().__call__(question, *values)
        if (counts := Counted.counts) is not None:
            counts[question] += 1
            counts["sent"] += len(pickle.dumps((question, values)))
            counts["received"] += len(pickle.dumps(answer))
        return answer


def main() -> None:
    """Build, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--volumes", type=int, default=1000, help="of each store")
    parser.add_argument("--slices", type=int, default=120)
    parser.add_argument("--dimension", type=int, default=256)
    parser.add_argument("--stores", type=int, default=2)
    parser.add_argument("--queries", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folders = [Path(folder) / str(number) for number in range(options.stores)]
        ids = [one for number, each in enumerate(folders) for one in _build(each, number, options)]
        middle = options.slices // 2
        regions = {"whole volume": None, "region of 11 slices": SliceRange(middle - 5, middle + 5)}
        chosen = [ids[place] for place in np.linspace(0, len(ids) - 1, options.queries).astype(int)]
        with (
            mock.patch.object(dask_store, "StoreOnWorker", Counted),
            connected(f"local:{options.stores}", direct=True) as client,
            UnitedRetriever.of(folders) as here,
            open_stores_on(client, [f"{number}:{each}" for number, each in enumerate(folders)]) as held,
        ):
            rows = [_compare(here, held, chosen, title, region, options.stores) for title, region in regions.items()]
            part = held._parts[0]._remote.store
            asked = [_seconds(lambda: part.thumbnail(1, 0))[0] for _ in range(50)]
    print_table(
        f"{options.stores} stores of {options.volumes} volumes x {options.slices} slices x {options.dimension}",
        (
            "query",
            "here, ms",
            "held, ms",
            "held, to here",
            "first search, ms: here",
            "held",
            "questions a store",
            "kB to it",
            "kB from it",
        ),
        rows,
    )
    print(f"a question that is answered at once takes {1e3 * statistics.median(asked):.1f} ms", flush=True)


def _build(folder: Path, number: int, options: argparse.Namespace) -> list[str]:
    """A store with its indexes; the ids of its volumes."""
    generator = np.random.default_rng(number)
    first = number * options.volumes
    ids = []
    with VolumeStore.create(StoreFolder(folder).path_for(RECIPE), RECIPE) as store:
        for one in range(first, first + options.volumes):
            volume = synthetic_volume(one, synthetic_rows(options.slices, options.dimension, generator), generator)
            ids.append(volume.identity.volume_id)
            store.add(volume)
    with Retriever.open(folder) as retriever, retriever.writing() as store:
        retriever.update_indexes(store)
    return ids


def _compare(
    here: Retriever, held: Retriever, queries: list[str], title: str, region: SliceRange | None, stores: int
) -> tuple[object, ...]:
    ways = {"here": here, "held": held}
    first = {name: _seconds(lambda one=one: one.search(queries[0], region=region))[0] for name, one in ways.items()}
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for query in queries:
        results = {}
        for name, one in ways.items():
            seconds, results[name] = _seconds(lambda one=one, query=query: one.search(query, region=region))
            taken[name].append(seconds)
        ids = [[match.volume_id for match in result.matches] for result in results.values()]
        if ids[0] != ids[1]:
            raise SystemExit(f"{query}: the stores held by workers found {ids[1]}, expected {ids[0]}")
    Counted.counts = Counter()
    held.search(queries[-1], region=region)
    counts, Counted.counts = Counted.counts, None
    sent, received = (counts.pop(name) / stores / 1e3 for name in ("sent", "received"))
    print(f"{title}: {dict(counts)}")
    ratio = statistics.median(b / a for a, b in zip(taken["here"], taken["held"], strict=True))
    medians, firsts = [1e3 * statistics.median(one) for one in taken.values()], [1e3 * one for one in first.values()]
    return title, *medians, ratio, *firsts, sum(counts.values()) / stores, sent, received


def _seconds(call: Any) -> tuple[float, Any]:
    started = time.perf_counter()
    answer = call()
    return time.perf_counter() - started, answer


if __name__ == "__main__":
    main()
