"""Which points of the world a stack of slices shows: where each slice's image lies, and what meets it.

A slice is a rectangle in space, up to the outer borders of its pixels. The stack reaches half a slice spacing beyond
its first and last slice. Slices may be oblique, irregularly spaced, and sheared against each other (gantry tilt).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..preprocessing.plane_geometry import PlaneGeometry
from ..volume import SliceTable
from .oriented_box import OrientedBox

#: What counts as touching, in mm: far below any voxel, far above the rounding of float64 geometry.
TOUCH_MM = 1e-4


@dataclass(frozen=True)
class StackFrame:
    """Coordinates of a stack: millimeters along the normal of its slices, and pixels within them.

    Attributes:
        normal: float64 [3], the unit normal of the slices' images, toward ascending slices.
        origins: float64 [n, 3], RAS mm of the middle of each slice's first pixel.
        heights: float64 [n], mm of each slice along the normal; ascending.
        columns, rows: float64 [3], the step in mm from one column (row) to the next.
        counts: number of columns and rows.
        bottom, top: mm along the normal that the full stack covers.
        spacing: mm between neighboring slices of the full stack, along the normal.
    """

    normal: np.ndarray
    origins: np.ndarray
    heights: np.ndarray
    columns: np.ndarray
    rows: np.ndarray
    counts: tuple[int, int]
    bottom: float
    top: float
    spacing: float

    @classmethod
    def of(cls, geometry: PlaneGeometry, table: SliceTable | None = None) -> StackFrame:
        """The frame of these slices of the stack; without a table, of the full, regular one."""
        slices, n_rows, n_columns = geometry.shape
        columns, rows, step = geometry.affine[:3, 0], geometry.affine[:3, 1], geometry.affine[:3, 2]
        # Not the table's normals: those of a stack with gantry tilt may follow the table instead of the image.
        normal = np.cross(columns, rows)
        normal = normal / np.linalg.norm(normal)
        if normal @ step < 0:
            normal = -normal
        nominal = geometry.affine[:3, 3] + np.arange(slices)[:, None] * step
        origins = nominal if table is None else np.asarray(table.origin, dtype=np.float64)
        heights = origins @ normal
        reach = np.concatenate([heights, nominal[[0, -1]] @ normal])
        half = 0.5 * abs(float(normal @ step))
        return cls(
            normal=normal,
            origins=origins,
            heights=np.maximum.accumulate(heights),  # equal positions may differ by rounding
            columns=columns,
            rows=rows,
            counts=(n_columns, n_rows),
            bottom=float(reach.min()) - half,
            top=float(reach.max()) + half,
            spacing=2 * half,
        )

    def height(self, points: np.ndarray) -> np.ndarray:
        """mm along the normal of points [..., 3]."""
        return points @ self.normal

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Column and row [m, 2] of points [m, 3], within the slice that passes through each (interpolated)."""
        heights = self.height(points)
        origin = np.stack([np.interp(heights, self.heights, self.origins[:, axis]) for axis in range(3)], axis=1)
        return (points - origin) @ self.to_pixels.T

    @property
    def to_pixels(self) -> np.ndarray:
        """float64 [2, 3]: from a step in mm to columns and rows; what runs along the normal counts nothing."""
        return np.linalg.pinv(np.stack([self.columns, self.rows], axis=1))

    def corners(self) -> np.ndarray:
        """RAS mm [8, 3] of the corners of the space that the stack covers."""
        ends = np.stack([self._lifted(0, self.bottom), self._lifted(-1, self.top)])
        edges = [
            (column - 0.5) * self.columns + (row - 0.5) * self.rows
            for column in (0, self.counts[0])
            for row in (0, self.counts[1])
        ]
        return (ends[:, None] + np.array(edges)).reshape(8, 3)

    def slices_meeting_box(self, box: OrientedBox) -> np.ndarray:
        """Which slices' rectangles meet this box: bool [n]."""
        n_columns, n_rows = self.counts
        middles = self.origins + 0.5 * (n_columns - 1) * self.columns + 0.5 * (n_rows - 1) * self.rows
        edges = np.stack([self.columns, self.rows, self.normal])
        return _meet_box(box, middles, edges, np.array([0.5 * n_columns, 0.5 * n_rows, 0.0]))

    def meets_box(self, box: OrientedBox) -> bool:
        """Whether the space that the stack covers meets this box."""
        corners = self.corners()
        edges = np.stack([self.columns, self.rows, corners[4] - corners[0]])
        half_lengths = np.array([0.5 * self.counts[0], 0.5 * self.counts[1], 0.5])
        return bool(_meet_box(box, corners.mean(axis=0)[None], edges, half_lengths)[0])

    def _lifted(self, row: int, height: float) -> np.ndarray:
        """The middle of the first pixel of the slice of this row, if it lay at this height."""
        return self.origins[row] + (height - self.heights[row]) * self.normal


def _meet_box(box: OrientedBox, middles: np.ndarray, edges: np.ndarray, half_lengths: np.ndarray) -> np.ndarray:
    """Whether parallelepipeds with these middles, RAS mm [n, 3], meet a box; the others as in `_boxes_meet`."""
    return _boxes_meet((middles - box.center) @ box.axes.T, edges @ box.axes.T, half_lengths, 0.5 * box.size)


def _boxes_meet(apart: np.ndarray, edges: np.ndarray, half_lengths: np.ndarray, half_box: np.ndarray) -> np.ndarray:
    """Whether parallelepipeds meet a box along the axes of their coordinates, by the separating axis theorem.

    Two convex bodies are apart only if they are so along the normal of a face of one of them, or along the cross
    product of an edge of each (Gottschalk, Lin and Manocha, SIGGRAPH 1996).

    Args:
        apart: float64 [n, 3], from the box's middle to each parallelepiped's.
        edges: [3, 3], the edge directions of the parallelepipeds, as rows of any length.
        half_lengths: [3], half of each edge, in units of its direction; 0 makes a rectangle.
        half_box: [3], half of the box's sides in mm.
    """
    own = np.eye(3)
    faces = [np.cross(edges[one], edges[two]) for one, two in ((0, 1), (1, 2), (2, 0))]
    crosses = [np.cross(edge, axis) for edge in edges for axis in own]
    axes = np.array([*own, *faces, *crosses])
    lengths = np.linalg.norm(axes, axis=1)
    used = lengths > 1e-9 * lengths.max()  # parallel edges span no plane
    axes = axes[used] / lengths[used, None]
    reach = np.abs(axes @ edges.T) @ half_lengths + np.abs(axes) @ half_box
    return (np.abs(apart @ axes.T) <= reach + TOUCH_MM).all(axis=1)
