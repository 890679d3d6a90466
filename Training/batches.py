"""Batches in which there is something to tell apart: several kinds, several patients, several slices of each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from .objectives import Labels
from .slices import SliceSet

#: How unevenly kinds are drawn: by their number of volumes to this power. 1 would let head and neck drown the others.
KIND_POWER = 0.5


@dataclass(frozen=True)
class Batch:
    """Slices to learn from; n = volumes x slices.

    Attributes:
        values, neighbours: float32 [n, size, size]: slices as slices.py keeps them, and for each one a slice beside it.
        hounsfield: bool [n], which ones are CT.
        labels: what is known of them.
        places: (set, row) of each.
    """

    values: torch.Tensor
    neighbours: torch.Tensor
    hounsfield: torch.Tensor
    labels: Labels
    places: list[tuple[int, int]]


class Batches:
    """Draws batches of slices, with what is known of them.

    Args:
        sets: the volumes to draw from.
        heights: of some of them (heights.py), by name.
        volumes, slices: drawn for each batch, and from each volume.
    """

    def __init__(
        self, sets: Sequence[SliceSet], heights: Mapping[str, np.ndarray], volumes: int, slices: int, seed: int
    ):
        self.sets = list(sets)
        self.volumes, self.slices = volumes, slices
        self._heights = [heights.get(one.name, np.full(len(one), np.nan)) for one in sets]
        self._random = np.random.default_rng(seed)
        kinds: dict[tuple[str, str], list[int]] = defaultdict(list)
        for number, one in enumerate(sets):
            kinds[one.modality, one.body_part].append(number)
        self._kinds = list(kinds.values())
        share = np.array([len(members) for members in self._kinds], dtype=float) ** KIND_POWER
        self._share = share / share.sum()
        self._numbers = {
            "kind": _numbered([(one.modality, one.body_part) for one in sets]),
            "region": _numbered([(one.modality, one.body_part, one.region) if one.region else None for one in sets]),
            "patient": _numbered([one.patient for one in sets]),
            "modality": _numbered([one.modality for one in sets]),
        }
        self._counterparts = _counterparts(self.sets)
        self._values = [torch.from_numpy(one.values) for one in sets]

    def draw(self) -> Batch:
        """The next batch."""
        places = [(number, row) for number in self._drawn_volumes() for row in self._drawn_rows(number)]
        beside = [(number, self._beside(number, row)) for number, row in places]
        values, neighbours = (
            torch.stack([self._values[number][row] for number, row in chosen]).float() for chosen in (places, beside)
        )
        volume = torch.tensor([number for number, _ in places])
        hounsfield = torch.tensor([self.sets[number].hounsfield for number, _ in places])
        labels = Labels(
            volume=volume,
            position_mm=torch.tensor([float(self.sets[number].positions_mm[row]) for number, row in places]),
            height_mm=torch.tensor([float(self._heights[number][row]) for number, row in places]),
            **{name: values[volume] for name, values in self._numbers.items()},
        )
        return Batch(values, neighbours, hounsfield, labels, places)

    def _drawn_volumes(self) -> list[int]:
        drawn: list[int] = []
        while len(drawn) < self.volumes:
            members = self._kinds[self._random.choice(len(self._kinds), p=self._share)]
            number = int(self._random.choice(members))
            if number in drawn:
                continue
            drawn.append(number)
            if others := [other for other in self._counterparts.get(number, ()) if other not in drawn]:
                drawn.append(int(self._random.choice(others)))
        return drawn[: self.volumes]

    def _drawn_rows(self, number: int) -> list[int]:
        """Two thirds from anywhere in the volume, the others near those: neighbours are what is hardest to order."""
        count = len(self.sets[number])
        anywhere = self._random.integers(count, size=-(-self.slices * 2 // 3))
        near = anywhere[: self.slices - len(anywhere)] + self._random.integers(-2, 3, size=self.slices - len(anywhere))
        return [*anywhere.tolist(), *np.clip(near, 0, count - 1).tolist()]

    def _beside(self, number: int, row: int) -> int:
        return int(np.clip(row + self._random.choice((-1, 1)), 0, len(self.sets[number]) - 1))


def _numbered(values: Sequence[object]) -> torch.Tensor:
    """A number for each different value, -1 for None."""
    known = {
        value: number for number, value in enumerate(dict.fromkeys(value for value in values if value is not None))
    }
    return torch.tensor([known.get(value, -1) for value in values])


def _counterparts(sets: Sequence[SliceSet]) -> dict[int, list[int]]:
    """Volumes of the same patient, plane and place in another modality (CT and MR; PET is too few to learn from)."""
    found: dict[int, list[int]] = defaultdict(list)
    for number, one in enumerate(sets):
        for other_number, other in enumerate(sets):
            if (
                one.patient == other.patient
                and one.body_part == other.body_part
                and one.plane == other.plane
                and {one.modality, other.modality} == {"CT", "MR"}
            ):
                found[number].append(other_number)
    return found
