"""From the volumes to the weights that ship: `python -m Training`, from the repository's root.

Makes the slices once, trains one network for each fold and one on all patients, and writes

    Training/folds/     folds.json, and the weights of each fold's network for `make evaluate`
    VolumeRetrieval/VolumeRetrievalEngine/encoders/radiology_resnet/    the weights that ship
    Training/logs/      losses of every run, and their curves

Runs that are finished are not run again, unless anything that decides their outcome has changed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "VolumeRetrieval"))

from VolumeRetrievalEngine.encoders.networks.device import available_cores  # noqa: E402

from Training.attribution import write_attribution  # noqa: E402
from Training.configuration import read_configuration  # noqa: E402
from Training.curves import draw_curves  # noqa: E402
from Training.runs import SHIPPED, Run, slice_sets  # noqa: E402
from Training.volumes import assign_folds, learned_from, read_volumes  # noqa: E402

_ENCODER = ROOT / "VolumeRetrieval/VolumeRetrievalEngine/encoders/radiology_resnet"
_FOLDS = ROOT / "Training/folds"
_LOGS = ROOT / "Training/logs"
_EARLIER = ROOT / "Training/first_edition"
#: For the C library of Linux: memory of large tensors is kept for the next step. Else two fifths of a run go into
#: getting it from the kernel anew.
_KEPT_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(8 << 30), "MALLOC_TOP_PAD_": str(256 << 20)}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m Training", description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared", help="volumes and the teacher's weights")
    parser.add_argument("--cache", type=Path, default=ROOT / "build/training", help="where slices and runs are kept")
    parser.add_argument("--configuration", type=Path, default=ROOT / "Training/configuration.toml")
    parser.add_argument("--jobs", type=int, default=available_cores(), help="runs at once, a core each")
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
    tasks = [
        Run(
            name=name,
            volumes=learned_from(volumes, runs[name]),
            configuration=configuration,
            shared=options.shared,
            cache=options.cache,
            start=_start(name) if configuration.continued else None,
            log=_LOGS / f"{name}.jsonl",
            folder=_ENCODER if name == SHIPPED else _FOLDS,
            made_by=made_by,
        )
        for name in chosen
    ]
    # Made once, before the runs start beside each other.
    slice_sets(learned_from(volumes, ()), configuration, options.shared, options.cache)
    failed = _carried_out(tasks, options.jobs)
    if SHIPPED in chosen and SHIPPED not in failed:
        write_attribution(learned_from(volumes, ()), _ENCODER / "ATTRIBUTION.md")
    print(f"curves: {draw_curves(_LOGS)}")
    for name, error in failed.items():
        print(f"{name}: failed: {type(error).__name__}: {error}", file=sys.stderr)
    return 1 if failed else 0


def _carried_out(tasks: Sequence[Run], jobs: int) -> dict[str, BaseException]:
    """Carry out these runs beside each other, past those that fail; returns the failures by name."""
    failed = {}
    os.environ.update(_KEPT_MEMORY)  # of the processes that are started
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        runs = {pool.submit(task.carry_out): task.name for task in tasks}
        for run in as_completed(runs):
            if (error := run.exception()) is not None:
                failed[runs[run]] = error
            else:
                print(run.result(), flush=True)
    return failed


def _start(run: str) -> Path:
    """The same run's weights of the first edition: those that shipped lie with the engine, which still needs them."""
    return (
        _ENCODER / "first_edition" / "radiology-resnet.safetensors"
        if run == SHIPPED
        else _EARLIER / f"{run}.safetensors"
    )


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
