"""Which slices of different patients lie at the same anatomical height, found by the engine itself, without labels.

All volumes of one kind are followed along a common template (correspondence.py: the best monotone path through the
similarity matrix of their embeddings). The template is at first the longest volume, then the mean embedding of
all volumes at each height, which is less of one person.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from VolumeRetrievalEngine.encoders.unit_rows import unit_rows
from VolumeRetrievalEngine.method.correspondence import correspondence

from .slices import SliceSet

#: Kinds whose volumes show the same part of the body from one end to the other. Sarcoma crops do not: each shows
#: another piece of another limb.
ALIGNED = (("CT", "HEADNECK"), ("CT", "CHEST"), ("CT", "HEAD"), ("MR", "BRAIN"))

_ROUNDS = 3
_BIN_MM = 3.0


def common_heights(sets: Sequence[SliceSet], embeddings: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Heights float64 [n] in mm of a template common to the volume's kind; NaN beyond the template's ends.

    Args:
        embeddings: of each volume, by name, float32 [n, d]: what slices are compared by.

    Phantoms know their heights: all are drawn in one body frame. Volumes of other kinds are not in the result.
    """
    kinds: dict[tuple[str, str, str], list[SliceSet]] = defaultdict(list)
    for one in sets:
        kinds[one.modality, one.body_part, one.plane].append(one)
    heights = {}
    for (modality, body_part, _), members in sorted(kinds.items()):
        if body_part == "PHANTOM":
            heights.update({one.name: one.positions_mm.astype(np.float64) for one in members})
        elif (modality, body_part) in ALIGNED and len(members) > 1:
            heights.update(_aligned(members, embeddings))
    return heights


def _aligned(members: Sequence[SliceSet], embeddings: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    mean = np.mean(np.concatenate([embeddings[one.name] for one in members]), axis=0)
    features = {one.name: unit_rows(embeddings[one.name] - mean, one.name) for one in members}
    first = max(members, key=lambda one: float(np.ptp(one.positions_mm)))
    template, template_mm = features[first.name], first.positions_mm.astype(np.float64)
    heights: dict[str, np.ndarray] = {}
    for _ in range(_ROUNDS):
        heights = {one.name: _along(one, features[one.name], template, template_mm) for one in members}
        template, template_mm = _mean_template(features, heights)
        if len(template_mm) < 2:  # too few volumes, or none that can be followed along another
            return {}
    return heights


def _along(one: SliceSet, features: np.ndarray, template: np.ndarray, template_mm: np.ndarray) -> np.ndarray:
    if len(one) < 2:
        return np.full(len(one), np.nan)
    followed = correspondence(features @ template.T, one.positions_mm, template_mm)
    if followed.flipped:
        return np.full(len(one), np.nan)
    heights = np.interp(followed.path, np.arange(len(template_mm)), template_mm)
    # Where the path rests on an end of the template, the slice lies somewhere beyond it.
    resting = (followed.path <= 0) | (followed.path >= len(template_mm) - 1)
    return np.where(resting, np.nan, heights)


def _mean_template(
    features: Mapping[str, np.ndarray], heights: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """The mean embedding at each height that at least two volumes reach."""
    every = np.concatenate([features[name] for name in heights])
    height = np.concatenate(list(heights.values()))
    number = np.round(height / _BIN_MM)
    bins = np.unique(number[np.isfinite(number)])
    kept, means = [], []
    for one in bins:
        here = number == one
        if np.count_nonzero(here) >= 2:
            kept.append(one * _BIN_MM)
            means.append(every[here].mean(axis=0))
    return unit_rows(np.reshape(means, (len(means), every.shape[1])), "the template"), np.array(kept)
