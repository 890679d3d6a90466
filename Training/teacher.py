"""What the network is to learn from a larger one: which slices it finds alike, and its principal components."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from VolumeRetrievalEngine.encoders.unit_rows import unit_rows

from .slices import SliceSet

#: Components are found from at most this many slices.
_SLICES = 4000


class Teacher:
    """The teacher's embeddings of the slices that are learned from.

    Args:
        sets: with the embeddings (slices.py).
        components: principal components kept, at most; `components` says how many there are.
    """

    def __init__(self, sets: Sequence[SliceSet], components: int):
        every = np.concatenate([one.teacher for one in sets])
        mean = every.mean(axis=0)
        some = np.random.default_rng(0).permutation(len(every))[:_SLICES]
        _, _, directions = np.linalg.svd(every[some] - mean, full_matrices=False)
        kept = directions[:components].T.astype(np.float32)
        around_mean = [one.teacher - mean for one in sets]
        self.components = kept.shape[1]
        self._rows = [unit_rows(rows, "the teacher") for rows in around_mean]
        self._components = [(rows @ kept).astype(np.float32) for rows in around_mean]

    def of(self, places: Sequence[tuple[int, int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Of these slices (set, row): float32 [n, t], unit rows around the mean; and [n, c], components."""
        rows, components = (
            np.stack([one[number][row] for number, row in places]) for one in (self._rows, self._components)
        )
        return torch.from_numpy(rows), torch.from_numpy(components)
