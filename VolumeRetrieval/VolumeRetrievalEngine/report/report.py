"""A search result as one HTML file that needs nothing else: to look at, to print, to send to a colleague.

It holds the query's slice, the best volumes at their best matching slices, the ranking, and for each of the best the
similarity matrix with the matched ranges marked (METHOD.md, localization).
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import datetime
from html import escape
from pathlib import Path

import numpy as np

from ..errors import VolumeRetrievalError
from ..method.place import Place
from ..method.score_parts import ScoreParts
from ..searching.likeness import nothing_in_words
from ..searching.match import Match, SearchResult
from ..searching.place_notes import box_in_words, place_notes
from .color_map import VIRIDIS, color_range
from .figure import matrix_figure, range_strip
from .page import page
from .pictures import PictureSource

#: Gives the small JPEG of a slice by the key of its volume and the row of its embedding; b"" if there is none.
ThumbnailSource = Callable[[int, int], bytes]

#: How many volumes are shown with pictures and matrix.
SHOWN = 3

_HOW_TO_READ = (
    "Each row of a matrix is a slice of the query and each column a slice of the volume that was found: the brighter, "
    "the more alike the two look. Every query slice votes for its most similar column (dots); votes close together "
    "form a matched range (bars A, B …), and the pink line follows the query through the volume from slice to slice."
)


def write_report(
    result: SearchResult,
    path: Path | str,
    thumbnail: ThumbnailSource | None = None,
    *,
    picture: PictureSource | None = None,
    when: datetime | None = None,
) -> Path:
    """Write :func:`report_html` to a file.

    Raises:
        VolumeRetrievalError: the file cannot be written.
    """
    path = Path(path)
    text = report_html(result, thumbnail, picture=picture, when=when)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise VolumeRetrievalError(f"{path}: the report cannot be written there ({error.strerror})") from error
    return path


def report_html(
    result: SearchResult,
    thumbnail: ThumbnailSource | None = None,
    *,
    picture: PictureSource | None = None,
    shown: int = SHOWN,
    when: datetime | None = None,
) -> str:
    """The result as HTML, pictures included.

    Args:
        result: matches carry their similarity matrices; those without are listed, but have no figure.
        thumbnail: the small pictures that the store keeps; those of the query come with the result.
        picture: larger ones, asked for first (see report/pictures.py).
        shown: how many of the best matches are shown with pictures and figures.
        when: the time to name; now, if None.
    """
    best = result.matches[:shown]
    pictures = _Pictures(result, thumbnail, picture)
    title = f"Volumes like {_short(result.query_path)}"
    sections = [_heading(result, title, when or datetime.now())]
    if not best:
        sections.append("<p>No volume was found: the store holds none that the filters let through.</p>")
    else:
        sections += [_gallery(result, best, pictures), _ranking(result.matches)]
        sections.append(f'<h2>Where it matches</h2>\n<p class="soft">{_HOW_TO_READ}</p>')
        sections += [_details(result, match, pictures) for match in best]
    sections.append(_footer(result))
    return page(title, "\n".join(sections))


class _Pictures:
    """Slices as <img>: the larger picture if there is one, else the thumbnail; each is asked for once."""

    def __init__(self, result: SearchResult, thumbnail: ThumbnailSource | None, picture: PictureSource | None):
        self._query_thumbnail = result.query_thumbnail
        self._thumbnail = thumbnail
        self._picture = picture
        self._made: dict[tuple[int, int], str] = {}

    def html(self, match: Match | None, row: int, alt: str) -> str:
        place = (-1 if match is None else match.key, row)
        if place not in self._made:
            data = self._data(match, row) if row >= 0 else None
            self._made[place] = _data_uri(data) if data else ""
        if not self._made[place]:
            return f'<div class="no-picture" role="img" aria-label="{escape(alt)}: no picture">no picture</div>'
        return f'<img src="{self._made[place]}" alt="{escape(alt)}">'

    def _data(self, match: Match | None, row: int) -> bytes | None:
        if self._picture is not None and (data := self._picture(match, row)):
            return data
        try:
            if match is None:
                return self._query_thumbnail(row)
            return None if self._thumbnail is None else self._thumbnail(match.key, row)
        except VolumeRetrievalError:
            return None  # removed since the search


def _heading(result: SearchResult, title: str, when: datetime) -> str:
    numbers = result.query_table.index
    plural = "" if len(numbers) == 1 else "s"
    span = f"{int(numbers[0]) + 1}" if len(numbers) == 1 else f"{int(numbers[0]) + 1}–{int(numbers[-1]) + 1}"
    searched = (
        f"Searched with {len(numbers)} {escape(result.query_plane)} slice{plural} ({span}) in {result.n_volumes} "
        f"volumes on {when:%Y-%m-%d %H:%M}."
    )
    marked = len(result.like), len(result.unlike)
    if any(marked):
        searched += f" Ranked with marks: {marked[0]} fit, {marked[1]} do not."
    likeness = result.likeness
    nothing = "" if likeness is None or not likeness.is_nothing else f"<p><b>{nothing_in_words(likeness)}.</b></p>\n"
    return (
        f'<h1 class="name-of-volume">{escape(title)}</h1>\n<p class="soft">{searched}</p>\n{nothing}'
        '<p class="warning"><b>Not for clinical use.</b> A research tool made this ranking by how alike images look; '
        "it is no diagnosis. Pictures and names of files may identify a patient: treat this page as patient data.</p>"
    )


def _gallery(result: SearchResult, best: tuple[Match, ...], pictures: _Pictures) -> str:
    first = best[0]
    slice_text = f"{result.query_plane} slice {_number(first.best_query_slice)}"
    figures = [
        f'<figure class="query">{pictures.html(None, first.best_query_row, f"Query, {slice_text}")}'
        f"<figcaption><b>Query</b><br>{escape(slice_text)}, the one with the strongest match</figcaption></figure>"
    ]
    for match in best:
        alt = f"Volume {match.rank}, {match.plane} slice {_number(match.best_slice)}"
        figures.append(
            f"<figure>{pictures.html(match, match.best_row, alt)}<figcaption><b>{match.rank}. {_score(match)}</b> "
            f"{escape(_kind(match))}<br>slice {_number(match.best_slice)} of {match.n_slices}, most like query slice "
            f"{_number(match.best_query_slice)}</figcaption></figure>"
        )
    return '<h2>Best matching slices</h2>\n<div class="pictures">' + "".join(figures) + "</div>"


def _ranking(matches: tuple[Match, ...]) -> str:
    rows = "".join(
        f'<tr><td class="number">{match.rank}</td><td class="number">{_score(match)}{_likeness(match)}</td>'
        f'<td class="name-of-volume">{escape(_name(match))}<br><span class="soft">{escape(_kind(match))}</span></td>'
        f'<td class="found">{_found(match)}</td></tr>'
        for match in matches
    )
    return (
        '<h2>Ranking</h2>\n<table class="ranking"><thead><tr><th class="number">#</th><th class="number">score</th>'
        f"<th>volume</th><th>matched slices</th></tr></thead><tbody>{rows}</tbody></table>"
    )


def _found(match: Match) -> str:
    """The matched range in one cell, with a strip that shows where it lies."""
    one = match.place
    if one is None:
        return f'<span class="soft">of {match.n_slices}</span>'
    strip = range_strip(match) if match.positions_mm is not None else ""
    unsure = "" if one.is_certain else '<span class="soft whole">place uncertain</span>'
    return (
        f'<span class="whole">{_slices(one)} <span class="soft">({one.extent_mm:.0f} mm)</span></span> '
        f'<span class="soft whole">of {match.n_slices}</span> {unsure}{strip}'
    )


def _details(result: SearchResult, match: Match, pictures: _Pictures) -> str:
    query_alt = f"Query, {result.query_plane} slice {_number(match.best_query_slice)}"
    alt = f"Volume {match.rank}, {match.plane} slice {_number(match.best_slice)}"
    pair = (
        f'<div class="pictures pair"><figure class="query">{pictures.html(None, match.best_query_row, query_alt)}'
        f"<figcaption><b>Query</b>, slice {_number(match.best_query_slice)}</figcaption></figure>"
        f"<figure>{pictures.html(match, match.best_row, alt)}"
        f"<figcaption><b>Volume {match.rank}</b>, slice {_number(match.best_slice)}</figcaption></figure></div>"
    )
    figure = "<p>This ranking compares no slices with each other: there is no matrix to show.</p>"
    if match.similarity is not None:
        figure = (
            f"<figure>{matrix_figure(match, result.query_table, result.query_plane)}{_key(match.similarity)}</figure>"
        )
    return (
        f'<section class="match"><h2 class="name-of-volume">{match.rank}. '
        f"{escape(_name(match))}</h2>"
        f'<p class="soft">{escape(_kind(match))} · {match.n_slices} {escape(match.plane)} slices · '
        f"score {_score(match)}</p>"
        f'<div class="columns"><div>{figure}</div><div>{pair}{_place(match, result.query_plane)}</div></div></section>'
    )


def _key(similarity: np.ndarray) -> str:
    low, high = color_range(similarity)
    return (
        f'<figcaption class="key"><span>{low:.2f} <i class="scale" style="background:linear-gradient(to right,'
        f'{",".join(VIRIDIS)})"></i> {high:.2f} cosine similarity</span>'
        '<span><i class="dot"></i> vote of a query slice</span>'
        '<span><i style="background:var(--range)"></i> matched range</span>'
        '<span><i style="background:#ff5fa2"></i> path</span>'
        '<span><i style="background:var(--profile);height:2px"></i> highest similarity of each slice</span>'
        "</figcaption>"
    )


def _place(match: Match, query_plane: str) -> str:
    one = match.place
    if one is None:
        return ""
    notes = list(place_notes(one, query_plane))
    if match.correspondence is not None and match.correspondence.flipped:
        notes.append("The path runs backward: the two volumes ascend in opposite directions.")
    if box := box_in_words(match):
        notes.append(f"In space (R, A, S): {box}".replace("-", "−"))
    soft = "".join(f'<p class="soft">{escape(note)}</p>' for note in notes)
    return (
        '<h3>Matched range</h3><div class="scroll"><table class="ranges"><thead><tr><th>slices</th>'
        '<th class="number">position, mm</th><th class="number">mm</th><th class="number">similarity</th>'
        f'<th class="number">certainty</th></tr></thead><tbody><tr><td>{_slices(one)}</td>'
        f'<td class="number">{_mm(one.start_mm)} to {_mm(one.end_mm)}</td><td class="number">{one.extent_mm:.0f}</td>'
        f'<td class="number">{one.similarity:.3f}</td><td class="number">{one.certainty:.2f}</td></tr></tbody></table>'
        f"</div>{soft}"
    )


def _footer(result: SearchResult) -> str:
    seconds = ", ".join(f"{escape(name)} {1000 * value:.0f} ms" for name, value in result.seconds.items())
    notes = "".join(f"<br>Note: {escape(note)}" for note in result.notes)
    encoder = f"Encoder: {escape(result.encoder)}.<br>" if result.encoder else ""
    return (
        f'<p class="soft" style="margin-top:2rem;font-size:.85rem">{encoder}Ranking: {escape(result.ranking)}; '
        f"candidates by: {escape(result.filter)}, {result.n_candidates} of {result.n_volumes} volumes"
        f"{'; ' + seconds if seconds else ''}.{_score_in_words(result)} Slices are counted from 1.{notes}</p>"
    )


def _score_in_words(result: SearchResult) -> str:
    """What the score is; nothing of a baseline's."""
    if not result.score:
        return ""
    parts = ScoreParts.parse(result.score)
    words = [
        " The score, 1 for the same volume, is the mean, over the query's slices, of the highest cosine similarity"
    ]
    words.append(" to any slice of the volume")
    if parts.centering:
        words.append(", after the archive's mean is subtracted")
    if parts.directions:
        words.append("; the same the other way counts a third")
    lowered = ["volumes of another modality"] * parts.modality
    lowered += ["volumes whose nearest others are not the query's"] * parts.neighbors
    if lowered:
        words.append(f"; it is lowered for {' and for '.join(lowered)}")
    return "".join(words) + "."


