"""Where the frames of a multi-frame instance without functional groups lie: tomographic NM, and what CT and MR wrote
before there were enhanced objects.

The header has the place of the first frame only. The others follow from it where the header says how: by vectors that
number or place the frames, or by a spacing between slices.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from .criteria import criteria_of
from .slice_positions import slice_normal
from .values import first_item, numbers, text, texts, whole

NUCLEAR = "1.2.840.10008.5.1.4.1.1.20"
_RECONSTRUCTED = ("RECON TOMO", "RECON GATED TOMO")
#: Vectors that number the frames of an NM image (PS3.3 C.8.4.8) by something else than slices, and their criterion.
_NUCLEAR_VECTORS = {
    "EnergyWindowVector": "energy window",
    "DetectorVector": "detector",
    "RRIntervalVector": "TriggerTime",
    "TimeSlotVector": "time slot",
}
#: Offsets of frames along the normal, mm.
_OFFSETS = ("GridFrameOffsetVector", "SliceLocationVector")
_TIMES = ("FrameTime", "FrameTimeVector", "CineRate")
ELEMENTS = (
    "NumberOfFrames",
    "SliceThickness",
    "SpacingBetweenSlices",
    "DetectorInformationSequence",
    "SliceVector",
    *_NUCLEAR_VECTORS,
    *_OFFSETS,
    *_TIMES,
)

NOT_RECONSTRUCTED = "planar or projection images of nuclear medicine (not RECON TOMO): no slices of a volume"
A_CINE = "a multi-frame image over time at one place (a cine), no slices of a volume"
UNPLACED = (
    "a multi-frame image of the older kind: its header has one position for all frames and not how far apart they lie; "
    "export it as enhanced or as single-frame images"
)


def classic_frames(data_set: Dataset) -> list[dict[str, Any]] | str:
    """Each frame as keyword arguments of SliceFacts, geometry None where missing; or why there is no volume."""
    count = max(whole(data_set, "NumberOfFrames", 1), 1)
    nuclear = text(data_set, "SOPClassUID") == NUCLEAR or text(data_set, "Modality").upper() == "NM"
    if nuclear and not any(value.upper() in _RECONSTRUCTED for value in texts(data_set, "ImageType")):
        return NOT_RECONSTRUCTED
    detector = (first_item(data_set, "DetectorInformationSequence") if nuclear else None) or data_set
    origin = numbers(detector, "ImagePositionPatient", 3) or numbers(data_set, "ImagePositionPatient", 3)
    orientation = numbers(detector, "ImageOrientationPatient", 6) or numbers(data_set, "ImageOrientationPatient", 6)
    offsets = _offsets(data_set, count, nuclear)
    if origin is None or orientation is None:
        places: list[tuple[float, ...] | None] = [None] * count
    elif isinstance(offsets, str):
        return offsets
    else:
        along = np.asarray(origin) + np.outer(offsets, slice_normal(orientation))
        places = [tuple(one) for one in along.round(6).tolist()]
    common = {
        "image_type": tuple(value.upper() for value in texts(data_set, "ImageType")),
        "spacing": numbers(data_set, "PixelSpacing", 2),
        "orientation": orientation,
        "thickness": abs((numbers(data_set, "SliceThickness", 1) or (0.0,))[0]),
        "step": abs((numbers(data_set, "SpacingBetweenSlices", 1) or (0.0,))[0]),
    }
    shared = criteria_of(data_set)
    vectors = {name: _vector(data_set, keyword, count) for keyword, name in _NUCLEAR_VECTORS.items()} if nuclear else {}
    return [
        {
            **common,
            "position": places[frame],
            "criteria": (
                *(one for one in shared if not vectors.get(one[0])),
                *((name, f"{values[frame]:g}") for name, values in vectors.items() if values),
            ),
        }
        for frame in range(count)
    ]


def _offsets(data_set: Dataset, count: int, nuclear: bool) -> list[float] | str:
    """How far each frame lies along the normal from the first, mm; or why that is not known."""
    step = (numbers(data_set, "SpacingBetweenSlices", 1) or (0.0,))[0]
    if nuclear:
        # Its sign is the direction of stacking (PS3.3 C.8.4.15); reconstructed slices are as thick as their spacing.
        step = step or (numbers(data_set, "SliceThickness", 1) or (0.0,))[0]
        slices = _vector(data_set, "SliceVector", count) or [float(n) for n in range(1, count + 1)]
        return [step * (number - 1) for number in slices] if step or count == 1 else UNPLACED
    for keyword in _OFFSETS:
        if found := _vector(data_set, keyword, count):
            return [one - found[0] for one in found]
    if any(text(data_set, keyword) for keyword in _TIMES):
        return A_CINE
    return [step * number for number in range(count)] if step > 0 else UNPLACED


def _vector(data_set: Dataset, keyword: str, count: int) -> list[float] | None:
    found = numbers(data_set, keyword, count)
    return None if found is None else list(found)
