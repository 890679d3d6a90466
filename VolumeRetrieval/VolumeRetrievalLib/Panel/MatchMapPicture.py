"""The similarity matrix as a picture: numpy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Anchors of a colour map from dark blue to yellow, even in lightness (after matplotlib's viridis, CC0).
_ANCHORS = np.array(
    [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]],
    dtype=np.float64,
)
#: One colour for each matched range, told apart also by the colour-blind (Okabe and Ito).
RANGE_COLORS = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (204, 121, 167), (213, 94, 0))
_BACKGROUND = np.array([245, 245, 245], np.uint8)


def rangeColor(number: int) -> tuple[int, int, int]:
    """The colour of a match's n-th range, the same in the map and in the views."""
    return RANGE_COLORS[number % len(RANGE_COLORS)]


@dataclass(frozen=True)
class MapArea:
    """Where in the picture the matrix lies, and which cell a pixel belongs to."""

    left: int
    top: int
    width: int
    height: int
    rows: int
    columns: int

    def cellAt(self, x: int, y: int) -> tuple[int, int] | None:
        """(row, column) of the matrix at this pixel, None outside."""
        column = (x - self.left) * self.columns // self.width
        row = (y - self.top) * self.rows // self.height
        return (row, column) if 0 <= row < self.rows and 0 <= column < self.columns else None

    def x(self, column: float) -> int:
        """The middle of a column."""
        return self.left + int((column + 0.5) * self.width / self.columns)

    def y(self, row: float) -> int:
        return self.top + int((row + 0.5) * self.height / self.rows)


def colorize(values: np.ndarray) -> np.ndarray:
    """float [...] to uint8 [..., 3]; the colours span the 2nd percentile to the maximum of the finite values."""
    values = np.asarray(values, dtype=np.float64)
    finite = values[np.isfinite(values)]
    low, high = (np.percentile(finite, 2), finite.max()) if finite.size else (0.0, 1.0)
    scaled = np.clip((np.nan_to_num(values, nan=low) - low) / max(high - low, 1e-9), 0, 1) * (len(_ANCHORS) - 1)
    below = np.minimum(scaled.astype(int), len(_ANCHORS) - 2)
    part = (scaled - below)[..., None]
    return (_ANCHORS[below] * (1 - part) + _ANCHORS[below + 1] * part).round().astype(np.uint8)


def matrixPicture(similarity: np.ndarray, width: int, height: int) -> np.ndarray:
    """The matrix float [rows, columns] as uint8 [height, width, 3], each cell as a block."""
    rows = np.arange(height) * similarity.shape[0] // height
    columns = np.arange(width) * similarity.shape[1] // width
    return colorize(similarity)[rows][:, columns]


def blank(width: int, height: int) -> np.ndarray:
    return np.broadcast_to(_BACKGROUND, (height, width, 3)).copy()


def profile(similarity: np.ndarray) -> np.ndarray:
    """The similarity of each slice of the retrieved volume to the query's nearest slice: float [columns]."""
    return np.asarray(similarity, dtype=np.float64).max(axis=0)
