"""Is a place called certain where it is right, and uncertain where there is none?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .places import NEAR_MM
from .questions import Question

#: The two readings: within the whole volume, as users get it, and of the region's slices alone.
WITHIN, ALONE = "within the whole volume", "of the region alone"

#: Volumes without the organ that it is looked for in, for each question.
_CONTROLS = 3
#: Parts of the body that head-and-neck organs are, or may be, in.
_NEAR_THE_HEAD = ("HEADNECK", "HEAD", "BRAIN", "NECK", "ATLAS", "SPINE")
_LEAST_ROWS = 11


@dataclass(frozen=True)
class CertaintyScore:
    """One place.

    Attributes:
        patient: whose organ was looked for.
        certainty: of the place, and whether it is called certain by it.
        distance_mm: between the middles; NaN in a volume that does not have the organ.
    """

    patient: str
    certainty: float
    certain: bool
    distance_mm: float

    @property
    def is_control(self) -> bool:
        return bool(np.isnan(self.distance_mm))

    @property
    def is_near(self) -> bool:
        return self.distance_mm <= NEAR_MM


#: By reading.
CertaintyScores = dict[str, list[CertaintyScore]]


def evaluate_certainty(questions: Sequence[Question], seed: int = 0) -> CertaintyScores:
    """Each question in the volume that has the organ, and in CT volumes of other body parts, where no place is right.

    Args:
        questions: of head-and-neck organs.
        seed: of the choice of volumes.
    """
    random = np.random.default_rng(seed)
    scores: CertaintyScores = {WITHIN: [], ALONE: []}
    for one in questions:
        elsewhere = [
            case
            for case in one.database.cases.values()
            if case.modality == "CT"
            and case.body_part not in _NEAR_THE_HEAD
            and case.patient != one.case.patient
            and len(one.database.slices_of(case)) >= _LEAST_ROWS
        ]
        chosen = random.choice(len(elsewhere), min(_CONTROLS, len(elsewhere)), replace=False)
        alone = replace(one.query, context=None)
        for reading, query in ((WITHIN, one.query), (ALONE, alone)):
            place = one.database.match(query, one.other).place
            assert place is not None
            rows = one.database.slices_of(one.other).position[one.database.rows_of(one.other, one.organ)]
            distance = abs(place.start_mm + place.end_mm - rows.min() - rows.max()) / 2
            scores[reading].append(CertaintyScore(one.case.patient, place.certainty, place.is_certain, distance))
            for number in chosen:
                place = one.database.match(query, elsewhere[number]).place
                assert place is not None
                scores[reading].append(CertaintyScore(one.case.patient, place.certainty, place.is_certain, np.nan))
    return scores


def area_under_curve(positive: Sequence[float], negative: Sequence[float]) -> float:
    """The share of pairs in which the positive one is higher (AUROC); ties count one half. NaN without pairs."""
    if not len(positive) or not len(negative):
        return float("nan")
    above = np.subtract.outer(np.asarray(positive, np.float64), np.asarray(negative, np.float64))
    return float((above > 0).mean() + 0.5 * (above == 0).mean())
