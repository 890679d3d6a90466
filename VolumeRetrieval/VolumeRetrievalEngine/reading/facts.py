"""What a file's header says, in values small enough to keep for every file of an archive and plain enough to cache.

Nothing here names a patient: PatientID and StudyInstanceUID become tokens before a fact is made.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from ..volume import Attributes

T = TypeVar("T")

#: Raised when what is cached changes its meaning or form.
FACTS_VERSION = 9


@dataclass(frozen=True, slots=True)
class FileStamp:
    """A file and what tells whether it is still the same. `path` is absolute, `modified_ns` its time in nanoseconds."""

    path: str
    size: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class SeriesFacts:
    """What all slices of a series share."""

    series_uid: str
    patient_token: str
    study_token: str
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class SliceFacts:
    """One slice: a single-frame instance, or a frame of a multi-frame one.

    Attributes:
        frame: 0-based within its instance; -1 for a single-frame instance.
        instance: InstanceNumber; 0 if unknown.
        image_type: ImageType (or FrameType), upper case.
        matrix: (Rows, Columns).
        spacing: PixelSpacing in mm: (between rows, between columns).
        orientation: ImageOrientationPatient, 6 cosines, LPS.
        position: ImagePositionPatient in mm, LPS.
        thickness, step: SliceThickness and SpacingBetweenSlices in mm; 0 if unknown.
        criteria: (name, value) of what may tell it from other slices at its place (dicom/criteria.py).
    """

    sop_uid: str
    frame: int
    instance: int
    image_type: tuple[str, ...]
    matrix: tuple[int, int]
    spacing: tuple[float, float]
    orientation: tuple[float, ...]
    position: tuple[float, float, float]
    thickness: float
    step: float
    criteria: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """The header of a file that is not DICOM. `shape` is (i, j, k)."""

    fingerprint: str
    shape: tuple[int, int, int]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What one file gives: slices of a series, a volume of its own, or a reason why neither."""

    series: SeriesFacts | None = None
    slices: tuple[SliceFacts, ...] = ()
    image: ImageFacts | None = None
    skip: str = ""
    failed: bool = False

    def to_json(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))

    def shared_by(self, shared: Shared) -> FileFacts:
        """The same with equal parts replaced by the one object that `shared` keeps of each."""
        return FileFacts(
            series=None if self.series is None else shared.series(self.series),
            slices=tuple(shared.slice(one) for one in self.slices),
            image=self.image,
            skip=self.skip,
            failed=self.failed,
        )

    @classmethod
    def from_json(cls, text: str) -> FileFacts:
        """What :meth:`to_json` wrote; KeyError, TypeError or ValueError for anything else."""
        values = json.loads(text)
        series, image = values["series"], values["image"]
        if series is not None:
            series = SeriesFacts(**{**series, "attributes": Attributes(**series["attributes"])})
        if image is not None:
            image = ImageFacts(image["fingerprint"], tuple(image["shape"]), tuple(image["notes"]))
        return cls(
            series=series,
            slices=tuple(SliceFacts(**_with_tuples(one)) for one in values["slices"]),
            image=image,
            skip=str(values["skip"]),
            failed=bool(values["failed"]),
        )


def _with_tuples(values: dict[str, Any]) -> dict[str, Any]:
    found = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    return {**found, "criteria": tuple((str(name), str(value)) for name, value in values["criteria"])}


class Shared:
    """Lets equal values be one object: an archive of a million slices has few different orientations."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, Any], Any] = {}

    def series(self, facts: SeriesFacts) -> SeriesFacts:
        return self._one("series", facts)

    def slice(self, facts: SliceFacts) -> SliceFacts:
        return SliceFacts(
            sop_uid=facts.sop_uid,
            frame=facts.frame,
            instance=facts.instance,
            image_type=self._one("image_type", facts.image_type),
            matrix=self._one("matrix", facts.matrix),
            spacing=self._one("spacing", facts.spacing),
            orientation=self._one("orientation", facts.orientation),
            position=facts.position,
            thickness=facts.thickness,
            step=facts.step,
            criteria=tuple(self._one("criterion", one) for one in facts.criteria),
        )

    def _one(self, name: str, value: T) -> T:
        # By name too, because (512, 512) equals (512.0, 512.0).
        return self._known.setdefault((name, value), value)
