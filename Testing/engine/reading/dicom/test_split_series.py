"""No part of a series is a mixture: each image that a scanner makes becomes one volume, whatever tells it apart."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
from VolumeRetrievalEngine.reading.dicom.criteria import OF_INSTANCES
from VolumeRetrievalEngine.reading.dicom.series_splitting import TOO_FEW_PLACES, UNDECIDED, SeriesPart, split_series
from VolumeRetrievalEngine.reading.facts import SliceFacts

#: A slice, and which image it truly is of.
Truth = tuple[str, SliceFacts]


def one_slice(
    z: float, instance: int, *, x: float = 0.0, thickness: float = 3.0, step: float = 0.0, **criteria: object
) -> SliceFacts:
    """An axial slice at (x, 0, z); criteria by name, with _ for a blank."""
    return SliceFacts(
        sop_uid=f"1.{zlib.crc32(repr((instance, z, x, criteria)).encode())}",  # in no order, as scanners give them
        frame=-1,
        instance=instance,
        image_type=("ORIGINAL", "PRIMARY", "M"),
        matrix=(8, 8),
        spacing=(1.5, 1.5),
        orientation=(1, 0, 0, 0, 1, 0),
        position=(x, 0.0, z),
        thickness=thickness,
        step=step,
        criteria=tuple((name.replace("_", " "), str(value)) for name, value in criteria.items()),
    )


def stack(
    image: str, first: int, count: int = 20, gap: float = 3.0, start: float = 0.0, **values: object
) -> list[Truth]:
    """Slices of one image, numbered upward from `first`; a callable value is called with the slice's number."""
    made = []
    for k in range(count):
        own = {name: value(k) if callable(value) else value for name, value in values.items()}
        made.append((image, one_slice(start + gap * k, own.pop("instance", first + k), **own)))
    return made


def numbered(stacks: Sequence[list[Truth]]) -> Iterator[Truth]:
    yield from itertools.chain.from_iterable(stacks)


def volumes(slices: Sequence[SliceFacts]) -> list[SeriesPart]:
    return [part for part in split_series(slices) if len(part.members) >= 3 and not part.refused]


def echoes_and_dynamics(numbers: Callable[[int, int], int]) -> list[list[Truth]]:
    return [
        stack(f"{echo} {time}", numbers(2 * time + e, 0), EchoTime=echo, TemporalPositionIdentifier=time)
        for time in (1, 2)
        for e, echo in enumerate((10, 20))
    ]


SEPARATED: dict[str, list[list[Truth]]] = {
    "echo and dynamic, numbered alike": echoes_and_dynamics(lambda n, _: 1),
    "echo and dynamic, numbered on": echoes_and_dynamics(lambda n, _: 1 + 20 * n),
    "b-value, direction and echo": [
        stack(f"{b} {echo}", 1, **{"b-value and direction": b}, EchoTime=echo)
        for b in ("b=0", "b=800")
        for echo in (60, 90)
    ],
    "flip angle and phase": [
        stack(f"{angle} {time}", 1, FlipAngle=angle, TriggerTime=time) for angle in (5, 26) for time in (0, 40, 80)
    ],
    "three criteria": [
        stack(f"{a}{b}{c}", 1, EchoTime=a, TemporalPositionIdentifier=b, AcquisitionNumber=c)
        for a in (1, 2)
        for b in (1, 2)
        for c in (1, 2)
    ],
    "echoes 0.05 mm apart": [stack(str(n), 1 + 20 * n, EchoTime=10 * n, start=0.05 * n) for n in (1, 2)],
    "dynamics 0.2 mm apart": [stack(str(n), 1 + 20 * n, start=0.2 * n, AcquisitionNumber=n) for n in (1, 2)],
    "repeats 0.2 mm apart, told by InstanceNumber only": [stack(str(n), 1 + 20 * n, start=0.2 * n) for n in (0, 1)],
    "repeats 0.2 mm apart, of unknown thickness": [
        stack(str(n), 1 + 20 * n, start=0.2 * n, thickness=0.0) for n in (0, 1, 2)
    ],
    "repeats of thin slices 0.04 mm apart": [
        stack(str(n), 1 + 20 * n, gap=0.6, start=0.04 * n, thickness=0.75, AcquisitionNumber=n) for n in (0, 1)
    ],
    "passes that overlap by half a slice": [
        stack(str(n), 20 * n, gap=5, start=72.5 * n, thickness=5, AcquisitionNumber=n) for n in (0, 1)
    ],
    "passes that overlap, told by time": [
        stack(str(n), 20 * n, gap=5, start=72.5 * n, thickness=5, AcquisitionTime=f"10{n}000") for n in (0, 1)
    ],
    "passes that overlap, told by InstanceNumber only": [
        stack(str(n), 20 * n, gap=5, start=72 * n, thickness=5) for n in (0, 1)
    ],
    "passes that overlap on one grid": [
        stack(str(n), 20 * n, gap=5, start=75 * n, thickness=5, AcquisitionNumber=n) for n in (0, 1)
    ],
    "passes of overlapping slices, evenly together": [
        stack(str(n), 20 * n, gap=5, start=2.5 * n, thickness=5, AcquisitionNumber=n) for n in (0, 1)
    ],
    "a time point moved by a third of the spacing": [
        stack(str(n), 20 * n, start=1.0 * n, TemporalPositionIdentifier=n) for n in (1, 2)
    ],
    "two stacks side by side": [stack(str(n), 20 * n, start=1.5 * n, x=100 * n, StackID=n) for n in (1, 2)],
    "two stacks side by side without StackID": [stack(str(n), 20 * n, start=1.5 * n, x=100 * n) for n in (1, 2)],
    "two stacks side by side at the same heights": [stack(str(n), 20 * n, x=100 * n) for n in (1, 2)],
    "stacks told by an index of dimensions": [
        stack(str(n), 20 * n, start=1.5 * n, dimension_1=n, dimension_2=lambda k: k + 1) for n in (1, 2)
    ],
    "echoes that share no place": [stack(str(n), 20 * n, start=60 * n, EchoTime=10 * n) for n in (1, 2)],
    "one echo time unknown": [stack("none", 1), stack("20", 1, EchoTime=20)],
    "an interrupted repeat": [stack("0", 1), stack("1", 21, count=12)],
    "a slice missing in the first repeat": [stack("0", 1)[:7] + stack("0", 1)[8:], stack("1", 21)],
    "InstanceNumber is the number of the repeat": [stack(str(n), 0, instance=lambda k, n=n: n) for n in (1, 2, 3)],
    "numbered there and back": [stack("0", 0), stack("1", 0, instance=lambda k: 60 - k)],
    "place by place": [stack(str(n), 0, instance=lambda k, n=n: 3 * k + n) for n in range(3)],
    "trigger times that differ from place to place, InstanceNumber unknown": [
        stack(str(n), 0, instance=lambda k: 0, TriggerTime=lambda k, n=n: 30.5 * n + k) for n in range(3)
    ],
    "stacks one behind the other": [stack(str(n), 20 * n, start=60 * n, StackID=n) for n in (1, 2)],
    "both breasts": [stack(side, n, start=150 * n, ImageLaterality=side) for n, side in enumerate("LR")],
    "Siemens diffusion by the name of its sequence": [
        stack(name, 1, SequenceName=name) for name in ("*ep_b0", "*ep_b1000#1", "*ep_b1000#2")
    ],
    "different frames of reference": [stack(n, 1, start=60 * int(n), FrameOfReferenceUID=n) for n in ("1", "2")],
}


