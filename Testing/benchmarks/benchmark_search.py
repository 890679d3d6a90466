"""Prints how fast the search is, and what it finds, as ratios within one run (ENGINES.md, figures of merit).

    python Testing/benchmarks/benchmark_search.py [--quick] [--sets 1000 hard 5000] [--peers NAME ...]

One thread throughout, CPU time, calls that are compared take turns; medians. Nothing here passes or fails: absolute
times depend on the machine, ratios less so. The whole takes some 12 minutes and 10 GB of memory, --quick 4 and 3. To
compare with fast-plaid, which pins torch, make it an environment of its own in the checkout:

    python -m venv .venv-plaid && .venv-plaid/bin/pip install fast-plaid
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# Before numpy and the peers are loaded, because they read these once.
for _name in (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "LANCE_CPU_THREADS",
    "TOKIO_WORKER_THREADS",
):
    os.environ[_name] = "1"

_REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(_REPOSITORY / "VolumeRetrieval"), str(_REPOSITORY / "Testing")]

from benchmarks import search_tables as tables  # noqa: E402
from benchmarks.peers import PEERS  # noqa: E402
from benchmarks.stacks import StackSet, extended, load_embeddings, synthetic  # noqa: E402
from VolumeRetrievalEngine.slice_index.faiss_index import KINDS, faiss_is_installed, load_faiss  # noqa: E402

_SHARED = Path(os.environ.get("VOLUMERETRIEVAL_SHARED", _REPOSITORY.parent / "shared"))
#: Figure of merit 2: the default search takes at most this share of plain numpy.
_TARGETS = {1000: 1 / 15, 5000: 1 / 25}
SECTIONS = ("exact", "two-stage", "focal", "index", "localization", "growth", "real")


def main(arguments: list[str] | None = None) -> None:
    options = _options(arguments)
    started = time.monotonic()
    if faiss_is_installed():
        load_faiss().omp_set_num_threads(1)
    _print_machine(options.peers)
    numbered = sorted({int(name) for name in options.sets if name != "hard"} or {1000})
    wanted = set(options.sections)
    growth = ([1000, 2000] if options.quick else [1000, 5000, 10_000]) if "growth" in wanted else []
    # A smaller set is the beginning of the largest one.
    whole = synthetic(str(max([*numbered, *growth])))
    sets = [whole.first(n) for n in numbered]
    if "hard" in options.sets:
        sets.append(synthetic("hard"))
    if "exact" in wanted:
        tables.exact_table(sets[0], options.peers)
    if "two-stage" in wanted:
        for stacks in sets:
            first = stacks is sets[0]
            tables.two_stage_table(
                stacks,
                target=_TARGETS.get(len(stacks)),
                edge=first and "qdrant-edge-py" in options.peers,
                plaid=options.fast_plaid_python if first else None,
            )
    if "focal" in wanted:
        tables.focal_table(sets, faiss_is_installed())
    if "index" in wanted:
        tables.index_table(sets[0], ["numpy", *(KINDS if faiss_is_installed() else ())])
    if "localization" in wanted:
        tables.localization_table(sets[0])
    if growth:
        tables.growth_table(whole, growth)
    del whole, sets
    if "real" in wanted:
        for stacks in _real_sets(options):
            tables.two_stage_table(stacks)
            tables.focal_table([stacks], graph=False)
    print(f"\nDone in {(time.monotonic() - started) / 60:.1f} minutes.")


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="set 1000, smaller growth, one real set")
    parser.add_argument("--sets", nargs="+", metavar="SET", help="numbers of volumes, and 'hard' (default: all three)")
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=SECTIONS, help="which tables to print")
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS), help="engines to compare with")
    parser.add_argument(
        "--fast-plaid-python",
        type=Path,
        metavar="PYTHON",
        help="the Python of an environment with fast-plaid (default: that of .venv-plaid, if there is one)",
    )
    parser.add_argument(
        "--embeddings", type=Path, nargs="*", metavar="NPZ", help="real embeddings instead of those of shared/data"
    )
    parser.add_argument("--work", type=Path, default=_REPOSITORY / "build" / "benchmark", help="where stores are kept")
    options = parser.parse_args(arguments)
    options.sets = options.sets or (["1000"] if options.quick else ["1000", "5000", "hard"])
    if options.fast_plaid_python is None:
        inside = _REPOSITORY / ".venv-plaid" / "bin" / "python"
        options.fast_plaid_python = inside if inside.exists() else None
    if options.fast_plaid_python is None:
        print("fast-plaid is not compared with: no environment with it (see --fast-plaid-python)")
    return options


def _print_machine(peers: list[str]) -> None:
    packages = ["numpy", "faiss-cpu", *peers]
    found = []
    for package in packages:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"{package} not installed")
    print(f"# Search, one core ({platform.processor() or platform.machine()}, Python {platform.python_version()})\n")
    print(", ".join(found) + ". CPU time, one thread, medians; ratios are of calls that took turns.")


def _real_sets(options: argparse.Namespace) -> list[StackSet]:
    """Real embeddings, extended to 1000 and 5000 volumes."""
    sources: dict[str, tuple] = {}
    for path in options.embeddings or ():
        sources[path.stem] = load_embeddings(path)
    if not options.embeddings and (_SHARED / "data" / "manifest.csv").is_file():
        from benchmarks.real_stacks import real_embeddings

        for encoder in ("descriptor",) if options.quick else ("descriptor", "torchscript"):
            sources[f"real, {encoder}"] = real_embeddings(_SHARED, options.work, encoder)
    if not sources:
        print(f"\nReal embeddings are not measured: no volumes at {_SHARED} and no --embeddings given.")
    sizes = (1000,) if options.quick else (1000, 5000)
    return [extended(name, *source, size) for name, source in sources.items() for size in sizes]


if __name__ == "__main__":
    main()
