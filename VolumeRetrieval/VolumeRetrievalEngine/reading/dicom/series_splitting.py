"""One series can hold several volumes: divides its slices so that within each part no position repeats.

Always by orientation, matrix, pixel spacing and ImageType. Where positions repeat, by the first of EchoTime, b-value
and direction, TemporalPositionIdentifier, TriggerTime, AcquisitionNumber that makes them unique, else by the order of
InstanceNumber at each position.

Every part has a key, from which its volume's id is made (ARCHITECTURE, Identity). The part with the lowest
InstanceNumber keeps the key of what was divided ("" for the series); the others add what makes them different, in
values of their own slices only. So a part keeps its key when it gains slices or when further parts appear, and the
volume of an undivided series keeps its id when, say, the second echo arrives after it was indexed: only the second
echo is new.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from ..facts import REPEATS_BY, SliceFacts

#: A volume has at least this many slices; smaller parts (a scout, a few repeated slices) are no volumes.
FEWEST_SLICES = 3
#: Slices nearer than this lie at one position, mm.
SAME_POSITION_MM = 0.01
#: Direction cosines and pixel spacings (mm) that differ by less are the same; scanners round them differently.
_SAME_GEOMETRY = 1e-3
#: GE writes ADD as the fourth value for slices summed of thinner ones: other slices of the same stack (as in the
#: posterior fossa of a sequential head scan), not another image of it.
_PROCESSING_ONLY = frozenset({"ADD"})
INSTANCE_ORDER = "InstanceNumber order"


@dataclass(frozen=True)
class SeriesPart:
    """The slices of one volume, as numbers into the list given to :func:`split_series`, in InstanceNumber order."""

    key: str
    members: tuple[int, ...]
    notes: tuple[str, ...] = ()


def slice_normal(orientation: Sequence[float]) -> np.ndarray:
    """float64 [3], LPS: the unit normal of the plane of these 6 direction cosines."""
    normal = np.cross(orientation[:3], orientation[3:])
    return normal / np.linalg.norm(normal)


def split_series(slices: Sequence[SliceFacts]) -> list[SeriesPart]:
    """The parts of a series, each with unique positions; also those too small to be a volume (they come last)."""
    order = sorted(range(len(slices)), key=lambda n: (slices[n].instance, slices[n].sop_uid, slices[n].frame))
    stacks = _split_stacks(slices, order)
    parts: list[SeriesPart] = []
    for stack in stacks:
        parts += _split_repeats(slices, stack)
    return sorted(parts, key=lambda part: len(part.members) < FEWEST_SLICES)


def _split_stacks(slices: Sequence[SliceFacts], order: Sequence[int]) -> list[SeriesPart]:
    described = [(_described(slices[members[0]]), members) for members in _stacks(slices, order)]
    large = [values for values, members in described if len(members) >= FEWEST_SLICES]
    differ = [column for column, values in enumerate(zip(*large, strict=True)) if len(set(values)) > 1]
    names = " and ".join(_STACK_PARTS[column] for column in differ)
    groups = []
    for values, members in described:
        own = ", ".join(values[column] for column in differ)
        groups.append(("; ".join(values), f"divided by {names}: {own}", members))
    return _keep_first("", groups)


def _keep_first(key: str, groups: list[tuple[str, str, list[int]]], notes: tuple[str, ...] = ()) -> list[SeriesPart]:
    """Groups (text, note, members) as parts: the first large enough for a volume keeps `key`, others add their text."""
    large = [members for _, _, members in groups if len(members) >= FEWEST_SLICES]
    parts = []
    for value, note, members in groups:
        own = key if large and members is large[0] else "; ".join(filter(None, (key, value)))
        divided = len(large) > 1 and len(members) >= FEWEST_SLICES
        extra = (f"one of {len(large)} volumes of its series, {note}",) if divided else ()  # VolumeRecord.part reads it
        parts.append(SeriesPart(own, tuple(members), (*notes, *extra)))
    return parts


def _stacks(slices: Sequence[SliceFacts], order: Sequence[int]) -> list[list[int]]:
    """Slices with one matrix, ImageType, orientation and pixel spacing, the latter two within rounding."""
    stacks: list[list[int]] = []
    for number in order:
        for members in stacks:
            if _same_stack(slices[members[0]], slices[number]):
                members.append(number)
                break
        else:
            stacks.append([number])
    return stacks


def _same_stack(one: SliceFacts, other: SliceFacts) -> bool:
    if one.matrix != other.matrix:
        return False
    if one.image_type != other.image_type and _kind(one) != _kind(other):
        return False
    if one.orientation is other.orientation and one.spacing is other.spacing:
        return True
    pairs = zip((*one.orientation, *one.spacing), (*other.orientation, *other.spacing), strict=True)
    return all(abs(a - b) < _SAME_GEOMETRY for a, b in pairs)


def _kind(one: SliceFacts) -> tuple[str, ...]:
    """ImageType without what only says how a slice was summed up."""
    return tuple(value for number, value in enumerate(one.image_type) if number < 3 or value not in _PROCESSING_ONLY)


_STACK_PARTS = ("orientation", "matrix", "pixel spacing", "ImageType")


def _described(one: SliceFacts) -> tuple[str, str, str, str]:
    """What defines a stack, in the order of _STACK_PARTS and in words that do not depend on the other stacks."""
    cosines = " ".join(f"{value:.3f}".replace("-0.000", "0.000") for value in one.orientation)
    spacing = "x".join(f"{value:.3f}" for value in one.spacing)
    return cosines, f"{one.matrix[0]}x{one.matrix[1]}", spacing, "/".join(_kind(one))


def _repeat_of(slices: Sequence[SliceFacts], column: int, number: int) -> str:
    return slices[number].repeats[column]


def _split_repeats(slices: Sequence[SliceFacts], stack: SeriesPart) -> list[SeriesPart]:
    normal = slice_normal(slices[stack.members[0]].orientation)
    positions = {number: float(np.dot(normal, slices[number].position)) for number in stack.members}
    if _unique(positions, stack.members):
        return [stack]
    for column, name in enumerate(REPEATS_BY):
        groups = _grouped(stack.members, partial(_repeat_of, slices, column))
        if _divides(positions, groups):
            return _keep_first(stack.key, _named(name, groups), stack.notes)
    repeats = _occurrence(positions, stack.members)
    groups = _grouped(stack.members, lambda number: f"repeat {repeats[number]}")
    return _keep_first(stack.key, _named(INSTANCE_ORDER, groups), stack.notes)


def _named(criterion: str, groups: list[tuple[str, list[int]]]) -> list[tuple[str, str, list[int]]]:
    return [
        (f"{criterion} {value}", f"divided by {criterion}: {value or 'none'}", members) for value, members in groups
    ]


def _grouped(members: Sequence[int], value: Callable[[int], str]) -> list[tuple[str, list[int]]]:
    groups: dict[str, list[int]] = {}
    for number in members:
        groups.setdefault(value(number), []).append(number)
    return list(groups.items())


def _unique(positions: dict[int, float], members: Sequence[int]) -> bool:
    sorted_positions = np.sort([positions[number] for number in members])
    return len(members) < 2 or float(np.diff(sorted_positions).min()) >= SAME_POSITION_MM


def _divides(positions: dict[int, float], groups: list[tuple[str, list[int]]]) -> bool:
    """Whether these groups have unique positions and most slices end in groups that can be a volume.

    The latter because a value that differs for every slice (a trigger time, say) makes positions unique too.
    """
    sizes = [len(members) for _, members in groups]
    in_volumes = sum(size for size in sizes if size >= FEWEST_SLICES)
    return in_volumes * 2 > sum(sizes) and all(_unique(positions, members) for _, members in groups)


def _occurrence(positions: dict[int, float], members: Sequence[int]) -> dict[int, int]:
    """For every slice, whether it is the 1st, 2nd ... of its position in the order of `members`."""
    rank = {number: place for place, number in enumerate(members)}
    by_position = sorted(members, key=lambda number: positions[number])
    found: dict[int, int] = {}
    start = 0
    for end in range(1, len(by_position) + 1):
        apart = end == len(by_position) or (
            positions[by_position[end]] - positions[by_position[end - 1]] >= SAME_POSITION_MM
        )
        if apart:
            for repeat, number in enumerate(sorted(by_position[start:end], key=rank.__getitem__), start=1):
                found[number] = repeat
            start = end
    return found
