"""Scanning a phantom: the body sampled on the grid of a protocol, with the scanner's table, blur and noise."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..errors import VolumeRetrievalError
from .anatomy import LABELS, ORGANS, Part
from .patient import Patient
from .shapes import Noise, Shape


@dataclass(frozen=True)
class FieldOfView:
    """What a protocol covers: body z from `low` to `high` mm, and a square of `width` mm around the body's axis.

    `body_part` is DICOM's word for it, `middle_y` where the square's center lies in front of the axis,
    `noise_hu` the range its noise is drawn from.
    """

    low: float
    high: float
    width: float
    body_part: str
    middle_y: float = 0.0
    noise_hu: tuple[float, float] = (8.0, 18.0)


FIELDS_OF_VIEW: dict[str, FieldOfView] = {
    "head": FieldOfView(640, 822, 245, "HEAD", noise_hu=(3.0, 5.0)),
    "neck": FieldOfView(520, 715, 270, "NECK"),
    "chest": FieldOfView(245, 558, 390, "CHEST"),
    "abdomen": FieldOfView(95, 372, 390, "ABDOMEN"),
    "pelvis": FieldOfView(-85, 135, 410, "PELVIS"),
    "chest-abdomen": FieldOfView(95, 558, 400, "CHESTABDOMEN"),
    "whole": FieldOfView(-190, 822, 500, "WHOLEBODY"),
}
#: Slices painted at once: few, so that memory stays small and the arrays in the processor's cache.
_SLAB = 8


class Masks(Mapping[str, np.ndarray]):
    """A mask (bool [k, j, i]) for every organ in a scan, made when asked for; "body" is all but air and table."""

    def __init__(self, labels: np.ndarray):
        self._labels = labels
        counts = np.bincount(labels.ravel(), minlength=len(LABELS))
        shown = [name for name, label in LABELS.items() if counts[label] and name not in ("air", "table")]
        self._names = ["body", *shown] if shown else []

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._names:
            raise KeyError(f"{name}: not in this scan, which shows {', '.join(self._names)}")
        if name == "body":
            return (self._labels != LABELS["air"]) & (self._labels != LABELS["table"])
        return self._labels == LABELS[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@dataclass
class PhantomScan:
    """A scan of a phantom.

    Attributes:
        patient: who was scanned.
        field_of_view: a key of FIELDS_OF_VIEW.
        voxels: float32 [k, j, i] in HU; axial slices ascending to superior, rows to posterior, columns to the left.
        labels: uint8 [k, j, i], numbers of phantom_anatomy.LABELS.
        affine: float64 [4, 4], (i, j, k, 1) to RAS mm.
        contrast: whether a contrast agent was given.
        seed: of the scan, besides the patient's own.
        noise_hu: standard deviation of the noise.
    """

    patient: Patient
    field_of_view: str
    voxels: np.ndarray
    labels: np.ndarray
    affine: np.ndarray
    contrast: bool
    seed: int
    noise_hu: float

    @cached_property
    def masks(self) -> Masks:
        return Masks(self.labels)

    @property
    def spacing(self) -> np.ndarray:
        """float64 [3]: mm along i, j and k."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)

    def organ_box(self, organ: str) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest corner (float64 [3], RAS mm) of the box around an organ, the voxels' extent included."""
        corners = [np.flatnonzero(self.masks[organ].any(axis=axes)) for axes in ((0, 1), (0, 2), (1, 2))]
        ijk = np.array([[c[0] - 0.5 for c in corners], [c[-1] + 0.5 for c in corners]])
        ends = ijk @ self.affine[:3, :3].T + self.affine[:3, 3]
        return ends.min(axis=0), ends.max(axis=0)


