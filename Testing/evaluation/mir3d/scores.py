"""The benchmark's measures: of the first results, how many share the query's label, and how early they come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .dataset import Cohort

#: Results that precision looks at; average precision looks at the most of these.
DEPTHS = (3, 5, 10)

_SHUFFLES = 200


@dataclass(frozen=True)
class Score:
    """Means over queries.

    Attributes:
        precision: at each of DEPTHS.
        average_precision: over the first ten results, as the benchmark computes it: the mean precision at the ranks of
            those that fit; 0 if none of the ten does.
    """

    precision: tuple[float, ...]
    average_precision: float


def score(cohort: Cohort, target: str, ranked: Mapping[str, Sequence[str]]) -> Score:
    """How well these results share the query's label.

    Args:
        target: a key of dataset.TARGETS.
        ranked: the results of each query, best first; names of the cohort's database.
    """
    labels = cohort.labels[target]
    fits = [np.array([labels[name] == labels[query] for name in names]) for query, names in ranked.items()]
    return _mean(fits)


def chance(cohort: Cohort, target: str, queries: Sequence[str], database: Sequence[str], seed: int = 0) -> Score:
    """What results in random order reach: what the numbers of labels give away."""
    labels, random = cohort.labels[target], np.random.default_rng(seed)
    known = np.array([labels[name] for name in database])
    fits = [
        known[random.permutation(len(known))[: DEPTHS[-1]]] == labels[query]
        for query in queries
        for _ in range(_SHUFFLES)
    ]
    return _mean(fits)


def average_precision(fits: np.ndarray) -> float:
    """The mean of the precision at the ranks of those that fit; 0 if none does. `fits`: bool [n], best first."""
    ranks = np.flatnonzero(fits)
    return float(((1 + np.arange(len(ranks))) / (1 + ranks)).mean()) if len(ranks) else 0.0


def _mean(fits: Sequence[np.ndarray]) -> Score:
    # Fewer results than asked for are divided by what was asked for: nothing is not a result that fits.
    precision = tuple(float(np.mean([one[:depth].sum() / depth for one in fits])) for depth in DEPTHS)
    return Score(precision, float(np.mean([average_precision(one[: DEPTHS[-1]]) for one in fits])))
