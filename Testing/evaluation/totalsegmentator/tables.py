"""The answers as tables: recall of each class, and the mean and standard deviation over classes, as paper A reports."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..markdown import markdown
from .experiments import COUNT, RANKINGS, RERANKED
from .structures import LEVELS

Answers = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Figure:
    """One column of figures: how to read it from the answers of a subject, as (sum, count) by class.

    Attributes:
        paper: paper A's best figure by level, where its text was read (docs/METHOD.md); re-ranked, its best encoder.
    """

    name: str
    read: Callable[[Mapping[str, Any]], Mapping[str, tuple[float, int]]]
    digits: int = 3
    paper: Mapping[str, str] | None = None


def figures() -> list[Figure]:
    """Every figure, in the order of the report."""

    def volume(ranking: str) -> Callable[[Mapping[str, Any]], Mapping[str, tuple[float, int]]]:
        return lambda of: {name: (found, 1) for name, found in of["volume"][ranking].items()}

    def region(ranking: str, value: str) -> Callable[[Mapping[str, Any]], Mapping[str, tuple[float, int]]]:
        return lambda of: {
            name: (answer[value], 1) for name, answer in of["region"][ranking].items() if answer.get(value) is not None
        }

    paper_volume = {"coarse": ".967", "fine": ".924"}
    paper_region = {"coarse": ".987 +- .027", "fine": ".987 +- .024"}
    several = [Figure("slice-wise recall", lambda of: {name: tuple(pair) for name, pair in of["slices"].items()})]
    for ranking in RANKINGS:
        papers = ranking == RERANKED
        several += [
            Figure(f"volume-based recall, {ranking}", volume(ranking), paper=paper_volume if papers else None),
            Figure(f"region-based recall, {ranking}", region(ranking, "found"), paper=paper_region if papers else None),
            Figure(f"localized recall, {ranking}", region(ranking, "localized")),
            Figure(f"localization-ratio (L = 15), {ranking}", region(ranking, "ratio")),
        ]
        if ranking != COUNT:
            several += [
                Figure(f"distance of the middles, mm, {ranking}", region(ranking, "middle_mm"), digits=1),
                Figure(f"overlap of the extents (IoU), {ranking}", region(ranking, "overlap")),
            ]
    return several


def by_class(answers: Answers, level: str, figure: Figure) -> dict[str, float]:
    """The mean of a figure over the queries (slices, where it counts slices) that show a class, by class."""
    sums: dict[str, tuple[float, int]] = {}
    for one in answers:
        for name, (total, count) in figure.read(one[level]).items():
            if count:
                before, counted = sums.get(name, (0.0, 0))
                sums[name] = before + total, counted + count
    return {name: total / count for name, (total, count) in sorted(sums.items())}


def summary_table(answers: Mapping[str, Answers], level: str) -> str:
    """Mean and standard deviation over classes, a column for each encoder, with the paper's figure beside."""
    rows = []
    for figure in figures():
        cells = [_over_classes(by_class(several, level, figure), figure.digits) for several in answers.values()]
        rows.append([figure.name, *cells, (figure.paper or {}).get(level, "")])
    return markdown(["", *answers, "paper A, its best encoder"], rows)


def class_table(answers: Answers, level: str) -> str:
    """Every class by every figure, for one encoder."""
    columns = [(figure, by_class(answers, level, figure)) for figure in figures()]
    names = sorted({name for _, values in columns for name in values})
    rows = [[name, *(_cell(values.get(name), figure.digits) for figure, values in columns)] for name in names]
    return markdown([LEVELS[level], *(figure.name for figure, _ in columns)], rows)


def sections(answers: Mapping[str, Answers]) -> Iterator[str]:
    """The tables of the report."""
    for level, title in LEVELS.items():
        yield f"## Mean and standard deviation over {title}\n\n{summary_table(answers, level)}\n"
    for name, several in answers.items():
        for level, title in LEVELS.items():
            yield f"## {name}: {title}\n\n{class_table(several, level)}\n"


def _over_classes(values: Mapping[str, float], digits: int) -> str:
    if not values:
        return ""
    found = np.array(list(values.values()))
    return f"{found.mean():.{digits}f} +- {found.std():.{digits}f} ({len(found)})"


def _cell(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
