"""Where the body lies on each slice of a stack: middle and size in the two directions of the plane.

With it a position in one patient becomes the same relative position in another (searching/point_map.py). It comes from
the mask that also decides on the box of the images, and moves no embedding.
"""

from __future__ import annotations

import numpy as np

from .body_crop import CoarseBody

#: The share of the body's area that lies outside the outline on each of its four sides: arms, tubes and noise reach
#: far and weigh little. Our choice.
_OUTSIDE = 0.01

#: Slices with less of the body than this share of the largest slice (in one dimension, of its root) have no outline.
_LEAST_AREA = 0.02

#: Outlines are averaged along the stack over about this length: a neck becomes a shoulder within it anyway.
_SMOOTHING_MM = 12.0


def body_outlines(
    body: CoarseBody, row_mm: np.ndarray, column_mm: np.ndarray, position_mm: np.ndarray, kept: np.ndarray
) -> np.ndarray:
    """The outline on each kept slice.

    Args:
        body: of the whole stack.
        row_mm, column_mm: float64, mm of the rows' and columns' middles from the first one.
        position_mm: float64 [slices], of the full stack, ascending.
        kept: int [n], the slices that are wanted.

    Returns:
        float32 [n, 4]: middle along the columns and along the rows, mm from the middle of the first pixel, then the
        size along columns and along rows in mm. NaN for slices without body.
    """
    across, down, along = body.strides
    solid = body.solid()
    columns = _spans(solid.sum(axis=1), column_mm[::along])
    rows = _spans(solid.sum(axis=2), row_mm[::down])
    area = np.count_nonzero(solid, axis=(1, 2))
    filled = area > _LEAST_AREA * max(int(area.max()), 1)
    outlines = np.full((len(kept), 4), np.nan, np.float32)
    if not filled.any():
        return outlines
    sampled = np.stack([columns.mean(axis=1), rows.mean(axis=1), np.ptp(columns, axis=1), np.ptp(rows, axis=1)], axis=1)
    sampled_mm = position_mm[::across]
    wanted_mm = position_mm[kept]
    smooth = _smoothed(sampled[filled], sampled_mm[filled])
    for value in range(4):
        outlines[:, value] = np.interp(wanted_mm, sampled_mm[filled], smooth[:, value])
    nearest = np.abs(wanted_mm[:, None] - sampled_mm[None]).argmin(axis=1)
    outlines[~filled[nearest]] = np.nan
    return outlines


def _spans(counts: np.ndarray, middles_mm: np.ndarray) -> np.ndarray:
    """From where to where the body reaches on each slice, without what is outside: float64 [slices, 2] mm.

    Args:
        counts: int [slices, m], how many samples are body at each of m places.
        middles_mm: float64 [m], ascending.
    """
    step = float(np.median(np.diff(middles_mm))) if len(middles_mm) > 1 else 1.0
    total = np.cumsum(counts, axis=1) / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    borders_mm = np.concatenate([middles_mm - step / 2, [middles_mm[-1] + step / 2]])
    shares = np.concatenate([np.zeros((len(counts), 1)), total], axis=1)
    return np.array([np.interp((_OUTSIDE, 1 - _OUTSIDE), share, borders_mm) for share in shares])


def _smoothed(values: np.ndarray, at_mm: np.ndarray) -> np.ndarray:
    """The mean over neighbors within the smoothing length: float64 [n, 4]."""
    near = np.abs(at_mm[:, None] - at_mm[None]) <= _SMOOTHING_MM / 2
    return near @ values / near.sum(axis=1, keepdims=True)
