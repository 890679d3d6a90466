"""The tables of `make benchmark`: the figures of merit of search, each as ratios within one run."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from VolumeRetrievalEngine.method.late_interaction import similarity_matrix
from VolumeRetrievalEngine.method.localization import matched_ranges
from VolumeRetrievalEngine.slice_index.faiss_index import faiss_is_installed
from VolumeRetrievalEngine.slice_index.slice_index import SliceIndex
from VolumeRetrievalEngine.volume import SliceTable

from .archive import Archive, recall_at_10
from .measuring import Timings, cpu_seconds, met, print_table
from .peers import open_peer, positions
from .plain_numpy import plain_scores
from .stacks import SPACING_MM, StackSet, focal

#: At most this much of Qdrant Edge exact, qdrant-client in memory and LanceDB flat (figure of merit 1).
_EXACT_TARGETS = {"qdrant-edge-py": 0.65, "qdrant-client": 0.6, "lancedb": 0.2}
_FULL_SCORES = 256


def exact_table(stacks: StackSet, peer_names: list[str]) -> None:
    """Figure 1: exhaustive late interaction against the matrix product itself and against the peers."""
    archive = Archive(stacks)
    timings, recalls, titles = Timings(), {}, {}
    peers = {}
    for name in peer_names:
        try:
            peers[name] = open_peer(name, stacks, archive.pooled)
            titles[name] = peers[name].title
        except ImportError as error:
            print(f"{name} is not compared with: {error}")
    square = np.random.default_rng(0).standard_normal((2048, 2048), dtype=np.float32)
    operations = []
    for query in stacks.queries[:8]:
        prepared = {name: peer.prepare(query, archive.pooled[0][:1]) for name, peer in peers.items()}
        calls = {
            "sgemm": lambda query=query: _matrix_product(query, stacks.rows),
            "square": lambda: square @ square,
            "own": lambda query=query: archive.exact(query),
            "plain": lambda query=query: plain_scores(query, stacks.rows, stacks.offsets),
            **{name: lambda peer=peer, query=prepared[name]: peer.exact(query) for name, peer in peers.items()},
        }
        found = timings.take_turns(calls)
        operations.append(2 * len(query) * stacks.rows.size)
        for name in peers:
            recalls.setdefault(name, []).append(recall_at_10(found[name], found["own"]))
        recalls.setdefault("plain", []).append(recall_at_10(np.argsort(-found["plain"]), found["own"]))
    for peer in peers.values():
        peer.close()
    rates = {
        name: np.median(np.array(operations) / np.array(timings.seconds[name])) / 1e9
        for name in ("sgemm", "own", "plain")
    }
    rates["square"] = 2 * 2048**3 / timings.of("square") / 1e6
    rows = [
        ["numpy matrix product Q C^T alone, blocked", timings.of("sgemm"), *_ratios(timings, "sgemm"), None],
        ["ours, exhaustive", timings.of("own"), *_ratios(timings, "own"), 1.0],
        ["plain blocked numpy", timings.of("plain"), *_ratios(timings, "plain"), float(np.mean(recalls["plain"]))],
        *(
            [f"{titles[name]} exact", timings.of(name), *_ratios(timings, name), float(np.mean(recalls[name]))]
            for name in peers
        ),
    ]
    header = ["exact MaxSim", "CPU ms", "x plain numpy", "x ours", "recall@10"]
    print_table(f"1. Exact late interaction, {stacks}", header, rows)
    best = max(rates["sgemm"], rates["square"])
    print(
        f"- sgemm: {rates['sgemm']:.0f} GFLOP/s at this shape, {rates['square']:.0f} for 2048 x 2048; "
        f"ours {rates['own']:.0f}, plain numpy {rates['plain']:.0f}\n"
        f"- ours, share of the sgemm rate: at this shape {met(timings.ratio('sgemm', 'own'), 0.85, at_most=False)}; "
        f"of the better of the two {rates['own'] / best:.3f}"
    )
    for name in peers:
        print(f"- ours / {titles[name]}: {met(timings.ratio('own', name), _EXACT_TARGETS[name])}")


def two_stage_table(
    stacks: StackSet, target: float | None = None, edge: bool = False, plaid: Path | None = None
) -> None:
    """Figures 2 and 3: the default search against exhaustive ones, and against the peers' cascades."""
    archive = Archive(stacks)
    timings, recalls, compared, by_default = Timings(), {}, [], []
    peer = None
    if edge:
        try:
            peer = open_peer("qdrant-edge-py", stacks, archive.pooled)
        except ImportError as error:
            print(f"the cascade of qdrant-edge-py is not compared with: {error}")
    kind = archive.index("pooled", "auto").kind
    for query in stacks.queries:
        calls = {
            "plain": lambda query=query: plain_scores(query, stacks.rows, stacks.offsets),
            "own": lambda query=query: archive.exact(query),
            "two-stage": lambda query=query: archive.two_stage(query),
            "own-default": lambda query=query: archive.exact_by_default(query),
            "default": lambda query=query: archive.two_stage_by_default(query),
        }
        if peer:
            prepared = peer.prepare(query, _pooled_query(query))
            calls["edge"] = lambda prepared=prepared: peer.cascade(prepared)
        found = timings.take_turns(calls)
        compared.append(len(found["two-stage"]))
        by_default.append(len(found["default"]))
        recalls.setdefault("default", []).append(recall_at_10(found["default"], found["own-default"]))
        for name in set(calls) - {"plain", "own", "own-default", "default"}:
            recalls.setdefault(name, []).append(recall_at_10(found[name], found["own"]))
    names = {
        "plain": "plain blocked numpy, every volume",
        "own": "ours, paper's score, every volume",
        "two-stage": f"ours, paper's score: pooled ({kind}), then {np.mean(compared):.0f} compared in full",
        "own-default": "ours, default score, every volume",
        "default": f"ours, default score: pooled ({kind}), then {np.mean(by_default):.0f} compared in full",
    }
    if peer:
        names["edge"] = f"{peer.title}: pooled, then 100 in full"
        peer.close()
    rows = [
        [
            title,
            timings.of(name),
            timings.ratio("plain", name),
            timings.ratio("own", name),
            float(np.mean(recalls[name])) if name in recalls else 1.0,
        ]
        for name, title in names.items()
        if name in timings.seconds
    ]
    if plaid is not None:
        rows.append(_fast_plaid_row(stacks, plaid, timings, archive))
    header = ["search", "CPU ms", "faster than plain numpy", "faster than our exact", "recall@10"]
    print_table(f"2. Two-stage search, {stacks}", header, rows)
    print(f"- recall@10 of the default: {met(float(np.mean(recalls['default'])), 0.99, at_most=False)}")
    print(f"- default / paper's score, both in two stages: {timings.ratio('default', 'two-stage'):.2f}")
    if target is not None:
        print(f"- default / plain numpy: {met(timings.ratio('default', 'plain'), target)}")
    if peer:
        print(f"- default / {peer.title} cascade: {met(timings.ratio('default', 'edge'), 0.65)}")
    if plaid is not None and rows[-1][1] is not None:
        # Both as shares of plain numpy in the same process.
        share = timings.ratio("default", "plain") * rows[-1][2]
        print(f"- default / fast-plaid with {_FULL_SCORES} full scores: {met(share, 0.2)}")


