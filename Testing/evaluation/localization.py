"""Does the matched range lie where the region really is?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from VolumeRetrievalEngine.method.localization import matched_ranges
from VolumeRetrievalEngine.query.query import Query
from VolumeRetrievalEngine.store.attribute_filter import AttributeFilter

from .database import Database
from .dataset import Case
from .evaluated import Evaluated
from .localization_ratio import RATIO_LENGTH, hit_localization_ratio, localization_ratio
from .questions import organs_with_another
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
    scores: dict[str, list[LocalizationScore]] = {}
    for case, organ in organs_with_another(cases):
        database = evaluated.database_for(case)
        query = database.query(case, organ)
        ranked = database.of_other_patients(case, database.order(query, **RANKINGS[ranking]))
        other = next((other for other in ranked if organ in other.masks), None)
        if other is None:
            continue
        read = _reader(database, query, other, organ, by_hits=ranking.startswith("count"))
        found = float(organ in ranked[0].masks)
        scores.setdefault(organ, []).append(_judged(database, query, case, other, organ, read, found, random))
    return scores


def evaluate_other_modality(
    evaluated: Evaluated, cases: Sequence[Case], query_modality: str, seed: int = 0
) -> list[LocalizationScore]:
    """The tumor of each sarcoma patient in one modality searches for it in the other: CT finds MR, or MR finds CT.

    `found` asks whether the top-1 volume of the other modality is of the same patient; the position is judged in that
    patient's volume, wherever it was ranked.
    """
    random = np.random.default_rng(seed)
    target = {"CT": "MR", "MR": "CT"}[query_modality]
    sarcomas = [case for case in cases if case.body_part == "EXTREMITY" and "GTV" in case.masks]
    of_patient = {case.patient: case for case in sarcomas if case.modality == target}
    only_target = AttributeFilter.parse([f"modality={target}"])
    scores = []
    for case in sarcomas:
        if case.modality != query_modality or (other := of_patient.get(case.patient)) is None:
            continue
        database = evaluated.database_for(case)
        query = database.query(case, "GTV")
        order = database.order(query, ranking="exhaustive", attributes=only_target)
        read = _reader(database, query, other, "GTV", by_hits=False)
        found = float(database.cases[int(order.keys[0])].patient == case.patient)
        scores.append(_judged(database, query, case, other, "GTV", read, found, random))
    return scores


def _judged(
    database: Database,
    query: Query,
    case: Case,
    other: Case,
    organ: str,
    read: _Reading,
    found: float,
    random: np.random.Generator,
) -> LocalizationScore:
    """Compare where the match says the region is with where its mask is."""
    rows = database.rows_of(other, organ)
    positions = database.slices_of(other).position
    similarity = database.similarity(query, other)
    middle = _middle(positions[rows])
    ratio, position = read(similarity)
    # The slices stay where they are and what they look like changes places: only the correspondence is lost.
    shuffled_ratio, shuffled_position = read(similarity[:, random.permutation(len(positions))])
    contributing = min(RATIO_LENGTH, len(np.unique(similarity.argmax(axis=1))))
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


def _reader(database: Database, query: Query, other: Case, organ: str, by_hits: bool) -> _Reading:
    """How a similarity matrix with this volume is read: by late interaction, or by the hits of the baseline."""
    rows = database.rows_of(other, organ)
    table = database.slices_of(other)

    def by_maxima(similarity: np.ndarray) -> tuple[float, float]:
        heaviest = matched_ranges(similarity, query.table, table)[0]
        return localization_ratio(similarity, rows), (heaviest.start_mm + heaviest.end_mm) / 2

    if not by_hits:
        return by_maxima
    # A row is a hit if it is among the K nearest of all rows that were searched: all but the query's own.
    searched = [record.key for record in database.archive.listing() if record.identity != query.identity]
    everything = np.concatenate([database.archive.similarity(query, key) for key in searched], axis=1)
    threshold = np.partition(everything, -_ROWS, axis=1)[:, -_ROWS]

    def by_hit_slices(similarity: np.ndarray) -> tuple[float, float]:
        row, hit = np.nonzero(similarity >= threshold[:, None])
        return hit_localization_ratio(hit, similarity[row, hit], rows), float(table.position[hit].mean())

    return by_hit_slices


def _middle(positions: np.ndarray) -> float:
    return float((positions.min() + positions.max()) / 2)
