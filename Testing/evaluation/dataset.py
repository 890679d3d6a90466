"""The real volumes beside the checkout, as cases with ground truth."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from VolumeRetrievalEngine.query.region import MaskRegion

#: Organs in maps of labels, by the map's name: TotalSegmentator's classes "total" of version 2 and "total_mr"
#: (wasserth/TotalSegmentator, totalsegmentator/map_to_binary.py). Those that other volumes have a mask of, too.
_ORGANS = {
    "Spleen": 1,
    "RightKidney": 2,
    "LeftKidney": 3,
    "Gallbladder": 4,
    "Liver": 5,
    "Pancreas": 7,
    "RightAdrenal": 8,
    "LeftAdrenal": 9,
}
_LABEL_MAPS = {"example_seg_fast_force_split": _ORGANS, "example_seg_mr": _ORGANS}
#: Organs whose mask has another name.
_SAME_ORGAN = {"sub-spleen2_ct_seg-manual": "Spleen"}


@dataclass(frozen=True)
class Mask:
    """Where an organ or a lesion is.

    Attributes:
        path: a mask, or a map of labels.
        label: its value in a map; None for a mask.
    """

    path: Path
    label: int | None = None

    def region(self) -> MaskRegion:
        """The region, read once."""
        return _read_region(self.path, self.label)


@dataclass(frozen=True)
class Case:
    """One volume of shared/data, or of another folder with a manifest.

    Attributes:
        folder: that has the manifest.
        region: what the manifest says of the region, without the remarks in brackets.
        masks: by organ name.
    """

    id: str
    path: Path
    modality: str
    body_part: str
    region: str
    patient: str
    masks: dict[str, Mask] = field(default_factory=dict)
    folder: Path = Path()


def read_cases(folder: Path) -> list[Case]:
    """The cases of a folder's manifest.csv."""
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as table:
        return [_case(folder, row) for row in csv.DictReader(table)]


def _case(folder: Path, row: dict[str, str]) -> Case:
    masks = {}
    for label in (folder / name for name in row["labels"].split(";") if name):
        name = label.name.partition(".")[0]
        masks[_SAME_ORGAN.get(name, name)] = Mask(label)
        masks.update({organ: Mask(label, value) for organ, value in _LABEL_MAPS.get(name, {}).items()})
    return Case(
        id=row["id"],
        path=folder / row["path"],
        modality=row["modality"],
        body_part=row["body_part"],
        region=row["region"].partition("(")[0].strip(),
        patient=row["patient"],
        masks=masks,
        folder=folder,
    )


def groups_of_patients(cases: Sequence[Case], attribute: str, minimum: int = 3) -> dict[tuple[str, str], list[Case]]:
    """Cases by (modality, attribute), for groups of at least so many different patients."""
    groups: dict[tuple[str, str], list[Case]] = {}
    for case in cases:
        if value := getattr(case, attribute):
            groups.setdefault((case.modality, value), []).append(case)
    return {name: group for name, group in sorted(groups.items()) if len({case.patient for case in group}) >= minimum}


@lru_cache(maxsize=256)
def _read_region(path: Path, label: int | None) -> MaskRegion:
    return MaskRegion.from_file(path, label)
