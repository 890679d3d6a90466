"""Where in the retrieved volume the query lies: one range, read off the path through S (docs/METHOD.md, localization).

The span of the path over the query's rows, cut where the path leaves the candidate. That it is one range, how it is cut
and how certain it is called are our choice: paper A's votes (localization.py) break one organ into pieces.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..volume import SliceTable
from .correspondence import Correspondence
from .monotone_path import GainGrid, best_totals, gain_grid

#: From this certainty on a place is called certain. Chosen on half of the head-and-neck patients; the figures are
#: in docs/METHOD.md.
CERTAIN = 0.15

#: Columns are shuffled in blocks of this extent, so that neighbors stay alike, as they are in every volume.
BLOCK_MM = 30.0

#: Shuffled matrices for each certainty, and the grid that it is measured on: coarser than the path's, for speed.
_SHUFFLES = 8
_MOST_ROWS = 32
_MOST_CELLS = 384


@dataclass(frozen=True)
class Place:
    """The one range of a retrieved volume that the query lies in.

    Attributes:
        first_slice, last_slice: 0-based numbers within the volume's full stack, ascending toward +R, +A or +S.
        first_row, last_row: the same slices as rows of its embeddings, columns of S.
        first_sop_uid, last_sop_uid: SOPInstanceUID of the two slices; empty where the volume has none.
        start_mm, end_mm: positions of the two slices along the stack.
        similarity: mean cosine similarity along the path.
        certainty: how far the path's gain stands above that of paths through S with shuffled columns, see
            :func:`certainty`.
        query_first_row, query_last_row: the rows of S between which the path lies inside the volume.
        missing_before, missing_after: the shares of the query, [0, 1], that lie below and above these rows and are
            not in the volume.

    Example:
        >>> result = Retriever.open("index").search("archive/chest-0.nii.gz")
        >>> place = result.matches[0].place
        >>> place.is_certain, 0 <= place.first_slice < place.last_slice < result.matches[0].n_slices
        (True, True)
    """

    first_slice: int
    last_slice: int
    first_row: int
    last_row: int
    first_sop_uid: str
    last_sop_uid: str
    start_mm: float
    end_mm: float
    similarity: float
    certainty: float
    query_first_row: int
    query_last_row: int
    missing_before: float = 0.0
    missing_after: float = 0.0

    @property
    def extent_mm(self) -> float:
        """From the middle of the first slice to the middle of the last."""
        return self.end_mm - self.start_mm

    @property
    def is_certain(self) -> bool:
        """Whether the place stands out so far that it may be relied on (CERTAIN)."""
        return self.certainty >= CERTAIN

    def to_dict(self) -> dict[str, Any]:
        """Values for JSON."""
        return {**asdict(self), "extent_mm": self.extent_mm, "certain": self.is_certain}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Place:
        """The place that :meth:`to_dict` wrote."""
        return cls(**{name: value for name, value in values.items() if name not in ("extent_mm", "certain")})


def matched_place(
    similarity: np.ndarray, found: Correspondence, query: SliceTable, candidate: SliceTable, certainty: float
) -> Place:
    """The one range that the path spans.

    Rows whose path lies more than half a slice beyond the candidate's ends are not in it. Where no row is in it, the
    place is the end that the path comes nearest to, with nothing of the query in it.

    Args:
        similarity: S, float [n_q, n_c], finite.
        found: the path, of the same rows.
        query, candidate: the slices of the rows and columns of S.
        certainty: of the place.
    """
    slack = candidate.spacing / 2
    low, high = float(candidate.position[0]) - slack, float(candidate.position[-1]) + slack
    inside = np.flatnonzero((found.path_mm >= low) & (found.path_mm <= high))
    columns = np.rint(found.path).astype(np.int64)
    rows = inside if len(inside) else np.array([int(np.abs(found.path_mm - (low + high) / 2).argmin())])
    first, last = int(columns[rows].min()), int(columns[rows].max())
    count = len(query)
    is_inside = len(inside) > 0
    return Place(
        first_slice=int(candidate.index[first]),
        last_slice=int(candidate.index[last]),
        first_row=first,
        last_row=last,
        first_sop_uid=candidate.sop_uid[first],
        last_sop_uid=candidate.sop_uid[last],
        start_mm=float(candidate.position[first]),
        end_mm=float(candidate.position[last]),
        similarity=float(similarity[rows, columns[rows]].mean()),
        certainty=certainty if is_inside else 0.0,
        query_first_row=int(rows[0]),
        query_last_row=int(rows[-1]),
        missing_before=float(rows[0] / count) if is_inside else 1.0,
        missing_after=float((count - 1 - rows[-1]) / count),
    )


def best_pair(similarity: np.ndarray, found: Correspondence, place: Place) -> tuple[int, int]:
    """Row and column of S of the two slices to show next to each other: the most similar pair on the path's middle.

    A fifth of the range is left out at each end (our choice): slices there are as similar as any, and show little of
    what the range is of. A chest would be shown by its shoulders.
    """
    rows = np.arange(place.query_first_row, place.query_last_row + 1)
    end = len(rows) // 5
    rows = rows[end : len(rows) - end]
    columns = np.rint(found.path[rows]).astype(np.int64)
    best = int(similarity[rows, columns].argmax())
    return int(rows[best]), int(columns[best])


def certainty(
    similarity: np.ndarray,
    query_mm: np.ndarray,
    candidate_mm: np.ndarray,
    flipped: bool = False,
    is_whole: bool = False,
    seed: int = 0,
) -> float:
    """How far the best path's gain stands above that of paths through the same matrix with its columns shuffled.

    (G - mean of G') / (contrast x rows), where G is the sum of gains along the best path, G' the same after the
    columns were shuffled in blocks of 30 mm, and contrast what the best column of a typical row stands out by: 0 is
    what chance reaches, 1 would be a path through the best column of every row that chance never finds.

    Args:
        similarity: S, float [n_q, n_c], finite.
        query_mm, candidate_mm: float64 [n_q] and [n_c], ascending.
        flipped: the direction of the path.
        is_whole: whether the rows are all slices of the query volume.
        seed: of the shuffling.

    Returns:
        0.0 where there is no path: for one slice, or stacks without extent.
    """
    if len(query_mm) < 2 or np.ptp(query_mm) == 0 or np.ptp(candidate_mm) == 0:
        return 0.0
    grid = gain_grid(
        similarity.astype(np.float32, copy=False),
        query_mm,
        candidate_mm,
        is_whole,
        most_rows=_MOST_ROWS,
        most_cells=_MOST_CELLS,
    )
    if grid.contrast <= 0 or len(grid.row_mm) < 2:
        return 0.0
    gain = grid.gain[:, ::-1] if flipped else grid.gain
    totals = best_totals(np.concatenate([gain[:, None], _shuffled(grid, gain, seed)], axis=1), grid.contrast)
    return float((totals[0] - totals[1:].mean()) / (grid.contrast * len(grid.row_mm)))


def _shuffled(grid: GainGrid, gain: np.ndarray, seed: int) -> np.ndarray:
    """The grid with its columns in blocks of BLOCK_MM in random order, several times; the blocks' edges differ.

    Returns:
        float32 [rows, several, cells].
    """
    random = np.random.default_rng(seed)
    width = max(1, round(BLOCK_MM / float(grid.cell_mm[1] - grid.cell_mm[0])))
    blocks = (np.arange(gain.shape[1]) + random.integers(width, size=(_SHUFFLES, 1))) // width
    places = np.take_along_axis(random.random((_SHUFFLES, int(blocks.max()) + 1)), blocks, axis=1)
    return gain[:, np.argsort(places, axis=1, kind="stable")]
