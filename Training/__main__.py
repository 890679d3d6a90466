"""From the volumes to the weights that ship: `python -m Training`, from the repository's root.

Makes the slices once, trains one network for each fold and one on all patients, and writes

    Training/folds/     folds.json, and the weights of each fold's network for `make evaluate`
    VolumeRetrieval/VolumeRetrievalEngine/encoders/radiology_resnet/    the weights that ship
    Training/logs/      losses of every run, and their curves

Runs that are finished are not run again, unless anything that decides their outcome has changed.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "VolumeRetrieval"))

from Training.configuration import Configuration, read_configuration  # noqa: E402
from Training.volumes import TrainingVolume, assign_folds, learned_from, read_volumes  # noqa: E402

#: The run that sees every patient; its weights ship.
SHIPPED = "shipped"
_ENCODER = ROOT / "VolumeRetrieval/VolumeRetrievalEngine/encoders/radiology_resnet"
_FOLDS = ROOT / "Training/folds"
_LOGS = ROOT / "Training/logs"
_TEACHER = {"name": "mobilenet_v2_imagenet", "input_size": 224, "value_range": [-1, 1]}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m Training", description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared", help="volumes and the teacher's weights")
    parser.add_argument("--cache", type=Path, default=ROOT / "build/training", help="where slices and runs are kept")
    parser.add_argument("--configuration", type=Path, default=ROOT / "Training/configuration.toml")
    parser.add_argument("--jobs", type=int, default=max(1, (os.cpu_count() or 2)), help="runs at once, a core each")
    parser.add_argument("--runs", nargs="*", help=f"only these: fold-0, fold-1 ..., {SHIPPED}")
    options = parser.parse_args(arguments)
    configuration = read_configuration(options.configuration)
    volumes = read_volumes(options.shared)
    folds = assign_folds(volumes, configuration.folds, configuration.seed)
    runs = {f"fold-{k}": [who for who, fold in folds.items() if fold == k] for k in range(configuration.folds)}
    runs[SHIPPED] = []
    chosen = options.runs or list(runs)
    if unknown := sorted(set(chosen) - set(runs)):
        parser.error(f"no such runs: {', '.join(unknown)}; expected some of {', '.join(runs)}")
    _FOLDS.mkdir(exist_ok=True)
    (_FOLDS / "folds.json").write_text(json.dumps({"folds": folds}, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    made_by = _commit()
    tasks = [(name, runs[name], configuration, volumes, options.shared, options.cache, made_by) for name in chosen]
    # The slices are made by the first who needs them, before the runs start beside each other.
    _slice_sets(learned_from(volumes, ()), configuration, options.shared, options.cache)
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        for finished in pool.map(_run, *zip(*tasks, strict=True)):
            print(finished, flush=True)
    from Training.curves import draw_curves

    print(f"curves: {draw_curves(_LOGS)}")
    return 0


def _run(
    name: str,
    held_out: Sequence[str],
    configuration: Configuration,
    volumes: Sequence[TrainingVolume],
    shared: Path,
    cache: Path,
    made_by: str,
) -> str:
    """Train one network and write its weights; what is finished already is only written."""
    import torch

    from Training.export import export
    from Training.fitting import fit

    torch.set_num_threads(1)
    seen = learned_from(volumes, held_out)
    settings = configuration.settings
    decided = {"settings": asdict(settings), "volumes": [one.id for one in seen], "phantoms": configuration.phantoms}
    key = hashlib.sha256(json.dumps(decided, sort_keys=True).encode()).hexdigest()[:12]
    finished = cache / "runs" / f"{name}-{key}.pt"
    if not finished.exists():
        sets = _slice_sets(seen, configuration, shared, cache)
        network = fit(sets, settings, _LOGS / f"{name}.jsonl", lambda line: print(f"{name}: {line}", flush=True))
        finished.parent.mkdir(parents=True, exist_ok=True)
        partial = finished.with_suffix(".part")
        torch.save(network.state_dict(), partial)
        partial.replace(finished)
    network = _restored(finished, configuration)
    exported = export(
        network,
        _ENCODER if name == SHIPPED else _FOLDS,
        name="radiology-resnet" if name == SHIPPED else name,
        values={
            "layers": list(settings.layers),
            "widths": list(settings.widths),
            "input_size": settings.size,
            "trained_volumes": [one.id for one in seen],
            "trained_patients": sorted({one.patient for one in seen}),
            "trained_by": made_by,
            "trained_on": datetime.date.today().isoformat(),
        },
        with_onnx=name == SHIPPED,
    )
    return f"{name}: {len(seen)} volumes, {exported.size_bytes / 1e6:.1f} MB, cosine {exported.cosine:.6f}"


def _restored(finished: Path, configuration: Configuration):
    import torch
    from VolumeRetrievalEngine.encoders.radiology_resnet.architecture import radiology_resnet

    settings = configuration.settings
    network = radiology_resnet(settings.layers, settings.widths, settings.dimension)
    network.load_state_dict(torch.load(finished, weights_only=True))
    return network.eval()


def _slice_sets(volumes: Sequence[TrainingVolume], configuration: Configuration, shared: Path, cache: Path):
    """The slices of these volumes and of the phantoms."""
    from VolumeRetrievalEngine.encoders import create_encoder

    from Training.slices import phantom_slices, slices_of

    cache.mkdir(parents=True, exist_ok=True)
    described = cache / "teacher.json"
    weights = (shared / "weights/mobilenet_v2_imagenet.torchscript.pt").resolve()
    described.write_text(json.dumps({**_TEACHER, "file": str(weights)}), encoding="utf-8")
    teacher = create_encoder("torchscript", weights=described, threads=1)
    size = configuration.settings.size
    made = [slices_of(one, size, teacher, cache / "slices") for one in volumes]
    return made + [phantom_slices(seed, size, teacher, cache / "slices") for seed in range(configuration.phantoms)]


def _commit() -> str:
    """The commit that trains, "+" where the tree differs from it; "" outside a checkout."""
    said = subprocess.run(
        ["git", "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return said.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
