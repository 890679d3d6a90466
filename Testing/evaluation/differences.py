"""Is one encoder better than another? Paired by query, with a bootstrap over patients."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .localization import LocalizationScore
from .metrics import QueryScore, confidence_interval
from .results import Results

#: A figure of each query: by query, the patient and the value.
Values = Mapping[str, tuple[str, float]]


@dataclass(frozen=True)
class Figure:
    """One figure that encoders are compared by.

    Attributes:
        name: for the table's head; "mm" at its end means that less is better.
        values: takes an encoder's results.
    """

    name: str
    values: Callable[[Results], Values]


@dataclass(frozen=True)
class Difference:
    """How much higher one encoder's mean is than another's over the same queries.

    Attributes:
        mean: of the differences, query by query.
        low, high: 95 % interval, resampling patients.
        queries: that both answered.
    """

    mean: float
    low: float
    high: float
    queries: int


def paired_difference(ours: Values, theirs: Values) -> Difference | None:
    """The mean difference over the queries that both answered; None if there are none.

    The patients that a resample draws are the same for both, because each query's difference is one value.
    """
    shared = [query for query in ours if query in theirs]
    if not shared:
        return None
    differences = [ours[query][1] - theirs[query][1] for query in shared]
    low, high = confidence_interval(differences, [ours[query][0] for query in shared])
    return Difference(float(np.mean(differences)), low, high, len(shared))


def difference_rows(results: Sequence[Results], reference: Results, figures: Sequence[Figure]) -> list[list[str]]:
    """A row for each other encoder: its name and, for each figure, the difference to the reference.

    In-sample rows are left out: what a network reaches on patients it was trained on beats nothing.
    """
    return [
        [one.name, *(cell(paired_difference(figure.values(one), figure.values(reference))) for figure in figures)]
        for one in results
        if one.name != reference.name and not one.in_sample
    ]


def average_precision(attribute: str, ranking: str, group: tuple[str, str] | None = None) -> Figure:
    """Mean average precision of whole volumes, of one group or (None) of all."""

    def values(results: Results) -> Values:
        table = results.whole_volume[attribute][ranking]
        chosen = table.values() if group is None else [table[group]]
        return _by_query((score for scores in chosen for score in scores), lambda score: score.average_precision)

    return Figure("all" if group is None else " ".join(group), values)


def localization(name: str, chosen: Callable[[Results], Iterable[LocalizationScore]], attribute: str) -> Figure:
    """A figure of localization: `attribute` of a LocalizationScore, over the chosen scores."""
    return Figure(name, lambda results: _by_query(chosen(results), lambda score: getattr(score, attribute)))


def _by_query(
    scores: Iterable[QueryScore] | Iterable[LocalizationScore], value: Callable[[QueryScore | LocalizationScore], float]
) -> dict[str, tuple[str, float]]:
    return {score.query: (score.patient, value(score)) for score in scores}


def cell(difference: Difference | None, digits: int | None = None) -> str:
    """The mean and its interval; bold where the interval leaves out zero.

    Args:
        digits: after the point; by default two where values are small, none where they are mm.
    """
    if difference is None:
        return ""
    if digits is None:
        digits = 2 if max(abs(difference.low), abs(difference.high)) < 5 else 0
    text = f"{difference.mean:+.{digits}f} ({difference.low:+.{digits}f} to {difference.high:+.{digits}f})"
    return f"**{text}**" if difference.low > 0 or difference.high < 0 else text