def scan(
    patient: Patient,
    field_of_view: str = "chest",
    *,
    spacing_mm: tuple[float, float] | None = None,
    seed: int = 0,
    contrast: bool | None = None,
    noise_hu: float | None = None,
) -> PhantomScan:
    """Scan a patient.

    Args:
        field_of_view: one of FIELDS_OF_VIEW.
        spacing_mm: pixel spacing and distance of the slices; by default about 160 pixels across and 3 to 5 mm.
        seed: varies how the scan is set up (coverage, spacing) and its noise, not the patient.
        contrast: whether vessels are enhanced; by default as the patient has it, and never for the head.
        noise_hu: standard deviation of the noise; by default as the protocol has it.

    Raises:
        VolumeRetrievalError: an unknown field of view, or a spacing that is not positive.
    """
    if field_of_view not in FIELDS_OF_VIEW:
        raise VolumeRetrievalError(
            f"{field_of_view!r}: no such field of view; expected one of {', '.join(FIELDS_OF_VIEW)}"
        )
    protocol = FIELDS_OF_VIEW[field_of_view]
    rng = np.random.default_rng([75, patient.seed, seed, zlib.crc32(field_of_view.encode())])
    usual = (protocol.width / 160 * rng.uniform(0.95, 1.08), float(rng.choice([3.0, 4.0, 5.0])))
    pixel, step = (float(value) for value in spacing_mm or usual)
    if min(pixel, step) <= 0:
        raise VolumeRetrievalError(f"spacing {spacing_mm}: expected two distances above 0 mm (pixels, slices)")
    noise = float(rng.uniform(*protocol.noise_hu)) if noise_hu is None else float(noise_hu)
    enhanced = (patient.contrast and field_of_view != "head") if contrast is None else contrast
    affine, shape = _grid(patient, protocol, pixel, step, rng)
    labels, voxels = _paint(patient, affine, shape, enhanced)
    _blur(voxels, (0.06, 0.17, 0.17))
    voxels += _noise(shape, noise, rng)
    np.clip(voxels, -1024, 3071, out=voxels)
    return PhantomScan(patient, field_of_view, voxels, labels, affine, enhanced, seed, noise)


def _grid(
    patient: Patient, protocol: FieldOfView, pixel: float, step: float, rng: np.random.Generator
) -> tuple[np.ndarray, tuple[int, int, int]]:
    """The affine and shape [k, j, i] of a scan, a little different each time as operators set it."""
    slack = rng.uniform(-1, 1, 4) * (6, 6, 4, 4)
    low = patient.to_ras((0, 0, protocol.low))[2] + slack[0]
    high = patient.to_ras((0, 0, protocol.high))[2] + slack[1]
    middle = patient.to_ras((0, protocol.middle_y, (protocol.low + protocol.high) / 2))
    width = protocol.width
    if width > 300:  # trunk protocols open up for a stout person
        width = min(500.0, width * max(0.92, patient.breadth) + 2.2 * max(0.0, patient.fat_mm - 12))
    count, pixels = max(1, round((high - low) / step)), max(1, round(width / pixel))
    half = (pixels - 1) / 2 * pixel
    affine = np.diag([-pixel, -pixel, step, 1.0])
    affine[:3, 3] = (middle[0] + slack[2] + half, middle[1] + slack[3] + half, low)
    return np.round(affine, 4), (count, pixels, pixels)


