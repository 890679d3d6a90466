"""The configuration of a training, read from a TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from .augmentation import Augmentation
from .batches import Drawing
from .fitting import Settings
from .objectives import Weights


@dataclass(frozen=True)
class Configuration:
    """Attributes:
    folds, seed: over patients, and of their assignment.
    phantoms: how many phantoms are learned from beside the real volumes.
    continued: whether runs go on from the weights of the first edition, which knew the same folds.
    settings: of each run.
    """

    folds: int
    seed: int
    phantoms: int
    continued: bool
    settings: Settings


def read_configuration(path: Path) -> Configuration:
    """The configuration in a TOML file; what it leaves out is as in the dataclasses.

    Raises:
        ValueError: an entry that is not known.
    """
    with path.open("rb") as stream:
        values = tomllib.load(stream)
    run = dict(values.pop("run", {}))
    for name in ("layers", "widths"):
        if name in run:
            run[name] = tuple(run[name])
    if teachers := values.pop("teachers", None):
        run["teachers"] = dict(teachers)
    settings = Settings(
        **_known(Settings, run, path),
        weights=Weights(**_known(Weights, values.pop("objectives", {}), path)),
        drawing=Drawing(**_known(Drawing, values.pop("drawing", {}), path)),
        augmentation=Augmentation(**_known(Augmentation, values.pop("augmentation", {}), path)),
    )
    data = values.pop("data", {})
    continued = bool(values.pop("continued", False))
    if values or set(data) - {"folds", "seed", "phantoms"}:
        raise ValueError(f"{path}: unknown entries {sorted({*values, *data} - {'folds', 'seed', 'phantoms'})}")
    return Configuration(data.get("folds", 5), data.get("seed", 0), data.get("phantoms", 14), continued, settings)


def _known(kind: type, given: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    known = {one.name for one in fields(kind)}
    if unknown := sorted(set(given) - known):
        raise ValueError(f"{path}: unknown entries {unknown}; expected some of {sorted(known)}")
    return given
