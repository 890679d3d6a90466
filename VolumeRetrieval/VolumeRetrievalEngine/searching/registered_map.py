"""A match's map of points with what a registration found: near the region that was registered, and only there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..query.oriented_box import OrientedBox
from .point_map import PointMap
from .refinement import Refinement

#: Up to this distance from the region the registration decides, from the other on the mapping; between them it fades.
#: The registration has seen 30 mm around the region (registration.py), and an affine is arbitrary far from what it was
#: made for (docs/METHOD.md).
NEAR_MM = 30.0
FAR_MM = 75.0


@dataclass(frozen=True, eq=False)
class RegisteredMap:
    """How points of the query and of one result correspond, after a registration that is reliable.

    Attributes:
        mapped: by the path and the outlines, from the query to the result; reversed where `is_reversed`.
        refinement: the registration, from the query to the result in both cases.
        is_reversed: whether points of the result are mapped to the query.
    """

    mapped: PointMap
    refinement: Refinement
    is_reversed: bool = False

    def points(self, points: np.ndarray) -> np.ndarray:
        """Points RAS mm [n, 3] of the one volume as points of the other, float64 [n, 3]."""
        at = np.asarray(points, dtype=np.float64).reshape(-1, 3)
        near = self.refinement.points_back(at) if self.is_reversed else self.refinement.points(at)
        distance = _distance(at if self.is_reversed else near, self.refinement.box)
        share = np.clip((FAR_MM - distance) / (FAR_MM - NEAR_MM), 0.0, 1.0)[:, None]
        return share * near + (1 - share) * self.mapped.points(at)

    def inverse(self) -> RegisteredMap:
        """The map in the other direction; where one fades into the other it is the inverse within some mm."""
        return RegisteredMap(self.mapped.inverse(), self.refinement, not self.is_reversed)


def _distance(points: np.ndarray, box: OrientedBox) -> np.ndarray:
    """mm from a box, float64 [n]; 0 within it."""
    along = np.abs((points - box.center) @ box.axes.T) - 0.5 * box.size
    return np.linalg.norm(np.maximum(along, 0.0), axis=1)