def _score(match: Match) -> str:
    return f"{match.score:.4g}" if abs(match.score) > 1 else f"{match.score:.3f}"


def _name(match: Match) -> str:
    """Its path below the archive's root: enough to find it, and no folder of somebody's machine."""
    return match.files.label or _short(match.path)


def _kind(match: Match) -> str:
    attributes = match.attributes
    known = (attributes.modality, attributes.body_part, attributes.series_description)
    return " · ".join(text for text in known if text) or "nothing known"


def _likeness(match: Match) -> str:
    """How unusual that score is, and what the user has marked, below it."""
    words = "" if match.likeness is None else match.likeness.words
    mark = {"like": "marked: fits", "unlike": "marked: does not fit"}.get(match.mark, "")
    return "".join(f'<br><span class="soft whole">{text}</span>' for text in (words, mark) if text)


def _number(slice_number: int) -> str:
    """A slice as people count it; a ranking that compares no slices knows none."""
    return f"{slice_number + 1}" if slice_number >= 0 else "unknown"


def _slices(one: Place) -> str:
    first, last = one.first_slice + 1, one.last_slice + 1
    return f"{first}" if first == last else f"{first}–{last}"


def _mm(value: float) -> str:
    return f"{value:.0f}".replace("-", "−")


def _short(path: str) -> str:
    """The last two parts of a path: enough to know it again, and no folder of somebody's machine."""
    parts = path.replace("\\", "/").rstrip("/").split("/")
    return "/".join(parts[-2:])


def _data_uri(data: bytes) -> str:
    kind = "png" if data.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
