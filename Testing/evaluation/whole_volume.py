"""Whole-volume retrieval: does a volume find those of the same body part, of other patients?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .database import Database
from .dataset import Case, groups_of_patients
from .metrics import QueryScore, score_ranking

#: The rankings that are compared, as options of a search.
RANKINGS: dict[str, dict[str, object]] = {
    "count, K=1": {"ranking": "count", "rows": 1},
    "count, K=10": {"ranking": "count", "rows": 10},
    "two-stage": {"ranking": "two-stage"},
    "exhaustive": {"ranking": "exhaustive"},
}

#: Scores of each query, by group and ranking.
Table = dict[tuple[str, str], list[QueryScore]]


def evaluate_whole_volumes(database: Database, attribute: str, ranking: str) -> Table:
    """Every volume of every group queries the whole database; relevant are the group's volumes of other patients.

    Args:
        attribute: "body_part" or "region": what makes a group, together with the modality.
        ranking: a key of RANKINGS.
    """
    cases = list(database.cases.values())
    table: Table = {}
    for name, group in groups_of_patients(cases, attribute).items():
        for case in group:
            result = database.search(case, **RANKINGS[ranking])
            ranked = [other for other, _ in database.of_other_patients(case, result)]
            table.setdefault(name, []).append(_score(case, ranked, group))
    return table


def evaluate_order(cases: Sequence[Case], attribute: str, distance: np.ndarray) -> Table:
    """The same for a ranking by a given distance, float [n, n] between all cases: for the controls."""
    place = {case.id: number for number, case in enumerate(cases)}
    table: Table = {}
    for name, group in groups_of_patients(list(cases), attribute).items():
        for case in group:
            order = np.argsort(distance[place[case.id]], kind="stable")
            ranked = [cases[number] for number in order if cases[number].patient != case.patient]
            table.setdefault(name, []).append(_score(case, ranked, group))
    return table


def _score(case: Case, ranked: Sequence[Case], group: Sequence[Case]) -> QueryScore:
    relevant = {other.id for other in group if other.patient != case.patient}
    return score_ranking(case.patient, [other.id in relevant for other in ranked], len(relevant))