@pytest.mark.parametrize("name", SEPARATED)
@pytest.mark.parametrize("reverse", [False, True])
def test_every_image_is_a_volume_of_its_own(name: str, reverse: bool):
    truth = list(numbered(SEPARATED[name]))[:: -1 if reverse else 1]
    found = volumes([one for _, one in truth])
    images = sorted(sorted(truth[number][0] for number in part.members) for part in found)
    assert images == sorted(sorted(image for image, _ in made) for made in SEPARATED[name])
    assert len({part.key for part in found}) == len(found)
    assert sum(part.key == "" for part in found) == 1


WHOLE: dict[str, list[Truth]] = {
    "values that differ from slice to slice": stack(
        "", 1, EchoTime=lambda k: 10 + k, TriggerTime=lambda k: 37.5 * k, AcquisitionTime=lambda k: 101500 + k
    ),
    "echo times that differ by rounding": stack("", 1, EchoTime=lambda k: (8.872, 8.873)[k % 2]),
    "trigger times of several slices in each beat": stack("", 1, TriggerTime=lambda k: 50 * (k % 5), step=3.0),
    "interleaved packages": stack("", 1, AcquisitionNumber=lambda k: k % 2, instance=lambda k: k // 2 + 10 * (k % 2)),
    "interleaved packages with gaps between slices": stack(
        "", 1, gap=3.6, AcquisitionNumber=lambda k: k % 3, step=3.6, count=21
    ),
    "two spacings": stack("", 1, 8, 4.2) + stack("", 9, 8, 7.4, start=34.0, SliceThickness=7),
    "stations one after the other": stack("", 1, AcquisitionNumber=1) + stack("", 21, start=60, AcquisitionNumber=2),
    "disks of the spine": list(numbered([stack("", 5 * n, 5, 1.0, start=30 * n, thickness=0.0) for n in range(5)])),
    "a hole": stack("", 1, 10, 1.0, thickness=0.0) + stack("", 11, 10, 1.0, start=60, thickness=0.0),
    "thick slabs close together": stack("", 1, gap=1.0, thickness=10.0),
    "positions rounded to 0.1 mm": stack("", 1, gap=0.0, start=0.0, count=1)
    + [("", one_slice(round(0.33 * k, 1), k + 1, thickness=0.33)) for k in range(1, 30)],
    "a table that drifts in plane": [("", one_slice(3.0 * k, k, x=0.6 * k)) for k in range(20)],
    "slabs of a time of flight": stack("", 1, ContentTime=lambda k: 10 * (k // 5)),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_stack_is_not_divided_for(name: str):
    parts = split_series([one for _, one in WHOLE[name]])
    assert [(part.key, len(part.members), part.notes) for part in parts] == [("", len(WHOLE[name]), ())]


@pytest.mark.parametrize(
    "instances",
    [
        lambda k, n: 1,
        lambda k, n: k,
        lambda k, n: int(np.random.default_rng(1).permutation(40)[20 * n + k]),
    ],
    ids=["all alike", "by place", "in no order"],
)
def test_slices_that_nothing_tells_apart_are_refused_with_the_reason(instances: Callable[[int, int], int]):
    slices = [one_slice(3.0 * k, instances(k, n), x=0.1 * n) for n in (0, 1) for k in range(20)]
    parts = split_series(slices)
    assert [(len(part.members), part.refused) for part in parts] == [(40, UNDECIDED)]


@pytest.mark.parametrize("place_by_place", [True, False])
def test_frames_of_one_instance_that_nothing_else_tells_apart_are_so_by_their_number(place_by_place: bool):
    frames = [(k, n) for k in range(10) for n in range(2)]
    frames = frames if place_by_place else sorted(frames, key=lambda frame: frame[1])
    slices = [replace(one_slice(3.0 * k, 1), frame=number, sop_uid="1.2") for number, (k, _) in enumerate(frames)]
    images = [{frames[number][1] for number in part.members} for part in volumes(slices)]
    assert sorted(images, key=str) == [{0}, {1}]


def test_repeats_of_one_place_are_too_few_and_no_failure():
    """A cine at one place, whose InstanceNumbers are lost."""
    (part,) = split_series([one_slice(5.0, 1, ContentTime=time) for time in range(30)])
    assert part.refused == TOO_FEW_PLACES


def test_a_few_undecided_places_cost_these_places_only():
    slices = [one_slice(3.0 * k, k) for k in range(20)]
    slices += [one_slice(3.0 * k, k, x=0.1) for k in (4, 11)]
    part, refused = split_series(slices)
    assert (len(part.members), part.refused) == (18, "")
    assert sorted(refused.members) == [4, 11, 20, 21]


def test_owners_divide_before_all_else_and_are_not_named():
    slices = [one_slice(3.0 * k, k) for k in range(10)] + [one_slice(3.0 * k + 30, 10 + k) for k in range(10)]
    first, second = split_series(slices, ["a7f3 c1"] * 10 + ["b9d2 c1"] * 10)
    assert (first.key, second.key) == ("", "owner b9d2 c1")
    assert [part.notes for part in (first, second)] == [
        (f"one of 2 volumes of its series, divided by patient or study: {n}",) for n in (1, 2)
    ]


def test_the_key_of_a_part_names_all_that_tells_it_apart_and_stays_when_further_parts_appear():
    def keys(*images: tuple[int, int]) -> list[str]:
        made = numbered(
            [stack("", 1 + 100 * n, EchoTime=e, TemporalPositionIdentifier=t) for n, (e, t) in enumerate(images)]
        )
        return sorted(part.key for part in volumes([one for _, one in made]))

    assert keys((10, 1), (20, 1)) == ["", "EchoTime 20"]
    both = ["", "EchoTime 20", "EchoTime 20; TemporalPositionIdentifier 2", "TemporalPositionIdentifier 2"]
    assert keys((10, 1), (20, 1), (10, 2), (20, 2)) == both


@pytest.mark.parametrize("thickness", [0.0, 6.0])
def test_values_that_alternate_evenly_are_marked_where_the_header_leaves_them_open(thickness: float):
    slices = [one_slice(3.0 * k, k, thickness=2 * thickness, AcquisitionNumber=k % 2) for k in range(20)]
    (part,) = split_series(slices)
    assert part.notes == (
        "slices with 2 values of AcquisitionNumber alternate: read as one image, which the header leaves open",
    )


def random_series(seed: int) -> list[Truth]:
    """Images of one place that differ in one or two criteria, some shifted, some slices missing, in any numbering."""
    random = np.random.default_rng(seed)
    names = random.choice([one.name for one in OF_INSTANCES if one.name != "SliceThickness"], 2, replace=False)
    images = list(itertools.product(range(1, 1 + random.integers(1, 4)), range(1, 1 + random.integers(1, 4))))
    count, gap = int(random.choice([5, 12, 20])), float(random.choice([0.6, 1.0, 5.0]))
    shift, by = float(random.choice([0.0, 0.0, 0.02, 0.08, 0.3])) * gap, int(random.integers(2))
    order = [range(count * len(images)), random.permutation(count * len(images))][random.integers(2)]
    return [
        (f"{values}", one_slice(k * gap + shift * values[by], int(order[i * count + k]), thickness=gap, **own))
        for i, values in enumerate(images)
        for own in [{name.replace(" ", "_"): str(value) for name, value in zip(names, values, strict=True)}]
        for k in range(count)
        if random.random() > 0.02
    ]


def test_no_random_series_is_mixed_or_lost():
    for seed in range(120):
        truth = random_series(seed)
        found = volumes([one for _, one in truth])
        images = [{truth[number][0] for number in part.members} for part in found]
        assert all(len(one) == 1 for one in images), seed
        assert len(images) == len({image for image, _ in truth}), seed
