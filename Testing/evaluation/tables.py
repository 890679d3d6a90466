"""The evaluation's results as Markdown tables: a row for each encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .localization import LocalizationScore
from .markdown import markdown
from .metrics import QueryScore, confidence_interval, mean
from .whole_volume import EASY_GROUPS, Table


def whole_volume_table(tables: Mapping[str, Table]) -> str:
    """A column for each group, and for all queries.

    Args:
        tables: by method (an encoder, or a control).
    """
    first = next(iter(tables.values()))
    header = [
        "method",
        *(f"{' '.join(group)} ({_counts(scores)})" for group, scores in first.items()),
        f"**all** ({_counts(pooled(first))})",
        "95 % interval of the mAP",
        f"**without head and neck** ({_counts(pooled(first, harder=True))})",
        "95 % interval of the mAP",
    ]
    rows = [
        [
            name,
            *(_retrieval(table[group]) for group in first),
            *(
                cell
                for harder in (False, True)
                for cell in (_retrieval(pooled(table, harder)), interval(table, harder))
            ),
        ]
        for name, table in tables.items()
    ]
    return markdown(header, rows)


def localization_table(labels: Sequence[str], scores: Mapping[tuple[str, ...], Sequence[LocalizationScore]]) -> str:
    """Everything that is known of each set of queries.

    Args:
        labels: head of the first columns.
        scores: by what stands in those columns.
    """
    header = [
        *labels,
        "queries",
        "region in top-1",
        "localization-ratio",
        "95 % interval",
        "ceiling",
        "ratio, shuffled",
        "distance mm (median)",
        "95 % interval",
        "shuffled mm",
        "volume's middle mm",
    ]
    rows = [[*names, len(several), *_localization(several)] for names, several in scores.items()]
    return markdown(header, rows)


def organ_table(scores: Mapping[str, Mapping[str, Sequence[LocalizationScore]]]) -> str:
    """A column for each organ.

    Args:
        scores: by method, then organ.
    """
    organs = sorted({organ for by_organ in scores.values() for organ in by_organ})
    rows = [[name, *(_organ(by_organ.get(organ, ())) for organ in organs)] for name, by_organ in scores.items()]
    return markdown(["method", *organs], rows)


def pooled(table: Table, harder: bool = False) -> list[QueryScore]:
    """The queries of all groups, or of all but the easy ones (whole_volume.EASY_GROUPS)."""
    return [score for group, scores in table.items() if not (harder and group in EASY_GROUPS) for score in scores]


def interval(table: Table, harder: bool = False) -> str:
    """The 95 % interval of the mAP."""
    scores = pooled(table, harder)
    if not scores:
        return ""
    low, high = confidence_interval([one.average_precision for one in scores], [one.patient for one in scores])
    return f"{low:.2f} to {high:.2f}"


def _counts(scores: Sequence[QueryScore]) -> str:
    patients = len({score.patient for score in scores})
    return f"{len(scores)} of {patients} patients" if patients != len(scores) else f"{patients} patients"


def _retrieval(scores: Sequence[QueryScore]) -> str:
    if not scores:
        return ""
    names = ("recall_at_1", "precision_at_5", "average_precision")
    return " / ".join(f"{mean(scores, name):.2f}" for name in names)


def _organ(scores: Sequence[LocalizationScore]) -> str:
    if not scores:
        return ""
    found, ratio, shuffled = (_values(scores, name).mean() for name in ("found", "ratio", "shuffled_ratio"))
    distances = " (".join(f"{_values(scores, name).mean():.0f}" for name in ("distance_mm", "shuffled_mm"))
    return f"{found:.2f} / {ratio:.2f} ({shuffled:.2f}) / {distances})"


def _localization(scores: Sequence[LocalizationScore]) -> list[str]:
    patients = [score.patient for score in scores]

    def average(name: str) -> str:
        return f"{_values(scores, name).mean():.2f}"

    def middle(name: str) -> str:
        values = _values(scores, name)
        return f"{values.mean():.0f} ({np.median(values):.0f})"

    def interval(name: str, digits: int) -> str:
        low, high = confidence_interval(_values(scores, name), patients)
        return f"{low:.{digits}f} to {high:.{digits}f}"

    return [
        average("found"),
        average("ratio"),
        interval("ratio", 2),
        average("ceiling"),
        average("shuffled_ratio"),
        middle("distance_mm"),
        interval("distance_mm", 0),
        middle("shuffled_mm"),
        middle("middle_mm"),
    ]


def _values(scores: Sequence[LocalizationScore], name: str) -> np.ndarray:
    return np.array([getattr(score, name) for score in scores])
