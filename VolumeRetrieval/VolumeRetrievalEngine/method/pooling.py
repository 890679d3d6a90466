"""Adjacent-slice pooling: neighboring slices averaged, so that whole volumes can be compared cheaply.

The token pooling known from ColBERT, over neighbors in space (ENGINES.md, fact 2): a group of slices that spans about
24 mm becomes one row. Good for finding candidates of a whole-volume query; a query of a few slices loses focal findings
by it (fact 3) and is searched in full slices instead.
"""

from __future__ import annotations

import numpy as np

#: How much of the body one pooled row stands for, in mm: 8 slices at the default slice step of 3 mm.
SPAN_MM = 24.0


def pool(embeddings: np.ndarray, positions_mm: np.ndarray, span_mm: float = SPAN_MM) -> tuple[np.ndarray, np.ndarray]:
    """Average neighboring slices in groups of equal extent, near `span_mm` each.

    Args:
        embeddings: float32 [n, d], unit rows in the order of the stack.
        positions_mm: float [n], where each slice lies along the stack; spacing may be irregular.
        span_mm: extent of a group; 0 leaves every slice a group of its own.

    Returns:
        float32 [m, d] unit rows, and int32 [m] the first of the embeddings' rows in each group. Groups are contiguous
        and cover every row; 1 <= m <= n for n >= 1.
    """
    rows = np.asarray(embeddings, dtype=np.float32)
    positions = np.asarray(positions_mm, dtype=np.float64)
    if rows.ndim != 2 or positions.shape != rows.shape[:1]:
        raise ValueError(f"expected embeddings [n, d] and n positions, got {rows.shape} and {positions.shape}")
    first = group_starts(positions, span_mm)
    if len(first) == len(rows):
        return rows.copy(), first
    sums = np.add.reduceat(rows, first, axis=0)
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    # Opposite rows could cancel out; the group's first slice then stands for it, so that rows stay unit rows.
    cancelled = lengths[:, 0] < 1e-6
    sums[cancelled], lengths[cancelled] = rows[first[cancelled]], 1.0
    return sums / lengths, first


def group_starts(positions_mm: np.ndarray, span_mm: float) -> np.ndarray:
    """int32 [m], the first row of each group when the stack is cut into equal parts of about `span_mm`.

    Equal parts rather than full spans and a remainder: a last group of one slice would weigh as much as the others.
    A gap wider than a part leaves fewer groups than parts.
    """
    n = len(positions_mm)
    if n == 0:
        return np.zeros(0, np.int32)
    if span_mm <= 0:
        return np.arange(n, dtype=np.int32)
    steps = np.abs(np.diff(positions_mm))
    along = np.concatenate(([0.0], np.cumsum(steps)))
    # A slice stands for a slab as thick as the spacing, hence one more spacing than from first to last middle.
    extent = along[-1] + (float(np.median(steps)) if n > 1 else 0.0)
    parts = max(1, round(extent / span_mm))
    # The small shift keeps a slice that lies on a border, up to rounding, in the upper part.
    group = np.minimum((along * parts / extent + 1e-9).astype(np.int64) if extent > 0 else np.zeros(n), parts - 1)
    return np.flatnonzero(np.concatenate(([True], np.diff(group) > 0))).astype(np.int32)
