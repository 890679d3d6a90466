"""What was promised of the encoder that ships, against its first edition and what needs no training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from .differences import Difference, Values, paired_difference
from .localization import LocalizationScore
from .places import CONTEXT, PlaceScore
from .questions import HEAD_AND_NECK
from .results import Results
from .score_tables import precisions
from .tables import pooled
from .whole_volume import ATTRIBUTES, RANKINGS, Table

#: What a row says: what is meant, the bar, what was reached, and whether that is enough.
Line = tuple[str, str, str, bool]

_GAIN, _BY_REGION, _OVERLAP = 0.03, 0.03, 0.74
_RANKING = next(iter(RANKINGS))


def edition_bars(ours: Results, earlier: Results | None, descriptor: Results, mobilenet: Results) -> Iterator[Line]:
    """A line for each bar; those against the earlier edition only where that is at hand."""
    tables = {attribute: ours.whole_volume[attribute][_RANKING] for attribute in ATTRIBUTES}
    if earlier is not None:
        before = earlier.whole_volume["body_part"][_RANKING]
        harder = (precisions(pooled(table, harder=True)) for table in (tables["body_part"], before))
        found = _difference(*harder)
        yield "mAP without head and neck, minus the first edition", f"at least +{_GAIN}", *_told(found, _GAIN)
    for name, reference in (("MobileNetV2", mobilenet), ("descriptor", descriptor)):
        worse = [
            f"{' '.join(group)} {found.mean:+.2f}"
            for attribute, table in tables.items()
            for group, found in _by_group(table, reference.whole_volume[attribute][_RANKING]).items()
            if found.high < 0
        ]
        yield f"groups below {name} by more than the interval", "none", "; ".join(worse) or "none", not worse
    by_region = (tables["region"], mobilenet.whole_volume["region"][_RANKING])
    found = _difference(*(precisions(pooled(table)) for table in by_region))
    yield "mAP by region, minus MobileNetV2", f"at least +{_BY_REGION}", *_told(found, _BY_REGION)
    overlap = float(np.mean([one.overlap for one in _shown(ours)]))
    yield "organs' IoU of the extents, mean", f"at least {_OVERLAP}", f"{overlap:.3f}", overlap >= _OVERLAP
    if earlier is not None:
        found = _difference(_middles(ours), _middles(earlier))
        told = f"{found.mean:+.1f} mm ({found.low:+.1f} to {found.high:+.1f})"
        yield "organs' middles, minus the first edition", "not farther", told, found.mean <= 0
    for direction, scores in ours.other_modality.items():
        here, least = (_first(several) for several in (scores, descriptor.other_modality[direction]))
        yield (
            f"{direction}: the right patient first",
            f"at least {least:.2f} (descriptor)",
            f"{here:.2f}",
            here >= least,
        )


def _told(found: Difference, least: float) -> tuple[str, bool]:
    return f"{found.mean:+.3f} ({found.low:+.3f} to {found.high:+.3f})", found.mean >= least


def _difference(ours: Values, theirs: Values) -> Difference:
    found = paired_difference(ours, theirs)
    assert found is not None
    return found


def _by_group(ours: Table, theirs: Table) -> dict[tuple[str, str], Difference]:
    return {group: _difference(precisions(scores), precisions(theirs[group])) for group, scores in ours.items()}


def _shown(one: Results) -> Sequence[PlaceScore]:
    return one.places[HEAD_AND_NECK][CONTEXT]


def _middles(one: Results) -> Mapping[str, tuple[str, float]]:
    return {score.query: (score.patient, score.middle_mm) for score in _shown(one)}


def _first(scores: Sequence[LocalizationScore]) -> float:
    return float(np.mean([one.found for one in scores]))
