"""What has to be said of a match's place, in sentences for the command line and the report."""

from __future__ import annotations

from ..method.place import CERTAIN, Place
from ..query.stack_geometry import STACK_ENDS
from .match import Match


def place_notes(place: Place, query_plane: str) -> tuple[str, ...]:
    """That the place is uncertain, and which part of the query is not in the volume; () if there is nothing to say.

    Args:
        query_plane: "axial", "coronal" or "sagittal", for what the ends of the query are called.
    """
    if place.missing_before >= 1.0:
        return ("Nothing of the query lies in this volume: it would continue at this end.",)
    notes = []
    if not place.is_certain:
        notes.append(
            f"The place is uncertain: it hardly stands out from chance ({place.certainty:.2f}; certain from {CERTAIN})."
        )
    for share, end in zip((place.missing_before, place.missing_after), STACK_ENDS[query_plane], strict=True):
        if share > 0:
            notes.append(f"The {end} {max(share, 0.01):.0%} of the query is not in this volume.")
    return tuple(notes)


def box_in_words(match: Match) -> str:
    """From where to where the region's box reaches in a match, RAS mm, and where that comes from; "" without a box."""
    refined, box = match.refinement, match.best_box
    if box is None:
        return ""
    if refined is None:
        return str(box)
    return f"{box} ({'refined' if refined.success else f'not refined: {refined.reason}'})"
