"""Whether the values of one criterion are those of different images, judged by where their slices lie."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from itertools import pairwise

from .criteria import Kind
from .slice_positions import Places

#: A volume has at least this many slices; smaller parts (a scout, a few repeated slices) are no volumes.
FEWEST_SLICES = 3
#: Contrast parameters (an echo time, say) that differ by less than this share are the same: they are rounded.
_SAME_CONTRAST = 0.01
#: Slices that overlap their neighbors by more than this share of their thickness were hardly acquired side by side.
_OVERLAP = 0.2
#: As a share of all gaps: so many may be holes.
_FEW = 0.25
#: As a share of the gap: within this, spacing is as the header says it.
_AS_STATED = 0.1


class Verdict(Enum):
    """What a criterion's values are."""

    APART = "of different images"
    TOGETHER = "of one image"
    OPEN = "of one image or of several: the header does not say"


def verdict_on(
    members: Sequence[int], values: Sequence[str], groups: Sequence[list[int]], kind: Kind, places: Places
) -> Verdict:
    """On slices (`members`) that a criterion of this kind divides into `groups`, each with one of its `values`."""
    counts = [places.count(found) for found in groups]
    if repeats := places.repeats(members):
        in_volumes = sum(len(found) for found, count in zip(groups, counts, strict=True) if count >= FEWEST_SLICES)
        if in_volumes * 2 > len(members) and sum(map(places.repeats, groups)) < repeats:
            return Verdict.APART
    if min(counts) < FEWEST_SLICES:
        return Verdict.TOGETHER
    if kind is Kind.CONTRAST:
        return Verdict.APART if _clearly_differ(values) else Verdict.TOGETHER
    if not places.interleave(groups):
        return Verdict.TOGETHER
    return Verdict.APART if kind is Kind.REPETITION else _by_spacing(members, groups, kind, places)


def _clearly_differ(values: Sequence[str]) -> bool:
    try:
        numbers = sorted(float(value) for value in values)
    except ValueError:
        return True
    return all(b - a > _SAME_CONTRAST * abs(b) for a, b in pairwise(numbers))


def _by_spacing(members: Sequence[int], groups: Sequence[Sequence[int]], kind: Kind, places: Places) -> Verdict:
    """Images that interleave are evenly spaced each for itself; all together they are not, or overlap too much."""
    for measure in (places.off_grid, places.uneven):
        together, apart = measure(members), sum(map(measure, groups))
        if together and apart <= _FEW * together:
            return Verdict.APART
    if kind is Kind.NUMBERING:  # packages of every other slice are numbered one after the other, too
        return Verdict.TOGETHER
    if max(together, apart) > _FEW * len(members):  # more than holes: neither is evenly spaced
        return Verdict.TOGETHER
    gap, own = places.gap(members), [places.gap(found) for found in groups]
    stated = places.nominal_step
    if stated > 0 and abs(gap - stated) < _AS_STATED * gap:
        return Verdict.TOGETHER
    if stated > 0 and all(abs(one - stated) < _AS_STATED * one for one in own):
        return Verdict.APART
    if 0 < places.thickness * (1 - _OVERLAP) <= gap:
        return Verdict.TOGETHER
    return Verdict.APART if 0 < places.thickness <= min(own) * (1 + _AS_STATED) else Verdict.OPEN