def _paint(
    patient: Patient, affine: np.ndarray, shape: tuple[int, int, int], contrast: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Labels (uint8) and CT numbers (float32) of the body on this grid, without noise."""
    labels = np.zeros(shape, np.uint8)
    voxels = np.full(shape, ORGANS["air"][0], np.float32)
    parts = patient.parts(contrast)
    x, y, z = (affine[axis, axis] * np.arange(n) + affine[axis, 3] for axis, n in enumerate(shape[::-1]))
    x, y, z = (values.astype(np.float32) for values in (x, y, z))
    grain = Noise(patient.seed, 3.0)
    for first in range(0, shape[0], _SLAB):
        rows = slice(first, first + _SLAB)
        points = patient.to_body(x[None, None, :], y[None, :, None], z[rows, None, None])
        _paint_slab(labels[rows], voxels[rows], points, parts)
        voxels[rows] += np.where(labels[rows] > LABELS["skin"], np.float32(3.5) * grain(*points), 0)
        _paint_table(patient, labels[rows], voxels[rows], x, y)
    return labels, voxels


def _paint_slab(
    labels: np.ndarray, voxels: np.ndarray, points: tuple[np.ndarray, np.ndarray, np.ndarray], parts: list[Part]
) -> None:
    """Paint the parts in order into the slices of one slab, each only where its bounds reach."""
    # Along i, j and k in turn: the lowest and highest x, y and z of each line of voxels, to find a part's box quickly.
    others = ((0, 1), (0, 2), (1, 2))
    lowest = [value.min(axis=axes) for value, axes in zip(points, others, strict=True)]
    highest = [value.max(axis=axes) for value, axes in zip(points, others, strict=True)]
    for part in parts:
        label = LABELS.get(part.organ)
        allowed = None if part.over is None else np.isin(np.arange(256), list(part.over))
        for piece in part.shape.pieces:
            box = _box(piece.bounds, lowest, highest)
            if box is None:
                continue
            where = _covered(piece, [value[box] for value in points], None if allowed is None else allowed[labels[box]])
            voxels[box][where] = part.hu
            if label is not None:
                labels[box][where] = label


def _covered(piece: Shape, points: list[np.ndarray], allowed: np.ndarray | None) -> np.ndarray:
    """bool [k, j, i]: which of these points the piece paints; where hardly any are allowed, only those are tried."""
    if allowed is None:
        return piece.inside(*points)
    if np.count_nonzero(allowed) > 0.4 * allowed.size:
        return allowed & piece.inside(*points)
    tried = np.nonzero(allowed)
    allowed[tried] = piece.inside(*(value[tried] for value in points))
    return allowed


def _box(bounds: np.ndarray, lowest: list[np.ndarray], highest: list[np.ndarray]) -> tuple[slice, slice, slice] | None:
    """The slices [k, j, i] of the voxels that may lie within the bounds; None for none."""
    found = []
    for axis in (2, 1, 0):
        reach = np.flatnonzero((highest[axis] >= bounds[0, axis]) & (lowest[axis] <= bounds[1, axis]))
        if not len(reach):
            return None
        found.append(slice(int(reach[0]), int(reach[-1]) + 1))
    k, j, i = found
    return k, j, i


def _paint_table(patient: Patient, labels: np.ndarray, voxels: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
    """The scanner's table: a shallow carbon trough filled with foam, level in the scanner whoever lies on it."""
    middle = patient.position_mm
    top = middle[1] - (110 + 0.8 * patient.fat_mm) * patient.depth - 4 + 0.0006 * np.square(x - middle[0])
    depth = top[None, :] - y[:, None]
    aside = np.abs(x - middle[0])[None, :]
    table = (depth > 0) & (depth < 38) & (aside < 212)
    shell = table & ((depth < 3) | (depth > 35) | (aside > 209))
    free = labels == LABELS["air"]
    voxels[free & table] = -925.0
    voxels[free & shell] = -30.0
    labels[free & table] = LABELS["table"]


def _blur(voxels: np.ndarray, weights: tuple[float, float, float]) -> None:
    """Mix every voxel with its two neighbors along each axis (in place): the scanner's point spread."""
    for axis, weight in enumerate(weights):
        if voxels.shape[axis] < 2:
            continue
        lines = np.moveaxis(voxels, axis, 0)
        step = np.float32(weight) * np.diff(lines, axis=0)
        lines[:-1] += step
        lines[1:] -= step


def _noise(shape: tuple[int, int, int], deviation: float, rng: np.random.Generator) -> np.ndarray:
    """float32 [k, j, i]: noise of this standard deviation, grainy in plane as a soft kernel leaves it."""
    noise = rng.standard_normal(shape, dtype=np.float32)
    _blur(noise, (0.0, 0.2, 0.2))
    kept = 1 - 4 * 0.2 + 6 * 0.2**2
    noise *= np.float32(deviation / kept)
    return noise
