"""How many candidates are compared in full: as many as may still change the results.

The first stage orders candidates by an approximation of their score. How far it is off shows while they are compared
in full: they gain or lose something, mostly about the same (pooling evens out noise). Once no candidate to come could
reach the results even if its gain were `MARGIN` times as unusual as the most unusual so far, the rest is left out.
Unusual in either direction: the first candidates are first also because they were overestimated, so that
underestimates show too seldom among them. Where candidates are alike, and their order therefore uncertain, this goes
on to the last; mostly it ends soon after the first twenty.

Measured by `make benchmark` (recall of the exact top ten; candidates compared, on average, of 100): synthetic sets of
1000 volumes, the hard one too, and real embeddings of three encoders, 107 volumes and extended to 1000: 1.000 by the
paper's score, with 23 to 51 compared, and 1.000 by the default score, with 20 to 27.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .filtering import Candidates

#: Candidates compared before the question is first asked (at least two for each result), and between one asking and
#: the next.
FIRST = 20
FIRST_PER_RESULT = 2
STEP = 10
#: See above.
MARGIN = 1.5


def rerank(
    candidates: Candidates,
    score: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    n_results: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compare candidates in full, best first, until the `n_results` best are settled.

    Args:
        candidates: of one of the filters of filtering.py; `first_stage` on the scale of the score.
        score: keys int64 [c] to the keys it knows, in any order, and their scores RS / n_q.

    Returns:
        int64 [v] keys, float32 [v] scores and float32 [v] first-stage scores of all that were compared, best first;
        equal ones in order of key.
    """
    keys, scores, first_stage = np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0, np.float32)
    end = 0
    while end < len(candidates):
        begin, end = end, min(end + (STEP if end else max(FIRST, FIRST_PER_RESULT * n_results)), len(candidates))
        expected = dict(zip(candidates.keys[begin:end].tolist(), candidates.first_stage[begin:end], strict=True))
        found, exact = score(candidates.keys[begin:end])
        keys, scores = np.concatenate((keys, found)), np.concatenate((scores, exact))
        approximate = np.array([expected[key] for key in found.tolist()], np.float32)
        first_stage = np.concatenate((first_stage, approximate))
        if len(keys) >= n_results and end < len(candidates):
            in_results = np.partition(scores, -n_results)[-n_results]
            gain = scores - first_stage
            usual = np.median(gain)
            if candidates.first_stage[end] + usual + MARGIN * np.abs(gain - usual).max() < in_results:
                break
    order = np.lexsort((keys, -scores))
    return keys[order], scores[order].astype(np.float32), first_stage[order]
