"""Embedding: is the network the limit, or our code around it?

    python Testing/benchmarks/benchmark_embedding.py [--volumes 12] [--repeats 3]

Indexes some volumes end to end (reading from disk, slicing, embedding, storing) with the network on one thread and the
reader on the other, and compares slices per second with the bare network's forward pass on the same slices, already in
memory, in the same process and in turn with it. The target is 0.9 of the bare network. The volumes are those of
shared/data, and the network that of shared/weights; where they are absent, phantoms and a ResNet-18 of random weights.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from VolumeRetrievalEngine.encoders import Encoder, create_encoder, recipe_for
from VolumeRetrievalEngine.indexing import index_volumes
from VolumeRetrievalEngine.patients import PatientTokens
from VolumeRetrievalEngine.phantoms import write_archive
from VolumeRetrievalEngine.preprocessing import preprocess
from VolumeRetrievalEngine.reading import Discovery, Roots, VolumeSource, discover
from VolumeRetrievalEngine.store import VolumeStore

_SHARED = Path(__file__).resolve().parents[3] / "shared"
_BATCH = 32


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--volumes", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        sources, roots = _sources(Path(folder), options.volumes)
        print("| encoder | slices | bare network, slices/s | end to end, slices/s | end to end / bare |")
        print("| --- | --- | --- | --- | --- |")
        for encoder in _encoders(Path(folder)):
            _measure(encoder, sources, roots, Path(folder), options.repeats)


def _measure(encoder: Encoder, sources: list[VolumeSource], roots: Roots, folder: Path, repeats: int) -> None:
    recipe = recipe_for(encoder)
    batches = [batch for source in sources for batch in preprocess(source.read(), recipe).images(batch_size=_BATCH)]
    n_slices = sum(len(batch) for batch in batches)
    encoder.embed(batches[0])
    bare, whole = [], []
    for repeat in range(repeats):
        bare.append(_seconds(lambda: [encoder.embed(batch) for batch in batches]))
        with VolumeStore.create(folder / f"{encoder.name}-{repeat}", recipe) as store:
            whole.append(_seconds(lambda store=store: index_volumes(Discovery(sources), store, encoder, roots)))
    ratio = statistics.median(one / other for one, other in zip(bare, whole, strict=True))
    speeds = [n_slices / statistics.median(seconds) for seconds in (bare, whole)]
    print(f"| {encoder.name} | {n_slices} | {speeds[0]:.0f} | {speeds[1]:.0f} | {ratio:.2f} |", flush=True)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _sources(folder: Path, count: int) -> tuple[list[VolumeSource], Roots]:
    archive = _SHARED / "data"
    if not archive.is_dir():
        archive = folder / "phantoms"
        write_archive(archive, 8)
    roots = Roots()
    found = discover([archive], root=roots, exclude=["*/labels/*"], tokens=PatientTokens.ephemeral())
    # Spread over the archive: DICOM and NIfTI, large and small.
    chosen = np.linspace(0, len(found.sources) - 1, min(count, len(found.sources))).astype(int)
    print(f"{len(chosen)} volumes of {archive}, network on one thread of {torch.get_num_threads()}")
    return [found.sources[number] for number in chosen], roots


def _encoders(folder: Path) -> list[Encoder]:
    weights = _SHARED / "weights" / "mobilenet_v2_imagenet.torchscript.pt"
    if weights.is_file():
        description = folder / "mobilenet_v2_imagenet.json"
        values = {"name": "mobilenet_v2_imagenet", "file": str(weights), "input_size": 224}
        description.write_text(json.dumps({**values, "mean": [0.5] * 3, "std": [0.5] * 3}))
        network = create_encoder("torchscript", weights=description)
    else:
        from monai.networks.nets import resnet18

        torch.manual_seed(0)
        module = resnet18(spatial_dims=2, n_input_channels=3, feed_forward=False, conv1_t_stride=2)
        torch.save(module.state_dict(), folder / "resnet18.pt")
        network = create_encoder("monai:resnet18", weights=folder / "resnet18.pt")
    return [network, create_encoder("descriptor")]


if __name__ == "__main__":
    main()
