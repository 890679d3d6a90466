"""Where the body lies along a stack of slices: what a position in one volume is relative to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..preprocessing.plane_geometry import PlaneGeometry
from ..volume import SliceTable
from .oriented_box import OrientedBox
from .stack_frame import StackFrame

#: The body changes slowly along it: more places than this would only make results longer.
_MOST_PLACES = 48
_PLACES_IN_SLAB = 10


@dataclass(frozen=True, eq=False)
class BodyStack:
    """The stack's own coordinates, and the body's middle and size in them at some heights.

    A point RAS mm [3] is c @ axes, where c are its coordinates along the columns, the rows and the normal.

    Attributes:
        plane: "axial", "coronal" or "sagittal".
        axes: float64 [3, 3], rows are unit vectors: along the columns, along the rows, and the slices' normal.
        height_mm: float64 [k], some of the slices along the normal, ascending.
        position_mm: float64 [k], the same in mm along the stack, as SliceTable.position counts.
        outline: float64 [k, 4], the body's middle along columns and rows and its size along them.
        spacing_mm: of neighboring slices.
        is_body: whether the outline is the body's; else it is the image's.
    """

    plane: str
    axes: np.ndarray
    height_mm: np.ndarray
    position_mm: np.ndarray
    outline: np.ndarray
    spacing_mm: float
    is_body: bool

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BodyStack) and self.to_dict() == other.to_dict()

    @classmethod
    def of(cls, geometry: PlaneGeometry, table: SliceTable, outlines: np.ndarray | None) -> BodyStack:
        """From what is stored of a volume.

        Args:
            geometry: of the full stack.
            table: the kept slices.
            outlines: float32 [n, 4], see preprocessing/outline.py; None if not known.
        """
        frame = StackFrame.of(geometry, table)
        steps = np.stack([frame.columns, frame.rows])
        lengths = np.linalg.norm(steps, axis=1)
        axes = np.vstack([steps / lengths[:, None], frame.normal])
        rows = np.unique(np.rint(np.linspace(0, len(table) - 1, min(len(table), _MOST_PLACES))).astype(np.int64))
        known = np.flatnonzero(np.isfinite(outlines).all(axis=1)) if outlines is not None else np.zeros(0, np.int64)
        if len(known) and outlines is not None:
            outline = np.stack([np.interp(rows, known, outlines[known, value]) for value in range(4)], axis=1)
        else:
            counts = np.array(frame.counts)
            outline = np.tile(np.concatenate([0.5 * (counts - 1) * lengths, counts * lengths]), (len(rows), 1))
        outline[:, :2] += (frame.origins[rows] @ np.linalg.inv(axes))[:, :2]
        return cls(
            plane=geometry.plane,
            axes=axes,
            height_mm=frame.heights[rows].round(3),
            position_mm=np.asarray(table.position, dtype=np.float64)[rows].round(3),
            outline=outline.round(2),
            spacing_mm=round(table.spacing or float(abs(frame.normal @ geometry.affine[:3, 2])), 3),
            is_body=len(known) > 0,
        )

    def coordinates(self, points: np.ndarray) -> np.ndarray:
        """Points RAS mm [n, 3] along columns, rows and normal."""
        return points @ np.linalg.inv(self.axes)

    def outline_at(self, height_mm: np.ndarray) -> np.ndarray:
        """float64 [n, 4]: the outline at these heights [n]; beyond the ends that of the end."""
        return np.stack([np.interp(height_mm, self.height_mm, self.outline[:, value]) for value in range(4)], axis=1)

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """The least and the greatest coordinate, [3] each, that the body reaches."""
        low, high = self.in_plane_bounds(self.height_mm)
        half = 0.5 * self.spacing_mm
        return np.append(low, self.height_mm[0] - half), np.append(high, self.height_mm[-1] + half)

    def in_plane_bounds(self, height_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The least and the greatest coordinate in plane, [2] each, that the body reaches at any of these heights."""
        outline = self.outline_at(height_mm)
        return (outline[:, :2] - 0.5 * outline[:, 2:]).min(axis=0), (outline[:, :2] + 0.5 * outline[:, 2:]).max(axis=0)

    def slab(self, start_mm: float, end_mm: float) -> OrientedBox:
        """The body between two positions along the stack, to the outer borders of the two slices."""
        bottom, top = followed(np.array([start_mm, end_mm]), self.position_mm, self.height_mm)
        low, high = self.in_plane_bounds(np.linspace(bottom, top, _PLACES_IN_SLAB))
        half = 0.5 * self.spacing_mm
        corners = np.array([[*low, bottom - half], [*high, top + half]])
        return OrientedBox.around(corners @ self.axes, self.axes)

    def to_dict(self) -> dict[str, Any]:
        """Values for JSON, read back by :meth:`from_dict` without loss."""
        return {
            "plane": self.plane,
            "axes": self.axes.tolist(),
            "height_mm": self.height_mm.tolist(),
            "position_mm": self.position_mm.tolist(),
            "outline": self.outline.tolist(),
            "spacing_mm": self.spacing_mm,
            "is_body": self.is_body,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> BodyStack:
        """The stack that :meth:`to_dict` wrote."""
        return cls(
            plane=str(values["plane"]),
            axes=np.array(values["axes"], np.float64),
            height_mm=np.array(values["height_mm"], np.float64),
            position_mm=np.array(values["position_mm"], np.float64),
            outline=np.array(values["outline"], np.float64).reshape(-1, 4),
            spacing_mm=float(values["spacing_mm"]),
            is_body=bool(values["is_body"]),
        )


def followed(values: np.ndarray, known: np.ndarray, becomes: np.ndarray, slope: float = 1.0) -> np.ndarray:
    """Linear between known values (ascending), and on at this slope beyond them."""
    inside = np.interp(values, known, becomes)
    return inside + slope * (values - np.clip(values, known[0], known[-1]))
