"""The frames of a multi-frame instance: where each lies and what tells it from the others.

Enhanced CT, MR and PET keep this in functional groups: what all frames share in the Shared, what differs in the
Per-frame Functional Groups Sequence (PS3.3 C.7.6.16).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset

from .criteria import DIMENSION, Criteria, number_text
from .diffusion import diffusion_text
from .values import first_item, numbers, raw, text, texts

SHARED_GROUPS = "SharedFunctionalGroupsSequence"
FRAME_GROUPS = "PerFrameFunctionalGroupsSequence"
DIMENSIONS = "DimensionIndexSequence"

_FRAME_TYPES = (
    "MRImageFrameTypeSequence",
    "CTImageFrameTypeSequence",
    "PETFrameTypeSequence",
    "XAXRFFrameCharacteristicsSequence",
)
#: Criterion, functional group, element. The names are those of the same thing in single-frame instances.
_CRITERIA = (
    ("EchoTime", "MREchoSequence", "EffectiveEchoTime"),
    ("FlipAngle", "MRTimingAndRelatedParametersSequence", "FlipAngle"),
    ("InversionTime", "MRModifierSequence", "InversionTimes"),
    ("ComplexImageComponent", "MRImageFrameTypeSequence", "ComplexImageComponent"),
    ("velocity encoding", "MRVelocityEncodingSequence", "VelocityEncodingDirection"),
    ("StackID", "FrameContentSequence", "StackID"),
    ("TemporalPositionIdentifier", "FrameContentSequence", "TemporalPositionIndex"),
    ("ImageLaterality", "FrameAnatomySequence", "FrameLaterality"),
    ("TriggerTime", "CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime"),
    ("cardiac cycle", "FrameContentSequence", "CardiacCyclePosition"),
    ("respiratory cycle", "FrameContentSequence", "RespiratoryCyclePosition"),
    ("TemporalPositionTimeOffset", "TemporalPositionSequence", "TemporalPositionTimeOffset"),
    ("AcquisitionNumber", "FrameContentSequence", "FrameAcquisitionNumber"),
    ("KVP", "CTXRayDetailsSequence", "KVP"),
    ("ConvolutionKernel", "CTReconstructionSequence", "ConvolutionKernel"),
    ("RepetitionTime", "MRTimingAndRelatedParametersSequence", "RepetitionTime"),
    ("SliceThickness", "PixelMeasuresSequence", "SliceThickness"),
    ("AcquisitionTime", "FrameContentSequence", "FrameAcquisitionDateTime"),
)
#: Dimensions that say where a frame lies, which its position says better, or count the values of another criterion.
_SAID_ELSEWHERE = {
    *("InStackPositionNumber", "ImagePositionPatient", "ImagePositionVolume", "SliceLocation"),
    *(element for _, _, element in _CRITERIA),
}


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
        return "" if item is None else "/".join(number_text(one) for one in texts(item, keyword))


def frame_groups(data_set: Dataset) -> Iterator[FrameGroups]:
    """One for every frame, in order; none if the instance has no functional groups."""
    shared = first_item(data_set, SHARED_GROUPS)
    for frame in raw(data_set, FRAME_GROUPS) or ():
        yield FrameGroups(shared, frame)


def frame_values(groups: FrameGroups, data_set: Dataset) -> dict[str, Any]:
    """What a slice needs of one frame, as keyword arguments of SliceFacts; geometry is None where it is missing."""
    frame_type: tuple[str, ...] = ()
    for name in _FRAME_TYPES:
        item = groups.group(name)
        if item is not None:
            frame_type = texts(item, "FrameType")
            break
    thickness = groups.numbers("PixelMeasuresSequence", "SliceThickness", 1)
    between = groups.numbers("PixelMeasuresSequence", "SpacingBetweenSlices", 1)
    return {
        "image_type": tuple(one.upper() for one in frame_type or texts(data_set, "ImageType")),
        "spacing": groups.numbers("PixelMeasuresSequence", "PixelSpacing", 2),
        "orientation": groups.numbers("PlaneOrientationSequence", "ImageOrientationPatient", 6),
        "position": groups.numbers("PlanePositionSequence", "ImagePositionPatient", 3),
        "thickness": abs(thickness[0]) if thickness else 0.0,
        "step": abs(between[0]) if between else 0.0,
        "criteria": _criteria(groups, data_set),
    }


def _criteria(groups: FrameGroups, data_set: Dataset) -> Criteria:
    diffusion = groups.group("MRDiffusionSequence")
    found = [(name, groups.value_text(group, element)) for name, group, element in _CRITERIA]
    found.append(("b-value and direction", "" if diffusion is None else diffusion_text(diffusion)))
    found.append(("FrameOfReferenceUID", text(data_set, "FrameOfReferenceUID")))
    found += _dimensions(groups, data_set)
    return tuple((name, value) for name, value in found if value)


def _dimensions(groups: FrameGroups, data_set: Dataset) -> Criteria:
    """The DimensionIndexValues of a frame, each named by what it counts; without _SAID_ELSEWHERE."""
    content = groups.group("FrameContentSequence")
    values = () if content is None else texts(content, "DimensionIndexValues")
    pointers = [raw(item, "DimensionIndexPointer") for item in raw(data_set, DIMENSIONS) or ()]
    names = [keyword_for_tag(pointer) if pointer else "" for pointer in pointers]
    if len(names) != len(values):
        names = [""] * len(values)
    return tuple(
        (DIMENSION + (name or str(number)), value)
        for number, (name, value) in enumerate(zip(names, values, strict=True), start=1)
        if name not in _SAID_ELSEWHERE
    )


def rescale_of(groups: FrameGroups) -> tuple[float | None, float | None]:
    """Slope and intercept of one frame (Pixel Value Transformation, PS3.3 C.7.6.16.2.9); None for what it lacks."""
    slope = groups.numbers("PixelValueTransformationSequence", "RescaleSlope", 1)
    intercept = groups.numbers("PixelValueTransformationSequence", "RescaleIntercept", 1)
    return (slope[0] if slope else None), (intercept[0] if intercept else None)
