"""Features to unit rows, so that a dot product is a cosine similarity."""

from __future__ import annotations

import numpy as np

from ..errors import EncoderError


def unit_rows(features: np.ndarray, made_by: str) -> np.ndarray:
    """Features [n, d] as rows of length 1, float32; a row of zeros becomes the same unit row wherever it comes from.

    Args:
        made_by: what made them, for the error.

    Raises:
        EncoderError: rows with NaN or infinity, or too long for their type.
    """
    length = np.linalg.norm(features, axis=1, keepdims=True)
    if not np.isfinite(length).all():
        raise EncoderError(f"{made_by} returned NaN or infinity for {np.sum(~np.isfinite(length))} slices")
    whole = length > 0
    return np.where(whole, features / np.where(whole, length, 1), 1 / np.sqrt(features.shape[1])).astype(np.float32)
