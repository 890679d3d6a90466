from __future__ import annotations

import numpy as np
import pytest
from engine.memory_store import stack
from VolumeRetrievalEngine.errors import QueryError
from VolumeRetrievalEngine.method import late_interaction
from VolumeRetrievalEngine.method.late_interaction import (
    maxima_of_segments,
    score,
    score_segments,
    score_volumes,
    similarity_matrix,
)


def naive_score(query: np.ndarray, candidate: np.ndarray) -> float:
    """Eq. 5 in plain loops."""
    return sum(max(float(np.dot(q.astype(np.float64), c)) for c in candidate) for q in query)


@pytest.fixture
def volumes() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [stack(rng, int(n)) for n in (1, 7, 30, 2, 300, 11, 1)]


def offsets_of(volumes: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(([0], np.cumsum([len(one) for one in volumes])))


def test_the_similarity_matrix_holds_every_cosine(volumes: list[np.ndarray]) -> None:
    similarity = similarity_matrix(volumes[1], volumes[2])
    assert similarity.shape == (7, 30)
    assert similarity.dtype == np.float32
    assert similarity[3, 4] == pytest.approx(float(volumes[1][3] @ volumes[2][4]), abs=1e-6)


def test_the_score_is_the_sum_of_the_row_maxima(volumes: list[np.ndarray]) -> None:
    assert score(similarity_matrix(volumes[1], volumes[2])) == pytest.approx(naive_score(volumes[1], volumes[2]))


@pytest.mark.parametrize("n_query", [1, 2, 40])
@pytest.mark.parametrize("block_rows", [(1, 1), (16, 16), (256, 8192)])
def test_blocked_scores_equal_plain_loops(
    volumes: list[np.ndarray], n_query: int, block_rows: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late_interaction, "BLOCK_ROWS", block_rows)
    query = stack(np.random.default_rng(1), n_query)
    scores = score_volumes(query, np.concatenate(volumes), offsets_of(volumes))
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, [naive_score(query, one) for one in volumes], rtol=1e-5, atol=1e-5)


def test_some_volumes_in_any_order_score_as_all_do(volumes: list[np.ndarray]) -> None:
    query, rows, offsets = volumes[5], np.concatenate(volumes), offsets_of(volumes)
    scores = score_volumes(query, rows, offsets)
    chosen = np.array([6, 2, 3, 0])
    some = score_segments(query, rows, offsets[chosen], np.diff(offsets)[chosen])
    np.testing.assert_allclose(some, scores[chosen], rtol=1e-6)


def test_maxima_are_those_of_each_query_slice_in_each_volume(volumes: list[np.ndarray]) -> None:
    rows, offsets = np.concatenate(volumes), offsets_of(volumes)
    maxima = maxima_of_segments(volumes[5], rows, offsets[:-1], np.diff(offsets))
    expected = np.stack([similarity_matrix(volumes[5], one).max(axis=1) for one in volumes], axis=1)
    np.testing.assert_allclose(maxima, expected, atol=1e-6)


def test_a_volume_finds_itself_with_one_for_each_slice(volumes: list[np.ndarray]) -> None:
    scores = score_volumes(volumes[4], np.concatenate(volumes), offsets_of(volumes))
    assert int(scores.argmax()) == 4
    assert scores[4] == pytest.approx(len(volumes[4]), rel=1e-5)


def test_float16_rows_score_nearly_the_same(volumes: list[np.ndarray]) -> None:
    rows, offsets = np.concatenate(volumes), offsets_of(volumes)
    wide = score_volumes(volumes[2], rows, offsets)
    narrow = score_volumes(volumes[2], rows.astype(np.float16), offsets)
    np.testing.assert_allclose(narrow / len(volumes[2]), wide / len(volumes[2]), atol=2e-4)


def test_no_volumes_give_no_scores(volumes: list[np.ndarray]) -> None:
    assert score_volumes(volumes[1], np.empty((0, 32), np.float32), np.zeros(1, np.int64)).shape == (0,)


def test_a_volume_without_rows_is_refused(volumes: list[np.ndarray]) -> None:
    with pytest.raises(ValueError, match="one row or more"):
        score_volumes(volumes[1], volumes[2], np.array([0, 10, 10, 30]))


def test_embeddings_of_another_length_and_empty_queries_are_refused(volumes: list[np.ndarray]) -> None:
    with pytest.raises(QueryError, match="31 values, the archive's 32"):
        similarity_matrix(volumes[1][:, :31], volumes[2])
    with pytest.raises(QueryError, match="no slices"):
        score_volumes(volumes[1][:0], volumes[2], np.array([0, 30]))
