"""How long the store takes: prints a table.

    python Testing/benchmarks/benchmark_store.py [--volumes 10000] [--slices 200] [--dimension 384] [--folder DIR]

The store is synthetic: seeded random unit rows in runs of similar slices, thumbnails of a real one's size for the
first volumes and none for the rest (what is measured does not read them). Everything is measured in a fresh process,
once with what the operating system has in memory as it is and, where it may be dropped (root on Linux), once without.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "VolumeRetrieval"))

from VolumeRetrievalEngine.recipe import Recipe
from VolumeRetrievalEngine.store import AttributeFilter, NewVolume, VolumeStore
from VolumeRetrievalEngine.volume import Attributes, Identity, SliceTable, SourceFiles

RECIPE = Recipe("benchmark")
WITH_THUMBNAILS = 200
THUMBNAIL = bytes(range(250)) * 10


def synthetic_rows(slices: int, dimension: int, generator: np.random.Generator) -> np.ndarray:
    """float32 [slices, dimension], unit rows of a stack whose neighboring slices are alike."""
    rows = generator.standard_normal((slices, dimension), dtype=np.float32)
    rows += 3 * generator.standard_normal(dimension, dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def synthetic_volume(number: int, rows: np.ndarray, generator: np.random.Generator) -> NewVolume:
    """A stack of these slices, with the UIDs and file names of a DICOM series."""
    slices = len(rows)
    series = f"1.2.826.0.1.3680043.10.1.{generator.integers(10**15)}.{number}"
    table = SliceTable.regular(np.diag([0.7, 0.7, 3.0, 1.0]), slices)
    return NewVolume(
        identity=Identity(f"{number:032x}", f"{number:064x}", series, f"{number // 3:032x}", f"{number // 2:032x}"),
        files=SourceFiles("archive", tuple(f"{number:05d}/{series}/IM{row:05d}.dcm" for row in range(slices))),
        attributes=Attributes(
            ("CT", "MR", "PT")[number % 3], "dicom", ("CHEST", "ABDOMEN")[number % 2], f"20{number % 24:02d}0615"
        ),
        geometry={"plane": "axial", "affine": np.eye(4).tolist(), "shape": [slices, 512, 512]},
        plane="axial",
        n_slices=slices,
        slices=SliceTable(
            table.index,
            tuple(f"{series}.{row}" for row in range(slices)),
            table.frame,
            table.origin,
            table.normal,
            table.position,
        ),
        embeddings=rows,
        pooled=rows[::8],
        pooled_first=np.arange(0, slices, 8),
        thumbnails=[THUMBNAIL] * slices if number < WITH_THUMBNAILS else [],
    )


def build(folder: Path, volumes: int, slices: int, dimension: int) -> None:
    generator = np.random.default_rng(0)
    spent = 0.0
    with VolumeStore.create(folder, RECIPE) as store:
        for number in range(volumes):
            volume = synthetic_volume(number, synthetic_rows(slices, dimension, generator), generator)
            started = time.perf_counter()
            store.add(volume)
            spent += time.perf_counter() - started
        size = store.statistics().size_bytes
    print(f"{volumes} volumes x {slices} slices x {dimension}: {size / 1e9:.2f} GB")
    print(f"{'add (one transaction each)':44s}{spent / volumes * 1e3:9.1f} ms/volume")


def measure(folder: Path) -> None:
    def told(what: str, started: float) -> None:
        print(f"{what:44s}{(time.perf_counter() - started) * 1e3:9.1f} ms")

    started = time.perf_counter()
    store = VolumeStore.open(folder)
    told("open", started)
    records = store.listing()
    told(f"open and list {len(records)} volumes", started)
    started = time.perf_counter()
    keys = store.keys(AttributeFilter.parse(["modality=CT", "study_date>=2010"]))
    told(f"filter: modality and date, {len(keys)} kept", started)
    started = time.perf_counter()
    store.statistics()
    told("statistics", started)
    started = time.perf_counter()
    store.changes_since(len(records) - 5)
    told("changes since 5 volumes ago", started)
    generator = np.random.default_rng(1)
    for count in (1, 20, 100, 1000):
        wanted = generator.permutation([record.key for record in records])[:count]
        for name, read in (("embeddings", store.many_embeddings), ("pooled rows", store.many_pooled)):
            for again in ("first", "again"):
                started = time.perf_counter()
                rows, _ = read(wanted)
                told(f"{name} of {len(wanted)} volumes, {len(rows)} rows, {again}", started)
    started = time.perf_counter()
    _ = [record.files for record in records[:100]]
    told("file lists of 100 volumes", started)
    started = time.perf_counter()
    for row in range(10):
        store.thumbnail(records[0].key, row)
    told("10 thumbnails", started)


def measure_in_a_fresh_process(folder: Path, title: str) -> None:
    print(f"-- {title}", flush=True)
    subprocess.run([sys.executable, __file__, "--measure", str(folder)], check=True)


def dropped_caches() -> bool:
    """Whether the operating system has forgotten the files it had in memory."""
    try:
        subprocess.run(["sync"], check=True)
        Path("/proc/sys/vm/drop_caches").write_text("1")
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--volumes", type=int, default=10_000)
    parser.add_argument("--slices", type=int, default=200)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--folder", type=Path, help="where to build the store (default: a temporary folder)")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure)
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        folder = Path(temporary) / "store"
        build(folder, options.volumes, options.slices, options.dimension)
        measure_in_a_fresh_process(folder, "file as it is in memory")
        if dropped_caches():
            measure_in_a_fresh_process(folder, "nothing in memory")
        started = time.perf_counter()
        with VolumeStore.open(folder) as store:
            problems = store.verify()
        print(f"{'verify everything':44s}{time.perf_counter() - started:9.1f} s, {len(problems)} problems")


if __name__ == "__main__":
    main()
