"""The encoder that needs nothing: gradient orientations and coarse intensity, with numpy alone.

Four blocks, each made zero-mean and of unit length, so that the cosine of two descriptors is a weighted mean of the
blocks' correlations; the weights are below. Zero mean matters: histograms and intensities are never negative, and
without it every two slices would be similar.

Orientations follow Dalal & Triggs (Histograms of oriented gradients for human detection, CVPR 2005), with overlapping
triangular cells instead of block normalisation, two grid sizes as in Lazebnik et al.'s spatial pyramid (CVPR 2006), and
the square root of Arandjelovic & Zisserman's RootSIFT (CVPR 2012). Opposite directions count as one, because what is
bright in CT may be dark in MR.
"""

from __future__ import annotations

import numpy as np

from .unit_rows import unit_rows

INPUT_SIZE = 96

#: Directions of the gradient in [0, pi).
_DIRECTIONS = 8

#: Cells along each side: orientations fine and coarse, intensity.
_FINE, _COARSE, _LAYOUT = 6, 2, 4

#: Gray levels of the histogram of each channel.
_LEVELS = 12

#: Share of each block in the cosine similarity; they sum to 1. Grids and shares were compared on 30 head-and-neck CT of
#: the training volumes, which no evaluation uses, by how well the best matching slices of one patient in another follow
#: the slices' order (Spearman's rho: 0.81 with these).
_SHARES = {"fine": 0.3, "coarse": 0.25, "layout": 0.3, "histogram": 0.15}

#: Slices worked on at once; their orientation maps should stay in the processor's cache.
_CHUNK = 8


class Descriptor:
    """Gradient orientations and intensities of a slice, float32 unit rows of 404 numbers; an Encoder."""

    name = "descriptor"
    weights = ""
    input_size = INPUT_SIZE
    dimension = _DIRECTIONS * (_FINE**2 + _COARSE**2) + 3 * (_LAYOUT**2 + _LEVELS)
    device = "cpu"
    precision = "float32"
    backend_reason = ""  # why it was chosen, where it was not asked for

    def __init__(self) -> None:
        angles = np.arange(_DIRECTIONS) * (2 * np.pi / _DIRECTIONS)  # of the doubled direction
        self._directions = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
        self._fine, self._layout = _cells(_FINE), _cells(_LAYOUT)
        self._coarse = _cells(_COARSE)

    def embed(self, slices: np.ndarray) -> np.ndarray:
        """Slices float32 [n, 3, 96, 96] in [0, 1] to float32 [n, 404] unit rows."""
        chunks = [self._describe(slices[start : start + _CHUNK]) for start in range(0, len(slices), _CHUNK)]
        return np.concatenate(chunks) if chunks else np.zeros((0, self.dimension), np.float32)

    def _describe(self, slices: np.ndarray) -> np.ndarray:
        energy = self._orientation_energy(slices)
        blocks = {
            "fine": np.sqrt(_pooled(energy, self._fine)),
            "coarse": np.sqrt(_pooled(energy, self._coarse)),
            "layout": _pooled(slices, self._layout),
            "histogram": np.sqrt(_histograms(slices)),
        }
        return _joined([(blocks[name].reshape(len(slices), -1), share) for name, share in _SHARES.items()])

    def _orientation_energy(self, slices: np.ndarray) -> np.ndarray:
        """How strong the gradient is along each direction: float32 [n, directions, h, w]."""
        across, down = _strongest_gradient(slices)
        magnitude = np.sqrt(across * across + down * down) + np.float32(1e-6)
        cosine = (across * across - down * down) / magnitude  # of the doubled angle, times the magnitude
        sine = 2 * across * down / magnitude
        energy = np.empty((len(slices), _DIRECTIONS, *slices.shape[2:]), np.float32)
        for direction, (x, y) in enumerate(self._directions):
            aligned = energy[:, direction]
            np.multiply(cosine, x, out=aligned)
            aligned += y * sine
            np.maximum(aligned, 0, out=aligned)
            np.multiply(aligned, aligned, out=aligned)  # narrower than the cosine: about 45 degrees wide
            aligned /= magnitude
        return energy


def _strongest_gradient(slices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Central differences [n, h, w] of the channel where they are largest at each pixel, as Dalal & Triggs do."""
    across, down = np.zeros_like(slices), np.zeros_like(slices)
    across[:, :, :, 1:-1] = slices[:, :, :, 2:] - slices[:, :, :, :-2]
    down[:, :, 1:-1] = slices[:, :, 2:] - slices[:, :, :-2]
    best_across, best_down = across[:, 0], down[:, 0]
    best = best_across**2 + best_down**2
    for channel in range(1, slices.shape[1]):
        strength = across[:, channel] ** 2 + down[:, channel] ** 2
        larger = strength > best
        best = np.where(larger, strength, best)
        best_across = np.where(larger, across[:, channel], best_across)
        best_down = np.where(larger, down[:, channel], best_down)
    return best_across, best_down


def _cells(count: int) -> np.ndarray:
    """float32 [count, input size]: overlapping triangular weights of `count` cells along one side."""
    width = INPUT_SIZE / count
    middles = (np.arange(count) + 0.5) * width
    distance = np.abs(np.arange(INPUT_SIZE) + 0.5 - middles[:, None]) / width
    weights = np.maximum(0, 1 - distance)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _pooled(maps: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Weighted means of maps [n, c, h, w] in a grid of cells: float32 [n, c, cells, cells]."""
    return np.matmul(np.matmul(cells, maps), cells.T)


def _histograms(slices: np.ndarray) -> np.ndarray:
    """Shares of gray levels [n, channels, levels], without pixels of exactly 0: those are mostly air and padding.

    Each pixel counts for the two nearest levels, so that a rounding error never moves it from one to another.
    """
    count, channels = slices.shape[:2]
    scaled = slices * np.float32(_LEVELS - 1)
    lower = np.clip(scaled.astype(np.int32), 0, _LEVELS - 2)
    upper_share = scaled - lower
    upper_share[slices <= 0] = 0
    seen = (slices > 0).astype(np.float32)
    lower += (np.arange(count * channels, dtype=np.int32) * _LEVELS).reshape(count, channels, 1, 1)
    level, bins = lower.reshape(-1), count * channels * _LEVELS
    counts = np.bincount(level, (seen - upper_share).reshape(-1), bins)
    counts[1:] += np.bincount(level, upper_share.reshape(-1), bins)[:-1]
    shares = counts.reshape(count, channels, _LEVELS).astype(np.float32)
    return shares / np.maximum(shares.sum(axis=2, keepdims=True), 1)


def _joined(blocks: list[tuple[np.ndarray, float]]) -> np.ndarray:
    """Blocks [n, d_i] made zero-mean, of unit length and weighted by the roots of their shares: float32 [n, d].

    A block without any contrast is zero. A slice without any contrast at all (only air) gets the same unit row as every
    other such slice.
    """
    parts = []
    for values, share in blocks:
        centered = values - values.mean(axis=1, keepdims=True)
        length = np.linalg.norm(centered, axis=1, keepdims=True)
        flat = length <= 1e-6
        parts.append(np.where(flat, 0, centered * (np.sqrt(share) / np.where(flat, 1, length))))
    return unit_rows(np.concatenate(parts, axis=1), "the descriptor")
