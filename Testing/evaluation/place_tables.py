"""Where organs were placed, as Markdown tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .certainty import CertaintyScore, CertaintyScores, area_under_curve
from .markdown import markdown
from .metrics import confidence_interval
from .places import NEAR_MM, WAYS, PlaceScore, PlaceScores
from .questions import KINDS

_PLACES = (
    "Middles, first and last slices along the stack, IoU of the extents; centers in space, of the organ's box and of "
    "the box that it is mapped to. Means (medians), and the 95 % interval of the mean by a bootstrap over patients. "
    "Refined: with a registration, for some of the queries; certain then means that it was believed. Near: within "
    f"{NEAR_MM:.0f} mm along the stack (refined: in space)."
)
_BY_ORGAN = "Each cell: mean (median) distance of the middles along the stack / of the centers in space, mm."
_CERTAINTY = (
    "Of head-and-neck organs in the volume where they are judged, against CT volumes of other body parts, where no "
    "place is right (controls). AUROC: of the certainty. The threshold was chosen on every other patient; the rows "
    f"of the others are those that count. Near: within {NEAR_MM:.0f} mm along the stack."
)


CERTAINTY_HEAD = (
    "AUROC",
    "called certain",
    "of these near",
    "interval",
    "controls called certain",
    "AUROC, near against far",
)


def places_section(results: Sequence[tuple[str, Mapping[str, PlaceScores]]]) -> str:
    """Everything about places.

    Args:
        results: the row's name, and its scores by kind and way.
    """
    parts = []
    for kind in KINDS:
        here = [(name, by_kind[kind]) for name, by_kind in results if by_kind.get(kind)]
        if not here:
            continue
        by_way = {(name, way): ways[way] for name, ways in here for way in WAYS if way in ways}
        parts.append(f"### {kind[0].upper()}{kind[1:]}\n\n{places_table(['method', 'place by'], by_way)}\n")
        organs = sorted({score.organ for _, ways in here for score in next(iter(ways.values()))})
        if len(organs) > 1:
            parts.append(f"{_BY_ORGAN}\n\n{organs_table(here, organs)}\n")
    if not parts:
        return ""
    return "\n".join([f"## Where it lies in another volume\n\n{_PLACES}\n", *parts])


def places_table(labels: Sequence[str], scores: Mapping[tuple[str, ...], Sequence[PlaceScore]]) -> str:
    """How exactly organs were placed.

    Args:
        labels: head of the first columns.
        scores: by what stands in those columns.
    """
    header = [
        *labels,
        "queries",
        "middle mm",
        "interval",
        "IoU",
        "interval",
        "first mm",
        "last mm",
        "center in space mm",
        "interval",
        "called certain",
        "of these near",
    ]
    return markdown(header, [[*names, len(several), *_places(several)] for names, several in scores.items()])


def organs_table(results: Sequence[tuple[str, PlaceScores]], organs: Sequence[str]) -> str:
    """A row for each way, a column for each organ."""
    rows = []
    for name, ways in results:
        for way, several in ways.items():
            by_organ = {organ: [score for score in several if score.organ == organ] for organ in organs}
            rows.append([name, way, *(_organ(by_organ[organ]) for organ in organs)])
    return markdown(["method", "place by", *organs], rows)


def certainty_section(results: Sequence[tuple[str, CertaintyScores]]) -> str:
    """How far certainty can be relied on."""
    rows = []
    for name, by_reading in results:
        for reading, scores in by_reading.items():
            rows.append([name, reading, "the others", *certainty_cells(others(scores))])
            rows.append([name, reading, "all", *certainty_cells(scores)])
    header = ["method", "followed", "patients", *CERTAINTY_HEAD]
    return f"### Certainty\n\n{_CERTAINTY}\n\n{markdown(header, rows)}\n" if rows else ""


def _places(scores: Sequence[PlaceScore]) -> list[str]:
    patients = [score.patient for score in scores]

    def interval(name: str, digits: int) -> str:
        values = _values(scores, name)
        if np.isnan(values).all():
            return ""
        low, high = confidence_interval(values, patients)
        return f"{low:.{digits}f} to {high:.{digits}f}"

    certain = [score for score in scores if score.certain]
    near = [(score.center_mm if np.isnan(score.middle_mm) else score.middle_mm) <= NEAR_MM for score in certain]
    overlap = _values(scores, "overlap")
    return [
        _middle(scores, "middle_mm"),
        interval("middle_mm", 1),
        "" if np.isnan(overlap).all() else f"{overlap.mean():.2f}",
        interval("overlap", 2),
        _middle(scores, "first_mm"),
        _middle(scores, "last_mm"),
        _middle(scores, "center_mm"),
        interval("center_mm", 1),
        f"{len(certain) / len(scores):.2f}" if certain else "",
        f"{np.mean(near):.2f}" if certain else "",
    ]


def _organ(scores: Sequence[PlaceScore]) -> str:
    if not scores:
        return ""
    return f"{_middle(scores, 'middle_mm') or '-'} / {_middle(scores, 'center_mm')}"


def others(scores: Sequence[CertaintyScore]) -> list[CertaintyScore]:
    """Those of the patients on whom the threshold was not chosen."""
    chosen = set(sorted({score.patient for score in scores})[1::2])
    return [score for score in scores if score.patient in chosen]


def certainty_cells(scores: Sequence[CertaintyScore]) -> list[str]:
    """The figures under CERTAINTY_HEAD."""
    right = [score for score in scores if not score.is_control]
    wrong = [score.certainty for score in scores if score.is_control]
    certain = [score for score in right if score.certain]
    near = [float(score.is_near) for score in certain]
    interval = confidence_interval(near, [score.patient for score in certain]) if certain else (np.nan, np.nan)
    far = [score.certainty for score in right if not score.is_near]
    return [
        f"{area_under_curve([score.certainty for score in right], wrong):.2f}",
        f"{len(certain) / len(right):.2f}",
        f"{np.mean(near):.2f}" if near else "",
        f"{interval[0]:.2f} to {interval[1]:.2f}" if near else "",
        f"{np.mean([score.certain for score in scores if score.is_control]):.2f}",
        f"{area_under_curve([score.certainty for score in right if score.is_near], far):.2f}" if far else "",
    ]


def _middle(scores: Sequence[PlaceScore], name: str) -> str:
    """Mean and median; "" where the way says nothing of it."""
    values = _values(scores, name)
    return "" if np.isnan(values).all() else f"{values.mean():.1f} ({np.median(values):.1f})"


def _values(scores: Sequence[PlaceScore], name: str) -> np.ndarray:
    return np.array([getattr(score, name) for score in scores])
