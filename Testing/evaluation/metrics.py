"""Retrieval metrics of one query, and their means: plain functions on a ranking of relevant and other results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class QueryScore:
    """How one query did.

    Attributes:
        query: the case that was searched with.
        patient: whose volume was searched with; confidence intervals resample patients, not queries.
        recall_at_1: 1.0 if the first result is relevant.
        precision_at_5: share of the first five results that are relevant (fewer relevant ones than five cap it).
        average_precision: mean, over all relevant volumes, of the precision at their rank; 0 for one not returned.
    """

    query: str
    patient: str
    recall_at_1: float
    precision_at_5: float
    average_precision: float


def score_ranking(query: str, patient: str, relevant: Sequence[bool], n_relevant: int) -> QueryScore:
    """Score one ranking.

    Args:
        query, patient: for the score to carry.
        relevant: for each returned volume, best first, whether it is relevant.
        n_relevant: relevant volumes in the database, at least 1.
    """
    if n_relevant < 1 or sum(relevant) > n_relevant:
        raise ValueError(f"{sum(relevant)} relevant results of {n_relevant} relevant volumes")
    hits = np.asarray(relevant, dtype=bool)
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return QueryScore(
        query=query,
        patient=patient,
        recall_at_1=float(hits[:1].sum()),
        precision_at_5=float(hits[:5].sum()) / 5,
        average_precision=float(precision[hits].sum()) / n_relevant,
    )


def mean(scores: Sequence[QueryScore], name: str) -> float:
    """The mean of one metric over queries."""
    return float(np.mean([getattr(score, name) for score in scores]))


def confidence_interval(
    values: Sequence[float], patients: Sequence[str], repeats: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """The 95 % interval of the mean by a bootstrap over patients (queries of one patient are not independent)."""
    by_patient: dict[str, list[float]] = {}
    for value, patient in zip(values, patients, strict=True):
        by_patient.setdefault(patient, []).append(value)
    sums = np.array([sum(one) for one in by_patient.values()])
    counts = np.array([len(one) for one in by_patient.values()])
    chosen = np.random.default_rng(seed).integers(len(sums), size=(repeats, len(sums)))
    means = sums[chosen].sum(axis=1) / counts[chosen].sum(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def compared_extents(found: tuple[float, float], true: tuple[float, float]) -> tuple[float, float]:
    """Distance of the middles, and intersection over union, of two extents along one axis, each from low to high."""
    (low, high), (true_low, true_high) = found, true
    common = max(0.0, min(high, true_high) - max(low, true_low))
    union = max(high, true_high) - min(low, true_low)
    return abs(low + high - true_low - true_high) / 2, common / union if union else 1.0
