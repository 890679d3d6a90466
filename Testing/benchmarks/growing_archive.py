"""A store of any size, as an indexing run would have made it, of synthetic stacks: 120 slices of 256 values each.

The stacks are those of stacks.py: a slice is a point of its examination's course through the body, of its patient's
course, and noise. Volume n depends on n alone, so that a smaller archive is the beginning of a larger one, and a store
that is there is continued. The first of every four of the first FOLLOWED * 4 volumes is searched with; the three after
it are follow-ups of the same patient.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from VolumeRetrievalEngine.commands.console import ProgressLine
from VolumeRetrievalEngine.method.pooling import pool
from VolumeRetrievalEngine.progress import ProgressClock
from VolumeRetrievalEngine.recipe import Recipe
from VolumeRetrievalEngine.store import NewVolume, VolumeStore
from VolumeRetrievalEngine.store.folder import StoreFolder
from VolumeRetrievalEngine.store.schema import STORE_FILE
from VolumeRetrievalEngine.volume import Attributes

from .benchmark_store import synthetic_volume
from .stacks import COURSE_SLICES, EXAMINATIONS, unit, walk

RECIPE = Recipe("benchmark")
SLICES = 120
DIMENSION = 256
#: Volumes that are searched with.
FOLLOWED = 20
_SEED = 1
#: Shares of the variance of examination and patient; the rest is noise (stacks.py).
_COURSE, _PATIENT = 0.55, 0.42


def volume_id(number: int) -> str:
    """The id of volume `number`, from 0."""
    return f"{number:032x}"


def query_ids() -> list[str]:
    """Ids of the volumes to search with; each has three follow-ups in the archive."""
    return [volume_id(4 * number) for number in range(FOLLOWED)]


def new_volume(number: int, slices: int = SLICES) -> NewVolume:
    """Volume `number`, from 0, as it is stored."""
    random = np.random.default_rng((_SEED, 1, number))
    is_followed = number < 4 * FOLLOWED
    patient = np.random.default_rng((_SEED, 2, number // 4)) if is_followed else random
    examination = int(patient.integers(EXAMINATIONS))
    begin = int(patient.integers(0, COURSE_SLICES - slices + 1))
    own = walk(patient, COURSE_SLICES if is_followed else slices, DIMENSION)
    if is_followed and number % 4:  # a year on: by and large the same body, another begin of the scan
        own = np.sqrt(0.8) * own + np.sqrt(0.2) * walk(random, COURSE_SLICES, DIMENSION)
        begin = int(np.clip(begin + random.integers(-15, 16), 0, COURSE_SLICES - slices))
    part = slice(begin, begin + slices)
    rows = np.float32(np.sqrt(1 - _COURSE - _PATIENT)) * random.standard_normal((slices, DIMENSION), dtype=np.float32)
    rows += np.float32(np.sqrt(_COURSE)) * _courses()[examination][part]
    rows += np.float32(np.sqrt(_PATIENT)) * (own[part] if is_followed else own)
    volume = synthetic_volume(number, unit(rows), random)
    pooled, first = pool(volume.embeddings, volume.slices.position)
    modality, body_part = ("CT", "MR", "CT", "PT")[examination % 4], ("CHEST", "ABDOMEN")[examination % 2]
    token = f"{number // 4:032x}" if is_followed else volume_id(number)
    return replace(
        volume,
        identity=replace(volume.identity, patient_token=token, study_token=volume_id(number)),
        attributes=Attributes(modality, "dicom", body_part, f"20{number % 24:02d}0615"),
        pooled=pooled,
        pooled_first=first,
    )


@cache
def _courses() -> list[np.ndarray]:
    random = np.random.default_rng((_SEED, 0))
    return [walk(random, COURSE_SLICES, DIMENSION) for _ in range(EXAMINATIONS)]


def build(folder: Path, volumes: int, slices: int = SLICES, smaller: Path | None = None) -> Path:
    """The store of so many volumes in `folder`, made or completed.

    Args:
        smaller: the folder of a store of fewer volumes, which is copied to begin with.

    Returns:
        The store's own folder.
    """
    stores = StoreFolder(folder)
    stores.make()
    path = stores.path_for(RECIPE)
    if smaller is not None and not path.exists():
        path.mkdir()
        shutil.copyfile(StoreFolder(smaller).path_for(RECIPE) / STORE_FILE, path / STORE_FILE)
    with VolumeStore.create(path, RECIPE) as store, ProgressLine() as line:
        # Two flushes of the disk for each volume are most of the time; a benchmark's store that a power failure
        # damages is made again.
        store._connection.execute("PRAGMA synchronous=OFF")
        there = store.statistics().volumes
        # Of a measured update that was killed.
        store.remove([volume_id(number) for number in range(volumes, there)])
        clock = ProgressClock("volumes", volumes - there, float(volumes - there), line)
        for number in range(there, volumes):
            store.add(new_volume(number, slices))
            clock.advance(1.0)
    stores.mark_used(path)
    return path
