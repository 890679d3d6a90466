"""The report's drawings as SVG: the similarity matrix with what was found in it, and where ranges lie in a volume.

Text and lines are SVG, so that they stay sharp and follow the page's colors; the matrix is a small picture in it.
"""

from __future__ import annotations

import base64
from html import escape

import numpy as np

from ..method.place import Place
from ..searching.match import Match
from ..volume import SliceTable
from .pictures import matrix_png

#: Toward which side the slices of each plane ascend.
DIRECTIONS = {"axial": "inferior → superior", "coronal": "posterior → anterior", "sagittal": "left → right"}

#: Sizes in the drawing's units: small enough that the text can be read on a telephone.
_WIDTH = 460
_LEFT, _RIGHT = 46, 10
_PLOT = _WIDTH - _LEFT - _RIGHT
_RANGES = 20  # height of the bars above the matrix
_PROFILE = 74
_GAP = 14
_AXIS = 40


def matrix_figure(match: Match, query: SliceTable, query_plane: str) -> str:
    """S with votes, path and matched range, above the profile of similarity along the volume; SVG text.

    Args:
        match: with its similarity matrix [n_q, n_c].
        query: the n_q slices of the query.
    """
    scores = np.asarray(match.similarity)
    rows, columns = scores.shape
    height = _matrix_height(match, query)
    top = _RANGES
    bottom = top + height + _GAP + _PROFILE
    x = np.concatenate([[0.0], np.cumsum(np.full(columns, _PLOT / columns))]) + _LEFT
    parts = [
        _matrix_image(scores, top, height),
        _range_marks(match.place, x, top, bottom),
        _votes(scores, x, top, height),
        _path(match, x, top, height, rows),
        _profile(scores.max(axis=0), x, bottom),
        _row_axis(query, top, height, f"query slice ({DIRECTIONS.get(query_plane, 'ascending')})"),
        _column_axis(match, x, bottom),
    ]
    label = _in_words(match, rows, columns)
    return (
        f'<svg class="matrix" viewBox="0 0 {_WIDTH} {bottom + _AXIS:.0f}" role="img" aria-label="{escape(label)}">'
        + "".join(parts)
        + "</svg>"
    )


def range_strip(match: Match) -> str:
    """A strip as long as the volume, the matched range filled; SVG text."""
    positions = np.asarray(match.positions_mm, dtype=np.float64)
    half = 0.5 * float(np.median(np.diff(positions))) if len(positions) > 1 else 0.5
    start, length = positions[0] - half, positions[-1] - positions[0] + 2 * half
    one = match.place
    bar = ""
    if one is not None:
        bar = (
            f'<rect class="range" x="{100 * (one.start_mm - half - start) / length:.1f}" y="0" rx="1" '
            f'width="{max(100 * (one.extent_mm + 2 * half) / length, 2):.1f}" height="8"/>'
        )
    return (
        '<svg class="strip" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="ground" width="100" height="8" rx="1"/>{bar}</svg>'
    )


def _matrix_height(match: Match, query: SliceTable) -> float:
    """Millimeters are drawn as long along the query as along the volume, within what fits a page."""
    positions = np.asarray(match.positions_mm, dtype=np.float64)
    extents = [max(float(np.ptp(mm)), 1.0) * len(mm) / max(len(mm) - 1, 1) for mm in (query.position, positions)]
    return float(np.clip(_PLOT * extents[0] / extents[1], 60, 1.1 * _PLOT))


def _matrix_image(scores: np.ndarray, top: float, height: float) -> str:
    png = matrix_png(scores)
    place = f'x="{_LEFT}" y="{top:.1f}" width="{_PLOT}" height="{height:.1f}"'
    if not png:
        return (
            f'<rect class="ground" {place}/><text x="{_LEFT + _PLOT / 2}" y="{top + height / 2:.1f}" '
            'text-anchor="middle">the picture of the matrix needs Pillow</text>'
        )
    data = base64.b64encode(png).decode("ascii")
    return f'<image class="pixels" {place} preserveAspectRatio="none" href="data:image/png;base64,{data}"/>'


def _range_marks(place: Place | None, x: np.ndarray, top: float, bottom: float) -> str:
    if place is None:
        return ""
    left, right = x[place.first_row], x[place.last_row + 1]
    return (
        f'<rect class="range" x="{left:.1f}" y="{top - 6:.1f}" width="{right - left:.1f}" height="5" rx="1"/>'
        f'<rect class="shade" x="{left:.1f}" y="{bottom - _PROFILE:.1f}" width="{right - left:.1f}" '
        f'height="{_PROFILE}"/>'
        f'<path class="edge" d="M{left:.1f} {top:.1f}V{bottom:.1f}M{right:.1f} {top:.1f}V{bottom:.1f}"/>'
    )


