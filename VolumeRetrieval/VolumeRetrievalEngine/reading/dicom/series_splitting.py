"""One series can hold several volumes: divides its slices so that no part is a mixture of images.

First by patient and study, orientation, matrix, pixel spacing and ImageType (stacks.py). Then by every criterion
(criteria.py) that divides what is left, one after the other, so that an echo of a time point is told from the other
echoes and from the other time points. A criterion whose values differ from slice to slice divides nothing. Where
slices still share places, InstanceNumber decides (order_of_repeats.py) or they are left out, with the reason.

Every part has a key, from which its volume's id is made (ARCHITECTURE, Identity). The part with the lowest
InstanceNumber keeps the key of what was divided ("" for the series); the others add what makes them different, in
values of their own slices only. So a part keeps its key when it gains slices or when further parts appear, and the
volume of an undivided series keeps its id when, say, the second echo arrives after it was indexed: only the second
echo is new.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ..facts import SliceFacts
from .criteria import Kind, kind_of, rank_of
from .order_of_repeats import INSTANCE_ORDER, by_order, runs
from .slice_positions import Places
from .stacks import STACK_CRITERIA, described, stacks_of
from .telling_apart import FEWEST_SLICES, Verdict, verdict_on

#: Pixels by which slices may shift in plane and still lie in one column.
_SAME_COLUMN = 2.0
IN_PLANE = "place in plane"
#: What nothing tells apart.
UNDECIDED = (
    "shares its place with other slices of the series, and nothing in their headers says which image each belongs to: "
    "export the series again from the scanner or the archive, each image as a series of its own"
)
TOO_FEW_PLACES = f"fewer than {FEWEST_SLICES} slices at different places (repeats of them are no volume)"


@dataclass(frozen=True)
class SeriesPart:
    """The slices of one volume, as numbers into the list given to :func:`split_series`, in InstanceNumber order.

    Attributes:
        refused: why these slices are no volume; empty if they are one, or are only too few.
    """

    key: str
    members: tuple[int, ...]
    notes: tuple[str, ...] = ()
    refused: str = ""


@dataclass(frozen=True)
class _Group:
    """Slices on the way to a part: their key, what has told them from others as (criterion, value), and doubts left."""

    key: str
    members: list[int]
    told: tuple[tuple[str, str], ...] = ()
    doubts: tuple[str, ...] = ()


def split_series(slices: Sequence[SliceFacts], owners: Sequence[str] = ()) -> list[SeriesPart]:
    """The parts of a series; also those too small to be a volume, and what is refused (they come last).

    Args:
        owners: of each slice, whose it is (patient and study); as long as `slices`, or empty if of one.
    """
    order = sorted(range(len(slices)), key=lambda n: (slices[n].instance, slices[n].sop_uid, slices[n].frame))
    groups: list[_Group] = []
    for owned in _by_owner(owners, order):
        for stack in _by_stack(slices, owned):
            groups += _by_criteria(slices, stack)
    parts, refused = [], []
    for group in groups:
        divided, left_out = _without_repeats(slices, group)
        parts += divided
        if left_out:
            enough = divided or Places(slices, left_out).count(left_out) >= FEWEST_SLICES
            refused.append(SeriesPart(group.key, tuple(left_out), refused=UNDECIDED if enough else TOO_FEW_PLACES))
    volumes = sum(_is_large(group.members) for group in parts)
    made = [SeriesPart(one.key, tuple(one.members), _notes(one, volumes)) for one in parts]
    return sorted(made, key=lambda part: not _is_large(part.members)) + refused


def _is_large(members: Sequence[int]) -> bool:
    return len(members) >= FEWEST_SLICES


def _notes(group: _Group, volumes: int) -> tuple[str, ...]:
    if volumes < 2 or not _is_large(group.members) or not group.told:
        return group.doubts
    told = "; ".join(f"{name}: {value or 'none'}" for name, value in group.told)
    return (f"one of {volumes} volumes of its series, divided by {told}", *group.doubts)  # VolumeRecord.part reads it


def _keep_first(parent: _Group, groups: Sequence[tuple[str, str, str, list[int]]]) -> list[_Group]:
    """(criterion, value, text, slices) as groups: the first that can be a volume keeps the key, others add text."""
    large = [members for *_, members in groups if _is_large(members)]
    made = []
    for name, value, text, members in groups:
        key = parent.key if large and members is large[0] else "; ".join(filter(None, (parent.key, text)))
        told = (*parent.told, (name, value)) if len(large) > 1 else parent.told
        made.append(_Group(key, members, told, parent.doubts))
    return made


def _by_owner(owners: Sequence[str], order: Sequence[int]) -> list[_Group]:
    everything = _Group("", list(order))
    groups = _grouped(order, lambda number: owners[number]) if owners else []
    if len(groups) < 2:
        return [everything]
    # Owners are tokens: a person is shown a number.
    named = [("patient or study", str(n), f"owner {value}", members) for n, (value, members) in enumerate(groups, 1)]
    return _keep_first(everything, named)


def _by_stack(slices: Sequence[SliceFacts], group: _Group) -> list[_Group]:
    stacks = [(described(slices[members[0]]), members) for members in stacks_of(slices, group.members)]
    large = [values for values, members in stacks if _is_large(members)]
    differ = [column for column, values in enumerate(zip(*large, strict=True)) if len(set(values)) > 1]
    names = " and ".join(STACK_CRITERIA[column] for column in differ)
    shown = [", ".join(values[column] for column in differ) for values, _ in stacks]
    named = [(names, own, "; ".join(values), members) for own, (values, members) in zip(shown, stacks, strict=True)]
    return _keep_first(group, named)


def _by_criteria(slices: Sequence[SliceFacts], stack: _Group) -> list[_Group]:
    """Divided by every criterion that tells images apart, by where slices lie in plane, and by passes."""
    if len(stack.members) < 2:
        return [stack]
    values = {number: dict(slices[number].criteria) for number in stack.members}
    names = sorted({name for found in values.values() for name in found}, key=rank_of)
    places = Places(slices, stack.members)
    groups = [stack]
    for name in names:
        own = {number: found.get(name, "") for number, found in values.items()}
        if len(set(own.values())) < 2:
            continue
        groups = [
            piece
            for group in groups
            for piece in _divided(group, name, _grouped(group.members, own.__getitem__), kind_of(name), places)
        ]
    groups = [
        piece
        for group in groups
        for piece in _divided(group, IN_PLANE, _columns(slices, group.members), Kind.REPETITION, places)
    ]
    return [piece for group in groups for piece in _passes(slices, group, places)]


def _divided(group: _Group, name: str, pieces: list[tuple[str, list[int]]], kind: Kind, places: Places) -> list[_Group]:
    if len(pieces) < 2:
        return [group]
    values, groups = [value for value, _ in pieces], [members for _, members in pieces]
    verdict = verdict_on(group.members, values, groups, kind, places)
    if verdict is Verdict.APART:
        return _keep_first(group, [(name, value, f"{name} {value}", members) for value, members in pieces])
    if verdict is Verdict.OPEN:
        doubt = f"slices with {len(pieces)} values of {name} alternate: read as one image, which the header leaves open"
        return [replace(group, doubts=(*group.doubts, doubt))]
    return [group]


def _columns(slices: Sequence[SliceFacts], members: Sequence[int]) -> list[tuple[str, list[int]]]:
    """Slices by where they lie in plane, to `_SAME_COLUMN` pixels, with that place in mm of the patient's axes."""
    first = slices[members[0]]
    row, column = first.orientation[:3], first.orientation[3:]
    reach = _SAME_COLUMN * max(first.spacing)
    columns: list[tuple[tuple[float, float], list[int]]] = []
    for number in members:
        position = slices[number].position
        here = tuple(sum(a * b for a, b in zip(axis, position, strict=True)) for axis in (row, column))
        for place, found in columns:
            if abs(place[0] - here[0]) <= reach and abs(place[1] - here[1]) <= reach:
                found.append(number)
                break
        else:
            if len(columns) * FEWEST_SLICES > len(members):
                return []  # shifted from slice to slice, as with a tilted gantry
            columns.append(((here[0], here[1]), [number]))
    return [(f"{place[0]:.1f} {place[1]:.1f}", found) for place, found in columns]


def _passes(slices: Sequence[SliceFacts], group: _Group, places: Places) -> list[_Group]:
    """Divided where InstanceNumber turns back along the normal, if passes without repeats interleave unevenly."""
    if len(group.members) < 2 * FEWEST_SLICES or places.repeats(group.members):
        return [group]
    found = [(f"pass {number}", members) for number, members in enumerate(runs(slices, group.members, places), 1)]
    return _divided(group, INSTANCE_ORDER, found, Kind.NUMBERING, places)


def _without_repeats(slices: Sequence[SliceFacts], group: _Group) -> tuple[list[_Group], list[int]]:
    places = Places(slices, group.members)
    if not places.repeats(group.members):
        return [group], []
    order, images, left_out = by_order(slices, group.members, places)
    named = [(order, f"repeat {n}", f"{order} repeat {n}", found) for n, found in enumerate(images, start=1)]
    return _keep_first(group, named), left_out


def _grouped(members: Sequence[int], value: Callable[[int], str]) -> list[tuple[str, list[int]]]:
    groups: dict[str, list[int]] = {}
    for number in members:
        groups.setdefault(value(number), []).append(number)
    return list(groups.items())
