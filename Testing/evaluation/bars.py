"""What was promised of the figures, and whether it is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from .differences import paired_difference
from .edition_bars import Line, edition_bars
from .markdown import markdown
from .places import BODY, CONTEXT, HEIGHT, MIDDLE, NEAR_MM, REFINED, SHUFFLED, PlaceScore
from .questions import HEAD_AND_NECK
from .results import Results
from .score_parts import PLAIN, USERS
from .score_tables import precisions
from .selection import FOLDS, REFERENCES
from .tables import pooled
from .unusualness import WHOLE, auroc

#: By how much the mAP of whole volumes without head and neck is to be above the paper's score.
_GAINS = {FOLDS: 0.03, REFERENCES[0]: 0.05, REFERENCES[1]: 0.05}


def bars_section(rows: Mapping[str, Results], earlier: Results | None = None) -> str:
    """A line for each bar.

    Args:
        rows: by what they are asked for with.
        earlier: the first edition of the encoder that ships.
    """
    lines = []
    references = [rows[name] for name in REFERENCES if name in rows]
    for asked in (asked for asked in _GAINS if asked in rows):
        found = [*_scores(rows[asked], _GAINS[asked])]
        if asked == FOLDS:
            edition = edition_bars(rows[asked], earlier, *references) if len(references) == len(REFERENCES) else ()
            found = [*edition, *_places(rows[asked]), *found]
        lines += [[rows[asked].name, what, bar, here, "yes" if kept else "**no**"] for what, bar, here, kept in found]
    return f"## Bars\n\n{markdown(['method', 'what', 'bar', 'here', 'reached'], lines)}\n" if lines else ""


def _places(one: Results) -> Iterator[Line]:
    ways = one.places.get(HEAD_AND_NECK)
    if not ways:
        return
    shown = ways[CONTEXT]
    middles, centers = _values(shown, "middle_mm"), _values(shown, "center_mm")
    yield _at_most("organs' middles, mean mm", 10, middles.mean())
    yield _at_most("organs' middles, median mm", 8, float(np.median(middles)))
    overlap = float(_values(shown, "overlap").mean())
    yield "IoU of the extents, mean", "at least 0.72", f"{overlap:.3f}", overlap >= 0.72
    yield _at_most("centers in space, mapped, median mm", 12, float(np.median(centers)))
    if REFINED in ways:
        yield _at_most("centers in space, refined, median mm", 8, float(np.median(_values(ways[REFINED], "center_mm"))))
    worse = [f"{organ}: {way}" for organ, way in _not_better(ways)]
    yield "organs where a control is as near", "none", "; ".join(worse) or "none", not worse
    near = [score.middle_mm <= NEAR_MM for score in shown if score.certain]
    yield (
        f"of the certain within {NEAR_MM:.0f} mm",
        "at least 0.95",
        f"{np.mean(near):.3f}",
        bool(np.mean(near) >= 0.95),
    )


def _not_better(ways: Mapping[str, Sequence[PlaceScore]]) -> Iterator[tuple[str, str]]:
    """Organs and controls whose mean distance is not above that of the place shown; the body's center in space."""
    for organ in sorted({score.organ for score in ways[CONTEXT]}):
        for way in (HEIGHT, MIDDLE, SHUFFLED, BODY):
            attribute = "center_mm" if way == BODY else "middle_mm"
            ours, theirs = (
                _values([one for one in ways[name] if one.organ == organ], attribute) for name in (CONTEXT, way)
            )
            if ours.mean() >= theirs.mean():
                yield organ, way.removeprefix("control: ")


def _scores(one: Results, least: float) -> Iterator[Line]:
    if one.scores:
        ours, theirs = one.scores[USERS], one.scores[PLAIN]
        gain = paired_difference(precisions(pooled(ours, harder=True)), precisions(pooled(theirs, harder=True)))
        assert gain is not None
        text = f"{gain.mean:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})"
        yield "mAP without head and neck, minus the paper's score", f"at least {least:+.2f}", text, gain.mean >= least
        by_group = {group: paired_difference(precisions(ours[group]), precisions(theirs[group])) for group in ours}
        worse = [" ".join(group) for group, found in by_group.items() if found is not None and found.high < 0]
        yield "groups that are worse by more than the interval", "none", "; ".join(worse) or "none", not worse
    if one.likeness:
        area = auroc(one.likeness[WHOLE])
        yield "AUROC of likeness by body part", "at least 0.90", f"{area:.3f}", area >= 0.9


def _of(scores: Sequence[PlaceScore], organ: str) -> list[PlaceScore]:
    return [one for one in scores if one.organ == organ]


def _at_most(what: str, bar: float, here: float) -> Line:
    return what, f"at most {bar:g}", f"{here:.1f}", bool(here <= bar)


def _values(scores: Sequence[PlaceScore], name: str) -> np.ndarray:
    return np.array([getattr(score, name) for score in scores])
