"""From a ranked volume to a Match: the similarity matrix read for where the query lies in it."""

from __future__ import annotations

import numpy as np

from ..method.correspondence import Correspondence, correspondence
from ..method.late_interaction import similarity_matrix
from ..method.localization import matched_ranges
from ..method.place import Place, best_pair, certainty, matched_place
from ..preprocessing.plane_geometry import PlaneGeometry
from ..query.body_stack import BodyStack
from ..query.oriented_box import OrientedBox
from ..query.query import Query
from ..store.records import VolumeRecord
from ..volume import SliceTable
from .likeness import Likeness
from .match import Match
from .point_map import PointMap

#: How much the slices of a region count for the path; the rest of their volume counts 1. Our choice, 1 to 8 do alike.
_REGION_WEIGHT = 2.0


def localized_match(
    rank: int,
    record: VolumeRecord,
    path: str,
    query: Query,
    embeddings: np.ndarray,
    table: SliceTable,
    score: float,
    first_stage: float,
    outlines: np.ndarray | None = None,
    likeness: Likeness | None = None,
    mark: str = "",
) -> Match:
    """The match with its place, best pair of slices and correspondence (docs/METHOD.md, localization).

    Args:
        rank: from 1.
        record, path: of the retrieved volume, and where its files are now.
        embeddings, table: of the retrieved volume, float32 [n_c, d] and its n_c slices.
        outlines: float32 [n_c, 4], where the body lies on them; None if not known.
        score, first_stage: what it was ranked by, and what made it a candidate.
        likeness, mark: see Match.
    """
    similarity, whole, found, sure = _followed(query, embeddings, table)
    place = matched_place(similarity, found, query.table, table, sure)
    points = _point_map(query, whole, BodyStack.of(PlaneGeometry.from_dict(record.geometry), table, outlines))
    query_row, row = best_pair(similarity, found, place)
    return Match(
        rank=rank,
        volume_id=record.volume_id,
        key=record.key,
        score=score,
        first_stage=first_stage,
        files=record.files,
        series_uid=record.series_uid,
        attributes=record.attributes,
        plane=record.plane,
        n_slices=record.n_slices,
        n_rows=record.n_rows,
        path=path,
        place=place,
        ranges=matched_ranges(similarity, query.table, table),
        best_query_slice=int(query.table.index[query_row]),
        best_slice=int(table.index[row]),
        best_query_row=query_row,
        best_row=row,
        part=record.part,
        correspondence=found,
        similarity=similarity,
        slice_index=table.index,
        positions_mm=table.position,
        box=None if points is None else _box(query, points, place),
        point_map=points,
        likeness=likeness,
        mark=mark,
    )


def _point_map(query: Query, whole: Correspondence, result: BodyStack) -> PointMap | None:
    if query.body is None:
        return None
    along = (query.table if query.context is None else query.context.table).position
    return PointMap(query.body, result, along.round(3), whole.path_mm.round(3), bool(whole.flipped))


def _box(query: Query, points: PointMap, place: Place) -> OrientedBox | None:
    if place.missing_before >= 1.0:
        return None
    return points.result.slab(place.start_mm, place.end_mm) if query.box is None else points.box(query.box)


def _followed(
    query: Query, embeddings: np.ndarray, table: SliceTable
) -> tuple[np.ndarray, Correspondence, Correspondence, float]:
    """S, the whole path that was followed, that of the query's rows, and how certain it is.

    A region is followed within its whole volume where that is embedded: the organs above and below it say where it
    lies, too.
    """
    context = query.context
    if context is None:
        similarity = similarity_matrix(query.embeddings, embeddings)
        along, stack = query.table.position, table.position
        found = correspondence(similarity, along, stack, query.is_whole)
        return similarity, found, found, certainty(similarity, along, stack, found.flipped, query.is_whole)
    whole = similarity_matrix(context.embeddings, embeddings)
    weights = np.ones(len(whole))
    weights[context.rows] = _REGION_WEIGHT
    along, stack = context.table.position, table.position
    found = correspondence(whole, along, stack, is_whole=True, weights=weights)
    sure = certainty(whole, along, stack, found.flipped, is_whole=True)
    return whole[context.rows], found, found.take(context.rows), sure
