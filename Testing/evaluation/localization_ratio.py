"""Paper A's measure of localization (arXiv 2405.09334, section 2.5.4). No search needs it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from VolumeRetrievalEngine.method.localization import checked_similarity

#: The number of contributing slices that the localization-ratio looks at (paper A).
RATIO_LENGTH = 15


def localization_ratio(
    similarity: np.ndarray, rows_with_region: Sequence[int] | np.ndarray, length: int = RATIO_LENGTH
) -> float:
    """The fraction of the `length` most contributing slices that really contain the query's region.

    A slice of the candidate contributes to RS what the query's slices that have their maximum there add to it. Paper A
    names the measure without its equation; this reading is ours. Where fewer slices contribute, the fraction is of
    those.

    Args:
        similarity: S, float [n_q, n_c], finite.
        rows_with_region: the columns of S (rows of the candidate) that contain the region.
    """
    scores = checked_similarity(similarity, *np.shape(similarity))
    columns = scores.argmax(axis=1)
    return _ratio(columns, scores[np.arange(len(scores)), columns], rows_with_region, length)


def hit_localization_ratio(
    hit_rows: Sequence[int] | np.ndarray,
    hit_similarity: Sequence[float] | np.ndarray,
    rows_with_region: Sequence[int] | np.ndarray,
    length: int = RATIO_LENGTH,
) -> float:
    """The same for count-based aggregation, where the contributing slices are the hit ones (METHOD.md).

    Args:
        hit_rows: int [h], the row within the retrieved volume of each of its hits; a row hit twice appears twice.
        hit_similarity: float [h]; decides between rows that were hit equally often.
    """
    rows = np.asarray(hit_rows, dtype=np.int64)
    if not len(rows):
        raise ValueError("a volume that was retrieved by its hits has at least one")
    # Cosine similarities lie within [-1, 1]: their mean, scaled below 1, only breaks ties between counts.
    counts = np.bincount(rows)[rows]
    tie_break = np.asarray(hit_similarity, dtype=np.float64) / (4.0 * counts)
    return _ratio(rows, 1.0 + tie_break, rows_with_region, length)


def _ratio(columns: np.ndarray, parts: np.ndarray, rows_with_region: Sequence[int] | np.ndarray, length: int) -> float:
    """Of the `length` columns with the greatest sum of parts, the fraction within `rows_with_region`."""
    contributing, place = np.unique(columns, return_inverse=True)
    contribution = np.bincount(place, weights=parts)
    chosen = contributing[np.argsort(-contribution, kind="stable")[:length]]
    return float(np.isin(chosen, np.asarray(rows_with_region, dtype=np.int64)).mean())
