"""Where the body is in a volume: one box in plane, without the air and the table around it.

The box decides how large a patient appears in the images, so it comes from the whole volume and is the same for all its
slices. It errs on the side of keeping: what cannot be distinguished from the body stays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from .intensity import ClipAboveAir, IntensityRange
from .resampling import Box

#: The search runs on about this many samples along each axis in plane, and across.
_SAMPLES_IN_PLANE = 112
_SAMPLES_ACROSS = 56

#: HU above which something is no air, lung, blanket or foam.
_BODY_HU = -300.0

#: Share of Otsu's threshold, both of the gray values' roots: half the gray value.
_OF_OTSU = 0.7

#: Plates thinner than about twice this (table, head holder) are not body, unless they are most of what there is (a
#: hollow phantom, a small field of view with nothing thick in it).
_OPENING_MM = 6.0
_MOST_IS_THIN = 0.5

#: Kept around the body.
_MARGIN_MM = 6.0

#: Parts at least this large next to the largest one are body too (the other leg, the arms).
_PART_OF_LARGEST = 0.05

#: And on a slice those at least this large next to the largest one of the slice: the other leg, but no arm at the side.
_PART_OF_SLICE = 0.3

#: Parts next to the largest one that are flatter than this in plane, and thinner, are tables and cushions.
_FLAT, _FLAT_MM = 0.2, 60.0


#: Share of the slices on which the body reaches an edge of the image, from which on no border of it is seen there.
_NO_BORDER = 0.75


@dataclass(frozen=True)
class AirThreshold:
    """Above which level something is more than air or background.

    Attributes:
        values: the gray range of the volume.
        level: in HU above the range's low end for CT; else the root of a share of the gray range.
    """

    values: IntensityRange
    level: float

    @classmethod
    def of(cls, coarse: np.ndarray, values: IntensityRange) -> AirThreshold:
        """The threshold for a volume of which these are samples, float32 [slices, rows, columns]."""
        if values.hounsfield:
            return cls(values, _BODY_HU - values.low)
        return cls(values, _background_level(_shown(coarse, values, (3, 3, 3))))

    def above(self, samples: np.ndarray, smoothed_over: tuple[int, int, int], of_level: float = 1.0) -> np.ndarray:
        """Which samples are above the threshold, or this part of it: bool, same shape.

        Args:
            smoothed_over: samples along each axis that are averaged before, where values are no HU: noise in air is
                otherwise as bright as dark tissue.
        """
        if self.values.hounsfield:
            return ClipAboveAir(self.values)(samples) > self.level
        return _shown(samples, self.values, smoothed_over) > of_level * self.level


@dataclass(frozen=True)
class CoarseBody:
    """Which samples of a volume are body, on a coarse grid.

    Attributes:
        mask: bool [slices, rows, columns]; nothing is marked where no body can be told from its surroundings. Thin
            walls around air, such as those of a chest, may be missing.
        above_air: bool [slices, rows, columns], everything that is no air, table and all.
        spacing_mm: float [3], from one sample to the next.
        strides: voxels from one sample to the next, along each axis.
        shape: of the whole stack.
        threshold: tells tissue from air.
    """

    mask: np.ndarray
    above_air: np.ndarray
    spacing_mm: np.ndarray
    strides: tuple[int, int, int]
    shape: tuple[int, int, int]
    threshold: AirThreshold

    def box(self, spacing_mm: np.ndarray) -> Box:
        """The box in plane, with a margin, that holds the body on every slice; the whole image where there is none.

        Args:
            spacing_mm: float [3], mm between neighboring slices, rows and columns.
        """
        rows, columns = self.shape[1:]
        occupied_rows = np.flatnonzero(self.mask.any(axis=(0, 2)))
        occupied_columns = np.flatnonzero(self.mask.any(axis=(0, 1)))
        if occupied_rows.size == 0:
            return Box.whole(rows, columns)
        margins = [round(_MARGIN_MM / mm) + stride for mm, stride in zip(spacing_mm[1:], self.strides[1:], strict=True)]
        return Box(
            int(occupied_rows[0]) * self.strides[1] - margins[0],
            int(occupied_rows[-1]) * self.strides[1] + 1 + margins[0],
            int(occupied_columns[0]) * self.strides[2] - margins[1],
            int(occupied_columns[-1]) * self.strides[2] + 1 + margins[1],
        ).within(rows, columns)

    @property
    def shows_no_border(self) -> bool:
        """Whether the body reaches all four edges of the image on nearly all slices: its size is not to be seen."""
        edges = (self.mask[:, 0], self.mask[:, -1], self.mask[:, :, 0], self.mask[:, :, -1])
        return min(float(edge.any(axis=1).mean()) for edge in edges) >= _NO_BORDER

    def solid(self) -> np.ndarray:
        """The body with what is enclosed in it (lungs, bowel gas) and the walls around that: bool, shape of `mask`.

        Nothing outside the box around `mask` belongs to it: a hollow table is solid once it is filled.
        """
        if not self.mask.any():
            return self.mask
        solid = _without_plates(_filled(self.above_air), self.spacing_mm)
        for axis in (1, 2):
            occupied = np.flatnonzero(self.mask.any(axis=(0, 3 - axis)))
            outside = np.ones(solid.shape[axis], bool)
            outside[occupied[0] : occupied[-1] + 1] = False
            solid[(slice(None),) * axis + (outside,)] = False
        return _largest_parts(solid)


def coarse_body(
    voxels: np.ndarray, spacing_mm: np.ndarray, values: IntensityRange, trunk_alone: bool = True
) -> CoarseBody:
    """Tell the body from its surroundings.

    Args:
        voxels: float32 [slices, rows, columns]; NaN counts as air.
        spacing_mm: float [3], mm between neighboring slices, rows and columns.
        values: the gray range of the whole volume.
        trunk_alone: see Edition.
    """
    slices, rows, columns = voxels.shape
    across, down, along = (
        max(1, -(-count // samples))
        for count, samples in zip(voxels.shape, (_SAMPLES_ACROSS, _SAMPLES_IN_PLANE, _SAMPLES_IN_PLANE), strict=True)
    )
    coarse = np.asarray(voxels[::across, ::down, ::along], dtype=np.float32)
    coarse_mm = np.asarray(spacing_mm, dtype=float) * (across, down, along)
    threshold = AirThreshold.of(coarse, values)
    above_air = threshold.above(coarse, (3, 3, 3))
    mask = _largest_parts(_without_plates(above_air, coarse_mm))
    if trunk_alone:
        mask = _largest_parts_of_slices(_without_flat_parts(mask, coarse_mm))
    return CoarseBody(mask, above_air, coarse_mm, (across, down, along), (slices, rows, columns), threshold)


def body_box(voxels: np.ndarray, spacing_mm: np.ndarray, values: IntensityRange) -> Box:
    """The box in plane around the body, see :class:`CoarseBody`; the arguments are those of :func:`coarse_body`."""
    return coarse_body(voxels, spacing_mm, values).box(spacing_mm)


def _shown(samples: np.ndarray, values: IntensityRange, smoothed_over: tuple[int, int, int]) -> np.ndarray:
    """Roots of the shares of the gray range, smoothed: float32 in [0, 1], same shape; of roots, the shares."""
    from scipy import ndimage  # takes a third of a second to load, and Slicer itself only asks for geometry

    smooth = ndimage.uniform_filter(ClipAboveAir(values)(samples), size=smoothed_over)
    share = np.clip(smooth / np.float32(values.high - values.low), 0.0, 1.0)
    return np.sqrt(share) if values.root == 1 else share


def _background_level(shown: np.ndarray) -> float:
    """A level between background and the darkest tissue, for roots of gray values in [0, 1].

    Otsu's threshold separates dark from bright; tissue reaches below it, background seldom above half its gray value.
    Without any background the level cuts into dark tissue, which moves the box only where that is all there is outside.
    """
    otsu = sitk.OtsuThresholdImageFilter()
    otsu.Execute(sitk.GetImageFromArray(shown))
    return _OF_OTSU * otsu.GetThreshold()


def _without_plates(mask: np.ndarray, spacing_mm: np.ndarray) -> np.ndarray:
    """The mask without parts thinner than twice the opening; what is cut off by the image's edge is not thin."""
    from scipy import ndimage

    sizes = [2 * max(0, round(_OPENING_MM / mm)) + 1 for mm in spacing_mm]
    eroded = ndimage.minimum_filter(mask.astype(np.uint8), size=sizes, mode="nearest")
    opened = ndimage.maximum_filter(eroded, size=sizes, mode="nearest").astype(bool)
    return opened if np.count_nonzero(opened) > _MOST_IS_THIN * np.count_nonzero(mask) else mask


