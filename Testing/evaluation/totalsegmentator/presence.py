"""Which slices of a subject show which structure: read from the masks once, and kept.

A subject has more than a hundred mask files, so that reading them takes longer than all the searching. What is kept is
small and says nothing but slice numbers; it holds for every encoder.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from VolumeRetrievalEngine.errors import EmptyRegionError, VolumeRetrievalError
from VolumeRetrievalEngine.preprocessing.plane_geometry import PlaneGeometry
from VolumeRetrievalEngine.query.region import MaskRegion
from VolumeRetrievalEngine.query.selection import select_rows
from VolumeRetrievalEngine.volume import SliceTable

from ..errors import EvaluationError
from .dataset import Subject
from .structures import LEVELS, classes_of

#: Slice numbers by class.
Presence = dict[str, np.ndarray]


class PresenceCache:
    """Slice numbers of the full stack (0-based) by level and class, for each subject."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._read: dict[str, dict[str, Presence]] = {}

    def of(self, subject: Subject, geometry: PlaneGeometry) -> dict[str, Presence]:
        """By level, then class; classes that the subject does not show are left out.

        Args:
            geometry: of the plane that the subject is sliced in.

        Raises:
            EvaluationError: a mask cannot be read.
        """
        if subject.id not in self._read:
            file = self.folder / f"{subject.id}-{geometry.plane}.json"
            numbers = _kept(file, geometry)
            if numbers is None:
                numbers = _from_masks(subject, geometry)
                _keep(file, geometry, numbers)
            self._read[subject.id] = _by_level(numbers)
        return self._read[subject.id]


def _from_masks(subject: Subject, geometry: PlaneGeometry) -> dict[str, list[int]]:
    table = SliceTable.regular(geometry.affine, geometry.shape[0])
    numbers = {}
    for structure, file in subject.masks.items():
        try:
            numbers[structure] = table.index[select_rows(MaskRegion.from_file(file), geometry, table)].tolist()
        except EmptyRegionError:
            continue  # The subject does not show it.
        except VolumeRetrievalError as error:
            raise EvaluationError(f"{file}: {error}; was the download interrupted?") from error
    return numbers


def _by_level(numbers: dict[str, list[int]]) -> dict[str, Presence]:
    together: dict[str, dict[str, set[int]]] = {level: {} for level in LEVELS}
    for structure, slices in numbers.items():
        for level, name in classes_of(structure).items():
            together[level].setdefault(name, set()).update(slices)
    return {
        level: {name: np.array(sorted(one), np.int16) for name, one in by_class.items()}
        for level, by_class in together.items()
    }


def _kept(file: Path, geometry: PlaneGeometry) -> dict[str, list[int]] | None:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return values["slices"] if values.get("shape") == list(geometry.shape) else None


def _keep(file: Path, geometry: PlaneGeometry, numbers: dict[str, list[int]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.write_text(json.dumps({"shape": list(geometry.shape), "slices": numbers}), encoding="utf-8")
    part.replace(file)