def _votes(scores: np.ndarray, x: np.ndarray, top: float, height: float) -> str:
    columns = scores.argmax(axis=1)
    y = top + (np.arange(len(scores)) + 0.5) * height / len(scores)
    middles = 0.5 * (x[columns] + x[columns + 1])
    dots = "".join(f"M{a:.1f} {b:.1f}h0" for a, b in zip(middles, y, strict=True))
    return f'<path class="votes under" d="{dots}"/><path class="votes" d="{dots}"/>'


def _path(match: Match, x: np.ndarray, top: float, height: float, rows: int) -> str:
    if match.correspondence is None or rows < 2:
        return ""
    y = top + (np.arange(rows) + 0.5) * height / rows
    across = np.interp(match.correspondence.path, np.arange(len(x) - 1), 0.5 * (x[:-1] + x[1:]))
    line = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(across, y, strict=True))
    return f'<path class="path under" d="{line}"/><path class="path" d="{line}"/>'


def _profile(values: np.ndarray, x: np.ndarray, bottom: float) -> str:
    """The highest similarity of each slice of the volume to any slice of the query."""
    low, high = float(values.min()), float(values.max())
    if high - low < 0.02:
        low, high = low - 0.01, high + 0.01
    y = bottom - 2 - (values - low) / (high - low) * (_PROFILE - 6)
    middles = 0.5 * (x[:-1] + x[1:])
    points = "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(middles, y, strict=True))
    top = bottom - _PROFILE
    return (
        f'<path class="axis" d="M{_LEFT} {top}V{bottom}H{_LEFT + _PLOT}"/><path class="profile" d="M{points}"/>'
        f'<text class="tick end" x="{_LEFT - 5}" y="{top + 11}">{high:.2f}</text>'
        f'<text class="tick end" x="{_LEFT - 5}" y="{bottom}">{low:.2f}</text>'
    )


def _row_axis(query: SliceTable, top: float, height: float, title: str) -> str:
    labels = []
    for row in _ticks(len(query), max(2, int(height / 40))):
        y = top + (row + 0.5) * height / len(query)
        labels.append(f'<text class="tick end" x="{_LEFT - 5}" y="{y + 4:.1f}">{int(query.index[row]) + 1}</text>')
    middle = top + height / 2
    # On a low matrix the title would run into the profile's numbers.
    text = title if height >= 190 else "query slice" if height >= 80 else "query"
    labels.append(f'<text class="title" transform="translate(10 {middle:.1f}) rotate(-90)">{escape(text)}</text>')
    return "".join(labels)


def _column_axis(match: Match, x: np.ndarray, bottom: float) -> str:
    count = len(x) - 1
    index = np.arange(count) if match.slice_index is None else match.slice_index
    labels = []
    for column in _ticks(count, 7):
        middle = 0.5 * (x[column] + x[column + 1])
        labels.append(
            f'<path class="axis" d="M{middle:.1f} {bottom}v4"/>'
            f'<text class="tick middle" x="{middle:.1f}" y="{bottom + 16}">{int(index[column]) + 1}</text>'
        )
    title = f"slice of volume {match.rank} ({DIRECTIONS.get(match.plane, 'ascending')})"
    labels.append(f'<text class="title" x="{_LEFT + _PLOT / 2}" y="{bottom + 34}">{escape(title)}</text>')
    return "".join(labels)


def _ticks(count: int, most: int) -> list[int]:
    """Up to `most` of the numbers 0 to count - 1, evenly spread, both ends among them."""
    return np.unique(np.rint(np.linspace(0, count - 1, min(most, count)))).astype(int).tolist()


def _in_words(match: Match, rows: int, columns: int) -> str:
    one = match.place
    where = "none" if one is None else f"slices {one.first_slice + 1} to {one.last_slice + 1}"
    flipped = " The path runs backward." if match.correspondence is not None and match.correspondence.flipped else ""
    return (
        f"Similarity of {rows} query slices (rows) to {columns} slices of volume {match.rank} (columns), with the "
        f"profile of the highest similarity of each column below. Matched range: {where}.{flipped}"
    )
