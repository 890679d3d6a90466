"""Which volumes the network may learn from, whose they are, and which fold holds them out."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

#: How a manifest's licence begins that lets derived works be shared (with attribution, where the licence asks for it).
#: "repo: ..." says that the data's own licence is not restated where they were found, and -NC that it is not enough.
PERMITTED = (
    "CC BY 3.0",
    "CC BY 4.0",
    "CC BY (",
    "MIT",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "PDDL",
    "Chest Imaging Platform licence (BSD style",
    "3D Slicer licence (BSD style",
)


@dataclass(frozen=True)
class TrainingVolume:
    """One volume of a manifest.

    Attributes:
        patient: whose it is; folds hold out patients.
        permitted: whether its licence lets weights learned from it be shared.
        held_out: whether it is of the evaluated archive, so that the fold of its patient leaves it out.
    """

    id: str
    path: Path
    modality: str
    body_part: str
    region: str
    patient: str
    licence: str
    source: str
    permitted: bool
    held_out: bool


def read_volumes(shared: Path) -> list[TrainingVolume]:
    """The volumes of shared/data, shared/training and shared/training2, in the manifests' order."""
    return [
        TrainingVolume(
            id=row["id"],
            path=shared / folder / row["path"],
            modality=row["modality"],
            body_part=row["body_part"],
            region=row.get("region", "").partition("(")[0].strip(),
            patient=row.get("patient") or row["id"],
            licence=row["licence"],
            source=row["source"],
            permitted=row["licence"].startswith(PERMITTED),
            held_out=folder == "data",
        )
        for folder in ("data", "training", "training2")
        for row in _rows(shared / folder / "manifest.csv")
    ]


def _rows(manifest: Path) -> list[dict[str, str]]:
    with manifest.open(newline="", encoding="utf-8") as table:
        return list(csv.DictReader(table))


def assign_folds(volumes: Iterable[TrainingVolume], folds: int, seed: int) -> dict[str, int]:
    """The fold of every patient of the evaluated archive, each kind of volume spread evenly over the folds.

    A patient with volumes of several kinds goes by the kind of the first; all volumes of a patient are in one fold.
    """
    kinds: dict[tuple[str, str], list[str]] = defaultdict(list)
    seen: set[str] = set()
    for volume in volumes:
        if volume.held_out and volume.patient not in seen:
            seen.add(volume.patient)
            kinds[volume.modality, volume.body_part].append(volume.patient)
    random = np.random.default_rng(seed)
    assigned, turn = {}, 0
    for _, patients in sorted(kinds.items()):
        for place in random.permutation(len(patients)):
            assigned[patients[place]] = turn % folds
            turn += 1
    return assigned


def learned_from(volumes: Sequence[TrainingVolume], held_out: Iterable[str]) -> list[TrainingVolume]:
    """The volumes that a network may see when these patients are held out."""
    excluded = set(held_out)
    return [volume for volume in volumes if volume.permitted and volume.patient not in excluded]
