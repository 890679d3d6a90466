"""From a volume to the slices that an encoder sees (ARCHITECTURE.md, "slices").

One implementation for indexing and for queries. Everything that depends on the voxels' values (gray range, body box)
is taken from the whole volume, so that a slice looks the same in a region query as in its whole volume. Images are made
batch by batch; the voxels are never all copied.

Example:
    >>> stack = preprocess(read_volume("archive/head-0.nii.gz"), Recipe("descriptor"))
    >>> batch = next(stack.images(batch_size=4))
    >>> batch.shape, batch.dtype
    ((4, 3, 128, 128), dtype('float32'))
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import NotAVolumeError
from ..recipe import Recipe
from ..volume import SliceTable, Volume
from .body_crop import coarse_body
from .content import with_content
from .edition import edition_of
from .intensity import ClipAboveAir, IntensityRange, WindowToChannels, intensity_range
from .outline import body_outlines
from .plane_geometry import PlaneGeometry, orient, thin
from .resampling import Box, CropToBox, ResizeToSquare

#: A step of preprocessing: slices in, slices out.
Transform = Callable[[np.ndarray], np.ndarray]

#: Side in pixels and quality of the JPEG kept with every slice.
THUMBNAIL_SIZE = 80
THUMBNAIL_QUALITY = 75


def chain(transforms: Sequence[Transform]) -> Transform:
    """One callable that applies these in order; `monai.transforms.Compose` does the same with the same callables."""

    def chained(slices: np.ndarray) -> np.ndarray:
        for transform in transforms:
            slices = transform(slices)
        return slices

    return chained


@dataclass(frozen=True)
class Stack:
    """The slices of one volume as an encoder will see them.

    Attributes:
        geometry: of the full stack.
        table: the kept slices; its rows are the rows of the embeddings. Their numbers have gaps, where the stack was
            thinned and where slices show nothing but air.
        outlines: float32 [n, 4], where the body lies on each of them (outline.py); NaN where there is none.
        body_box: the box in plane around the body, from the whole volume; the whole image for a recipe without crop.
        shown_box: what the images show: the body box, or the box that a region query asked for.
        side_mm: of the square images; what they show is centered in it.
        intensity: how values become channels.
        transforms: voxels [n, rows, columns] of the oriented stack to images [n, 3, size, size], step by step.
        size: side of the images in pixels.
    """

    geometry: PlaneGeometry
    table: SliceTable
    outlines: np.ndarray
    body_box: Box
    shown_box: Box
    side_mm: float
    intensity: IntensityRange
    transforms: tuple[Transform, ...]
    size: int
    _voxels: np.ndarray
    _thumbnail: Transform

    def __len__(self) -> int:
        return len(self.table)

    @property
    def plane(self) -> str:
        return self.geometry.plane

    @property
    def n_slices(self) -> int:
        """Slices of the full stack, those that are not kept too."""
        return self.geometry.shape[0]

    @property
    def spacing_mm(self) -> np.ndarray:
        """float64 [3]: mm between neighboring columns, rows and slices of the full stack."""
        return self.geometry.spacing

    def images(
        self,
        rows: Sequence[int] | np.ndarray | None = None,
        batch_size: int = 32,
        compose: Callable[[Sequence[Transform]], Transform] = chain,
    ) -> Iterator[np.ndarray]:
        """The kept slices, or these rows of them, as float32 [b, 3, size, size] in [0, 1], batch by batch.

        Args:
            compose: makes one callable of the steps; networks of MONAI bring `monai.transforms.Compose`.
        """
        transform = compose(self.transforms)
        for batch in self._batches(rows, batch_size):
            yield np.asarray(transform(self._voxels[batch]), dtype=np.float32)

    def thumbnail(self, row: int) -> bytes:
        """A small JPEG of this kept slice (soft tissue for CT); b"" where Pillow is missing."""
        return self.thumbnails([row])[0]

    def thumbnails(self, rows: Sequence[int] | np.ndarray | None = None) -> list[bytes]:
        """The JPEG of every kept slice, or of these rows; each b"" where Pillow is missing."""
        made: list[bytes] = []
        for batch in self._batches(rows, 32):
            made += [_jpeg(image[self.intensity.thumbnail]) for image in self._thumbnail(self._voxels[batch])]
        return made

    def _batches(self, rows: Sequence[int] | np.ndarray | None, batch_size: int) -> Iterator[np.ndarray]:
        """Full-stack numbers of the rows, a batch at a time."""
        chosen = self.table.index if rows is None else self.table.index[np.asarray(rows, dtype=np.int64)]
        for start in range(0, len(chosen), batch_size):
            yield chosen[start : start + batch_size]


def preprocess(volume: Volume, recipe: Recipe, in_plane_box: Sequence[int] | None = None) -> Stack:
    """The volume's slices by this recipe.

    Args:
        volume: any volume of at least one voxel; NaN counts as air.
        recipe: plane, slice step, crop, size and version (edition.py) are followed.
        in_plane_box: (row0, row1, column0, column1), half-open, in pixels of the oriented stack: shown instead of the
            body (a region query with crop=True). Gray values still come from the whole volume.

    Raises:
        NotAVolumeError: no voxels, a geometry without three directions, or nothing but air in what would be shown.
        RecipeError: a version of the preprocessing that this engine does not know.
    """
    edition = edition_of(recipe)
    oriented = orient(volume, recipe.plane)
    rows, columns = oriented.voxels.shape[1:]
    values = intensity_range(volume.voxels, volume.attributes.modality, edition.constant_is_air, edition.pet_root)
    spacing_mm = oriented.geometry.spacing[::-1]
    coarse = coarse_body(oriented.voxels, spacing_mm, values, edition.trunk_alone)
    body = coarse.box(spacing_mm) if recipe.crop else Box.whole(rows, columns)
    shown = body if in_plane_box is None else Box(*(int(edge) for edge in in_plane_box)).within(rows, columns)
    kept = thin(oriented.table.position, recipe.slice_step_mm)
    if edition.only_content:
        kept = with_content(oriented.voxels, kept, shown, coarse)
        if not kept.size:
            raise NotAVolumeError(volume.files.label, "no slice shows anything but air: nothing to find")

    # What is bounded by the image and not by the body would be blown up to the size of a whole body.
    is_part = in_plane_box is None and values.hounsfield and coarse.shows_no_border

    def resize_to(size: int) -> ResizeToSquare:
        row_mm = oriented.row_mm[shown.row0 : shown.row1]
        column_mm = oriented.column_mm[shown.column0 : shown.column1]
        return ResizeToSquare(row_mm, column_mm, size, edition.trunk_mm if is_part else 0.0)

    def steps(resize: ResizeToSquare) -> tuple[Transform, ...]:
        return CropToBox(shown), ClipAboveAir(values), resize, WindowToChannels(values)

    resize = resize_to(recipe.size)

    return Stack(
        geometry=oriented.geometry,
        table=oriented.table.take(kept),
        outlines=body_outlines(coarse, oriented.row_mm, oriented.column_mm, oriented.table.position, kept),
        body_box=body,
        shown_box=shown,
        side_mm=resize.side_mm,
        intensity=values,
        transforms=steps(resize),
        size=recipe.size,
        _voxels=oriented.voxels,
        _thumbnail=chain(steps(resize_to(THUMBNAIL_SIZE))),
    )


def _jpeg(image: np.ndarray) -> bytes:
    """A gray image [h, w] in [0, 1] as JPEG; b"" where Pillow is missing."""
    try:
        from PIL import Image
    except ImportError:
        return b""
    buffer = io.BytesIO()
    Image.fromarray((image * 255 + 0.5).astype(np.uint8)).save(buffer, format="JPEG", quality=THUMBNAIL_QUALITY)
    return buffer.getvalue()
