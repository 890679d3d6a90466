"""A box in space, turned in any way: what slices, an ROI and the slice in a view are drawn and searched as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import QueryError

#: How far the axes may be from unit length and from right angles: texts and float32 round them.
_ROUNDING = 1e-3


@dataclass(frozen=True, eq=False)
class OrientedBox:
    """A box whose edges run along any three directions at right angles.

    Attributes:
        center: float64 [3], RAS mm.
        axes: float64 [3, 3], rows are the unit vectors along the edges.
        size: float64 [3], mm along each axis; 0 makes a plane, a line or a point.

    Example:
        >>> OrientedBox(np.array([10, 0, -35]), np.eye(3), np.array([60, 60, 20]))
        box x -20.0 to 40.0, y -30.0 to 30.0, z -45.0 to -25.0 mm
    """

    center: np.ndarray
    axes: np.ndarray
    size: np.ndarray

    def __post_init__(self) -> None:
        try:
            center, axes, size = (np.array(one, dtype=np.float64) for one in (self.center, self.axes, self.size))
        except (TypeError, ValueError) as error:
            raise QueryError(f"box: expected numbers for center, axes and size ({error})") from error
        if (center.shape, axes.shape, size.shape) != ((3,), (3, 3), (3,)):
            raise QueryError(
                f"box: expected a center [3], axes [3, 3] and a size [3], "
                f"got shapes {center.shape}, {axes.shape}, {size.shape}"
            )
        if not all(np.isfinite(one).all() for one in (center, axes, size)) or (size < 0).any():
            raise QueryError(
                f"box around {center.tolist()} of {size.tolist()} mm: expected finite numbers, no size below 0"
            )
        if np.abs(axes @ axes.T - np.eye(3)).max() > _ROUNDING:
            raise QueryError(f"box: expected axes of length 1 at right angles, got {axes.tolist()}")
        for name, value in (("center", center), ("axes", axes), ("size", size)):
            value.setflags(write=False)
            object.__setattr__(self, name, value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, OrientedBox):
            return NotImplemented
        return all(np.array_equal(getattr(self, one), getattr(other, one)) for one in ("center", "axes", "size"))

    def __repr__(self) -> str:
        turned = "" if self.is_along_world else "turned "
        return f"{turned}box {extent_text(self.corners())}"

    __str__ = __repr__

    @classmethod
    def around(cls, points: np.ndarray, axes: np.ndarray) -> OrientedBox:
        """The smallest box along these axes (unit rows [3, 3]) that holds the points, RAS mm [n, 3]."""
        directions = np.asarray(axes, dtype=np.float64)
        along = np.asarray(points, dtype=np.float64) @ directions.T
        low, high = along.min(axis=0), along.max(axis=0)
        return cls(0.5 * (low + high) @ directions, directions, high - low)

    @property
    def is_along_world(self) -> bool:
        """Whether the edges run along R, A and S."""
        return bool(np.isclose(np.abs(self.axes), np.abs(self.axes).round(), atol=1e-6).all())

    def corners(self) -> np.ndarray:
        """float64 [8, 3], RAS mm."""
        signs = np.array([[a, b, c] for a in (-0.5, 0.5) for b in (-0.5, 0.5) for c in (-0.5, 0.5)])
        return self.center + (signs * self.size) @ self.axes

    def to_dict(self) -> dict[str, Any]:
        """Values for JSON, read back by :meth:`from_dict` without loss."""
        return {"center": self.center.tolist(), "axes": self.axes.tolist(), "size": self.size.tolist()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> OrientedBox:
        """The box that :meth:`to_dict` wrote. QueryError for anything else."""
        try:
            return cls(values["center"], values["axes"], values["size"])
        except KeyError as error:
            raise QueryError(f"box {dict(values)!r}: expected center, axes and size, {error} is missing") from error


def extent_text(points: np.ndarray) -> str:
    """From where to where points, RAS mm [n, 3], reach along each axis of the world."""
    low, high = points.min(axis=0), points.max(axis=0)
    axes = (f"{name} {a:.1f} to {b:.1f}" for name, a, b in zip("xyz", low, high, strict=True))
    return ", ".join(axes) + " mm"
