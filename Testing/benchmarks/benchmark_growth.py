"""How search grows with the archive: prints a table for stores of 10,000, 50,000 and 100,000 volumes.

    python Testing/benchmarks/benchmark_growth.py [--volumes 10000 50000 100000] [--folder DIR] [--levels pooled slices]

The stores are real ones on disk, of synthetic stacks (growing_archive.py): some 84 kB for each volume, and as much
again for the indexes while they are written. A store that is there is used again; the indexes are made again unless
--keep is given. Each row is measured in a process of its own, with as many threads as OMP_NUM_THREADS allows. Where
FAISS is not installed, the rows are compared with numpy.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(_REPOSITORY / "VolumeRetrieval"), str(_REPOSITORY / "Testing")]

from benchmarks import growth_measurements as measurements  # noqa: E402
from benchmarks.growing_archive import DIMENSION, FOLLOWED, SLICES, build  # noqa: E402
from benchmarks.measuring import print_table  # noqa: E402
from VolumeRetrievalEngine.readable import readable_size  # noqa: E402

_LEVELS = ("pooled", "slices")
#: What a store needs for each volume of SLICES slices, with its indexes while these are replaced.
_BYTES_PER_VOLUME = 170_000

#: By name, what a child process measures of the store in a folder.
_MEASUREMENTS: dict[str, Callable[[Path, argparse.Namespace], dict[str, Any]]] = {
    "build": lambda folder, options: measurements.build_index(folder, options.level, options.index_kind),
    "levels": lambda folder, options: measurements.build_levels(folder),
    "open": lambda folder, options: measurements.open_store(folder),
    "search": lambda folder, options: measurements.search(folder, options.queries),
    "regions": lambda folder, options: measurements.search_regions(folder, options.queries),
    "add": lambda folder, options: measurements.add_volumes(folder, options.volumes[0], options.levels),
    "remove": lambda folder, options: measurements.remove_volumes(folder, options.volumes[0], options.levels),
    "recall": lambda folder, options: measurements.recall(folder, options.recall_queries),
}


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    if options.measure:
        print(json.dumps(_MEASUREMENTS[options.measure](options.folder, options)))
        return 0
    print(
        f"# Growth: {options.slices} slices of {DIMENSION} values for each volume "
        f"({platform.processor() or platform.machine()}, Python {platform.python_version()}, "
        f"{os.environ.get('OMP_NUM_THREADS', os.cpu_count())} threads)"
    )
    smaller: Path | None = None
    for volumes in sorted(options.volumes):
        folder = options.folder / str(volumes)
        _check_space(options.folder, folder, volumes)
        started = time.monotonic()
        path = build(folder, volumes, options.slices, smaller)
        print(f"\n{volumes:,} volumes are there after {time.monotonic() - started:.0f} s", file=sys.stderr)
        _print(volumes, path, _measured(folder, volumes, options))
        smaller = folder
    return 0


def _measured(folder: Path, volumes: int, options: argparse.Namespace) -> list[tuple[str, Mapping[str, Any]]]:
    """All measurements of a store, in the order of the table."""

    def measure(name: str, *more: str) -> dict[str, Any]:
        print(f"{volumes:,} volumes: {' '.join((name, *more[1:]))}", file=sys.stderr, flush=True)
        command = [sys.executable, __file__, "--measure", name, "--folder", str(folder), "--volumes", str(volumes)]
        command += ["--queries", str(options.queries), "--recall-queries", str(options.recall_queries)]
        command += ["--levels", *options.levels, "--index-kind", options.index_kind, *more]
        return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)

    rows: list[tuple[str, Mapping[str, Any]]] = []
    if not options.keep:
        rows += [(f"build the index of {level}", measure("build", "--level", level)) for level in options.levels]
        rows.append(("look for neighbors, for the likeness", measure("levels")))
    rows.append(("open", measure("open")))
    rows.append(("search whole volumes", measure("search")))
    if "slices" in options.levels:
        rows.append(("search ten slices", measure("regions")))
    if options.recall_queries:
        rows.append(("search exhaustively", measure("recall")))
    rows.append((f"add {measurements.ADDED} volumes", measure("add")))
    rows.append(("open after that", measure("open")))
    rows.append((f"remove {measurements.ADDED} volumes", measure("remove")))
    return rows


def _print(volumes: int, path: Path, rows: list[tuple[str, Mapping[str, Any]]]) -> None:
    size = sum(file.stat().st_size for file in path.iterdir())
    table = [
        (
            name,
            _seconds(values.get("first")),
            _seconds(values["wall"]),
            _seconds(values.get("cpu")),
            readable_size(values["peak"]) if "peak" in values else None,
            _more(values),
        )
        for name, values in rows
    ]
    header = ("", "first", "time", "CPU time", "peak memory", "")
    print_table(f"{volumes:,} volumes, {readable_size(size)} on disk", header, table)


def _seconds(value: float | None) -> str | None:
    if value is None:
        return None
    return f"{1e3 * value:.0f} ms" if value < 1 else f"{value:.1f} s"


def _more(values: Mapping[str, Any]) -> str:
    """What else a measurement has to say."""
    parts = []
    if "kind" in values:
        parts.append(str(values["kind"]))
    if "file" in values:
        parts.append(f"{values['rows']:,} rows, {readable_size(values['file'])}")
    if "laps" in values:
        parts.append(", ".join(f"{name} {1e3 * seconds:.0f} ms" for name, seconds in values["laps"].items()))
    if "stored" in values:
        parts.append(f"of which storing {_seconds(values['stored'])}")
    if "recall" in values:
        parts.append(
            f"recall@10 of the two stages {values['recall']:.3f}, at least {values['least']:.1f}, "
            f"{values['queries']} queries"
        )
    return "; ".join(parts)


def _check_space(parent: Path, folder: Path, volumes: int) -> None:
    """Exit with what to do if a store that is not there would not fit on the disk."""
    parent.mkdir(parents=True, exist_ok=True)
    needed, free = volumes * _BYTES_PER_VOLUME, shutil.disk_usage(parent).free
    if not folder.exists() and free < needed:
        sys.exit(
            f"{parent}: {readable_size(free)} free, but {volumes:,} volumes need about {readable_size(needed)}: "
            "name another folder with --folder, or fewer --volumes"
        )


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--volumes", type=int, nargs="+", default=[10_000, 50_000, 100_000], metavar="N")
    parser.add_argument("--slices", type=int, default=SLICES, metavar="N", help=f"of each volume (default: {SLICES})")
    parser.add_argument(
        "--folder",
        type=Path,
        default=_REPOSITORY / "build" / "benchmark" / "growth",
        help="where stores are, or are made, and kept (default: build/benchmark/growth)",
    )
    parser.add_argument("--levels", nargs="+", choices=_LEVELS, default=_LEVELS, help="indexes to make (default: both)")
    parser.add_argument("--keep", action="store_true", help="use the indexes that are there")
    parser.add_argument("--index-kind", default="auto", metavar="KIND", help="as of search --index-kind")
    parser.add_argument("--queries", type=int, default=FOLLOWED, metavar="N", help=f"at most {FOLLOWED}, the default")
    parser.add_argument(
        "--recall-queries", type=int, default=5, metavar="N", help="searched exhaustively, too (default: 5; 0: none)"
    )
    parser.add_argument("--measure", choices=_MEASUREMENTS, help=argparse.SUPPRESS)
    parser.add_argument("--level", choices=_LEVELS, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
