"""The color of a similarity, the same in the report and in the panel's match map."""

from __future__ import annotations

import numpy as np

#: Viridis (Smith and van der Walt 2015, CC0) at equal steps: even in lightness, and safe for color-blind readers.
VIRIDIS = ("#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725")


def color_range(similarity: np.ndarray) -> tuple[float, float]:
    """The similarities that become the darkest and the brightest color: the 2nd percentile and the maximum.

    Values that are not finite are left out.
    """
    finite = similarity[np.isfinite(similarity)]
    low, high = (float(np.percentile(finite, 2)), float(finite.max())) if finite.size else (0.0, 1.0)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def palette() -> np.ndarray:
    """uint8 [256, 3], the colors from dark to bright."""
    anchors = np.array([[int(color[at : at + 2], 16) for at in (1, 3, 5)] for color in VIRIDIS], dtype=np.float64)
    levels = np.linspace(0, len(anchors) - 1, 256)
    colors = np.stack([np.interp(levels, np.arange(len(anchors)), anchors[:, axis]) for axis in range(3)], axis=1)
    return np.rint(colors).astype(np.uint8)


def palette_indices(similarity: np.ndarray) -> np.ndarray:
    """float [...] to uint8 [...], which of the palette's colors each value has; what is not finite has the darkest."""
    low, high = color_range(similarity)
    scaled = (np.asarray(similarity, np.float64) - low) * (255.0 / (high - low)) + 0.5
    return np.clip(np.nan_to_num(scaled, nan=0.0), 0, 255).astype(np.uint8)
