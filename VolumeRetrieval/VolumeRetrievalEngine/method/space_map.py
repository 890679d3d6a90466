"""From one encoder's space to another's: a linear map that is fitted on slices embedded by both.

Ridge regression on centered rows: min_W |X W - Y|^2 + lambda t |W|^2 with the old rows X, the new rows Y, and t the
mean eigenvalue of X^T X; in closed form (Hoerl and Kennard, 1970). That spaces of embeddings are related well enough by
a linear map is from Mikolov, Le and Sutskever (arXiv 1309.4168); that an archive need not be embedded again when the
model changes is the aim of backward-compatible embeddings (Shen et al., arXiv 2003.11942), which train the new model to
that end. We map instead, because our encoders are given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

#: What lambda is chosen from, by volumes that are held out.
RIDGES = (1e-4, 1e-3, 1e-2, 1e-1)

_FOLDS = 5


@dataclass(frozen=True)
class SpaceMap:
    """A fitted map.

    Attributes:
        old_mean, new_mean: float64 [d_old], [d_new], means of the rows that it was fitted on.
        weights: float64 [d_old, d_new], W.
        cosine: mean cosine similarity of mapped and embedded rows of volumes that took no part in the fit: 1 would be
            an exact map. Measured by cross-validation over volumes.
    """

    old_mean: np.ndarray
    new_mean: np.ndarray
    weights: np.ndarray
    cosine: float

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Old rows float [n, d_old] in the new space: float32 [n, d_new], unit rows."""
        mapped = (np.asarray(rows, np.float64) - self.old_mean) @ self.weights + self.new_mean
        return (mapped / np.maximum(np.linalg.norm(mapped, axis=1, keepdims=True), 1e-12)).astype(np.float32)


def fit(old: Sequence[np.ndarray], new: Sequence[np.ndarray]) -> SpaceMap:
    """The map that takes the old rows of these volumes to the new ones.

    Args:
        old, new: for each volume, float [n, d_old] and [n, d_new] unit rows of the same n slices.

    Raises:
        ValueError: fewer than two volumes, or rows that do not pair up.
    """
    if len(old) < 2 or len(old) != len(new):
        raise ValueError(f"{len(old)} and {len(new)} volumes: expected the same two or more in both spaces")
    if any(len(one) != len(other) for one, other in zip(old, new, strict=True)):
        raise ValueError("a volume has other numbers of rows in the two spaces")
    folds = np.arange(len(old)) % min(_FOLDS, len(old))
    cosines = {ridge: _held_out(old, new, folds, ridge) for ridge in RIDGES}
    ridge = max(cosines, key=lambda one: cosines[one])
    return _fitted(np.concatenate(old), np.concatenate(new), ridge, cosines[ridge])


def _held_out(old: Sequence[np.ndarray], new: Sequence[np.ndarray], folds: np.ndarray, ridge: float) -> float:
    """The mean cosine over volumes that were held out."""
    cosines = []
    for fold in np.unique(folds):
        seen, held = np.flatnonzero(folds != fold).tolist(), np.flatnonzero(folds == fold).tolist()
        fitted = _fitted(np.concatenate([old[i] for i in seen]), np.concatenate([new[i] for i in seen]), ridge, 0.0)
        cosines += [float(np.einsum("nd,nd->n", fitted(old[i]), new[i]).mean()) for i in held]
    return float(np.mean(cosines))


def _fitted(old: np.ndarray, new: np.ndarray, ridge: float, cosine: float) -> SpaceMap:
    old, new = old.astype(np.float64), new.astype(np.float64)
    old_mean, new_mean = old.mean(axis=0), new.mean(axis=0)
    centered = old - old_mean
    gram = centered.T @ centered
    # Relative to the spread of the rows, so that it means the same in spaces of any scale.
    gram[np.diag_indices_from(gram)] += ridge * max(float(np.trace(gram)), 1e-12) / len(gram)
    weights = np.linalg.solve(gram, centered.T @ (new - new_mean))
    return SpaceMap(old_mean, new_mean, weights, cosine)
