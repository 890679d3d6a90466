"""From a point of the query to the corresponding point of a result, and back (docs/METHOD.md, localization).

Along the stack by the path through the similarity matrix, in plane by the two bodies' outlines at the two heights. All
of this is our choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..query.body_stack import BodyStack, followed
from ..query.oriented_box import OrientedBox

#: An outline that is more different than this is no outline of the same part of a body (a field of view that cuts it).
_MOST_SCALING = 2.0

#: Which axis of the world (R, A, S) the columns, the rows and the normal of each plane run along. Columns and rows run
#: toward the negative end, the normal toward the positive one (preprocessing/plane_geometry.py).
_WORLD_AXES = {"axial": (0, 1, 2), "coronal": (0, 2, 1), "sagittal": (1, 2, 0)}
_DESCENDS = np.array([True, True, False])

#: mm around a region that belong to it where it is registered: an organ alone says little about where it lies.
MARGIN_MM = 30.0

#: Places along each edge of a box that are mapped.
_SAMPLES = 5


@dataclass(frozen=True, eq=False)
class PointMap:
    """How points of the query and of one result correspond.

    Attributes:
        query, result: the two volumes' stacks.
        query_mm, result_mm: float64 [m], pairs of corresponding positions along the two stacks, the query's ascending.
            Of a region the pairs are those of the whole query volume where that was followed, too.
        flipped: whether the result's positions descend.

    Example:
        >>> best = Retriever.open("index").search("archive/chest-0.nii.gz").matches[0]
        >>> there = best.map_points([best.point_map.query.slab(0, 0).center])
        >>> there.shape, np.allclose(best.point_map.points(best.map_back(there)), there, atol=0.1)
        ((1, 3), True)
    """

    query: BodyStack
    result: BodyStack
    query_mm: np.ndarray
    result_mm: np.ndarray
    flipped: bool

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PointMap) and self.to_dict() == other.to_dict()

    def points(self, points: np.ndarray) -> np.ndarray:
        """Points of the query, RAS mm [n, 3], as points of the result, float64 [n, 3].

        Beyond the path's ends it goes on at 1 mm for each mm. In plane, a point keeps its place relative to the body's
        outline; where an outline is not known, its distance from the image's middle. For volumes in different planes
        there is no path to follow: a point then keeps its place relative to the box around the body, which is a guess.
        """
        at = np.asarray(points, dtype=np.float64).reshape(-1, 3)
        if self.query.plane != self.result.plane:
            return self._by_boxes(at)
        coordinates = self.query.coordinates(at)
        height = self._result_height(coordinates[:, 2])
        ours, theirs = self.query.outline_at(coordinates[:, 2]), self.result.outline_at(height)
        scale = np.ones((len(at), 2))
        if self.query.is_body and self.result.is_body:
            scale = np.clip(theirs[:, 2:] / np.maximum(ours[:, 2:], 1.0), 1 / _MOST_SCALING, _MOST_SCALING)
        in_plane = theirs[:, :2] + (coordinates[:, :2] - ours[:, :2]) * scale
        return np.column_stack([in_plane, height]) @ self.result.axes

    def inverse(self) -> PointMap:
        """The map from the result to the query."""
        order = slice(None, None, -1) if self.flipped else slice(None)
        return PointMap(self.result, self.query, self.result_mm[order], self.query_mm[order], self.flipped)

    def box(self, box: OrientedBox) -> OrientedBox:
        """A box of the query as the box of the result, along the result's stack, that its borders become on average."""
        along = OrientedBox.around(box.corners(), self.query.axes)
        steps = np.linspace(-0.5, 0.5, _SAMPLES)
        grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1)
        points = along.center + (grid.reshape(-1, 3) * along.size) @ along.axes
        mapped = self.result.coordinates(self.points(points)).reshape(*grid.shape)
        borders = []
        for axis in range(3):
            # In another plane another of the query's axes runs along this one.
            run = int(np.argmax([np.ptp(mapped[..., axis].mean(axis=tuple({0, 1, 2} - {k}))) for k in range(3)]))
            ends = np.take(mapped[..., axis], (0, -1), axis=run).mean(axis=tuple({0, 1, 2} - {run}))
            borders.append((ends.min(), ends.max()))
        low, high = np.array(borders).T
        return OrientedBox.around(np.array([low, high]) @ self.result.axes, self.result.axes)

    def affine_around(self, box: OrientedBox) -> np.ndarray:
        """The affine float64 [4, 4], RAS mm of the query to RAS mm of the result, nearest to the map within a box of
        the query and its surroundings."""
        steps = np.linspace(-0.5, 0.5, _SAMPLES)
        grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
        at = box.center + (grid * (box.size + MARGIN_MM)) @ box.axes
        around = np.column_stack([at - box.center, np.ones(len(at))])
        solution, *_ = np.linalg.lstsq(around, self.points(at), rcond=None)
        matrix = np.eye(4)
        matrix[:3, :3] = solution[:3].T
        matrix[:3, 3] = solution[3] - matrix[:3, :3] @ box.center
        return matrix

    def to_dict(self) -> dict[str, Any]:
        """Values for JSON, read back by :meth:`from_dict` without loss."""
        return {
            "query": self.query.to_dict(),
            "result": self.result.to_dict(),
            "query_mm": self.query_mm.tolist(),
            "result_mm": self.result_mm.tolist(),
            "flipped": self.flipped,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PointMap:
        """The map that :meth:`to_dict` wrote."""
        return cls(
            BodyStack.from_dict(values["query"]),
            BodyStack.from_dict(values["result"]),
            np.array(values["query_mm"], np.float64),
            np.array(values["result_mm"], np.float64),
            bool(values["flipped"]),
        )

    def _result_height(self, height_mm: np.ndarray) -> np.ndarray:
        position = followed(height_mm, self.query.height_mm, self.query.position_mm)
        position = followed(position, self.query_mm, self.result_mm, -1.0 if self.flipped else 1.0)
        return followed(position, self.result.position_mm, self.result.height_mm)

    def _by_boxes(self, points: np.ndarray) -> np.ndarray:
        low, high = self.query.bounds()
        share = (self.query.coordinates(points) - low) / np.maximum(high - low, 1e-3)
        share = np.where(_DESCENDS, 1 - share, share)
        along_world = np.empty_like(share)
        along_world[:, list(_WORLD_AXES[self.query.plane])] = share
        share = along_world[:, list(_WORLD_AXES[self.result.plane])]
        share = np.where(_DESCENDS, 1 - share, share)
        low, high = self.result.bounds()
        return (low + share * (high - low)) @ self.result.axes
