"""What the network is to learn from others: which slices they find alike, and their principal components."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from VolumeRetrievalEngine.encoders.unit_rows import unit_rows

from .slices import SliceSet

#: Components are found from at most this many slices.
_SLICES = 4000


class Teacher:
    """What the teachers make of the slices that are learned from, as one: their similarities are averaged.

    Args:
        sets: with the teachers' embeddings (slices.py).
        shares: of each teacher in a similarity.
        components: principal components kept, at most; `components` says how many there are.
    """

    def __init__(self, sets: Sequence[SliceSet], shares: Mapping[str, float], components: int):
        rows = [_joined(sets, name) * share**0.5 for name, share in shares.items() if share]
        every = np.concatenate(rows, axis=1)
        some = np.random.default_rng(0).permutation(len(every))[:_SLICES]
        mean = every.mean(axis=0)
        _, _, directions = np.linalg.svd(every[some] - mean, full_matrices=False)
        kept = directions[:components].T.astype(np.float32)
        self.components = kept.shape[1]
        ends = np.cumsum([len(one) for one in sets])[:-1]
        self._rows = np.split(every, ends)
        self._components = np.split(((every - mean) @ kept).astype(np.float32), ends)

    def of(self, places: Sequence[tuple[int, int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Of these slices (set, row): float32 [n, t], unit rows around the mean; and [n, c], components."""
        rows, components = (
            np.stack([one[number][row] for number, row in places]) for one in (self._rows, self._components)
        )
        return torch.from_numpy(rows), torch.from_numpy(components)


def _joined(sets: Sequence[SliceSet], name: str) -> np.ndarray:
    """One teacher's embeddings of all slices around their mean, unit rows."""
    rows = np.concatenate([one.teachers[name] for one in sets])
    return unit_rows(rows - rows.mean(axis=0), name)
