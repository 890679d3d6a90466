"""From the positions of a stack's slices to its slice table, its affine, and what is unusual about it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...volume import LPS_TO_RAS, SliceTable
from ..facts import SliceFacts
from .slice_positions import slice_normal

#: A gap this near to a whole multiple of the usual one (as a share of it) has slices missing in it.
_MULTIPLE_TOLERANCE = 0.1
#: Gaps that differ by less than this share of the usual one are even.
_EVEN_TOLERANCE = 0.05
#: Slices that shift in plane by more than this from one to the next lie oblique to the stack: gantry tilt, degrees.
_TILT_DEGREES = 0.5


def order_along_normal(slices: Sequence[SliceFacts]) -> list[int]:
    """Numbers of the slices, ascending along the normal of the first one's plane."""
    normal = slice_normal(slices[0].orientation)
    return sorted(range(len(slices)), key=lambda number: float(np.dot(normal, slices[number].position)))


def slice_table(slices: Sequence[SliceFacts]) -> SliceTable:
    """The table of slices in stack order. `normal` is that of their plane; `position` is along it, in RAS mm."""
    origin = np.array([one.position for one in slices], dtype=np.float64) @ LPS_TO_RAS[:3, :3]
    normal = LPS_TO_RAS[:3, :3] @ slice_normal(slices[0].orientation)
    return SliceTable(
        index=np.arange(len(slices), dtype=np.int32),
        sop_uid=tuple(one.sop_uid for one in slices),
        frame=np.array([one.frame for one in slices], dtype=np.int32),
        origin=origin,
        normal=np.tile(normal, (len(slices), 1)),
        position=origin @ normal,
    )


def affine_of(slices: Sequence[SliceFacts], table: SliceTable) -> np.ndarray:
    """float64 [4, 4], ijk to RAS mm: the directions of the plane, and the straight line that fits the origins best.

    The step from slice to slice is the least-squares one, so with gantry tilt the affine is sheared as the stack is.
    """
    row, column = np.array(slices[0].orientation, dtype=np.float64).reshape(2, 3)
    number = np.arange(len(slices)) - (len(slices) - 1) / 2
    middle = table.origin.mean(axis=0)
    step = number @ (table.origin - middle) / (number @ number)
    affine = np.eye(4)
    # The first index of PixelSpacing is between rows, so it goes with the direction down a column (PS3.3 10.7.1.3).
    affine[:3, 0] = LPS_TO_RAS[:3, :3] @ (row / np.linalg.norm(row)) * slices[0].spacing[1]
    affine[:3, 1] = LPS_TO_RAS[:3, :3] @ (column / np.linalg.norm(column)) * slices[0].spacing[0]
    affine[:3, 2] = step
    affine[:3, 3] = middle - step * (len(slices) - 1) / 2
    return affine


def geometry_notes(table: SliceTable) -> tuple[str, ...]:
    """Missing slices, irregular spacing and gantry tilt, in words; () for a regular stack."""
    return (*_spacing_notes(np.diff(table.position)), *_tilt_notes(table))


def _spacing_notes(gaps: np.ndarray) -> list[str]:
    # Of the smallest kind of gap, because so many slices may be missing that most gaps are wider.
    usual = float(np.median(gaps[gaps < 1.5 * gaps.min()]))
    if np.abs(gaps / usual - 1).max() < _EVEN_TOLERANCE:
        return []
    multiple = np.round(gaps / usual)
    if np.all(multiple >= 1) and np.abs(gaps / usual - multiple).max() <= _MULTIPLE_TOLERANCE:
        missing = int((multiple - 1).sum())
        if missing:
            return [f"{missing} slice{'s' if missing > 1 else ''} missing (slices lie {usual:.4g} mm apart)"]
    return [f"irregular spacing: slices lie {gaps.min():.4g} to {gaps.max():.4g} mm apart"]


def _tilt_notes(table: SliceTable) -> list[str]:
    along = table.position - table.position[0]
    shift = table.origin - table.origin[0] - along[:, None] * table.normal[0]
    far = int(np.argmax(np.linalg.norm(shift, axis=1)))
    if along[-1] <= 0:
        return []
    degrees = float(np.degrees(np.arctan2(np.linalg.norm(shift[far]), along[-1])))
    if degrees < _TILT_DEGREES:
        return []
    straight = np.outer(along / along[-1], shift[-1])
    if np.linalg.norm(shift - straight, axis=1).max() > 0.1 * np.linalg.norm(shift[far]):
        return [f"slices are shifted in plane by up to {np.linalg.norm(shift[far]):.3g} mm"]
    return [f"gantry tilt of {degrees:.1f} degrees: slices are shifted in plane"]
