"""evaluation/edition_bars.py: the encoder that ships, against its first edition and what needs no training."""

from __future__ import annotations

from dataclasses import replace

from evaluation.edition_bars import edition_bars
from evaluation.localization import LocalizationScore
from evaluation.metrics import QueryScore
from evaluation.places import CONTEXT, PlaceScore
from evaluation.questions import HEAD_AND_NECK
from evaluation.results import Results

PATIENTS = ("anna", "bert", "carl", "dora")


def results_of(chest: float, neck: float, region: float, overlap: float, middle_mm: float, found: float) -> Results:
    """What an encoder reached, the same for every query."""

    def table(**groups: float) -> dict[str, dict[tuple[str, str], list[QueryScore]]]:
        return {
            "two-stage": {
                ("CT", name.upper()): [QueryScore(f"{one} {name}", one, 1.0, 1.0, precision) for one in PATIENTS]
                for name, precision in groups.items()
            }
        }

    places = [PlaceScore(HEAD_AND_NECK, f"{one} Liver", one, "Liver", middle_mm, overlap, 0, 0, 0) for one in PATIENTS]
    pairs = [LocalizationScore(f"{one} GTV", one, found, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0) for one in PATIENTS]
    return Results(
        "an encoder",
        False,
        {"body_part": table(chest=chest, headneck=neck), "region": table(thigh=region)},
        {"two-stage": {}},
        {"CT finds MR": pairs},
        places={HEAD_AND_NECK: {CONTEXT: places}},
    )


OURS = results_of(chest=0.9, neck=0.9, region=0.8, overlap=0.75, middle_mm=8.0, found=0.75)
EARLIER = results_of(chest=0.8, neck=1.0, region=0.8, overlap=0.75, middle_mm=9.0, found=0.5)
REFERENCE = results_of(chest=0.7, neck=0.8, region=0.7, overlap=0.6, middle_mm=12.0, found=0.75)


def test_bars_that_are_reached_say_by_how_much() -> None:
    lines = {what: (here, kept) for what, _, here, kept in edition_bars(OURS, EARLIER, REFERENCE, REFERENCE)}

    assert all(kept for _, kept in lines.values())
    # Head and neck is left out: with it the first edition would be as good.
    assert lines["mAP without head and neck, minus the first edition"][0] == "+0.100 (+0.100 to +0.100)"
    assert lines["mAP by region, minus MobileNetV2"][0] == "+0.100 (+0.100 to +0.100)"
    assert lines["organs' middles, minus the first edition"][0] == "-1.0 mm (-1.0 to -1.0)"
    assert len(lines) == 7


def test_bars_that_are_missed_say_what_is_worse() -> None:
    worse = results_of(chest=0.6, neck=0.9, region=0.72, overlap=0.7, middle_mm=10.0, found=0.5)

    lines = {what: (here, kept) for what, _, here, kept in edition_bars(worse, EARLIER, REFERENCE, OURS)}

    assert not any(kept for _, kept in lines.values())
    assert lines["groups below descriptor by more than the interval"][0] == "CT CHEST -0.10"
    assert lines["groups below MobileNetV2 by more than the interval"][0] == "CT CHEST -0.30; CT THIGH -0.08"


def test_without_the_first_edition_the_other_bars_stand() -> None:
    lines = [what for what, *_ in edition_bars(replace(OURS, name="new"), None, REFERENCE, REFERENCE)]

    assert len(lines) == 5 and not any("first edition" in what for what in lines)
