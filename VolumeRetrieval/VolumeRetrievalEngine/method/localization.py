"""Where in the retrieved volume the query lies: from a similarity matrix to matched slice ranges (METHOD.md).

Paper A (arXiv 2405.09334, section 2.5.4) takes the slices of the retrieved volume that contribute highly to the score,
that is the positions of the maximum of each row of S. How they become ranges is our choice: every row votes for its
best column, votes close to each other in mm form a run, and runs of little weight are dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..volume import SliceTable

#: Votes nearer to each other than this, or than this many slice spacings, belong to one run (METHOD.md).
RUN_GAP_MM = 10.0
RUN_GAP_SPACINGS = 2.5

#: Runs with less than this share of all votes' weight are dropped. Our choice: the papers do not say.
MINIMUM_SHARE = 0.1

#: A maximum that stands above its row's mean by less than this is rounding of float32, not a vote.
_NO_CONTRAST = 1e-6


@dataclass(frozen=True)
class MatchedRange:
    """A run of slices of the retrieved volume that the query's slices voted for (METHOD.md, localization).

    Slice numbers are 0-based and count the slices of the volume's full stack in the match's plane, ascending toward
    +R, +A or +S. `first_row` and `last_row` are the same slices as rows of the (thinned) embeddings, that is columns
    of the similarity matrix.

    Example:
        >>> similarity = np.array([[0.1, 0.9, 0.2, 0.1], [0.1, 0.2, 0.9, 0.1]], np.float32)
        >>> query, candidate = (SliceTable.regular(np.diag([1.0, 1.0, 3.0, 1.0]), count) for count in (2, 4))
        >>> (found,) = matched_ranges(similarity, query, candidate)
        >>> found.first_slice, found.last_slice, found.extent_mm
        (1, 2, 3.0)
    """

    first_slice: int
    last_slice: int
    first_row: int
    last_row: int
    first_sop_uid: str
    last_sop_uid: str
    start_mm: float
    end_mm: float
    weight: float  # share of all votes' weight, (0, 1]
    similarity: float  # mean cosine similarity of the votes
    query_rows: tuple[int, ...]  # rows of the similarity matrix that voted for it
    query_slices: tuple[int, ...]  # the same as slice numbers of the query's full stack

    @property
    def extent_mm(self) -> float:
        """From the middle of the first slice to the middle of the last."""
        return abs(self.end_mm - self.start_mm)

    def to_dict(self) -> dict[str, Any]:
        """Values for JSON, with the extent for readers of the command line's output."""
        return {**self.__dict__, "extent_mm": self.extent_mm}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> MatchedRange:
        """The range that :meth:`to_dict` wrote."""
        known = {name: value for name, value in values.items() if name != "extent_mm"}
        known["query_rows"] = tuple(known["query_rows"])
        known["query_slices"] = tuple(known["query_slices"])
        return cls(**known)


def matched_ranges(
    similarity: np.ndarray, query: SliceTable, candidate: SliceTable, *, minimum_share: float = MINIMUM_SHARE
) -> tuple[MatchedRange, ...]:
    """The slice ranges of the candidate that the query's slices vote for, the heaviest first.

    Row i votes for column j*(i) = argmax_j S_ij, with the weight by which S_i,j*(i) stands above the mean of its row.
    Votes within max(10 mm, 2.5 slice spacings) of the next form a run; a run with less than `minimum_share` of the
    whole weight is dropped, except the heaviest. Where no row prefers any column (all similarities equal, or a
    candidate of one slice) nothing is left to vote on, and the one range is the whole candidate.

    Args:
        similarity: S, float [n_q, n_c], finite.
        query, candidate: the slices of the rows and columns of S, in the order of their positions.

    Returns:
        At least one range; the weights are shares of all votes, so that they sum to at most 1.

    Raises:
        ValueError: S is empty, not finite, or does not have the shape of the two tables.
    """
    scores = checked_similarity(similarity, len(query), len(candidate))
    columns = scores.argmax(axis=1)
    best = scores[np.arange(len(scores)), columns].astype(np.float64)
    weights = best - scores.mean(axis=1, dtype=np.float64)
    rows = np.flatnonzero(weights > _NO_CONTRAST)
    if not len(rows):
        everything = np.arange(len(query))
        return (_matched_range(0, len(candidate) - 1, 1.0, float(best.mean()), everything, query, candidate),)

    rows = rows[np.argsort(columns[rows], kind="stable")]
    voted = columns[rows]
    gap = max(RUN_GAP_MM, RUN_GAP_SPACINGS * candidate.spacing)
    # Positions come from sums of float64: two votes exactly one gap apart belong together.
    apart = np.abs(np.diff(candidate.position[voted])) > gap + 1e-6
    starts = np.concatenate(([0], np.flatnonzero(apart) + 1))
    ends = np.append(starts[1:], len(rows))
    shares = np.add.reduceat(weights[rows], starts) / weights[rows].sum()
    order = np.argsort(-shares, kind="stable")
    return tuple(
        _matched_range(
            int(voted[starts[run]]),
            int(voted[ends[run] - 1]),
            float(shares[run]),
            float(best[rows[starts[run] : ends[run]]].mean()),
            np.sort(rows[starts[run] : ends[run]]),
            query,
            candidate,
        )
        for place, run in enumerate(order)
        if place == 0 or shares[run] >= minimum_share
    )


def checked_similarity(similarity: np.ndarray, n_query: int, n_candidate: int) -> np.ndarray:
    """S as an array, after making sure that it can be localized in; ValueError says what is wrong with it."""
    scores = np.asarray(similarity)
    if scores.shape != (n_query, n_candidate) or scores.size == 0:
        raise ValueError(f"similarity matrix of shape {scores.shape}: expected {n_query} x {n_candidate}, not empty")
    # A sum is finite only if all its terms are, and is several times cheaper than looking at each.
    if not np.isfinite(scores.sum(dtype=np.float64)):
        raise ValueError("similarity matrix with values that are not finite: embeddings must be finite unit rows")
    return scores


def _matched_range(
    first: int,
    last: int,
    weight: float,
    similarity: float,
    query_rows: np.ndarray,
    query: SliceTable,
    candidate: SliceTable,
) -> MatchedRange:
    return MatchedRange(
        first_slice=int(candidate.index[first]),
        last_slice=int(candidate.index[last]),
        first_row=first,
        last_row=last,
        first_sop_uid=candidate.sop_uid[first],
        last_sop_uid=candidate.sop_uid[last],
        start_mm=float(candidate.position[first]),
        end_mm=float(candidate.position[last]),
        weight=weight,
        similarity=similarity,
        query_rows=tuple(query_rows.tolist()),
        query_slices=tuple(np.asarray(query.index)[query_rows].tolist()),
    )
