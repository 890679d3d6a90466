"""The frames of a multi-frame instance: where each lies and what tells it from the others.

Enhanced CT, MR and PET keep this in functional groups: what all frames share in the Shared, what differs in the
Per-frame Functional Groups Sequence (PS3.3 C.7.6.16).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydicom.dataset import Dataset

from .diffusion import diffusion_text
from .values import first_item, numbers, raw, text, texts

SHARED_GROUPS = "SharedFunctionalGroupsSequence"
FRAME_GROUPS = "PerFrameFunctionalGroupsSequence"

_FRAME_TYPES = (
    "MRImageFrameTypeSequence",
    "CTImageFrameTypeSequence",
    "PETFrameTypeSequence",
    "XAXRFFrameCharacteristicsSequence",
)


class FrameGroups:
    """The functional groups that apply to one frame: its own, else the shared ones."""

    def __init__(self, shared: Dataset | None, frame: Dataset):
        self._shared = shared
        self._frame = frame

    def group(self, keyword: str) -> Dataset | None:
        """The item of this functional group macro; None if the frame has none."""
        found = first_item(self._frame, keyword)
        return found if found is not None else first_item(self._shared, keyword)

    def numbers(self, group: str, keyword: str, count: int) -> tuple[float, ...] | None:
        item = self.group(group)
        return None if item is None else numbers(item, keyword, count)

    def value_text(self, group: str, keyword: str) -> str:
        item = self.group(group)
        return "" if item is None else text(item, keyword)


def frame_groups(data_set: Dataset) -> Iterator[FrameGroups]:
    """One for every frame, in order; none if the instance has no functional groups."""
    shared = first_item(data_set, SHARED_GROUPS)
    for frame in raw(data_set, FRAME_GROUPS) or ():
        yield FrameGroups(shared, frame)


def frame_values(groups: FrameGroups, defaults: Dataset) -> dict[str, Any]:
    """What a slice needs of one frame, as keyword arguments of SliceFacts; geometry is None where it is missing."""
    frame_type: tuple[str, ...] = ()
    for name in _FRAME_TYPES:
        item = groups.group(name)
        if item is not None:
            frame_type = texts(item, "FrameType")
            break
    diffusion = groups.group("MRDiffusionSequence")
    return {
        "image_type": tuple(one.upper() for one in frame_type or texts(defaults, "ImageType")),
        "spacing": groups.numbers("PixelMeasuresSequence", "PixelSpacing", 2),
        "orientation": groups.numbers("PlaneOrientationSequence", "ImageOrientationPatient", 6),
        "position": groups.numbers("PlanePositionSequence", "ImagePositionPatient", 3),
        "repeats": (
            _number_text(groups.value_text("MREchoSequence", "EffectiveEchoTime")),
            "" if diffusion is None else diffusion_text(diffusion),
            groups.value_text("FrameContentSequence", "TemporalPositionIndex"),
            _number_text(groups.value_text("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime")),
            groups.value_text("FrameContentSequence", "FrameAcquisitionNumber"),
        ),
    }


def rescale_of(groups: FrameGroups) -> tuple[float, float]:
    """Slope and intercept of one frame (Pixel Value Transformation, PS3.3 C.7.6.16.2.9); 1 and 0 if it has none."""
    slope = groups.numbers("PixelValueTransformationSequence", "RescaleSlope", 1)
    intercept = groups.numbers("PixelValueTransformationSequence", "RescaleIntercept", 1)
    return (slope[0] if slope else 1.0), (intercept[0] if intercept else 0.0)


def _number_text(value: str) -> str:
    """One way to write a number, so that 10 and 10.0 are the same."""
    try:
        return f"{float(value):.6g}"
    except ValueError:
        return value
