"""What order says about slices that no value in their headers tells apart: that of InstanceNumber, or of time.

InstanceNumber decides where slices are numbered image by image (all places once, then all again) or place by place (all
repeats of a place, then those of the next). Any other order says nothing, and slices whose image is not known are left
out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby, pairwise

from ..facts import SliceFacts
from .slice_positions import Places

INSTANCE_ORDER = "InstanceNumber order"
#: As the share of a part's places: with more undecidable ones, the order of all is in doubt.
_FEW_PLACES = 0.2
_TIMES = ("TriggerTime", "TemporalPositionTimeOffset")


def by_order(
    slices: Sequence[SliceFacts], members: Sequence[int], places: Places
) -> tuple[str, list[list[int]], list[int]]:
    """What order decides, the images that slices (in InstanceNumber order) form by it, and those that are left out."""
    images = _image_by_image(slices, members, places) or _place_by_place(slices, members, places)
    if images:
        return INSTANCE_ORDER, images, []
    for name in _TIMES:
        if images := _by_time(slices, members, places, name):
            return f"{name} order", images, []
    counts = Counter(places.place[number] for number in members)
    usual = Counter(counts.values()).most_common(1)[0][0]
    odd = [number for number in members if counts[places.place[number]] != usual]
    rest = [number for number in members if counts[places.place[number]] == usual]
    if not odd or places.count(odd) > _FEW_PLACES * len(counts):
        return "", [], list(members)
    order, images, left_out = (INSTANCE_ORDER, [rest], []) if usual == 1 else by_order(slices, rest, places)
    return order, images, [*odd, *left_out]


def runs(slices: Sequence[SliceFacts], members: Sequence[int], places: Places) -> list[list[int]]:
    """Slices in InstanceNumber order, cut where it turns back along the normal: passes one after the other."""
    steps = [places.place[b] - places.place[a] for a, b in pairwise(members)]
    forward = sum(step > 0 for step in steps) * 2 >= len(steps)
    found = [[members[0]]]
    for number, step in zip(members[1:], steps, strict=True):
        if (step < 0) == forward and step:
            found.append([])
        found[-1].append(number)
    return found


def _number(one: SliceFacts) -> tuple[int, int]:
    """InstanceNumber, and within a multi-frame instance the number of the frame."""
    return one.instance, one.frame


def _image_by_image(slices: Sequence[SliceFacts], members: Sequence[int], places: Places) -> list[list[int]]:
    """A new image begins where a place comes again; [] if that gives more images than any place has slices."""
    images: list[list[int]] = []
    taken: set[int] = set()
    for _, same in groupby(members, key=lambda number: _number(slices[number])):
        group = list(same)
        here = {places.place[number] for number in group}
        if len(here) < len(group):
            return []
        if not images or here & taken:
            images.append([])
            taken = set()
        images[-1] += group
        taken |= here
    most = max(Counter(places.place[number] for number in members).values())
    return images if len(images) == most else []


def _place_by_place(slices: Sequence[SliceFacts], members: Sequence[int], places: Places) -> list[list[int]]:
    """All slices of a place are numbered one after the other, and every place has as many; else []."""
    groups = [list(same) for _, same in groupby(members, key=lambda number: places.place[number])]
    lengths = {len(group) for group in groups}
    if len(groups) != places.count(members) or len(lengths) != 1:
        return []
    if any(len({_number(slices[number]) for number in group}) < len(group) for group in groups):
        return []
    return [list(image) for image in zip(*groups, strict=True)]


def _by_time(slices: Sequence[SliceFacts], members: Sequence[int], places: Places, name: str) -> list[list[int]]:
    """Where the heart beats unevenly, trigger times differ from place to place: what counts is their order at each."""
    try:
        times = {number: float(dict(slices[number].criteria)[name]) for number in members}
    except (KeyError, ValueError):
        return []
    at: dict[int, list[int]] = {}
    for number in sorted(members, key=times.__getitem__):
        at.setdefault(places.place[number], []).append(number)
    distinct = all(len({times[number] for number in found}) == len(found) for found in at.values())
    if not distinct or len({len(found) for found in at.values()}) != 1:
        return []
    return [list(image) for image in zip(*at.values(), strict=True)]
