"""One phantom patient: size, build and pose, and the map between the scanner and the reference body."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .anatomy import Body, Part
from .torso import build

#: Where the factors for the length of legs and pelvis, loins, chest, neck and head change (body z in mm).
_SEGMENTS = np.array([110.0, 262.0, 545.0, 650.0])
_PIVOT = np.array([0.0, 0.0, 330.0])


@dataclass(frozen=True)
class Patient:
    """One person: a body of their own, in a pose of their own on the table.

    Attributes:
        seed: everything else was drawn from it.
        sex: "F" or "M".
        breadth, depth: factors for the trunk's width and depth; `head_size` the one for the head.
        lengths: factors for the length of legs and pelvis, loins, chest, neck and head.
        fat_mm: thickness of the fat under the skin at the waist.
        breath_mm: height of the diaphragm relative to the reference.
        contrast: whether this person's scans are contrast-enhanced unless asked otherwise.
        turned_degrees: rotation of the whole body about x, y and z; `head_yaw_degrees` that of the head alone.
        position_mm: where the pivot of the body lies in the scanner (RAS mm).
    """

    seed: int
    sex: str
    breadth: float
    depth: float
    head_size: float
    lengths: tuple[float, ...]
    fat_mm: float
    breath_mm: float
    contrast: bool
    turned_degrees: tuple[float, float, float]
    head_yaw_degrees: float
    position_mm: tuple[float, float, float]

    @classmethod
    def random(cls, seed: int) -> Patient:
        """The person of this seed (any int from 0): always the same, and unlike those of other seeds."""
        rng = np.random.default_rng([71, seed])
        sex = "F" if rng.random() < 0.5 else "M"
        tall = (0.955 if sex == "F" else 1.02) * np.exp(0.035 * _bounded(rng, 1)[0])
        stout = 1.0 + 0.04 * _bounded(rng, 1)[0]
        fat = float(np.clip(rng.gamma(4.0, 4.0) + (4 if sex == "F" else 0), 6, 38))
        return cls(
            seed=int(seed),
            sex=sex,
            breadth=float(tall**0.6 * stout * (0.98 if sex == "F" else 1.0)),
            depth=float(tall**0.6 * stout * (1 + 0.03 * _bounded(rng, 1)[0])),
            head_size=float(tall**0.3 * (1 + 0.02 * _bounded(rng, 1)[0])),
            lengths=(*(float(v) for v in tall * (1 + 0.025 * _bounded(rng, 4))), float(tall**0.3)),
            fat_mm=fat,
            breath_mm=float(rng.normal(0, 7)),
            contrast=bool(rng.random() < 0.5),
            turned_degrees=_three(_bounded(rng, 3) * (1.2, 1.2, 2.2)),
            head_yaw_degrees=float(3.0 * _bounded(rng, 1)[0]),
            position_mm=_three(rng.normal((0, 0, -250), (6, 6, 60))),
        )

    @property
    def age(self) -> int:
        """Years, for the DICOM header."""
        return int(np.random.default_rng([76, self.seed]).integers(22, 88))

    def parts(self, contrast: bool) -> list[Part]:
        """The body's parts in the order of painting."""
        return build(Body(self.seed, self.sex, self.fat_mm, contrast, self.breath_mm))

    @cached_property
    def _turned(self) -> np.ndarray:
        a, b, c = np.radians(self.turned_degrees)
        about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
        about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
        about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
        return about_z @ about_y @ about_x

    @cached_property
    def _warp_phases(self) -> np.ndarray:
        return np.random.default_rng([77, self.seed]).uniform(0, 2 * np.pi, 3).astype(np.float32)

    def stretched(self, z: float) -> float:
        """Height above the pivot, in this person's mm, of the reference body's height z."""
        heights = np.concatenate([[-1000.0], _SEGMENTS, [1500.0]])
        edges = np.concatenate([[0.0], np.cumsum(np.diff(heights) * self.lengths)])
        return float(np.interp(z, heights, edges) - np.interp(_PIVOT[2], heights, edges))

    def to_ras(self, point: tuple[float, float, float]) -> np.ndarray:
        """float64 [3], about where a point of the reference body's axis lies in the scanner (RAS mm)."""
        own = np.array([point[0] * self.breadth, point[1] * self.depth, self.stretched(point[2])])
        return self._turned @ own + self.position_mm

    def to_body(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Scanner coordinates (RAS mm; float32 arrays that broadcast together) to those of the reference body."""
        back = self._turned.T.astype(np.float32)
        left, behind, below = (np.float32(value) for value in self.position_mm)
        u, v, w = x - left, y - behind, z - below
        u, v, w = (row[0] * u + row[1] * v + row[2] * w for row in back)
        edges = [self.stretched(z) for z in _SEGMENTS]
        rates = 1 / np.asarray(self.lengths)
        height = np.float32(_SEGMENTS[0] - edges[0] * rates[0]) + np.float32(rates[0]) * w
        for edge, change in zip(edges, np.diff(rates), strict=True):
            height += np.float32(change) * np.maximum(w - np.float32(edge), 0)
        # From chest to head, breadth and depth go over to the head's size, and the neck turns.
        upper = np.clip((height - 520) / np.float32(100), 0, 1)
        yaw = np.float32(np.radians(self.head_yaw_degrees)) * np.clip((height - 570) / np.float32(90), 0, 1)
        u = u / (np.float32(self.breadth) + np.float32(self.head_size - self.breadth) * upper)
        v = v / (np.float32(self.depth) + np.float32(self.head_size - self.depth) * upper)
        u, v = u + yaw * (v + 15), v - yaw * u
        return self._warped(u, v, height, 1 - 0.7 * upper)

    def _warped(
        self, x: np.ndarray, y: np.ndarray, z: np.ndarray, strength: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Bend the body gently, so that nothing is an exact ellipsoid: a few mm over a decimeter and more."""
        a, b, c = self._warp_phases
        x = x + 2.8 * strength * np.sin(z * np.float32(1 / 38) + y * np.float32(1 / 31) + a)
        y = y + 2.4 * strength * np.sin(z * np.float32(1 / 44) + x * np.float32(1 / 29) + b)
        z = z + 2.8 * strength * np.sin(x * np.float32(1 / 26) + y * np.float32(1 / 33) + c)
        return x, y, z


def _three(values: np.ndarray) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    return x, y, z


def _bounded(rng: np.random.Generator, count: int) -> np.ndarray:
    return np.clip(rng.standard_normal(count), -2, 2)
