"""What in a header tells the volumes of one series apart, besides where their slices lie.

A criterion is a name and the text of its value. Its :class:`Kind` says how far a difference may be trusted: an echo
time names the image wherever it differs, while an acquisition number or a time may well differ within one volume.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from pydicom.dataset import Dataset

from .diffusion import DIFFUSION_ELEMENTS, diffusion_text
from .private_elements import PrivateElement
from .values import numbers, text, texts

#: The criteria of a slice that have a value, as (name, value).
Criteria = tuple[tuple[str, str], ...]


class Kind(Enum):
    """When a criterion divides slices of one geometry (telling_apart.py); all do where it ends a repeat."""

    CONTRAST = "wherever each value has enough slices for a volume"
    REPETITION = "where, besides, the slices of its values interleave"
    ACQUISITION = "where, besides, spacing is even, or as headers state it, only among the slices of each value"
    NUMBERING = "where, besides, spacing is even only among the slices of each value"


@dataclass(frozen=True)
class Criterion:
    """A criterion of single-frame instances. Names are part of volumes' ids (ARCHITECTURE, Identity) and never change.

    Attributes:
        elements: keywords and tags that `read` needs.
    """

    name: str
    kind: Kind
    read: Callable[[Dataset], str]
    elements: tuple[str | int, ...]


def number_text(value: str) -> str:
    """One way to write a number, so that 10 and 10.0 are the same; anything else as it is."""
    try:
        return f"{float(value):.6g}"
    except ValueError:
        return value


def _number(name: str, kind: Kind) -> Criterion:
    return Criterion(name, kind, lambda data_set: _first_number(data_set, name), (name,))


def _text(name: str, kind: Kind) -> Criterion:
    return Criterion(name, kind, lambda data_set: text(data_set, name), (name,))


def _private(name: str, kind: Kind, tag: int, creator: str) -> Criterion:
    element = PrivateElement(tag, creator)

    def read(data_set: Dataset) -> str:
        return _first_number(data_set, element.tag(data_set)) or text(data_set, element.tag(data_set))

    return Criterion(name, kind, read, element.elements)


def _first_number(data_set: Dataset, element: str | int) -> str:
    found = numbers(data_set, element, 1)
    return "" if found is None else f"{found[0]:.6g}"


def _texts(name: str, kind: Kind) -> Criterion:
    return Criterion(name, kind, lambda data_set: "/".join(texts(data_set, name)), (name,))


def _acquisition_time(data_set: Dataset) -> str:
    return text(data_set, "AcquisitionTime") or text(data_set, "AcquisitionDateTime")


#: In the order in which they are tried: what divides more surely comes first.
OF_INSTANCES = (
    _number("EchoTime", Kind.CONTRAST),
    Criterion("b-value and direction", Kind.CONTRAST, diffusion_text, DIFFUSION_ELEMENTS),
    _number("FlipAngle", Kind.CONTRAST),
    _number("InversionTime", Kind.CONTRAST),
    _text("ComplexImageComponent", Kind.CONTRAST),
    # 0 magnitude, 1 phase, 2 real, 3 imaginary.
    _private("GE image part", Kind.CONTRAST, 0x0043102F, "GEMS_PARM_01"),
    _text("FrameOfReferenceUID", Kind.CONTRAST),
    _text("StackID", Kind.CONTRAST),
    _text("ImageLaterality", Kind.CONTRAST),
    _text("TemporalPositionIdentifier", Kind.REPETITION),
    _texts("EchoNumbers", Kind.REPETITION),
    _text("SequenceName", Kind.REPETITION),  # Siemens: "*ep_b1000#12"
    _private("Philips phase", Kind.REPETITION, 0x20011008, "Philips Imaging DD 001"),
    _private("Philips spin label", Kind.REPETITION, 0x20051429, "Philips MR Imaging DD 005"),
    _private("Philips b-value number", Kind.REPETITION, 0x20051412, "Philips MR Imaging DD 005"),
    _private("Philips direction number", Kind.REPETITION, 0x20051413, "Philips MR Imaging DD 005"),
    _number("TriggerTime", Kind.ACQUISITION),
    _number("TemporalPositionTimeOffset", Kind.ACQUISITION),
    _text("AcquisitionNumber", Kind.ACQUISITION),
    _text("SeriesNumber", Kind.ACQUISITION),
    _number("KVP", Kind.ACQUISITION),
    _texts("ConvolutionKernel", Kind.ACQUISITION),
    _number("RepetitionTime", Kind.ACQUISITION),
    _number("SliceThickness", Kind.ACQUISITION),
    _private("Siemens coils", Kind.ACQUISITION, 0x0051100F, "SIEMENS MR HEADER"),
    _number("FrameReferenceTime", Kind.ACQUISITION),
    Criterion("AcquisitionTime", Kind.ACQUISITION, _acquisition_time, ("AcquisitionTime", "AcquisitionDateTime")),
    _text("ContentTime", Kind.ACQUISITION),
)

#: Criteria of frames that single-frame instances do not have, and when they are tried: after this one.
_OF_FRAMES = {
    "velocity encoding": (Kind.CONTRAST, "InversionTime"),
    "time slot": (Kind.REPETITION, "TemporalPositionIdentifier"),
    "energy window": (Kind.CONTRAST, "InversionTime"),
    "detector": (Kind.REPETITION, "TemporalPositionIdentifier"),
    "cardiac cycle": (Kind.ACQUISITION, "TriggerTime"),
    "respiratory cycle": (Kind.ACQUISITION, "TriggerTime"),
}
#: Begins the name of a dimension of an enhanced object (PS3.3 C.7.6.17).
DIMENSION = "dimension "

_KINDS = {one.name: one.kind for one in OF_INSTANCES} | {name: kind for name, (kind, _) in _OF_FRAMES.items()}
_RANKS = {one.name: float(rank) for rank, one in enumerate(OF_INSTANCES)}
_RANKS |= {name: _RANKS[after] + 0.5 for name, (_, after) in _OF_FRAMES.items()}


def kind_of(name: str) -> Kind:
    return _KINDS.get(name, Kind.REPETITION)


def rank_of(name: str) -> tuple[float, str]:
    """To sort criteria in the order in which they are tried."""
    return _RANKS.get(name, _RANKS["Philips direction number"] + 0.5), name


def criteria_of(data_set: Dataset) -> Criteria:
    """The criteria of a single-frame instance."""
    found = ((one.name, one.read(data_set)) for one in OF_INSTANCES)
    return tuple((name, value) for name, value in found if value)
