"""From a ranked volume to a Match: the similarity matrix read for where the query lies in it."""

from __future__ import annotations

import numpy as np

from ..method.correspondence import correspondence
from ..method.late_interaction import similarity_matrix
from ..method.localization import best_pair, matched_ranges
from ..query.query import Query
from ..store.records import VolumeRecord
from ..volume import SliceTable
from .match import Match


def localized_match(
    rank: int,
    record: VolumeRecord,
    path: str,
    query: Query,
    embeddings: np.ndarray,
    table: SliceTable,
    score: float,
    first_stage: float,
) -> Match:
    """The match with its ranges, best pair of slices and correspondence (METHOD.md, localization).

    Args:
        rank: from 1.
        record, path: of the retrieved volume, and where its files are now.
        embeddings, table: of the retrieved volume, float32 [n_c, d] and its n_c slices.
        score, first_stage: what it was ranked by, and what made it a candidate.
    """
    similarity = similarity_matrix(query.embeddings, embeddings)
    ranges = matched_ranges(similarity, query.table, table)
    query_row, row = best_pair(similarity, ranges[0])
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
        ranges=ranges,
        best_query_slice=int(query.table.index[query_row]),
        best_slice=int(table.index[row]),
        best_query_row=query_row,
        best_row=row,
        part=record.part,
        correspondence=correspondence(similarity, query.table.position, table.position),
        similarity=similarity,
        slice_index=table.index,
        positions_mm=table.position,
    )