def focal_table(sets: list[StackSet], graph: bool) -> None:
    """Figure 4: queries of few slices, filtered by full slices; and what pooling would make of them (fact 3).

    With `graph`, the smallest set is searched with HNSW too; making one of the larger ones takes minutes.
    """
    rows = []
    archives = [(Archive(stacks), "flat" if faiss_is_installed() else "numpy") for stacks in sets]
    if graph:
        archives.insert(1, (archives[0][0], "hnsw"))
    for archive, kind in archives:
        stacks = archive.stacks
        for n in (1, 2, 5, 20):
            timings, recalls, pooled = Timings(), [], []
            for query in stacks.queries:
                part = focal(query, n)
                archive.index("slices", kind)
                found = timings.take_turns(
                    {
                        "own": lambda archive=archive, part=part: archive.exact(part),
                        "slices": lambda archive=archive, part=part, kind=kind: archive.focal(part, kind),
                    }
                )
                recalls.append(recall_at_10(found["slices"], found["own"]))
                pooled.append(recall_at_10(archive.two_stage(part), found["own"]))
            rows.append(
                [
                    stacks.name,
                    archive.index("slices", kind).kind,
                    n,
                    timings.of("slices"),
                    timings.ratio("own", "slices"),
                    met(float(np.mean(recalls)), 0.99, at_most=False) if n <= 2 else float(np.mean(recalls)),
                    float(np.mean(pooled)),
                ]
            )
    header = ["set", "index", "query slices", "CPU ms", "faster than our exact", "recall@10", "recall@10 if pooled"]
    print_table("4. Focal queries (filter `slices`, 20 distinct volumes for each slice)", header, rows)


