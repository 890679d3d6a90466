"""Pictures for the report as bytes of image files: similarity matrices, and slices larger than thumbnails."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import VolumeRetrievalError
from ..preprocessing import Stack, preprocess
from ..query.oriented_box import OrientedBox
from ..query.stack_frame import StackFrame
from ..recipe import Recipe
from ..searching.match import Match
from ..volume import Volume
from .color_map import palette, palette_indices

if TYPE_CHECKING:
    from PIL.Image import Image

#: Gives a picture (JPEG or PNG) of one slice: of a match, or of the query for None. The slice is named by the row of
#: its embedding: the column (for the query the row) of the similarity matrix. None or b"" if there is no picture.
PictureSource = Callable[[Match | None, int], bytes | None]

#: Side of the slices' pictures in pixels.
PICTURE_SIZE = 320
_PICTURE_QUALITY = 85

#: Of the box of the region, as the matched range in the report's figures.
_BOX_COLOR = (255, 170, 40)


def matrix_png(similarity: np.ndarray) -> bytes:
    """S as a picture of one pixel for each entry, row 0 on top; b"" where Pillow is missing.

    Args:
        similarity: float [n_q, n_c].
    """
    try:
        from PIL import Image
    except ImportError:
        return b""
    image = Image.fromarray(palette_indices(similarity))
    image.putpalette(palette().tobytes())  # a third of the bytes of a picture of three channels
    return _saved(image, format="PNG", optimize=True)


def slice_picture(
    volume: Volume, recipe: Recipe, slice_number: int, size: int = PICTURE_SIZE, box: OrientedBox | None = None
) -> bytes:
    """One slice of a volume as the recipe shows it, as JPEG; b"" where Pillow is missing.

    Args:
        recipe: of the store: its plane decides what `slice_number` counts, its crop what is cut away.
        slice_number: 0-based, within the full stack of the plane.
        box: RAS mm; its outline is drawn where the slice passes through it.

    Raises:
        IndexError: the stack has no such slice.
    """
    try:
        from PIL import Image
    except ImportError:
        return b""
    stack = preprocess(volume, replace(recipe, size=size, slice_step_mm=0.0))
    rows = np.flatnonzero(stack.table.index == slice_number)
    if not len(rows):
        raise IndexError(f"slice {slice_number} of a stack of {stack.n_slices}")
    row = int(rows[0])
    (image,) = next(iter(stack.images([row])))
    gray = np.clip(image[stack.intensity.thumbnail] * 255 + 0.5, 0, 255).astype(np.uint8)
    picture = Image.fromarray(gray)
    if box is not None and (outline := _outline(stack, row, box, size)) is not None:
        from PIL import ImageDraw

        picture = picture.convert("RGB")
        ImageDraw.Draw(picture).rectangle(outline, outline=_BOX_COLOR, width=2)
    return _saved(picture, format="JPEG", quality=_PICTURE_QUALITY)


def _outline(stack: Stack, row: int, box: OrientedBox, size: int) -> tuple[float, float, float, float] | None:
    """Where a box lies in the picture of a kept slice (left, top, right, bottom); None where the slice misses it."""
    frame = StackFrame.of(stack.geometry, stack.table)
    corners = box.corners()
    heights, height = frame.height(corners), frame.heights[row]
    if not heights.min() <= height <= heights.max():
        return None
    # Of a box along the stack; of one that is not, the rectangle around all of it.
    pixels = frame.pixels(corners)
    shown = stack.shown_box
    first, count = np.array([shown.column0, shown.row0]), np.array([shown.column1, shown.row1])
    count = count - first
    spacing = stack.spacing_mm[:2]
    scale = spacing * size / stack.side_mm
    at = 0.5 * size + (pixels - first - 0.5 * (count - 1)) * scale
    (left, top), (right, bottom) = np.clip(at.min(axis=0), 0, size - 1), np.clip(at.max(axis=0), 0, size - 1)
    return float(left), float(top), float(right), float(bottom)


def pictures_of_volumes(
    read: Callable[[Match | None], Volume | None],
    recipe: Recipe,
    query_slices: np.ndarray,
    size: int = PICTURE_SIZE,
) -> PictureSource:
    """Slices drawn from the volumes themselves, where these can still be read.

    Args:
        read: the volume of a match, or of the query for None; returns None or raises a VolumeRetrievalError or an
            OSError if it cannot be had. Called for every picture.
        recipe: of the store.
        query_slices: int [n_q], full-stack numbers of the query's slices.
    """

    def picture(match: Match | None, row: int) -> bytes | None:
        slices = query_slices if match is None else match.slice_index
        try:
            volume = read(match)
            if volume is None or slices is None:
                return None
            return slice_picture(volume, recipe, int(slices[row]), size, None if match is None else match.best_box)
        except (VolumeRetrievalError, OSError, IndexError):
            return None  # the archive may be offline, or have changed since it was indexed

    return picture


def _saved(image: Image, **how: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, **how)
    return buffer.getvalue()
