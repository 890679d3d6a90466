"""Embedding: is the network the limit, or our code around it?

    python Testing/benchmarks/benchmark_embedding.py [--encoders NAME ...] [--device cuda] [--seconds 8] [--repeats 3]

Indexes some volumes end to end (reading from disk, slicing, embedding, storing) with the network on one thread and the
reader on the other, and compares slices per second with the bare network's forward pass on the same slices, already
prepared in the memory of the device, in the same process and in turn with it. The target is 0.9 of the bare network on
a processor and 0.8 on a graphics card. The volumes are those of shared/data, or phantoms where they are absent; of
slow networks as few of them as take --seconds. Networks of the catalog that are not installed have random weights,
which cost the same. On a graphics card the last column is the share of its peak that the bare network reaches.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(_REPOSITORY / "VolumeRetrieval"), str(_REPOSITORY / "Testing")]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from benchmarks.benchmarked_encoders import benchmarked_encoders, made  # noqa: E402
from benchmarks.card_peak import operations_per_slice, peak  # noqa: E402
from VolumeRetrievalEngine.encoders.base import Encoder  # noqa: E402
from VolumeRetrievalEngine.encoders.encode import recipe_for  # noqa: E402
from VolumeRetrievalEngine.encoders.networks.device import wait_for  # noqa: E402
from VolumeRetrievalEngine.encoders.networks.network import Network  # noqa: E402
from VolumeRetrievalEngine.indexing.embedding import InThisProcess  # noqa: E402
from VolumeRetrievalEngine.indexing.run import index_volumes  # noqa: E402
from VolumeRetrievalEngine.patients import PatientTokens  # noqa: E402
from VolumeRetrievalEngine.phantoms import write_archive  # noqa: E402
from VolumeRetrievalEngine.preprocessing import preprocess  # noqa: E402
from VolumeRetrievalEngine.reading import Discovery, Roots, VolumeSource, discover  # noqa: E402
from VolumeRetrievalEngine.store import VolumeStore  # noqa: E402

_SHARED = Path(os.environ.get("VOLUMERETRIEVAL_SHARED", _REPOSITORY.parent / "shared"))
_COLUMNS = ("encoder", "on", "slices", "bare network, slices/s", "end to end, slices/s", "end to end / bare")


@dataclass(frozen=True)
class Prepared:
    """A volume that can be indexed, and its slices as the encoder sees them.

    Attributes:
        source: where it is read from.
        slices: float32 [n, 3, s, s].
    """

    source: VolumeSource
    slices: np.ndarray


def main() -> None:
    """Measure and print."""
    options = _options()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sources, roots = _sources(folder, options.volumes)
        several = benchmarked_encoders(_SHARED, folder, options.device)
        header = False
        for name, encoder in made(several, options.encoders):
            if not header:
                print("| " + " | ".join((*_COLUMNS, "share of the card's peak")) + " |\n" + "|---" * 7 + "|")
                header = True
            row = _measured(encoder, sources, roots, folder, options)
            print("| " + " | ".join((name, *row)) + " |", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--volumes", type=int, default=12, help="at most so many (default: 12)")
    parser.add_argument("--repeats", type=int, default=3, help="of which the median counts (default: 3)")
    parser.add_argument("--seconds", type=float, default=8, help="that one pass should take at most (default: 8)")
    parser.add_argument("--encoders", nargs="+", metavar="NAME", help="those whose names begin so (default: all)")
    parser.add_argument("--device", help="for the networks (default: the best there is)")
    return parser.parse_args()


def _measured(
    encoder: Encoder, sources: Sequence[VolumeSource], roots: Roots, folder: Path, options: argparse.Namespace
) -> list[str]:
    volumes, bare_pass = _enough(encoder, sources, options.seconds)
    recipe = recipe_for(encoder)
    bare, whole = [], []
    for repeat in range(options.repeats):
        bare.append(_seconds(bare_pass))
        with VolumeStore.create(folder / f"{encoder.name}-{repeat}-{id(encoder)}", recipe) as store:
            found = Discovery([one.source for one in volumes])
            whole.append(
                _seconds(lambda store=store, found=found: index_volumes(found, store, InThisProcess(encoder), roots))
            )
    ratio = statistics.median(one / other for one, other in zip(bare, whole, strict=True))
    count = sum(len(one.slices) for one in volumes)
    speeds = [count / statistics.median(seconds) for seconds in (bare, whole)]
    used = _share_of_peak(encoder, volumes[0].slices, speeds[0])
    where = f"{encoder.device}, {encoder.precision}"
    return [where, str(count), f"{speeds[0]:.0f}", f"{speeds[1]:.0f}", f"{ratio:.2f}", used]


def _enough(
    encoder: Encoder, sources: Sequence[VolumeSource], seconds: float
) -> tuple[list[Prepared], Callable[[], object]]:
    """As many volumes as the bare network needs so many seconds for, and that pass; at least one volume."""
    volumes: list[Prepared] = []
    recipe = recipe_for(encoder)
    took = 0.0
    for source in sources:
        volumes.append(Prepared(source, np.concatenate(list(preprocess(source.read(), recipe).images()))))
        one = _bare_pass(encoder, volumes[-1:])
        if len(volumes) == 1:
            one()
        took += _seconds(one)
        if took > seconds:
            break
    return volumes, _bare_pass(encoder, volumes)


def _bare_pass(encoder: Encoder, volumes: Sequence[Prepared]) -> Callable[[], object]:
    """The network alone, on what lies ready on its device, in the batches that it chose."""
    size = getattr(encoder, "batch_size", 32)
    batches = [one.slices[start : start + size] for one in volumes for start in range(0, len(one.slices), size)]
    if not isinstance(encoder, Network):
        return lambda: [encoder.embed(batch) for batch in batches]
    ready = [encoder.prepare(batch) for batch in batches]

    def run() -> None:
        for images in ready:
            encoder.forward(images)
        wait_for(encoder.device)

    return run


def _share_of_peak(encoder: Encoder, slices: np.ndarray, per_second: float) -> str:
    if not isinstance(encoder, Network) or not encoder.device.startswith("cuda"):
        return ""
    operations = operations_per_slice(encoder, encoder.prepare(slices[: encoder.batch_size]))
    return f"{per_second * operations / peak(encoder.device, encoder.precision):.2f}"


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
    print(f"up to {len(chosen)} volumes of {archive}, network on {torch.get_num_threads()} thread\n")
    return [found.sources[number] for number in chosen], roots


if __name__ == "__main__":
    main()
