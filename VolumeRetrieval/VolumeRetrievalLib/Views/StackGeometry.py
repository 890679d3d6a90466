"""Where the slices of a volume node lie in the world: the engine's stack geometry, asked of a node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from VolumeRetrievalEngine.query import stack_geometry as engine

from ..Scene.VolumeStack import stackOfVolume


@dataclass(frozen=True)
class StackGeometry:
    """The stack of slices of one plane of a volume node, in Lib's spelling.

    `stack` is the engine's value, which regions are drawn and searched by.
    """

    stack: engine.StackGeometry

    @classmethod
    def ofVolume(cls, volumeNode: Any, plane: str = "auto") -> StackGeometry:
        """The stack that the engine makes of this volume for this plane: see stackOfVolume."""
        return cls(stackOfVolume(volumeNode, plane))

    @property
    def plane(self) -> str:
        """ "axial", "coronal" or "sagittal"."""
        return self.stack.plane

    @property
    def center(self) -> np.ndarray:
        """float64 [3], RAS mm, of the box around the volume."""
        return self.stack.center

    @property
    def axes(self) -> np.ndarray:
        """float64 [3, 3], rows are right-handed unit vectors: two in the plane, then the slices' normal."""
        return self.stack.axes

    @property
    def size(self) -> np.ndarray:
        """float64 [3], mm, of the box along the axes."""
        return self.stack.size

    @property
    def spacing(self) -> float:
        """mm between neighboring slices."""
        return self.stack.spacing

    @property
    def normal(self) -> np.ndarray:
        """float64 [3], the direction in which slices ascend."""
        return self.stack.normal

    def pointAt(self, position: float) -> np.ndarray:
        """The point of the box's middle line at this position (mm along the stack, as in a match)."""
        return self.center + self.normal * (position - self.center @ self.normal)

    def positionOf(self, point: Any) -> float:
        """mm along the stack of a point, RAS mm [3]."""
        return float(np.asarray(point, dtype=float) @ self.normal)

    def nearestSlice(self, point: np.ndarray) -> tuple[float, bool]:
        """mm along the stack of the slice nearest to a point, RAS mm [3], and whether the point is within the stack."""
        positions = self.stack.positions
        position = float(positions[np.abs(positions - self.positionOf(point)).argmin()])
        return position, self.stack.nearest(point) is not None

    def movedTo(self, point: np.ndarray, position: float) -> np.ndarray:
        """The point moved along the normal to this position, mm along the stack."""
        return point + self.normal * (position - self.positionOf(point))
