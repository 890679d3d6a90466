"""Whole-volume retrieval: does a volume find those of the same body part, of other patients?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .dataset import Case, groups_of_patients
from .evaluated import Evaluated
from .metrics import QueryScore, score_ranking

#: The rankings that are compared, as options of a search; the default one first.
RANKINGS: dict[str, dict[str, object]] = {
    "two-stage": {"ranking": "two-stage"},
    "exhaustive": {"ranking": "exhaustive"},
    "count, K=1": {"ranking": "count", "rows": 1},
    "count, K=10": {"ranking": "count", "rows": 10},
}
#: What makes a group, together with the modality.
ATTRIBUTES = ("body_part", "region")

#: The groups that anything finds: the control without a look at anatomy is as high as the method (one source).
EASY_GROUPS = (("CT", "HEADNECK"), ("CT", "head to upper chest"))

#: The cases of other patients, best first, by the id of the case that was searched with.
Orders = Mapping[str, Sequence[Case]]
#: Scores of each query, by group.
Table = dict[tuple[str, str], list[QueryScore]]


def searched_orders(evaluated: Evaluated, cases: Sequence[Case], ranking: str) -> Orders:
    """Every case that is in a group queries the whole database.

    Args:
        ranking: a key of RANKINGS.
    """
    return ordered(evaluated, cases, **RANKINGS[ranking])


def ordered(evaluated: Evaluated, cases: Sequence[Case], **options: object) -> dict[str, list[Case]]:
    """The same with any options of a search."""
    orders = {}
    for case in in_groups(cases):
        database = evaluated.database_for(case)
        order = database.order(database.query(case), **options)
        orders[case.id] = database.of_other_patients(case, order)
    return orders


def orders_by_distance(cases: Sequence[Case], distance: np.ndarray) -> Orders:
    """The same by a given distance, float [n, n] between all cases: for the controls."""
    place = {case.id: number for number, case in enumerate(cases)}
    orders = {}
    for case in in_groups(cases):
        order = np.argsort(distance[place[case.id]], kind="stable")
        orders[case.id] = [cases[number] for number in order if cases[number].patient != case.patient]
    return orders


def evaluate_orders(cases: Sequence[Case], attribute: str, orders: Orders) -> Table:
    """Score what was found for each case of each group; relevant are the group's cases of other patients."""
    return {
        name: [_score(case, orders[case.id], group) for case in group]
        for name, group in groups_of_patients(cases, attribute).items()
    }


def in_groups(cases: Sequence[Case]) -> list[Case]:
    """The cases that are in a group by any attribute."""
    chosen = {
        case.id for attribute in ATTRIBUTES for group in groups_of_patients(cases, attribute).values() for case in group
    }
    return [case for case in cases if case.id in chosen]


def _score(case: Case, ranked: Sequence[Case], group: Sequence[Case]) -> QueryScore:
    relevant = {other.id for other in group if other.patient != case.patient}
    return score_ranking(case.id, case.patient, [other.id in relevant for other in ranked], len(relevant))
