"""Rankings that look at no anatomy. What they reach is what the source of a volume gives away."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from VolumeRetrievalEngine.reading import read_volume
from VolumeRetrievalEngine.volume import Volume

from .dataset import Case


def acquisition_distance(cases: Sequence[Case]) -> np.ndarray:
    """float64 [n, n]: distance by spacing, matrix and padding alone, each scaled to its spread over the cases.

    Many volumes of one body part come from one source, with one spacing and one matrix: a method that only recognised
    the source would score as high as this.
    """
    features = np.array([_acquisition(read_volume(case.path)) for case in cases])
    spread = features.std(axis=0)
    scaled = (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return np.linalg.norm(scaled[:, None] - scaled[None], axis=2)


def random_distance(cases: Sequence[Case], seed: int = 0) -> np.ndarray:
    """float64 [n, n]: any order at all."""
    return np.random.default_rng(seed).random((len(cases), len(cases)))


def _acquisition(volume: Volume) -> np.ndarray:
    """Logarithms of the three spacings and sizes, and the share of voxels that are padding (the lowest value)."""
    padding = float(np.mean(volume.voxels == volume.voxels.min()))
    return np.concatenate([np.log(volume.spacing), np.log(volume.voxels.shape), [padding]])
