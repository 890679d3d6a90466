from __future__ import annotations

import numpy as np
import pytest
from engine.memory_store import MemoryStore, archive, stack, variant
from VolumeRetrievalEngine.method.filtering import Candidates, candidates_by_pooled
from VolumeRetrievalEngine.method.late_interaction import similarity_matrix
from VolumeRetrievalEngine.method.reranking import FIRST, FIRST_PER_RESULT, rerank
from VolumeRetrievalEngine.slice_index.slice_index import SliceIndex


class Exact:
    """Scores keys by a table, and remembers how many were asked for."""

    def __init__(self, scores: np.ndarray):
        self._scores = scores
        self.asked: list[int] = []

    def __call__(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.asked += keys.tolist()
        in_row_order = np.sort(keys)
        return in_row_order, self._scores[in_row_order]


def ordered(first_stage: np.ndarray) -> Candidates:
    order = np.argsort(-first_stage, kind="stable")
    return Candidates(order.astype(np.int64), first_stage[order].astype(np.float32))


def test_comparing_ends_once_no_other_candidate_can_reach_the_results() -> None:
    exact = Exact(np.concatenate((np.full(10, 0.9), np.linspace(0.5, 0.1, 190))).astype(np.float32))
    keys, scores, first_stage = rerank(ordered(exact._scores - 0.05), exact, n_results=10)
    assert len(exact.asked) == FIRST
    assert sorted(keys[:10].tolist()) == list(range(10))
    np.testing.assert_allclose(first_stage, scores - 0.05, atol=1e-6)


def test_where_candidates_are_alike_all_are_compared() -> None:
    rng = np.random.default_rng(0)
    scores = rng.uniform(0.50, 0.52, 100).astype(np.float32)
    exact = Exact(scores)
    keys, found, _first = rerank(ordered(scores + rng.uniform(-0.05, 0.05, 100)), exact, n_results=10)
    assert sorted(exact.asked) == list(range(100))
    assert keys.tolist() == np.argsort(-scores).tolist()
    np.testing.assert_array_equal(found, np.sort(scores)[::-1])


def test_a_candidate_that_was_far_off_keeps_the_comparison_going() -> None:
    approximate = np.concatenate((np.full(10, 0.9), np.linspace(0.8, 0.6, 90)))
    scores = approximate.copy()
    scores[[15, 45]] += 0.25  # place 15 shows that such gains happen, so place 45 is not overlooked
    keys, _scores, _first = rerank(ordered(approximate), Exact(scores.astype(np.float32)), n_results=10)
    assert keys[:2].tolist() == [15, 45]


@pytest.mark.parametrize("n_results", [1, 10, 40])
def test_more_results_compare_more(n_results: int) -> None:
    scores = np.linspace(0.9, 0.1, 200).astype(np.float32)
    keys, _scores, _first = rerank(ordered(scores), Exact(scores), n_results)
    assert len(keys) >= max(FIRST, FIRST_PER_RESULT * n_results)
    assert keys[:n_results].tolist() == list(range(n_results))


def test_equal_scores_are_ordered_by_key_and_unknown_keys_left_out() -> None:
    candidates = Candidates(np.array([9, 4, 7]), np.array([0.5, 0.5, 0.5], np.float32))

    def knows_two(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert keys.tolist() == [9, 4, 7]
        return np.array([4, 9]), np.array([0.5, 0.5], np.float32)

    assert rerank(candidates, knows_two, 10)[0].tolist() == [4, 9]


def test_no_candidates_give_no_results() -> None:
    keys, scores, first_stage = rerank(Candidates(np.zeros(0, np.int64), np.zeros(0, np.float32)), Exact(np.ones(1)), 5)
    assert len(keys) == len(scores) == len(first_stage) == 0


def test_the_two_stages_return_the_exact_top_ten() -> None:
    rng = np.random.default_rng(21)
    store: MemoryStore = archive(seed=21, volumes=150)
    query = stack(rng, 48)
    for cosine in (0.95, 0.8, 0.6, 0.5):
        store.add(variant(rng, query, cosine))
    pooled = SliceIndex.open(None, store, level="pooled", kind="numpy")
    slices = SliceIndex.open(None, store, level="slices", kind="numpy")

    def score(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found, scores = slices.scores(query, keys)
        return found, scores / len(query)

    keys, scores, _first = rerank(candidates_by_pooled(pooled, query, 3.0 * np.arange(48)), score, 10)
    exact = np.array([similarity_matrix(query, store.embeddings(key)).max(axis=1).mean() for key in store.keys])
    np.testing.assert_allclose(scores[:10], np.sort(exact)[::-1][:10], atol=1e-5)
    assert keys[:4].tolist() == [151, 152, 153, 154]
