"""Does the search say when nothing fits?

Each volume queries the archive of the other patients twice: as it is, and without its body part. Whatever measures how
unusual the best result is should be higher the first time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .dataset import Case
from .evaluated import Evaluated

#: What is compared: the best score alone, and what users are told.
BEST_SCORE, STANDING = "best score alone", "likeness"


@dataclass(frozen=True)
class RelevanceScore:
    """One query in one archive.

    Attributes:
        patient, body_part: of the query.
        is_there: whether the archive has the body part.
        values: by measure.
        words: what users are told of the best result.
    """

    patient: str
    body_part: str
    is_there: bool
    values: dict[str, float]
    words: str = ""


def evaluate_relevance(evaluated: Evaluated, cases: Sequence[Case]) -> list[RelevanceScore]:
    """Every case whose body part another patient has, too."""
    scores = []
    for case in cases:
        others = [other for other in cases if other.patient != case.patient]
        without = [other for other in others if other.body_part != case.body_part]
        if not case.body_part or len(without) == len(others):
            continue
        database = evaluated.database_for(case)
        query = database.query(case)
        order = database.order(query, ranking="exhaustive")
        found = dict(zip(order.keys.tolist(), order.scores.tolist(), strict=True))
        for archive in (others, without):
            keys = np.array(sorted(database.records[one.id].key for one in archive), np.int64)
            values = {BEST_SCORE: max(found[key] for key in keys.tolist())}
            scores.append(RelevanceScore(case.patient, case.body_part, archive is others, values))
    return scores