def _filled(mask: np.ndarray) -> np.ndarray:
    """The mask with the holes of each slice; a new array."""
    from scipy import ndimage

    in_plane = np.zeros((3, 3, 3), bool)
    in_plane[1] = ndimage.generate_binary_structure(2, 1)
    labels, count = ndimage.label(~mask, structure=in_plane)
    is_open = np.zeros(count + 1, bool)
    for border in (labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1]):
        is_open[np.unique(border)] = True
    return mask | ~is_open[labels]


def _largest_parts(mask: np.ndarray) -> np.ndarray:
    """The connected parts that are at least a share of the largest one."""
    from scipy import ndimage

    labels, count = ndimage.label(mask)
    if count <= 1:
        return mask
    sizes = np.bincount(labels.reshape(-1))
    sizes[0] = 0
    return (sizes >= _PART_OF_LARGEST * sizes.max())[labels]


def _without_flat_parts(mask: np.ndarray, spacing_mm: np.ndarray) -> np.ndarray:
    """The connected parts but those that are wide and flat in plane; all of them where the largest one is."""
    from scipy import ndimage

    labels, count = ndimage.label(mask)
    if count <= 1:
        return mask
    kept = np.zeros(count + 1, bool)
    for part, place in enumerate(ndimage.find_objects(labels), start=1):
        sides = sorted((one.stop - one.start) * mm for one, mm in zip(place[1:], spacing_mm[1:], strict=True))
        kept[part] = sides[0] >= min(_FLAT_MM, _FLAT * sides[1])
    largest = 1 + int(np.bincount(labels.reshape(-1))[1:].argmax())
    return kept[labels] if kept[largest] else mask


def _largest_parts_of_slices(mask: np.ndarray) -> np.ndarray:
    """On each slice the connected parts that are at least a share of its largest one."""
    from scipy import ndimage

    in_plane = np.zeros((3, 3, 3), bool)
    in_plane[1] = ndimage.generate_binary_structure(2, 1)
    labels, count = ndimage.label(mask, structure=in_plane)
    if count <= 1:
        return mask
    sizes = np.bincount(labels.reshape(-1))[1:]
    slices = np.array([place[0].start for place in ndimage.find_objects(labels)])
    largest = np.zeros(len(mask), sizes.dtype)
    np.maximum.at(largest, slices, sizes)
    return np.concatenate([[False], sizes >= _PART_OF_SLICE * largest[slices]])[labels]
