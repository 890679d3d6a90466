"""The similarity matrix as a picture: numpy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from VolumeRetrievalEngine.report.color_map import palette, palette_indices

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
    """float [...] to uint8 [..., 3], in the colors of the report."""
    return palette()[palette_indices(values)]


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
