"""Does the matched range lie where the region really is?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from VolumeRetrievalEngine.method.localization import matched_ranges
from VolumeRetrievalEngine.query.region import MaskRegion
from VolumeRetrievalEngine.searching.match import Match, SearchResult
from VolumeRetrievalEngine.store.attribute_filter import AttributeFilter

from .database import Database
from .dataset import Case
from .evaluated import Evaluated
from .localization_ratio import RATIO_LENGTH, hit_localization_ratio, localization_ratio
from .whole_volume import RANKINGS

#: K of the count-based baseline.
_ROWS = 10


@dataclass(frozen=True)
class LocalizationScore:
    """How one region query did.

    Attributes:
        query: the case and the organ that were searched with.
        patient: whose region that is.
        found: 1.0 if the first volume (of another patient, or the right one) contains the region.
        ratio: localization-ratio in the judged volume.
        ceiling: the highest ratio possible there (a region of fewer slices than L cannot fill it).
        distance_mm: between the middles of the heaviest matched range and of the region.
        shuffled_ratio, shuffled_mm: the same with the judged volume's slices in random order.
        middle_mm: distance of the region from the volume's middle: a guess that looks at nothing.
    """

    query: str
    patient: str
    found: float
    ratio: float
    ceiling: float
    distance_mm: float
    shuffled_ratio: float
    shuffled_mm: float
    middle_mm: float


#: Gives localization-ratio and position (mm) from a similarity matrix with this volume.
_Reading = Callable[[np.ndarray], tuple[float, float]]


def evaluate_organs(
    evaluated: Evaluated, cases: Sequence[Case], ranking: str, seed: int = 0
) -> dict[str, list[LocalizationScore]]:
    """Each head-and-neck organ of each patient queries the volumes of all others (scores by organ).

    `found` asks whether the top-1 volume has a mask of the organ; the position is judged in the best ranked volume
    that has one, because only there the truth is known.

    Args:
        ranking: a key of whole_volume.RANKINGS. The contributing slices of a count-based one are the hit slices.
    """
    random = np.random.default_rng(seed)
    headnecks = [case for case in cases if case.body_part == "HEADNECK" and case.labels]
    scores: dict[str, list[LocalizationScore]] = {}
    for case in headnecks:
        database = evaluated.database_for(case)
        for organ, mask in sorted(case.labels.items()):
            # A planning target volume is no organ: it lies elsewhere in each patient.
            others = [other for other in headnecks if other.patient != case.patient and organ in other.labels]
            if organ.startswith("PTV") or not others:
                continue
            result = database.search(case, MaskRegion.from_file(mask), **RANKINGS[ranking])
            ranked = database.of_other_patients(case, result)
            judged = next(((other, place) for other, place in ranked if organ in other.labels), None)
            if judged is None:
                continue
            other, match = judged[0], result.matches[judged[1]]
            read = _reader(database, result, match, other, organ, by_hits=ranking.startswith("count"))
            found = float(organ in ranked[0][0].labels)
            scores.setdefault(organ, []).append(_judged(database, case, other, organ, match, read, found, random))
    return scores


def evaluate_other_modality(
    evaluated: Evaluated, cases: Sequence[Case], query_modality: str, seed: int = 0
) -> list[LocalizationScore]:
    """The tumour of each sarcoma patient in one modality searches for it in the other: CT finds MR, or MR finds CT.

    `found` asks whether the top-1 volume of the other modality is of the same patient; the position is judged in that
    patient's volume, wherever it was ranked.
    """
    random = np.random.default_rng(seed)
    target = {"CT": "MR", "MR": "CT"}[query_modality]
    sarcomas = [case for case in cases if case.body_part == "EXTREMITY" and "GTV" in case.labels]
    of_patient = {case.patient: case for case in sarcomas if case.modality == target}
    only_target = AttributeFilter.parse([f"modality={target}"])
    scores = []
    for case in sarcomas:
        if case.modality != query_modality or (other := of_patient.get(case.patient)) is None:
            continue
        database = evaluated.database_for(case)
        region = MaskRegion.from_file(case.labels["GTV"])
        result = database.search(case, region, ranking="exhaustive", attributes=only_target)
        match = next(one for one in result.matches if database.cases[one.key].id == other.id)
        read = _reader(database, result, match, other, "GTV", by_hits=False)
        found = float(database.cases[result.matches[0].key].patient == case.patient)
        scores.append(_judged(database, case, other, "GTV", match, read, found, random))
    return scores


def _judged(
    database: Database,
    case: Case,
    other: Case,
    organ: str,
    match: Match,
    read: _Reading,
    found: float,
    random: np.random.Generator,
) -> LocalizationScore:
    """Compare where the match says the region is with where its mask is."""
    rows = database.rows_of(other, organ)
    positions = database.positions_of(other)
    middle = _middle(positions[rows])
    ratio, position = read(match.similarity)
    # The slices stay where they are and what they look like changes places: only the correspondence is lost.
    shuffled_ratio, shuffled_position = read(match.similarity[:, random.permutation(len(positions))])
    contributing = min(RATIO_LENGTH, len(np.unique(match.similarity.argmax(axis=1))))
    return LocalizationScore(
        query=f"{case.id} {organ}",
        patient=case.patient,
        found=found,
        ratio=ratio,
        ceiling=min(contributing, len(rows)) / contributing,
        distance_mm=abs(position - middle),
        shuffled_ratio=shuffled_ratio,
        shuffled_mm=abs(shuffled_position - middle),
        middle_mm=abs(_middle(positions) - middle),
    )


def _reader(database: Database, result: SearchResult, match: Match, other: Case, organ: str, by_hits: bool) -> _Reading:
    """How a similarity matrix with this volume is read: by late interaction, or by the hits of the baseline."""
    rows = database.rows_of(other, organ)
    table = database.slices_of(other)

    def by_maxima(similarity: np.ndarray) -> tuple[float, float]:
        heaviest = matched_ranges(similarity, result.query_table, table)[0]
        return localization_ratio(similarity, rows), (heaviest.start_mm + heaviest.end_mm) / 2

    # A row is a hit if it is among the K nearest of all rows that were searched.
    everything = np.concatenate([one.similarity for one in result.matches], axis=1)
    threshold = np.partition(everything, -_ROWS, axis=1)[:, -_ROWS]

    def by_hit_slices(similarity: np.ndarray) -> tuple[float, float]:
        query, hit = np.nonzero(similarity >= threshold[:, None])
        values = similarity[query, hit]
        return hit_localization_ratio(hit, values, rows), float(table.position[hit].mean())

    return by_hit_slices if by_hits else by_maxima


def _middle(positions: np.ndarray) -> float:
    return float((positions.min() + positions.max()) / 2)
