"""A query: the embeddings that are searched with, and where their slices lie."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..encoders.base import Encoder
from ..encoders.encode import encode
from ..errors import EmptyRegionError, NotAVolumeError, QueryError
from ..preprocessing import Stack, preprocess
from ..preprocessing.plane_geometry import PlaneGeometry
from ..progress import ProgressCallback
from ..reading.modality import with_modality
from ..recipe import Recipe
from ..store import VolumeRecord, VolumeStore
from ..volume import Identity, SliceTable, Volume
from .body_stack import BodyStack
from .oriented_box import OrientedBox
from .region import Region
from .selection import in_plane_box, region_box, select_rows

#: Encoders that embed some hundred slices a second on one core. With them the rest of a region's volume is embedded,
#: too: places become better by it (docs/METHOD.md, localization).
_FAST_ENCODERS = frozenset({"descriptor", "radiology-resnet"})


@dataclass(frozen=True)
class Context:
    """The whole volume that a region query was cut from.

    Attributes:
        embeddings: float32 [n_w, d], unit rows, of all its kept slices.
        table: these slices.
        rows: int64 [n_q], which of them the query's are.
    """

    embeddings: np.ndarray
    table: SliceTable
    rows: np.ndarray


@dataclass(frozen=True)
class Query:
    """What to search with.

    Attributes:
        embeddings: float32 [n_q, d], unit rows, in slice order.
        table: their slices; `table.index` numbers them within the full stack.
        plane, n_slices: of the full stack.
        path: what to call the query.
        identity: of the volume, so that itself, its study or its patient can be left out; empty where unknown.
        stored: whether the embeddings came from the store, so that nothing was read.
        thumbnail: a JPEG of one of its slices, by row; b"" where there is none.
        context: the volume around a region; None where the query is the whole volume, or where the rest of it would
            have to be embedded by a slow encoder.
        is_whole: whether the query's slices are all slices of its volume.
        body: the volume's stack, and where the body lies along it; None in a query that was made by hand.
        box: around the region, RAS mm, along the stack; None for a whole volume and for slices.
        modality: "CT", "MR", ...; empty where it is not known.
    """

    embeddings: np.ndarray
    table: SliceTable
    plane: str
    n_slices: int
    path: str
    identity: Identity
    stored: bool
    thumbnail: Callable[[int], bytes]
    context: Context | None = None
    is_whole: bool = False
    body: BodyStack | None = None
    box: OrientedBox | None = None
    modality: str = ""

    def __post_init__(self) -> None:
        if len(self.table) == 0:
            raise QueryError(f"{self.path}: the query has no slices")


def query_from_store(store: VolumeStore, record: VolumeRecord, path: str, region: Region | None = None) -> Query:
    """A volume that is indexed already: its embeddings are used as they are, and no voxel is read.

    Raises:
        EmptyRegionError: if the region selects no slice.
    """
    (stored,) = store.volumes([record.key])
    table, embeddings = stored.slices, stored.embeddings
    geometry = PlaneGeometry.from_dict(record.geometry)
    rows = np.arange(len(table)) if region is None else select_rows(region, geometry, table)
    return Query(
        embeddings=embeddings[rows],
        table=table.take(rows),
        plane=record.plane,
        n_slices=record.n_slices,
        path=path,
        identity=record.identity,
        stored=True,
        thumbnail=lambda row: store.thumbnail(record.key, int(rows[row])),
        context=None if region is None else Context(embeddings, table, rows),
        is_whole=region is None,
        body=(body := BodyStack.of(geometry, table, stored.outlines)),
        box=None if region is None else region_box(region, body.axes),
        modality=record.attributes.modality,
    )


def query_from_volume(
    volume: Volume,
    recipe: Recipe,
    encoder: Encoder,
    path: str,
    region: Region | None = None,
    crop: bool = False,
    progress: ProgressCallback | None = None,
) -> Query:
    """A volume that is not indexed, or a region of it with the surroundings cut away.

    Args:
        volume, recipe, encoder: what to embed, and how; the recipe has to be the store's.
        path: what to call the query.
        region: the part to search with; the whole volume if None.
        crop: cut the slices down to the region in plane too. Without it, a slice gets the very embedding that it has
            in its whole volume, so that only which slices take part differs.
        progress: called after each batch of slices; may raise Cancelled.

    Raises:
        EmptyRegionError: if the region selects no slice.
        QueryError: if `crop` is asked for without a region that is bounded in plane.
    """
    # A volume of the scene or of a script may not say what it is; one that was read from files has been asked already.
    volume = replace(volume, attributes=with_modality(volume.attributes, volume.voxels))
    stack = preprocess(volume, recipe)
    rows = np.arange(len(stack.table)) if region is None else select_rows(region, stack.geometry, stack.table)
    if crop:
        stack, rows = _cropped(volume, recipe, stack, region)
    context = None
    if region is not None and not crop and encoder.name in _FAST_ENCODERS:
        context = Context(encode(stack, encoder, progress=progress), stack.table, rows)
    return Query(
        embeddings=context.embeddings[rows] if context else encode(stack, encoder, progress=progress, rows=rows),
        table=stack.table.take(rows),
        plane=stack.plane,
        n_slices=stack.n_slices,
        path=path,
        identity=volume.identity,
        stored=False,
        thumbnail=lambda row: stack.thumbnail(int(rows[row])),
        context=context,
        is_whole=region is None,
        body=(body := BodyStack.of(stack.geometry, stack.table, stack.outlines)),
        box=None if region is None else region_box(region, body.axes),
        modality=volume.attributes.modality,
    )


def _cropped(volume: Volume, recipe: Recipe, stack: Stack, region: Region | None) -> tuple[Stack, np.ndarray]:
    """The stack cut down to the region in plane, and the rows of it that show the region."""
    box = None if region is None else in_plane_box(region, stack.geometry)
    if region is None or box is None:
        raise QueryError(
            "crop: expected a region that is bounded in plane (a box or a mask), to cut the slices down to"
        )
    try:
        cropped = preprocess(volume, recipe, in_plane_box=box)
    except NotAVolumeError:
        raise EmptyRegionError(f"{region}: there is nothing but air") from None
    return cropped, select_rows(region, cropped.geometry, cropped.table)
