"""The real volumes beside the checkout, as cases with ground truth."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Case:
    """One volume of shared/data.

    Attributes:
        region: what the manifest says of the region, without the remarks in brackets.
        labels: mask files by organ name.
    """

    id: str
    path: Path
    modality: str
    body_part: str
    region: str
    patient: str
    labels: dict[str, Path] = field(default_factory=dict)


def read_cases(data: Path) -> list[Case]:
    """The cases of shared/data/manifest.csv."""
    with (data / "manifest.csv").open(newline="", encoding="utf-8") as table:
        return [_case(data, row) for row in csv.DictReader(table)]


def _case(data: Path, row: dict[str, str]) -> Case:
    labels = [data / name for name in row["labels"].split(";") if name]
    return Case(
        id=row["id"],
        path=data / row["path"],
        modality=row["modality"],
        body_part=row["body_part"],
        region=row["region"].partition("(")[0].strip(),
        patient=row["patient"],
        labels={label.name.partition(".")[0]: label for label in labels},
    )


def groups_of_patients(cases: Sequence[Case], attribute: str, minimum: int = 3) -> dict[tuple[str, str], list[Case]]:
    """Cases by (modality, attribute), for groups of at least so many different patients."""
    groups: dict[tuple[str, str], list[Case]] = {}
    for case in cases:
        if value := getattr(case, attribute):
            groups.setdefault((case.modality, value), []).append(case)
    return {name: group for name, group in sorted(groups.items()) if len({case.patient for case in group}) >= minimum}
