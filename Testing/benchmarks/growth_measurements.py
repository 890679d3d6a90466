"""What is measured of a large store, each in a process of its own (benchmark_growth.py): values for JSON.

Seconds are of the clock, `cpu` is of this process with all its threads. Of what is repeated, the least time counts:
whatever else the machine does makes it longer.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from VolumeRetrievalEngine import Retriever, SearchOptions
from VolumeRetrievalEngine.commands.console import ProgressLine
from VolumeRetrievalEngine.query.region import SliceRange
from VolumeRetrievalEngine.searching.match import SearchResult
from VolumeRetrievalEngine.searching.neighbor_file import LEVELS_FILE, update_levels
from VolumeRetrievalEngine.searching.session import SearchSession
from VolumeRetrievalEngine.slice_index.row_map import Level
from VolumeRetrievalEngine.slice_index.slice_index import SliceIndex
from VolumeRetrievalEngine.store import VolumeStore
from VolumeRetrievalEngine.store.archive_mean import keep_mean

from .growing_archive import RECIPE, new_volume, query_ids, volume_id

#: Volumes that are added to the archive.
ADDED = 100
#: Every query is searched with so often.
_REPEATS = 3
#: Slices of a region.
_REGION = SliceRange(55, 64)

Values = dict[str, Any]


def build_index(folder: Path, level: Level, kind: str) -> Values:
    """Make the index of a level from everything in the store."""
    path = Retriever.open(folder).path
    with VolumeStore.open(path, RECIPE, writable=True) as store, ProgressLine() as line:
        took, index = _timed(lambda: SliceIndex.made_anew(path, store, level, kind, line))
    size = (path / f"{level}.index").stat().st_size if (path / f"{level}.index").exists() else 0
    return {**took, "kind": index.kind, "rows": index.n_rows, "file": size, "peak": peak_bytes()}


def build_levels(folder: Path) -> Values:
    """What the volumes reach as neighbors, and the archive's mean: made anew when an archive has grown by a tenth."""
    with VolumeStore.open(Retriever.open(folder).path, RECIPE, writable=True) as store, ProgressLine() as line:
        keep_mean(store)
        (store.folder / LEVELS_FILE).unlink(missing_ok=True)
        took, _nothing = _timed(lambda: update_levels(store, line))
    return {**took, "peak": peak_bytes()}


def open_store(folder: Path) -> Values:
    """From nothing to a session whose index of pooled rows is up to date."""

    def opened() -> SearchSession:
        session = SearchSession(Retriever.open(folder).path)
        session.refresh(("pooled",))
        return session

    took, session = _timed(opened)
    return {**took, "volumes": session.pooled.n_volumes, "kind": session.pooled.kind, "peak": peak_bytes()}


def search(folder: Path, n_queries: int) -> Values:
    """Whole volumes in two stages, the first search with what it has to open."""
    with Retriever.open(folder) as retriever:
        queries = query_ids()[:n_queries]
        first, _result = _timed(lambda: retriever.search(queries[-1]))
        least, laps = _least(lambda one: retriever.search(one), queries)
    return {"first": first["wall"], **least, "laps": laps, "peak": peak_bytes()}


def search_regions(folder: Path, n_queries: int) -> Values:
    """Likewise with ten slices of each volume, which are found by the index of slices."""
    with Retriever.open(folder) as retriever:
        queries = query_ids()[:n_queries]
        first, _result = _timed(lambda: retriever.search(queries[-1], region=_REGION))
        least, laps = _least(lambda one: retriever.search(one, region=_REGION), queries)
    return {"first": first["wall"], **least, "laps": laps, "peak": peak_bytes()}


def add_volumes(folder: Path, volumes: int, levels: Sequence[Level]) -> Values:
    """ADDED more volumes, each in a transaction, and what a writer brings up to date afterwards.

    Args:
        levels: the indexes that there are; a writer would make the other one.
    """
    added = [new_volume(volumes + number) for number in range(ADDED)]
    retriever = Retriever.open(folder)

    def add() -> float:
        with retriever.writing() as store:
            started = time.perf_counter()
            for one in added:
                store.add(one)
            stored = time.perf_counter() - started
            _bring_up_to_date(store, levels)
        return stored

    took, stored = _timed(add)
    return {**took, "stored": stored, "peak": peak_bytes()}


def remove_volumes(folder: Path, volumes: int, levels: Sequence[Level]) -> Values:
    """Remove them again."""
    retriever = Retriever.open(folder)

    def remove() -> None:
        with retriever.writing() as store:
            store.remove([volume_id(volumes + number) for number in range(ADDED)])
            _bring_up_to_date(store, levels)

    took, _nothing = _timed(remove)
    return {**took, "peak": peak_bytes()}


def recall(folder: Path, n_queries: int) -> Values:
    """The share of the exhaustive search's ten best that the search in two stages finds, for each query."""
    with Retriever.open(folder) as retriever:
        shares, seconds = [], []
        for query in query_ids()[:n_queries]:
            started = time.perf_counter()
            exact = _ids(retriever.search(query, options=SearchOptions(ranking="exhaustive")))
            seconds.append(time.perf_counter() - started)
            shares.append(len(exact & _ids(retriever.search(query))) / len(exact))
            print(f"recall {shares[-1]:.1f}, exhaustive in {seconds[-1]:.0f} s", file=sys.stderr, flush=True)
    return {"recall": sum(shares) / len(shares), "least": min(shares), "queries": len(shares), "wall": median(seconds)}


def peak_bytes() -> int:
    """The greatest resident size of this process so far; 0 where the system does not tell."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def _bring_up_to_date(store: VolumeStore, levels: Sequence[Level]) -> None:
    """What searching/upkeep.py does, for these levels."""
    keep_mean(store)
    for level in levels:
        SliceIndex.open(store.folder, store, level, writable=True)
    update_levels(store)


def _timed(call: Callable[[], Any]) -> tuple[dict[str, float], Any]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = call()
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}, result


def _least(call: Callable[[str], SearchResult], queries: Iterable[str]) -> tuple[dict[str, float], dict[str, float]]:
    """Medians over the queries of the least times of each, and of the parts of that search."""
    walls, cpus, laps = [], [], []
    for query in queries:
        runs = [_timed(lambda one=query: call(one)) for _ in range(_REPEATS)]
        took, result = min(runs, key=lambda run: run[0]["wall"])
        walls.append(took["wall"])
        cpus.append(min(run[0]["cpu"] for run in runs))
        laps.append(result.seconds)
    by_part = {name: median(one[name] for one in laps) for name in laps[0]}
    return {"wall": median(walls), "cpu": median(cpus)}, by_part


def _ids(result: SearchResult) -> set[str]:
    return {match.volume_id for match in result.matches}
