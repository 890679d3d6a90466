"""Every slice once through the engine's own preprocessing, up to the windows, which training varies.

A volume's slices are kept as int16: HU above air for CT; otherwise thousandths of its robust grey range.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from VolumeRetrievalEngine.encoders.base import Encoder
from VolumeRetrievalEngine.encoders.encode import encode, recipe_for
from VolumeRetrievalEngine.phantoms import FIELDS_OF_VIEW, Patient, scan
from VolumeRetrievalEngine.preprocessing import Stack, chain, preprocess
from VolumeRetrievalEngine.reading import read_volume
from VolumeRetrievalEngine.recipe import PREPROCESSING_VERSION, Recipe
from VolumeRetrievalEngine.volume import Attributes, Volume

from .volumes import TrainingVolume

#: Of values without a unit: this many steps from one end of the grey range to the other.
GREY_STEPS = 1000
_BATCH = 64
#: Of what the teachers see, before their names, in a file of slices.
_TEACHER = "teacher "

#: By name.
Teachers = Mapping[str, Encoder]


@dataclass(frozen=True)
class SliceSet:
    """The slices of one volume.

    Attributes:
        values: int16 [n, size, size]: HU above -1000 (CT), or thousandths of the grey range.
        positions_mm: float32 [n], ascending along the stack.
        teachers: by name, float32 [n, t], unit rows: what each teacher makes of the same slices.
        plane: "axial", "sagittal" or "coronal".
    """

    name: str
    modality: str
    body_part: str
    region: str
    patient: str
    values: np.ndarray
    positions_mm: np.ndarray
    teachers: Mapping[str, np.ndarray]
    plane: str

    @property
    def hounsfield(self) -> bool:
        return self.modality == "CT"

    def __len__(self) -> int:
        return len(self.values)


def slices_of(volume: TrainingVolume, size: int, teachers: Teachers, cache: Path) -> SliceSet:
    """The slices of a real volume, from the cache where they lie there already."""
    made = _cached(cache, volume.id, [volume.path.as_posix(), size, _weights(teachers), PREPROCESSING_VERSION])
    if not made.exists():
        opened = read_volume(volume.path, modality=volume.modality)
        _save(made, opened, size, teachers)
    return _load(made, volume.id, volume.modality, volume.body_part, volume.region, volume.patient)


def phantom_slices(seed: int, size: int, teachers: Teachers, cache: Path) -> SliceSet:
    """The slices of a phantom, of one field of view after the other: regions of which few volumes may be used."""
    made = _cached(cache, f"phantom-{seed}", ["whole", size, _weights(teachers), PREPROCESSING_VERSION])
    if not made.exists():
        fields = sorted(FIELDS_OF_VIEW)
        shown = fields[seed % len(fields)]
        one = scan(Patient.random(seed), shown)
        _save(made, Volume.from_array(one.voxels, one.affine, Attributes(modality="CT")), size, teachers)
    return _load(made, f"phantom-{seed}", "CT", "PHANTOM", "", f"phantom-{seed}")


def values_of(stack: Stack) -> np.ndarray:
    """The kept slices of a stack before they are windowed, int16 [n, size, size] (see SliceSet)."""
    scale = 1.0 if stack.intensity.hounsfield else GREY_STEPS / (stack.intensity.high - stack.intensity.low)
    batches = stack.images(batch_size=_BATCH, compose=lambda steps: chain(steps[:-1]))
    return np.round(np.concatenate(list(batches)) * scale).astype(np.int16)


def _cached(cache: Path, name: str, made_from: list[object]) -> Path:
    cache.mkdir(parents=True, exist_ok=True)
    return cache / f"{name}-{hashlib.sha256(json.dumps(made_from).encode()).hexdigest()[:12]}.npz"


def _weights(teachers: Teachers) -> dict[str, str]:
    return {name: teacher.weights for name, teacher in teachers.items()}


def _save(path: Path, volume: Volume, size: int, teachers: Teachers) -> None:
    stack = preprocess(volume, Recipe(encoder="slices", size=size))
    taught = {
        f"{_TEACHER}{name}": encode(preprocess(volume, recipe_for(teacher)), teacher)
        for name, teacher in teachers.items()
    }
    partial = path.with_suffix(".part")
    with partial.open("wb") as stream:
        np.savez(
            stream,
            values=values_of(stack),
            positions_mm=stack.table.position.astype(np.float32),
            plane=stack.plane,
            **taught,
        )
    partial.replace(path)


def _load(path: Path, name: str, modality: str, body_part: str, region: str, patient: str) -> SliceSet:
    with np.load(path) as arrays:
        teachers = {key.removeprefix(_TEACHER): arrays[key] for key in arrays if key.startswith(_TEACHER)}
        return SliceSet(
            name,
            modality,
            body_part,
            region,
            patient,
            arrays["values"],
            arrays["positions_mm"],
            teachers,
            str(arrays["plane"]),
        )
