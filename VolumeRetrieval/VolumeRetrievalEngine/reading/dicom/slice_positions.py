"""Where slices of one orientation lie along their normal: which share a place, and whether they are evenly spaced."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..facts import SliceFacts

#: Slices nearer than this share a place in any stack, mm: positions are rounded.
_ROUNDING_MM = 0.01
#: Slices nearer than this share of the spacing share a place: the table or the patient moved a little between repeats.
_SAME_PLACE = 0.1
#: Gaps that differ from the usual one by less than this share of it are even.
_EVEN = 0.1


def slice_normal(orientation: Sequence[float]) -> np.ndarray:
    """float64 [3], LPS: the unit normal of the plane of these 6 direction cosines."""
    normal = np.cross(orientation[:3], orientation[3:])
    return normal / np.linalg.norm(normal)


class Places:
    """Slices that share a geometry, each with its position along the normal (mm) and the number of its place.

    Attributes:
        position: mm along the normal of the first slice's plane, by slice number.
        place: 0-based and ascending along the normal, by slice number; slices that are repeats of one have one place.
    """

    def __init__(self, slices: Sequence[SliceFacts], members: Sequence[int]):
        first = slices[members[0]]
        origins = np.array([slices[number].position for number in members], dtype=np.float64)
        along = origins @ slice_normal(first.orientation)
        order = np.argsort(along, kind="stable")
        nominal = first.step or first.thickness
        places = _places(along[order], nominal)
        self.position = dict(zip(members, along.tolist(), strict=True))
        self.place = {members[index]: int(place) for index, place in zip(order, places, strict=True)}
        self.nominal_step, self.thickness = first.step, first.thickness

    def count(self, members: Sequence[int]) -> int:
        """How many different places these slices have."""
        return len({self.place[number] for number in members})

    def repeats(self, members: Sequence[int]) -> int:
        """How many pairs of these slices share a place."""
        counts = np.unique([self.place[number] for number in members], return_counts=True)[1]
        return int((counts * (counts - 1) // 2).sum())

    def interleave(self, groups: Sequence[Sequence[int]]) -> bool:
        """Whether a slice of one group lies at, or between, the places of another."""
        spans = sorted((min(found), max(found)) for found in ([self.place[n] for n in group] for group in groups))
        reached = -1
        for low, high in spans:
            if low <= reached:
                return True
            reached = max(reached, high)
        return False

    def uneven(self, members: Sequence[int]) -> int:
        """How many gaps between neighbors differ from the usual gap."""
        gaps = self._gaps(members)
        return int(np.count_nonzero(np.abs(gaps - np.median(gaps)) > _EVEN * np.median(gaps))) if len(gaps) else 0

    def off_grid(self, members: Sequence[int]) -> int:
        """How many gaps between neighbors are no whole multiple of the smaller ones: no holes explain them."""
        gaps = self._gaps(members)
        if not len(gaps):
            return 0
        steps = gaps / np.median(gaps[gaps < 1.5 * gaps.min()])
        return int(np.count_nonzero(np.abs(steps - np.maximum(np.round(steps), 1)) > _EVEN))

    def gap(self, members: Sequence[int]) -> float:
        """The usual gap between neighbors, mm; 0 for fewer than two places."""
        gaps = self._gaps(members)
        return float(np.median(gaps)) if len(gaps) else 0.0

    def _gaps(self, members: Sequence[int]) -> np.ndarray:
        at = {self.place[number]: self.position[number] for number in members}
        return np.diff(np.sort(np.array(list(at.values()))))


def _places(along: np.ndarray, nominal: float) -> np.ndarray:
    """int [n]: the place of each of these ascending positions (mm); `nominal` is the spacing in the header, or 0."""
    gaps = np.diff(along)
    apart = gaps[gaps > _ROUNDING_MM]
    if not len(apart):
        return np.zeros(len(along), int)
    # If slices repeat with small shifts, at least half of the large gaps are the spacing.
    spacing = float(np.median(apart[apart >= apart.mean()]))
    tolerance = _SAME_PLACE * (min(spacing, nominal) if nominal > 0 else spacing)
    places = np.concatenate([[0], np.cumsum(gaps > max(tolerance, _ROUNDING_MM))])
    starts = np.flatnonzero(np.diff(places, prepend=-1))
    ends = np.append(starts[1:], len(along)) - 1
    if tolerance > _ROUNDING_MM and (along[ends] - along[starts]).max() > tolerance:
        # A run of slices, not repeats of one: the large gaps are holes in a finer stack.
        places = np.concatenate([[0], np.cumsum(gaps > _ROUNDING_MM)])
    return places
