"""The shapes that phantoms are made of: implicit solids that say which points lie inside.

Coordinates are millimeters of the reference body (x to the right, y to anterior, z to superior, 0 between the hip
joints); see phantoms/anatomy.py. Points come as three float32 arrays of one shape, and the answer has that shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

#: Three numbers, and rows of them.
Point = Sequence[float] | np.ndarray
Points = Sequence[Point] | np.ndarray
MIRROR = np.array([-1.0, 1.0, 1.0])


class Shape:
    """A solid."""

    _bounds: np.ndarray

    @property
    def bounds(self) -> np.ndarray:
        """float64 [2, 3], lowest and highest corner of a box that holds all of it, generously."""
        return self._bounds

    def inside(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        """bool array: which points lie inside."""
        raise NotImplementedError

    @property
    def pieces(self) -> tuple[Shape, ...]:
        """Shapes that together are this one, each with tight bounds of its own."""
        return (self,)

    def mirrored(self) -> Shape:
        """The same on the other side of the body."""
        raise NotImplementedError

    def __and__(self, other: Shape) -> Shape:
        return Union(tuple(_Both(piece, other) for piece in self.pieces))

    def __sub__(self, other: Shape) -> Shape:
        return Union(tuple(_Without(piece, other) for piece in self.pieces))

    def __or__(self, other: Shape) -> Shape:
        return Union(self.pieces + other.pieces)


class Union(Shape):
    """Everything that lies in one of the pieces."""

    def __init__(self, pieces: tuple[Shape, ...]):
        self._pieces = pieces
        corners = np.stack([piece.bounds for piece in pieces])
        self._bounds = np.stack([corners[:, 0].min(axis=0), corners[:, 1].max(axis=0)])

    @property
    def pieces(self) -> tuple[Shape, ...]:
        return self._pieces

    def inside(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        found = np.zeros(np.broadcast(x, y, z).shape, bool)
        for piece in self._pieces:
            found |= piece.inside(x, y, z)
        return found

    def mirrored(self) -> Shape:
        return Union(tuple(piece.mirrored() for piece in self._pieces))


class _Both(Shape):
    def __init__(self, first: Shape, second: Shape):
        self.first, self.second = first, second
        low = np.maximum(first.bounds[0], second.bounds[0])
        self._bounds = np.stack([low, np.maximum(low, np.minimum(first.bounds[1], second.bounds[1]))])

    def inside(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        return self.first.inside(x, y, z) & self.second.inside(x, y, z)

    def mirrored(self) -> Shape:
        return _Both(self.first.mirrored(), self.second.mirrored())


class _Without(Shape):
    def __init__(self, first: Shape, second: Shape):
        self.first, self.second = first, second
        self._bounds = first.bounds

    def inside(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        return self.first.inside(x, y, z) & ~self.second.inside(x, y, z)

    def mirrored(self) -> Shape:
        return _Without(self.first.mirrored(), self.second.mirrored())


class HalfSpace(Shape):
    """The points p with p . normal > offset."""

    def __init__(self, normal: Point, offset: float):
        self.normal, self.offset = np.asarray(normal, float), float(offset)
        self._bounds = np.array([[-np.inf] * 3, [np.inf] * 3])

    def inside(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        total: np.ndarray | np.float32 = np.float32(-self.offset)
        for weight, value in zip(self.normal, (x, y, z), strict=True):
            if weight:
                total = total + np.float32(weight) * value
        return np.broadcast_to(total > 0, np.broadcast(x, y, z).shape)

    def mirrored(self) -> Shape:
        return HalfSpace(self.normal * MIRROR, self.offset)


def axes(yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> np.ndarray:
    """float64 [3, 3], rows are the axes of a shape turned by degrees about z, then x, then y."""
    a, b, c = np.radians([yaw, pitch, roll])
    turn_z = np.array([[np.cos(a), np.sin(a), 0], [-np.sin(a), np.cos(a), 0], [0, 0, 1]])
    turn_x = np.array([[1, 0, 0], [0, np.cos(b), np.sin(b)], [0, -np.sin(b), np.cos(b)]])
    turn_y = np.array([[np.cos(c), 0, -np.sin(c)], [0, 1, 0], [np.sin(c), 0, np.cos(c)]])
    return turn_y @ turn_x @ turn_z


def pointing(direction: Point) -> np.ndarray:
    """float64 [3, 3], rows are the axes of a shape whose first axis points along `direction`, the second level."""
    first = np.asarray(direction, float) / np.linalg.norm(direction)
    second = np.cross([0.0, 0.0, 1.0], first)
    second /= max(float(np.linalg.norm(second)), 1e-9)
    return np.stack([first, second, np.cross(first, second)])


@dataclass(frozen=True)
class Ellipsoid(Shape):
    """A superellipsoid: |u|^p + |v|^p + |w|^p < 1 in its own axes, with p 2 (round) or 4 (nearly a box)."""

    center: Point
    radii: Point
    turned: np.ndarray | None = None
    power: int = 2

    @property
    def bounds(self) -> np.ndarray:
        reach = np.asarray(self.radii, float)
        if self.turned is not None:
            reach = np.abs(self.turned.T) @ reach
        return np.stack([np.asarray(self.center) - reach, np.asarray(self.center) + reach])

    def inside(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        offsets = [value - np.float32(c) for value, c in zip((x, y, z), self.center, strict=True)]
        if self.turned is not None:
            turned = self.turned.astype(np.float32)
            offsets = [row[0] * offsets[0] + row[1] * offsets[1] + row[2] * offsets[2] for row in turned]
        level = np.zeros((), np.float32)
        for offset, radius in zip(offsets, self.radii, strict=True):
            square = np.square(offset * np.float32(1 / radius))
            level = level + (np.square(square) if self.power == 4 else square)
        return level < 1

    def mirrored(self) -> Ellipsoid:
        turned = None if self.turned is None else self.turned * MIRROR
        return replace(self, center=np.asarray(self.center) * MIRROR, turned=turned)

    def grown(self, mm: float) -> Ellipsoid:
        """The same with every radius this much longer (negative: shorter)."""
        return replace(self, radii=np.maximum(np.asarray(self.radii) + mm, 0.5))


@dataclass(frozen=True)
class _Cone(Shape):
    """The points within a linearly changing radius of a line: one piece of a tube."""

    start: np.ndarray
    end: np.ndarray
    radius_start: float
    radius_end: float
    stretch: np.ndarray

    @property
    def bounds(self) -> np.ndarray:
        reach = max(self.radius_start, self.radius_end) * self.stretch
        return np.stack([np.minimum(self.start, self.end) - reach, np.maximum(self.start, self.end) + reach])

    def inside(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        shrink = (1 / self.stretch).astype(np.float32)
        start = (self.start * shrink).astype(np.float32)
        line = (self.end * shrink).astype(np.float32) - start
        u, v, w = (value * s - o for value, s, o in zip((x, y, z), shrink, start, strict=True))
        length = np.float32(max(float(line @ line), 1e-6))
        along = np.clip((u * line[0] + v * line[1] + w * line[2]) / length, 0, 1)
        distance = np.square(u - along * line[0]) + np.square(v - along * line[1]) + np.square(w - along * line[2])
        return distance < np.square(self.radius_start + along * np.float32(self.radius_end - self.radius_start))

    def mirrored(self) -> _Cone:
        return replace(self, start=self.start * MIRROR, end=self.end * MIRROR)


def tube(points: Points, radii: float | Point, stretch: Point = (1, 1, 1), smooth: bool = True) -> Union:
    """A tapered tube through points [n, 3] with a radius at each; `stretch` makes its section an ellipse.

    With `smooth` the points are joined by a Catmull-Rom spline (two pieces for each span), else by straight lines.
    """
    nodes = np.asarray(points, float)
    widths = np.broadcast_to(np.asarray(radii, float), len(nodes))
    if smooth and len(nodes) > 2:
        table = np.column_stack([nodes, widths])
        before = np.vstack([table[:1], table[:-2]])
        after = np.vstack([table[2:], table[-1:]])
        middle = (9 * (table[:-1] + table[1:]) - before - after) / 16
        full = np.empty((2 * len(table) - 1, 4))
        full[::2], full[1::2] = table, middle
        nodes, widths = full[:, :3], full[:, 3]
    scale = np.asarray(stretch, float)
    return Union(
        tuple(
            _Cone(a, b, float(r), float(s), scale)
            for a, b, r, s in zip(nodes[:-1], nodes[1:], widths[:-1], widths[1:], strict=True)
        )
    )


def widened(line: Union, mm: float) -> Union:
    """A tube with every radius this much longer, joined by straight lines."""
    cones = [piece for piece in line.pieces if isinstance(piece, _Cone)]
    nodes = [piece.start for piece in cones] + [cones[-1].end]
    radii = [piece.radius_start for piece in cones] + [cones[-1].radius_end]
    return tube(nodes, [radius + mm for radius in radii], smooth=False)


def profile(knots: Point, values: Point, at: np.ndarray, smoothing_mm: int = 25) -> np.ndarray:
    """float32, values between the knots at every millimeter `at`, the corners rounded by a moving mean."""
    padded = np.arange(at[0] - smoothing_mm, at[-1] + smoothing_mm + 1)
    kernel = np.ones(smoothing_mm) / smoothing_mm
    line = np.convolve(np.interp(padded, knots, values), kernel, mode="same")
    return line[smoothing_mm:-smoothing_mm].astype(np.float32)


class Outline(Shape):
    """A trunk: at every height a rounded section with its own half width, depth in front and depth behind.

    The section is the squircle u^2 + v^2 - s^2 u^2 v^2 < 1 (s = 0: ellipse, s = 1: rectangle), which needs no powers.
    Table rows: z, half width, front, back (mm from `middle_y`).
    """

    def __init__(self, table: Points, squareness: float = 0.6, middle_y: float = 0.0):
        rows = np.asarray(table, float)
        self.low, self.high = float(rows[0, 0]), float(rows[-1, 0])
        heights = np.arange(self.low, self.high + 1)
        self._half, self._front, self._back = (profile(rows[:, 0], rows[:, c], heights) for c in (1, 2, 3))
        self._square, self._middle = float(squareness), float(middle_y)

    @property
    def bounds(self) -> np.ndarray:
        low = [-self._half.max(), self._middle - self._back.max(), self.low]
        return np.array([low, [self._half.max(), self._middle + self._front.max(), self.high]], float)

    def grown(self, sides: float, front: float, back: float) -> Outline:
        """The same this much wider on either side, in front and behind (negative: narrower)."""
        other = Outline([[self.low, 1, 1, 1], [self.high, 1, 1, 1]], self._square, self._middle)
        other._half = np.maximum(self._half + np.float32(sides), 1)
        other._front = np.maximum(self._front + np.float32(front), 1)
        other._back = np.maximum(self._back + np.float32(back), 1)
        return other

    def level(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        """float32: 0 on the axis, 1 on the surface, more outside (at the height of z, whatever it is)."""
        row = np.clip(z - np.float32(self.low), 0, len(self._half) - 1).astype(np.intp)
        u = np.square(x / self._half[row])
        depth = y - np.float32(self._middle)
        v = np.square(depth / np.where(depth > 0, self._front[row], self._back[row]))
        return np.maximum(u + v - np.float32(self._square**2) * u * v, np.maximum(u, v))

    def inside(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        return (z >= self.low) & (z < self.high) & (self.level(x, y, z) < 1)

    def mirrored(self) -> Outline:
        return self


@lru_cache(maxsize=4)
def _noise_tile(seed: int, size: int = 96, sigma_cells: float = 5.0) -> np.ndarray:
    """float32 [size] * 3, periodic smooth noise of mean 0 and standard deviation 1."""
    white = np.random.default_rng([72, seed]).standard_normal((size,) * 3).astype(np.float32)
    frequency = np.fft.fftfreq(size)
    weight = np.exp(-2 * (np.pi * sigma_cells * frequency) ** 2)
    spectrum = np.fft.rfftn(white) * weight[:, None, None] * weight[None, :, None] * weight[None, None, : size // 2 + 1]
    tile = np.fft.irfftn(spectrum, s=white.shape, axes=(0, 1, 2))
    return ((tile - tile.mean()) / tile.std()).astype(np.float32)


@dataclass(frozen=True)
class Noise:
    """Smooth noise that stays where it is in the body: blobs about `size_mm` wide, of another place for each seed."""

    seed: int
    size_mm: float = 8.0
    tile: int = 0

    def __call__(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        values = _noise_tile(self.tile)
        size = values.shape[0]
        cells = np.float32(5.0 / self.size_mm)
        start = np.random.default_rng([73, self.seed, self.tile]).integers(4096, 8192, 3).astype(np.float32)
        # Positive before the cut to whole numbers, so that no cell around zero is twice as wide.
        index = [(value * cells + s).astype(np.intp) % size for value, s in zip((x, y, z), start, strict=True)]
        return values[index[0], index[1], index[2]]


@dataclass(frozen=True)
class NoiseSheets(Shape):
    """Folded sheets (sulci, haustra): where smooth noise is within `width` of `level`."""

    noise: Noise
    width: float
    level: float = 0.0
    bounds = np.array([[-np.inf] * 3, [np.inf] * 3])

    def inside(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        return np.abs(self.noise(x, y, z) - np.float32(self.level)) < self.width

    def mirrored(self) -> NoiseSheets:
        return self


@dataclass(frozen=True)
class NoiseTubes(Shape):
    """A tangle of tubes (vessels): where two smooth noises are nearly zero at once; thicker near `origin`."""

    seed: int
    size_mm: float
    width: float
    origin: Point = (0.0, 0.0, 0.0)
    reach_mm: float = 1e4
    bounds = np.array([[-np.inf] * 3, [np.inf] * 3])

    def inside(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        first = Noise(self.seed, self.size_mm, 0)(x, y, z)
        second = Noise(self.seed, self.size_mm, 1)(x, y, z)
        away = sum(np.square(value - np.float32(o)) for value, o in zip((np.abs(x), y, z), self.origin, strict=True))
        width = np.float32(self.width) / (1 + away / np.float32(self.reach_mm**2))
        return np.square(first) + np.square(second) < np.square(width)

    def mirrored(self) -> NoiseTubes:
        return self
