"""Does the engine notice that an archive holds nothing like the query?

Each volume is searched with twice: in the archive, and in the archive without its body part (of any modality). Volumes
of its own patient are never among the results. What is asked is whether the standing of the best result tells the two
apart (VolumeRetrievalEngine/method/likeness.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from VolumeRetrievalEngine.method.likeness import NeighborLevels, likeness_scores, neighbor_levels, standings
from VolumeRetrievalEngine.method.pooling import pool
from VolumeRetrievalEngine.query.query import Query
from VolumeRetrievalEngine.searching.likeness import Likeness

from .database import Database
from .dataset import Case
from .evaluated import Evaluated

#: By what stands in the tables: how many slices are searched with, from the middle of a volume; None for all of it.
WHOLE = "whole volume"
SLICES = {WHOLE: None, "12 slices": 12, "1 slice": 1}


@dataclass(frozen=True)
class StandingScore:
    """How one query did: the standing of its best result where its body part is in the archive, and where it is not."""

    query: str
    patient: str
    group: tuple[str, str]
    present: float
    absent: float


def evaluate_unusualness(evaluated: Evaluated, cases: Sequence[Case], slices: int | None = None) -> list[StandingScore]:
    """Every case whose body part another patient has, too.

    Args:
        slices: search with so many slices from the middle of the volume instead of all of it.
    """
    archives: dict[tuple[int, str], tuple[np.ndarray, NeighborLevels | None]] = {}
    scores = []
    for case in cases:
        if not any(one.body_part == case.body_part and one.patient != case.patient for one in cases):
            continue
        database = evaluated.database_for(case)
        query = database.query(case)
        found = []
        for left_out in ("", case.body_part):
            name = (id(database), left_out)
            if name not in archives:
                archives[name] = _archive(database, left_out)
            found.append(_best_standing(database, case, query, *archives[name], slices))
        present, absent = found
        if present is not None and absent is not None:
            scores.append(StandingScore(case.id, case.patient, (case.modality, case.body_part), present, absent))
    return scores


def auroc(scores: Sequence[StandingScore]) -> float:
    """The chance that a query whose body part is there stands higher than one whose body part is not."""
    present, absent = np.array([one.present for one in scores]), np.array([one.absent for one in scores])
    return float(np.mean((present[:, None] > absent) + 0.5 * (present[:, None] == absent)))


def share_called(scores: Sequence[StandingScore], words: str, is_present: bool) -> float:
    """Of the queries whose body part is there (or not), those whose best result is called so (Likeness.words)."""
    return float(np.mean([Likeness(one.present if is_present else one.absent).words == words for one in scores]))


def _archive(database: Database, left_out: str) -> tuple[np.ndarray, NeighborLevels | None]:
    """The keys of the volumes that are not of a body part, and what they reach as neighbors."""
    keys = np.array(sorted(key for key, one in database.cases.items() if one.body_part != left_out), np.int64)
    owners = [database.cases[key].patient for key in keys.tolist()]
    return keys, neighbor_levels(keys, owners, database.archive.pooled)


def _best_standing(
    database: Database, case: Case, query: Query, keys: np.ndarray, levels: NeighborLevels | None, slices: int | None
) -> float | None:
    if levels is None:
        return None
    embeddings, positions = query.embeddings, query.table.position
    if slices is not None:
        first = max((len(embeddings) - slices) // 2, 0)
        embeddings, positions = embeddings[first : first + slices], positions[first : first + slices]
    rows = pool(embeddings, positions)[0]
    others = np.array([key for key in keys.tolist() if database.cases[key].patient != case.patient], np.int64)
    results = likeness_scores(rows, *database.archive.pooled(others), slices is None)
    ordinary = levels.ordinary_keys[np.isin(levels.ordinary_keys, others)]
    usual = np.median(likeness_scores(rows, *database.archive.pooled(ordinary), slices is None))
    return float(standings(levels, results, float(usual), None if slices is None else len(rows)).max())
