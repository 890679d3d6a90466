"""Antialiased resize of slices to a square of isotropic pixels.

Both directions are products with a small matrix of weights, made once for a stack. A weight is the triangle filter of
the output's pixel size applied to the linear interpolant of the input; its width is what the interpolant lacks, so that
enlarging is plain linear interpolation and shrinking by a large factor is the usual antialiasing triangle. Input
positions may be irregular.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Rows of output made at once. A block needs a band of the input only, which saves most of a product with the whole
#: (mostly zero) matrix, and is still large enough for BLAS.
_BLOCK = 32


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels, half-open: rows row0 to row1 - 1, columns column0 to column1 - 1."""

    row0: int
    row1: int
    column0: int
    column1: int

    @classmethod
    def whole(cls, rows: int, columns: int) -> Box:
        return cls(0, rows, 0, columns)

    def within(self, rows: int, columns: int) -> Box:
        """The part of the box that lies in an image of this size; at least one pixel, the nearest one."""
        row0, column0 = min(max(self.row0, 0), rows - 1), min(max(self.column0, 0), columns - 1)
        return Box(row0, max(row0 + 1, min(self.row1, rows)), column0, max(column0 + 1, min(self.column1, columns)))


class CropToBox:
    """Slices [n, rows, columns] to those of the box; a view."""

    def __init__(self, box: Box):
        self.box = box

    def __call__(self, slices: np.ndarray) -> np.ndarray:
        return slices[:, self.box.row0 : self.box.row1, self.box.column0 : self.box.column1]


class ResizeToSquare:
    """Slices float32 [n, rows, columns] to float32 [n, size, size] of isotropic pixels.

    The longer side in mm fills the square, the shorter is centered; what lies outside is 0.

    Args:
        row_mm, column_mm: float [rows], float [columns], ascending middles of the pixels in mm.
        size: side of the square in pixels.
        least_mm: the square is at least so large; smaller images are centered in it.
    """

    def __init__(self, row_mm: np.ndarray, column_mm: np.ndarray, size: int, least_mm: float = 0.0):
        row_edges, column_edges = _edges(row_mm), _edges(column_mm)
        self.side_mm = max(row_edges[1] - row_edges[0], column_edges[1] - column_edges[0], least_mm)
        self.pixel_mm = self.side_mm / size
        self._rows = _banded(_weights(row_mm, row_edges, self.pixel_mm, size))
        self._columns = _banded(_weights(column_mm, column_edges, self.pixel_mm, size))
        self._size = size

    def __call__(self, slices: np.ndarray) -> np.ndarray:
        tall = np.empty((len(slices), self._size, slices.shape[2]), dtype=np.float32)
        for made, used, weights in self._rows:
            np.matmul(weights, slices[:, used], out=tall[:, made])
        square = np.empty((len(slices), self._size, self._size), dtype=np.float32)
        for made, used, weights in self._columns:
            square[:, :, made] = tall[:, :, used] @ weights.T
        return square


def _edges(middles: np.ndarray) -> tuple[float, float]:
    """The outer edges in mm of pixels with these middles; a single pixel is 1 mm wide."""
    if len(middles) == 1:
        return float(middles[0]) - 0.5, float(middles[0]) + 0.5
    return (
        float(middles[0] - (middles[1] - middles[0]) / 2),
        float(middles[-1] + (middles[-1] - middles[-2]) / 2),
    )


def _weights(middles: np.ndarray, edges: tuple[float, float], pixel_mm: float, size: int) -> np.ndarray:
    """float32 [size, n]: how much each input pixel counts in each output pixel; zero rows are padding."""
    wanted = (edges[0] + edges[1]) / 2 + (np.arange(size) - (size - 1) / 2) * pixel_mm
    inside = (wanted >= edges[0]) & (wanted <= edges[1])
    weights = np.zeros((size, len(middles)))
    if len(middles) == 1:
        weights[:, 0] = inside
        return weights.astype(np.float32)
    spacing = float(np.median(np.diff(middles)))
    offsets, shares = _triangle(pixel_mm, spacing)
    points = np.clip(wanted[:, None] + offsets, middles[0], middles[-1])
    left = np.clip(np.searchsorted(middles, points, side="right") - 1, 0, len(middles) - 2)
    fraction = (points - middles[left]) / (middles[left + 1] - middles[left])
    shares = shares * inside[:, None]
    output = np.broadcast_to(np.arange(size)[:, None], left.shape)
    np.add.at(weights, (output, left), shares * (1 - fraction))
    np.add.at(weights, (output, left + 1), shares * fraction)
    return weights.astype(np.float32)


def _triangle(pixel_mm: float, spacing: float) -> tuple[np.ndarray, np.ndarray]:
    """Points and shares of the triangle filter still to be applied to the linear interpolant of this spacing.

    Variances add under convolution: a triangle of half-width w has w^2 / 6, so interpolating (w = spacing) and then
    this filter together are as wide as a triangle of half-width `pixel_mm`.
    """
    half_width = np.sqrt(max(pixel_mm**2 - spacing**2, 0.0))
    if half_width < 1e-3 * spacing:
        return np.zeros(1), np.ones(1)
    count = 2 * int(np.ceil(4 * half_width / spacing)) + 3
    offsets = np.linspace(-half_width, half_width, count)
    shares = 1 - np.abs(offsets) / half_width
    return offsets, shares / shares.sum()


def _banded(weights: np.ndarray) -> list[tuple[slice, slice, np.ndarray]]:
    """The matrix as blocks of output rows: (rows made, inputs used, the weights between them)."""
    blocks = []
    for start in range(0, len(weights), _BLOCK):
        made = slice(start, min(start + _BLOCK, len(weights)))
        columns = np.flatnonzero(weights[made].any(axis=0))
        used = slice(int(columns[0]), int(columns[-1]) + 1) if columns.size else slice(0, 1)
        blocks.append((made, used, np.ascontiguousarray(weights[made, used])))
    return blocks
