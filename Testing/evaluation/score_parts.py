"""What the parts of the score add to the paper's score, and what more candidates do."""

from __future__ import annotations

from collections.abc import Sequence

from VolumeRetrievalEngine.method.score_parts import DEFAULT, PAPER, PARTS

from .dataset import Case
from .evaluated import Evaluated
from .whole_volume import Table, evaluate_orders, in_groups, ordered

#: The scores that are compared, by what stands in the tables: the paper's first, users' last.
SCORES = {
    "paper's score": PAPER,
    **{f"{part} alone": part for part in PARTS},
    **{f"default without {part}": "+".join(one for one in PARTS if one != part) for part in PARTS},
    "default": DEFAULT,
}
PLAIN, USERS = next(iter(SCORES)), list(SCORES)[-1]

#: How many of the candidates are compared in full; all of them last.
CANDIDATES = (10, 20, 40)
ALL_CANDIDATES = "all"

_GROUPS = "body_part"


def evaluate_scores(evaluated: Evaluated, cases: Sequence[Case]) -> dict[str, Table]:
    """Whole volumes by body part, by each of SCORES."""
    return {
        name: evaluate_orders(cases, _GROUPS, ordered(evaluated, cases, ranking="two-stage", score=score))
        for name, score in SCORES.items()
    }


def evaluate_candidates(evaluated: Evaluated, cases: Sequence[Case]) -> dict[str, Table]:
    """Whole volumes by body part, where so many candidates are compared in full and the rest stays as the first stage
    put it."""
    tables = {}
    for name, number in (*((str(number), number) for number in CANDIDATES), (ALL_CANDIDATES, len(cases))):
        orders = {}
        for case in in_groups(cases):
            database = evaluated.database_for(case)
            order = database.archive.order_of_candidates(database.query(case), number)
            orders[case.id] = database.of_other_patients(case, order)
        tables[name] = evaluate_orders(cases, _GROUPS, orders)
    return tables