def index_table(stacks: StackSet, kinds: list[str]) -> None:
    """Figure 5: every kind of index over all slices, k = 10."""
    archive = Archive(stacks)
    timings, rows = Timings(), []
    queries = stacks.queries[:5]
    indexes: dict[str, SliceIndex] = {}
    built: dict[str, float] = {}
    for kind in kinds:
        built[kind], indexes[kind] = cpu_seconds(lambda kind=kind: archive.index("slices", kind))
    recalls: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
    for query in queries:
        calls = {kind: lambda kind=kind, query=query: indexes[kind].search(query, 10) for kind in kinds}
        found = timings.take_turns({"sgemm": lambda query=query: _matrix_product(query, stacks.rows), **calls})
        truth = found["numpy"].key * 100_000 + found["numpy"].row
        for kind in kinds:
            got = found[kind].key * 100_000 + found[kind].row
            first = float(np.mean(got[:, 0] == truth[:, 0]))
            ten = float(np.mean([np.isin(a, b).mean() for a, b in zip(truth, got, strict=True)]))
            recalls[kind].append((first, ten))
    for kind in kinds:
        first, ten = np.mean(recalls[kind], axis=0)
        size = indexes[kind].size_bytes / 1e6
        rows.append([kind, built[kind], size, timings.of(kind), timings.ratio(kind, "sgemm"), float(first), float(ten)])
    header = ["index", "build CPU-s", "MB", "CPU ms", "x matrix product", "recall@1", "recall@10"]
    print_table(f"5. Indexes of {len(stacks.rows)} slices, k = 10, a query of {len(queries[0])} slices", header, rows)
    if "flat" in kinds:
        print(f"- Flat / matrix product: {met(timings.ratio('flat', 'sgemm'), 1.3)}")
    if "hnsw" in kinds and "flat" in kinds:
        first = float(np.mean(recalls["hnsw"], axis=0)[0])
        print(f"- HNSW32 recall@1: {met(first, 0.98, at_most=False)}")
        print(f"- HNSW32 / Flat: {met(timings.ratio('hnsw', 'flat'), 0.1)}")


def localization_table(stacks: StackSet) -> None:
    """Figure 6: similarity matrix and matched ranges of one shown volume."""
    query = stacks.queries[0]
    timings = Timings()
    query_table = _slice_table(len(query))
    same = []
    for v in range(min(100, len(stacks))):
        volume = stacks.volume(v)
        table = _slice_table(len(volume))
        found = timings.take_turns(
            {
                "matrix": lambda volume=volume: similarity_matrix(query, volume),
                "all": lambda volume=volume, table=table: matched_ranges(
                    similarity_matrix(query, volume), query_table, table
                ),
            }
        )
        wide = query.astype(np.float64) @ volume.astype(np.float64).T
        same.append(found["all"] == matched_ranges(found["matrix"], query_table, table))
        same.append(bool((found["matrix"].argmax(axis=1) == wide.argmax(axis=1)).all()))
    rows = [["similarity matrix", timings.of("matrix")], ["similarity matrix and matched ranges", timings.of("all")]]
    print_table(f"6. Localization, {len(query)} query slices, per shown volume", ["step", "CPU ms"], rows)
    print(f"- per shown volume in ms: {met(timings.of('all'), 1.0)}; equal to exact: {np.mean(same):.3f}")


