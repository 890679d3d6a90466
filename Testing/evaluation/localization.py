"""Does the matched range lie where the region really is?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from VolumeRetrievalEngine.attribute_filter import AttributeFilter
from VolumeRetrievalEngine.localization import RATIO_LENGTH, localization_ratio, matched_ranges
from VolumeRetrievalEngine.match import Match, SearchResult
from VolumeRetrievalEngine.region import MaskRegion

from .database import Database
from .dataset import Case


@dataclass(frozen=True)
class LocalizationScore:
    """How one region query did.

    Attributes:
        patient: whose region was searched with.
        found: 1.0 if the first volume (of another patient, or the right one) contains the region.
        ratio: localization-ratio in the judged volume.
        ceiling: the highest ratio possible there (a region of fewer slices than L cannot fill it).
        distance_mm: between the middles of the heaviest matched range and of the region.
        shuffled_ratio, shuffled_mm: the same with the judged volume's slices in random order.
        middle_mm: distance of the region from the volume's middle: a guess that looks at nothing.
    """

    patient: str
    found: float
    ratio: float
    ceiling: float
    distance_mm: float
    shuffled_ratio: float
    shuffled_mm: float
    middle_mm: float


def evaluate_organs(
    database: Database, ranking: dict[str, object], seed: int = 0
) -> dict[str, list[LocalizationScore]]:
    """Each head-and-neck organ of each patient queries the volumes of all others (scores by organ).

    `found` asks whether the top-1 volume has a mask of the organ; the position is judged in the best ranked volume
    that has one, because only there the truth is known.
    """
    random = np.random.default_rng(seed)
    cases = [case for case in database.cases.values() if case.body_part == "HEADNECK" and case.labels]
    scores: dict[str, list[LocalizationScore]] = {}
    for case in cases:
        for organ, mask in sorted(case.labels.items()):
            others = [other for other in cases if other.patient != case.patient and organ in other.labels]
            if len(others) < 2 or organ.startswith("PTV"):  # a target volume is no organ: each lies elsewhere
                continue
            result = database.search(case, MaskRegion.from_file(mask), **ranking)
            ranked = database.of_other_patients(case, result)
            judged = next(((other, place) for other, place in ranked if organ in other.labels), None)
            if judged is None:
                continue
            other, place = judged
            found = float(bool(ranked) and organ in ranked[0][0].labels)
            score = _judge(database, other, organ, result, result.matches[place], found, case.patient, random)
            scores.setdefault(organ, []).append(score)
    return scores


def evaluate_other_modality(database: Database, query_modality: str, seed: int = 0) -> list[LocalizationScore]:
    """The tumour of each sarcoma patient in one modality searches for it in the other: CT finds MR, or MR finds CT.

    `found` asks whether the top-1 volume is of the same patient; the position is judged in that patient's volume.
    """
    random = np.random.default_rng(seed)
    target = {"CT": "MR", "MR": "CT"}[query_modality]
    sarcomas = [case for case in database.cases.values() if case.body_part == "EXTREMITY" and "GTV" in case.labels]
    by_patient = {case.patient: case for case in sarcomas if case.modality == target}
    scores = []
    for case in sarcomas:
        if case.modality != query_modality or (other := by_patient.get(case.patient)) is None:
            continue
        region = MaskRegion.from_file(case.labels["GTV"])
        result = database.search(
            case, region, ranking="exhaustive", attributes=AttributeFilter.parse([f"modality={target}"])
        )
        match = next(one for one in result.matches if database.cases[one.key].id == other.id)
        found = float(database.cases[result.matches[0].key].patient == case.patient)
        scores.append(_judge(database, other, "GTV", result, match, found, case.patient, random))
    return scores


def _judge(
    database: Database,
    other: Case,
    organ: str,
    result: SearchResult,
    match: Match,
    found: float,
    patient: str,
    random: np.random.Generator,
) -> LocalizationScore:
    """Compare where the match says the region is with where its mask is."""
    rows = database.rows_of(other, organ)
    positions = database.positions_of(other)
    middle = _middle(positions[rows])
    # The slices stay where they are and what they look like changes places: only the correspondence is lost.
    shuffled = match.similarity[:, random.permutation(len(positions))]
    contributing = len(np.unique(match.similarity.argmax(axis=1)))
    length = min(RATIO_LENGTH, contributing)
    return LocalizationScore(
        patient=patient,
        found=found,
        ratio=localization_ratio(match.similarity, rows),
        ceiling=min(length, len(rows)) / length,
        distance_mm=abs(_middle_of_heaviest(match.similarity, result, database, other) - middle),
        shuffled_ratio=localization_ratio(shuffled, rows),
        shuffled_mm=abs(_middle_of_heaviest(shuffled, result, database, other) - middle),
        middle_mm=abs(_middle(positions) - middle),
    )


def _middle_of_heaviest(similarity: np.ndarray, result: SearchResult, database: Database, other: Case) -> float:
    table = database.retriever.slices(database.records[other.id])
    heaviest = matched_ranges(similarity, result.query_table, table)[0]
    return (heaviest.start_mm + heaviest.end_mm) / 2


def _middle(positions: np.ndarray) -> float:
    return float((positions.min() + positions.max()) / 2)
