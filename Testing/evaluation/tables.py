"""The evaluation's results as Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from .localization import LocalizationScore
from .metrics import QueryScore, confidence_interval, mean
from .whole_volume import Table


def markdown(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def whole_volume_table(tables: dict[str, Table]) -> str:
    """One row for each group, one column of figures for each method.

    Args:
        tables: by method (encoder and ranking, or a control).
    """
    groups = list(next(iter(tables.values())))
    header = ["group", "queries", "patients", *tables]
    rows = [
        [
            " ".join(group),
            len(next(iter(tables.values()))[group]),
            len({score.patient for score in next(iter(tables.values()))[group]}),
            *(_retrieval(table[group]) for table in tables.values()),
        ]
        for group in groups
    ]
    pooled = {name: [score for group in groups for score in table[group]] for name, table in tables.items()}
    rows.append(
        ["**all queries**", len(next(iter(pooled.values()))), "", *(_retrieval(one) for one in pooled.values())]
    )
    rows.append(["95 % interval of the mAP", "", "", *(_interval(one) for one in pooled.values())])
    return markdown(header, rows)


def localization_table(scores: dict[str, dict[str, list[LocalizationScore]]]) -> str:
    """One row for each region, and method.

    Args:
        scores: by method, then region.
    """
    header = [
        "region",
        "method",
        "queries",
        "region in top-1",
        "localization-ratio",
        "ceiling",
        "ratio, shuffled",
        "distance mm (median)",
        "shuffled mm",
        "volume's middle mm",
    ]
    rows = []
    for method, by_region in scores.items():
        for region, several in [*by_region.items(), ("**all**", [one for many in by_region.values() for one in many])]:
            rows.append([region, method, len(several), *_localization(several)])
    rows.sort(key=lambda row: (row[0].startswith("**"), row[0]))
    return markdown(header, rows)


def _retrieval(scores: Sequence[QueryScore]) -> str:
    names = ("recall_at_1", "precision_at_5", "average_precision")
    return " / ".join(f"{mean(scores, name):.2f}" for name in names)


def _interval(scores: Sequence[QueryScore]) -> str:
    low, high = confidence_interval([one.average_precision for one in scores], [one.patient for one in scores])
    return f"{low:.2f} to {high:.2f}"


def _localization(scores: Sequence[LocalizationScore]) -> list[str]:
    def average(name: str) -> str:
        return f"{np.mean([getattr(score, name) for score in scores]):.2f}"

    def median(name: str) -> str:
        values = [getattr(score, name) for score in scores]
        return f"{np.mean(values):.0f} ({np.median(values):.0f})"

    return [
        average("found"),
        average("ratio"),
        average("ceiling"),
        average("shuffled_ratio"),
        median("distance_mm"),
        median("shuffled_mm"),
        median("middle_mm"),
    ]