def growth_table(whole: StackSet, sizes: list[int]) -> None:
    """How search grows with the archive: time, memory and making the index."""
    rows = []
    for n in sizes:
        archive = Archive(whole.first(n))
        flat_seconds, flat = cpu_seconds(lambda archive=archive: archive.index("pooled", "flat"))
        list_seconds, lists = cpu_seconds(lambda archive=archive: archive.index("pooled", "ivf-sq8"))
        timings, recalls = Timings(), {"flat": [], "lists": []}
        for query in whole.queries[:6]:
            found = timings.take_turns(
                {
                    "own": lambda archive=archive, query=query: archive.exact(query),
                    "flat": lambda archive=archive, query=query: archive.two_stage(query, "flat"),
                    "lists": lambda archive=archive, query=query: archive.two_stage(query, "ivf-sq8"),
                }
            )
            for name, values in recalls.items():
                values.append(recall_at_10(found[name], found["own"]))
        rows.append(
            [
                n,
                len(archive.stacks.rows),
                timings.of("own"),
                timings.of("flat"),
                float(np.mean(recalls["flat"])),
                flat.size_bytes / 1e6,
                flat_seconds,
                timings.of("lists"),
                float(np.mean(recalls["lists"])),
                lists.size_bytes / 1e6,
                list_seconds,
            ]
        )
    header = ["volumes", "slices", "our exact ms", "two-stage, Flat: ms", "recall@10", "MB", "build s"]
    header += ["two-stage, IVF,SQ8: ms", "recall@10", "MB", "build s"]
    print_table("7. Growth (pooled index; CPU time)", header, rows)


def _fast_plaid_row(stacks: StackSet, python: Path, timings: Timings, archive: Archive) -> list[object]:
    """fast-plaid with 256 full scores, in its own environment; its ratios are to numpy in that same process."""
    script = Path(__file__).with_name("fast_plaid_peer.py")
    title = f"fast-plaid, {_FULL_SCORES} full scores"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "archive.npz"
        bounds = np.concatenate(([0], np.cumsum([len(query) for query in stacks.queries])))
        np.savez(
            file,
            rows=stacks.rows,
            offsets=stacks.offsets,
            queries=np.concatenate(stacks.queries),
            query_offsets=bounds,
        )
        done = subprocess.run(
            [os.fspath(python), os.fspath(script), os.fspath(file), str(_FULL_SCORES)],
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return [f"{title}: not measured, {python} failed ({reason[:120]})", None, None, None, None]
    told = json.loads(done.stdout.strip().splitlines()[-1])
    faster = float(np.median(np.array(told["plain"]) / np.array(told["seconds"])))
    recall = np.mean([recall_at_10(f, archive.exact(q)) for f, q in zip(told["found"], stacks.queries, strict=True)])
    milliseconds = 1e3 * float(np.median(told["seconds"]))
    title = f"fast-plaid {told['version']}, {_FULL_SCORES} full scores (built in {told['build_seconds']:.0f} CPU-s)"
    return [title, milliseconds, faster, faster * timings.ratio("own", "plain"), float(recall)]


def _matrix_product(query: np.ndarray, rows: np.ndarray) -> None:
    """Q C^T in blocks, into the same memory: the sgemm that late interaction cannot be faster than."""
    block = 4096
    buffer = np.empty((len(query), block), np.float32)
    for begin in range(0, len(rows), block):
        part = rows[begin : begin + block]
        out = buffer if len(part) == block else None
        np.matmul(query, part.T, out=out)


def _ratios(timings: Timings, name: str) -> tuple[float, float]:
    return timings.ratio(name, "plain"), timings.ratio(name, "own")


def _pooled_query(query: np.ndarray) -> np.ndarray:
    from VolumeRetrievalEngine.method.pooling import pool

    return pool(query, positions(len(query)))[0]


def _slice_table(n: int) -> SliceTable:
    return SliceTable.regular(np.diag([1.0, 1.0, SPACING_MM, 1.0]), n)
