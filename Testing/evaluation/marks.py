"""What marking results as fitting or not is worth: how well what was not looked at yet is ranked after it.

Residual average precision: the marked results are taken out of the ranking and of what is relevant, before and after.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .dataset import Case, groups_of_patients
from .evaluated import Evaluated
from .metrics import score_ranking

#: So many of the first results are marked.
MARKED = (1, 3, 5)


@dataclass(frozen=True)
class MarkScore:
    """How one query did.

    Attributes:
        query, patient, group: the case that was searched with, and its body part.
        before, after: residual average precision without and with the marks.
    """

    query: str
    patient: str
    group: tuple[str, str]
    before: float
    after: float


def evaluate_marks(evaluated: Evaluated, cases: Sequence[Case], marked: int) -> list[MarkScore]:
    """Each volume of a body part of several patients; the first `marked` results are marked as what they are.

    Queries whose relevant volumes are all among the marked ones are left out: nothing is left to find.
    """
    scores = []
    for group, members in groups_of_patients(cases, "body_part").items():
        for case in members:
            database = evaluated.database_for(case)
            query = database.query(case)
            relevant = {other.id for other in members if other.patient != case.patient}
            ranked = database.of_other_patients(case, database.order(query))
            judged, rest = ranked[:marked], ranked[marked:]
            left = relevant - {one.id for one in judged}
            if not left:
                continue
            like, unlike = (
                tuple(database.records[one.id].volume_id for one in judged if (one.id in relevant) == fits)
                for fits in (True, False)
            )
            again = database.of_other_patients(case, database.order(query, like=like, unlike=unlike))
            looked_at = {one.id for one in judged}
            before, after = (
                score_ranking(case.id, case.patient, [one.id in left for one in order], len(left)).average_precision
                for order in (rest, [one for one in again if one.id not in looked_at])
            )
            scores.append(MarkScore(case.id, case.patient, group, before, after))
    return scores
