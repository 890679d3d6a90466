"""The similarity matrix as a picture, and where in it what lies: numpy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from VolumeRetrievalEngine.report.color_map import palette, palette_indices

#: Red, green and blue, 0 to 255, of the matched range: seen on every color of the map, also by the color-blind (Okabe
#: and Ito).
RANGE_COLOR = (230, 159, 0)


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


def profile(similarity: np.ndarray) -> np.ndarray:
    """The similarity of each slice of the retrieved volume to the query's nearest slice: float [columns]."""
    return np.asarray(similarity, dtype=np.float64).max(axis=0)


def ticks(count: int, room: int) -> list[int]:
    """Which of `count` rows or columns get a number where `room` numbers fit: the first, the last, some between."""
    wanted = max(2, min(room, 5, count))
    return sorted({round(step * (count - 1) / (wanted - 1)) for step in range(wanted)}) if count > 1 else [0]
