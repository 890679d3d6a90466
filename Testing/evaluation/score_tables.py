"""The score's parts, candidates, marks and likeness as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from VolumeRetrievalEngine.searching.likeness import Likeness

from .certainty import area_under_curve
from .differences import Values, cell, paired_difference
from .halves import HALVES, half_of
from .markdown import markdown
from .marks import MarkScore
from .metrics import QueryScore, confidence_interval, mean
from .score_parts import PLAIN
from .tables import interval, pooled
from .unusualness import StandingScore, auroc, share_called
from .whole_volume import EASY_GROUPS, Table

_PARTS = (
    "Whole volumes by body part, two-stage. Differences to the paper's score, query by query, with the 95 % interval "
    "of a bootstrap over patients; bold where it leaves out zero. Parameters were compared on one half of the patients "
    "and reported on the other, both ways (docs/METHOD.md)."
)
_CANDIDATES = (
    "mAP without head and neck (all groups), where so many candidates are compared in full and the others stay in the "
    "order of the first stage."
)
_MARKS = (
    "Residual mAP: of what was not looked at yet, where the first results are marked as fitting or not. All groups of "
    "body parts, and without head and neck."
)
_LIKENESS = (
    "Each volume, or slices from its middle, queries the archive of the other patients as it is, and without its body "
    "part. AUROC: how often the first is told from the second by the standing of the best result. Called: what users "
    "are told of it."
)


def parts_section(results: Sequence[tuple[str, Mapping[str, Table]]]) -> str:
    """What each part of the score adds.

    Args:
        results: the row's name, and its tables by score (score_parts.SCORES).
    """
    shown = [(name, tables) for name, tables in results if tables]
    if not shown:
        return ""
    rows, by_group = [], []
    groups = list(next(iter(shown[0][1].values())))
    for name, tables in shown:
        plain = tables[PLAIN]
        for score, table in tables.items():
            rows.append([name, score, _map(table), interval(table), _map(table, True), interval(table, True)])
            if score != PLAIN:
                ours, theirs = precisions(pooled(table, harder=True)), precisions(pooled(plain, harder=True))
                rows[-1] += [difference(ours, theirs, half) for half in (None, *HALVES)]
                by_group.append([name, score, *(_of_group(table, plain, group) for group in groups)])
            else:
                rows[-1] += [""] * 3
    head = ["method", "score", "mAP", "interval", "without head and neck", "interval", "minus the paper's", *HALVES]
    groups_head = ["minus the paper's", "score", *(" ".join(group) for group in groups)]
    return (
        f"## The score's parts\n\n{_PARTS}\n\n{markdown(head, rows)}\n\n### Group by group\n\n"
        f"{markdown(groups_head, by_group)}\n"
    )


def candidates_section(results: Sequence[tuple[str, Mapping[str, Table]]]) -> str:
    """Quality against the number of candidates that are compared in full."""
    shown = [(name, tables) for name, tables in results if tables]
    if not shown:
        return ""
    rows = [[name, *(f"{_map(one, True)} ({_map(one)})" for one in tables.values())] for name, tables in shown]
    return f"## Number of candidates\n\n{_CANDIDATES}\n\n{markdown(['method', *shown[0][1]], rows)}\n"


def marks_section(results: Sequence[tuple[str, Mapping[int, Sequence[MarkScore]]]]) -> str:
    """What marks add."""
    rows = []
    for name, by_count in results:
        for count, scores in by_count.items():
            for title, chosen in (("all", scores), ("without head and neck", _harder(scores))):
                before, after = (
                    {one.query: (one.patient, getattr(one, when)) for one in chosen} for when in ("before", "after")
                )
                means = [f"{np.mean([value for _, value in one.values()]):.3f}" for one in (before, after)]
                halves = [difference(after, before, half) for half in (None, *HALVES)]
                rows.append([name, count, title, len(chosen), *means, *halves])
    head = ["method", "marked", "groups", "queries", "before", "after", "difference", *HALVES]
    return f"## Marks\n\n{_MARKS}\n\n{markdown(head, rows)}\n" if rows else ""


def likeness_section(results: Sequence[tuple[str, Mapping[str, Sequence[StandingScore]]]]) -> str:
    """Whether the search says when nothing fits."""
    rows = []
    for name, by_slices in results:
        for slices, scores in by_slices.items():
            halves = [[one for one in scores if half_of(one.patient) == half] for half in HALVES]
            harder = [one for one in scores if one.group not in EASY_GROUPS]
            areas = [f"{auroc(one):.2f}" if one else "" for one in (*halves, harder)]
            words = [_words(scores, is_present) for is_present in (True, False)]
            rows.append([name, slices, len(scores), f"{auroc(scores):.2f}", _interval_of_area(scores), *areas, *words])
    head = ["method", "searched with", "queries", "AUROC", "interval", *HALVES, "without head and neck"]
    head += ["called, where it is there", "called, where it is not"]
    return f"## Is there anything like it?\n\n{_LIKENESS}\n\n{markdown(head, rows)}\n" if rows else ""


def precisions(scores: Iterable[QueryScore]) -> Values:
    """Average precision by query."""
    return {one.query: (one.patient, one.average_precision) for one in scores}


def _map(table: Table, harder: bool = False) -> str:
    scores = pooled(table, harder)
    return f"{mean(scores, 'average_precision'):.3f}" if scores else ""


def difference(ours: Values, theirs: Values, half: str | None) -> str:
    """The mean difference, of one half of the patients or (None) of all, and its interval."""
    chosen = {query: value for query, value in ours.items() if half is None or half_of(value[0]) == half}
    return cell(paired_difference(chosen, theirs), digits=3)


def _of_group(table: Table, plain: Table, group: tuple[str, str]) -> str:
    return cell(paired_difference(precisions(table[group]), precisions(plain[group])), digits=3)


def _harder(scores: Sequence[MarkScore]) -> list[MarkScore]:
    return [one for one in scores if one.group not in EASY_GROUPS]


def _words(scores: Sequence[StandingScore], is_present: bool) -> str:
    words = {Likeness(standing).words: 0 for standing in (1.0, 0.2, 0.0)}
    return ", ".join(f"{word} {share_called(scores, word, is_present):.2f}" for word in words)


def _interval_of_area(scores: Sequence[StandingScore]) -> str:
    """The 95 % interval by a bootstrap over patients: of the share of the others' pairs that a query wins."""
    absent = [one.absent for one in scores]
    won = [area_under_curve([one.present], absent) for one in scores]
    low, high = confidence_interval(won, [one.patient for one in scores])
    return f"{low:.2f} to {high:.2f}"
