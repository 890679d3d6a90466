"""Batches in which there is something to tell apart: several kinds, several patients, several slices of each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from .contrasts import in_another_contrast
from .objectives import Labels
from .slices import SliceSet


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


@dataclass(frozen=True)
class Drawing:
    """How batches are drawn.

    Attributes:
        volumes, slices: entries in each batch, and slices of each.
        kind_power: how unevenly kinds are drawn: by their number of volumes to this power. 1 would let head and neck
            drown the others.
        pair: probability that another patient's volume of the kind is drawn beside a volume.
        disguised: probability that a volume is drawn once more in a made-up contrast (contrasts.py).
    """

    volumes: int = 20
    slices: int = 10
    kind_power: float = 0.5
    pair: float = 0.7
    disguised: float = 0.2


@dataclass(frozen=True)
class _Entry:
    """A volume in a batch: its number among the sets, and whether it is shown in a made-up contrast."""

    number: int
    disguised: bool = False


class Batches:
    """Draws batches of slices, with what is known of them.

    Args:
        sets: the volumes to draw from.
        heights: of some of them (heights.py), by name.
    """

    def __init__(self, sets: Sequence[SliceSet], heights: Mapping[str, np.ndarray], how: Drawing, seed: int):
        self.sets = list(sets)
        self._how = how
        self._random = np.random.default_rng(seed)
        kinds: dict[tuple[str, str], list[int]] = defaultdict(list)
        for number, one in enumerate(sets):
            kinds[one.modality, one.body_part].append(number)
        self._kinds = list(kinds.values())
        share = np.array([len(members) for members in self._kinds], dtype=float) ** how.kind_power
        self._share = share / share.sum()
        self._numbers = {
            "kind": _numbered([(one.modality, one.body_part) for one in sets]),
            "region": _numbered([(one.modality, one.body_part, one.region) if one.region else None for one in sets]),
            "patient": _numbered([one.patient for one in sets]),
            "modality": _numbered([one.modality for one in sets]),
        }
        self._counterparts = _counterparts(self.sets)
        self._values = [torch.from_numpy(one.values) for one in sets]
        self.align(heights)

    def align(self, heights: Mapping[str, np.ndarray]) -> None:
        """From now on, slices of different patients lie at these heights."""
        self._heights = [heights.get(one.name, np.full(len(one), np.nan)) for one in self.sets]

    def draw(self) -> Batch:
        """The next batch."""
        entries = self._drawn_volumes()
        rows = self._drawn_rows(entries)
        values, neighbours = (
            torch.cat([self._shown(entry, one, seed) for entry, one, seed in zip(entries, chosen, seeds, strict=True)])
            for seeds in [self._random.integers(2**32, size=len(entries))]
            for chosen in (rows, [self._beside(e.number, one) for e, one in zip(entries, rows, strict=True)])
        )
        places = [(entry.number, row) for entry, one in zip(entries, rows, strict=True) for row in one.tolist()]
        number = torch.tensor([number for number, _ in places])
        entry = torch.arange(len(entries)).repeat_interleave(self._how.slices)
        disguised = torch.tensor([one.disguised for one in entries])[entry]
        known = {name: numbers[number] for name, numbers in self._numbers.items()}
        # A made-up contrast is of no kind, and a modality of its own.
        known["kind"] = torch.where(disguised, -1 - entry, known["kind"])
        known["region"] = known["region"].masked_fill(disguised, -1)
        known["modality"] = known["modality"].masked_fill(disguised, -1)
        labels = Labels(
            volume=entry,
            disguised=disguised,
            position_mm=torch.tensor([float(self.sets[number].positions_mm[row]) for number, row in places]),
            height_mm=torch.tensor([float(self._heights[number][row]) for number, row in places]),
            **known,
        )
        hounsfield = torch.tensor([self.sets[number].hounsfield for number, _ in places]) & ~disguised
        return Batch(values, neighbours, hounsfield, labels, places)

    def _drawn_volumes(self) -> list[_Entry]:
        drawn: list[_Entry] = []
        while len(drawn) < self._how.volumes:
            members = self._kinds[self._random.choice(len(self._kinds), p=self._share)]
            first = int(self._random.choice(members))
            self._add(drawn, first)
            others = [other for other in members if self.sets[other].patient != self.sets[first].patient]
            if others and self._random.random() < self._how.pair:
                self._add(drawn, int(self._random.choice(others)))
        return drawn[: self._how.volumes]

    def _add(self, drawn: list[_Entry], number: int) -> None:
        """Add a volume, its counterpart in another modality and, now and then, in a made-up one."""
        if _Entry(number) in drawn:
            return
        drawn.append(_Entry(number))
        others = [other for other in self._counterparts.get(number, ()) if _Entry(other) not in drawn]
        if others:
            drawn.append(_Entry(int(self._random.choice(others))))
        if self._random.random() < self._how.disguised:
            drawn.append(_Entry(number, disguised=True))

    def _drawn_rows(self, entries: Sequence[_Entry]) -> list[np.ndarray]:
        """Two thirds from anywhere in the volume, the others near those: neighbours are what is hardest to order.

        A volume in a made-up contrast shows what it shows beside.
        """
        rows: dict[int, np.ndarray] = {}
        for entry in entries:
            if entry.disguised and entry.number in rows:
                continue
            count, slices = len(self.sets[entry.number]), self._how.slices
            anywhere = self._random.integers(count, size=-(-slices * 2 // 3))
            near = anywhere[: slices - len(anywhere)] + self._random.integers(-2, 3, size=slices - len(anywhere))
            rows[entry.number] = np.clip(np.concatenate([anywhere, near]), 0, count - 1)
        return [rows[entry.number] for entry in entries]

    def _beside(self, number: int, rows: np.ndarray) -> np.ndarray:
        return np.clip(rows + self._random.choice((-1, 1), size=len(rows)), 0, len(self.sets[number]) - 1)

    def _shown(self, entry: _Entry, rows: np.ndarray, seed: int) -> torch.Tensor:
        values = self._values[entry.number][torch.from_numpy(rows)].float()
        if not entry.disguised:
            return values
        return in_another_contrast(values, self.sets[entry.number].hounsfield, np.random.default_rng(seed))


def _numbered(values: Sequence[object]) -> torch.Tensor:
    """A number for each different value, -1 for None."""
    known = {
        value: number for number, value in enumerate(dict.fromkeys(value for value in values if value is not None))
    }
    return torch.tensor([known.get(value, -1) for value in values])


def _counterparts(sets: Sequence[SliceSet]) -> dict[int, list[int]]:
    """Volumes of the same patient, plane and place in another modality, which lie in one frame."""
    found: dict[int, list[int]] = defaultdict(list)
    for number, one in enumerate(sets):
        for other_number, other in enumerate(sets):
            if (
                one.patient == other.patient
                and one.body_part == other.body_part
                and one.plane == other.plane
                and one.modality != other.modality
            ):
                found[number].append(other_number)
    return found
