"""What is written into the corners of the views of a comparison."""

from __future__ import annotations

from slicer.i18n import tr as _
from VolumeRetrievalEngine.searching.match import Match

from .SlicePairs import StackRows


def queryLines(name: str, rows: StackRows, position: float | None) -> list[str]:
    """Whose volume the query is, and which slice of it is shown."""
    return [_("Query  {name}").format(name=name), _sliceOf(rows, position)]


def resultLines(
    match: Match, name: str, rows: StackRows, position: float | None, similarity: float | None
) -> list[str]:
    """ "2  CRLM-CT-1004  0.48" and "slice 28 of 41, similarity here 0.65"."""
    text = _sliceOf(rows, position)
    if similarity is not None:
        text = _("{slice}, similarity here {value}").format(slice=text, value=f"{similarity:.2f}")
    return [_title(match, name), text]


def overlayLines(
    match: Match, name: str, rows: StackRows, position: float | None, similarity: float | None
) -> list[str]:
    """As resultLines, of a result over the query; its slices are not named where they are cut across."""
    lines = resultLines(match, name, rows, position, similarity)[: 1 if position is None else 2]
    isRegistered = match.refinement is not None and match.refinement.success
    return [*lines, _("over the query (registered)") if isRegistered else _("over the query (not registered)")]


def matchedSlices(match: Match) -> str:
    """ "match: slices 22-28", and whether that is uncertain; what the slab is."""
    place = match.place
    if place is None:
        return ""
    text = _("match: {slices}").format(slices=_numbers(place.first_slice, place.last_slice))
    return text if place.is_certain else _("{match} (uncertain)").format(match=text)


def queriedSlices(match: Match, first: int, last: int) -> str:
    """ "match 1: slices 60-66": the query's slices that lie in that range of that result."""
    return _("match {rank}: {slices}").format(rank=match.rank, slices=_numbers(first, last))


def _title(match: Match, name: str) -> str:
    return f"{match.rank}  {name or match.attributes.series_description}  {match.score:.2f}"


def _sliceOf(rows: StackRows, position: float | None) -> str:
    if position is None:
        return _("rotated out of its plane")
    if not rows.reaches(position):
        return _("outside the volume, of {count} slices").format(count=rows.count)
    return _("slice {number} of {count}").format(number=rows.number(position) + 1, count=rows.count)


def _numbers(first: int, last: int) -> str:
    """People count from 1."""
    if first == last:
        return _("slice {n}").format(n=first + 1)
    return _("slices {first}-{last}").format(first=first + 1, last=last + 1)
