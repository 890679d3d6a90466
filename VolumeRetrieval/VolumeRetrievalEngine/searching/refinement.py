"""What a registration (registration.py) made of a match's mapping: plain values that can be sent through a pipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..query.oriented_box import OrientedBox


@dataclass(frozen=True, eq=False)
class Refinement:
    """How a region of the query lies in a result, after registration.

    Attributes:
        matrix: float64 [4, 4], RAS mm of the query to RAS mm of the result; the mapping's own best affine where the
            registration was not believed.
        success: whether the registration was believed.
        reason: why not; empty for a success.
        gain: by how much mutual information rose, in nats.
        shift_mm: how far the region's middle moved from where the mapping has it.
        box: the region in the result, RAS mm.
        seconds: what it took, without reading.

    Example:
        >>> retriever = Retriever.open("index")
        >>> result = retriever.search("archive/chest-0.nii.gz", options=SearchOptions(top=1))
        >>> found = retriever.refine(result, result.matches[0])
        >>> found.matrix.shape, found.success or found.reason != ""
        ((4, 4), True)
    """

    matrix: np.ndarray
    success: bool
    reason: str
    gain: float
    shift_mm: float
    box: OrientedBox
    seconds: float

    def points(self, points_ras: np.ndarray) -> np.ndarray:
        """Points of the query, RAS mm [n, 3], in the result."""
        return np.asarray(points_ras, dtype=np.float64) @ self.matrix[:3, :3].T + self.matrix[:3, 3]

    def points_back(self, points_ras: np.ndarray) -> np.ndarray:
        """Points of the result, RAS mm [n, 3], in the query."""
        return (np.asarray(points_ras, dtype=np.float64) - self.matrix[:3, 3]) @ np.linalg.inv(self.matrix[:3, :3]).T

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Refinement) and self.to_dict() == other.to_dict()

    def to_dict(self) -> dict[str, Any]:
        """Values for JSON, read back by :meth:`from_dict` without loss."""
        return {
            "matrix": self.matrix.tolist(),
            "success": self.success,
            "reason": self.reason,
            "gain": self.gain,
            "shift_mm": self.shift_mm,
            "box": self.box.to_dict(),
            "seconds": self.seconds,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Refinement:
        """The refinement that :meth:`to_dict` wrote."""
        return cls(
            **{
                **values,
                "matrix": np.array(values["matrix"], np.float64),
                "box": OrientedBox.from_dict(values["box"]),
            }
        )
