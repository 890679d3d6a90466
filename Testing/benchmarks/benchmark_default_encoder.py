"""The default encoder's speed beside the MobileNetV2 of shared/weights, with each of its back ends, on the processor.

    python Testing/benchmarks/benchmark_default_encoder.py [--threads 1 2] [--turns 15] [--volumes 6]

Forward: slices in memory to unit rows. The encoders take turns, and what is compared is the ratio within a turn: what
else the machine does then hits all alike. Seconds are those of the clock and, beside them, of the processor (all
threads), which the machine's other work hardly changes. End to end: files to a filled store, with the network on one
thread and the reader on the other. Targets: 5 times MobileNetV2 per slice, 200 slices/s forward, 100 end to end.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

# numpy's own threads would wait for each other in turns with the network's: read when numpy is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import torch
from VolumeRetrievalEngine.encoders.base import Encoder
from VolumeRetrievalEngine.encoders.choice import create_encoder
from VolumeRetrievalEngine.encoders.encode import recipe_for
from VolumeRetrievalEngine.encoders.radiology_resnet.monai_backend import monai_radiology_resnet
from VolumeRetrievalEngine.encoders.radiology_resnet.onnx_backend import onnx_radiology_resnet
from VolumeRetrievalEngine.indexing.embedding import InThisProcess
from VolumeRetrievalEngine.indexing.run import index_volumes
from VolumeRetrievalEngine.patients import PatientTokens
from VolumeRetrievalEngine.phantoms import write_archive
from VolumeRetrievalEngine.reading import Discovery, Roots, discover
from VolumeRetrievalEngine.store import VolumeStore

_SHARED = Path(os.environ.get("VOLUMERETRIEVAL_SHARED", Path(__file__).resolve().parents[3] / "shared"))
_NETWORK = _SHARED / "weights" / "mobilenet_v2_imagenet.torchscript.pt"
_REFERENCE = "MobileNetV2"
_SLICES = 32


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--volumes", type=int, default=6)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for threads in options.threads:
            _forward(_encoders(Path(folder), threads), threads, options.turns)
        for name, encoder in _encoders(Path(folder), 1).items():
            if name != _REFERENCE:
                _end_to_end(name, encoder, Path(folder), options.volumes)


def _encoders(folder: Path, threads: int) -> dict[str, Encoder]:
    torch.set_num_threads(threads)
    encoders: dict[str, Encoder] = {
        "radiology-resnet by MONAI": monai_radiology_resnet(device="cpu"),
        "radiology-resnet by onnxruntime": onnx_radiology_resnet(threads=threads),
    }
    if _NETWORK.is_file():
        described = folder / "mobilenet_v2.json"
        described.write_text(json.dumps({"file": str(_NETWORK), "input_size": 224, "value_range": [-1, 1]}))
        encoders[_REFERENCE] = create_encoder("torchscript", weights=described, device="cpu")
    return encoders


def _forward(encoders: dict[str, Encoder], threads: int, turns: int) -> None:
    calls = {name: _embedding(encoder) for name, encoder in encoders.items()}
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for turn in range(turns + 1):
        for name, call in calls.items():
            started = time.perf_counter(), time.process_time()
            call()
            if turn:  # the first one warms up
                seconds[name].append((time.perf_counter() - started[0], time.process_time() - started[1]))
    print(f"\n{threads} thread{'s' if threads > 1 else ''}, {_SLICES} slices, median of {turns} turns\n")
    print("| encoder | slices/s | times MobileNetV2 | by processor time | slices per processor second |")
    print("| --- | --- | --- | --- | --- |")
    for name, taken in seconds.items():
        speeds = [_SLICES / statistics.median(one[kind] for one in taken) for kind in (0, 1)]
        ratios = ["-", "-"]
        if _REFERENCE in seconds:
            turns_of_both = list(zip(seconds[_REFERENCE], taken, strict=True))
            ratios = [f"{statistics.median(a[kind] / b[kind] for a, b in turns_of_both):.1f}" for kind in (0, 1)]
        print(f"| {name} | {speeds[0]:.0f} | {ratios[0]} | {ratios[1]} | {speeds[1]:.0f} |", flush=True)


def _embedding(encoder: Encoder) -> Callable[[], np.ndarray]:
    size = encoder.input_size
    slices = np.random.default_rng(0).uniform(size=(_SLICES, 3, size, size)).astype(np.float32)
    return lambda: encoder.embed(slices)


def _end_to_end(name: str, encoder: Encoder, folder: Path, count: int) -> None:
    archive = _SHARED / "data"
    if not archive.is_dir():
        archive = folder / "phantoms"
        write_archive(archive, count)
    roots = Roots()
    found = discover([archive], root=roots, exclude=["*/labels/*"], tokens=PatientTokens.ephemeral())
    chosen = np.linspace(0, len(found.sources) - 1, min(count, len(found.sources))).astype(int)
    sources = [found.sources[number] for number in chosen]
    with VolumeStore.create(folder / name.replace(" ", "-"), recipe_for(encoder)) as store:
        started = time.perf_counter(), time.process_time()
        report = index_volumes(Discovery(sources), store, InThisProcess(encoder), roots)
        clock, processor = time.perf_counter() - started[0], time.process_time() - started[1]
    print(
        f"\nend to end, {name}: {len(sources)} volumes of {archive}, {report.slices} slices in {clock:.1f} s "
        f"({processor:.1f} s of the processor): {report.slices / clock:.0f} slices/s, "
        f"{report.slices / processor:.0f} per processor second",
        flush=True,
    )


if __name__ == "__main__":
    main()
