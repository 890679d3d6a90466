from __future__ import annotations

import numpy as np
import pytest
from engine.memory_store import archive, stack
from VolumeRetrievalEngine.method.centering import centered, mean_of_volumes
from VolumeRetrievalEngine.method.directions import scores_in_both_directions
from VolumeRetrievalEngine.method.late_interaction import maxima_of_segments, score_segments, score_volumes


def rows_of(dimension: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Volumes that all point into one direction, as those of a network trained on photographs do."""
    store = archive(volumes=12, dimension=dimension)
    rows, offsets = store.many_embeddings(store.keys)
    shifted = rows + np.float32(1.5) * np.eye(dimension, dtype=np.float32)[0]
    return shifted / np.linalg.norm(shifted, axis=1, keepdims=True), offsets


@pytest.mark.parametrize("compare", [score_segments, maxima_of_segments, scores_in_both_directions])
@pytest.mark.parametrize("precision", [np.float32, np.float16])
def test_products_of_rows_as_they_are_give_the_similarity_of_centered_rows(compare, precision) -> None:
    rows, offsets = rows_of()
    query, mean = rows[5:25], mean_of_volumes(rows, offsets)
    segments = offsets[:-1], np.diff(offsets)
    direct = compare(centered(query, mean), centered(rows, mean), *segments)
    found = compare(query, rows.astype(precision), *segments, mean)
    np.testing.assert_allclose(found, direct, rtol=0, atol=1e-3 if precision == np.float16 else 1e-5)
    assert np.abs(found - compare(query, rows, *segments)).max() > 0.1


def test_a_volume_stays_identical_to_itself_and_others_become_less_alike() -> None:
    rows, offsets = rows_of()
    mean = mean_of_volumes(rows, offsets)
    query = rows[: offsets[1]]
    plain, moved = (score_volumes(query, rows, offsets, one) / len(query) for one in (None, mean))
    assert moved[0] == pytest.approx(1.0, abs=1e-5)
    assert (moved[1:] < plain[1:] - 0.1).all()


def test_every_volume_counts_the_same_in_the_mean() -> None:
    rows = np.array([[1.0, 0.0]] * 9 + [[0.0, 1.0]], np.float32)
    np.testing.assert_allclose(mean_of_volumes(rows, np.array([0, 9, 10])), [0.5, 0.5])


def test_a_row_that_is_the_mean_itself_is_like_nothing() -> None:
    rng = np.random.default_rng(0)
    mean = stack(rng, 1)[0]
    scores = score_volumes(stack(rng, 3), mean[None], np.array([0, 1]), mean)
    assert np.abs(scores).max() < 1e-2
