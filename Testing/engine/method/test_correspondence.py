"""The path through S, on stacks that are cut from one known body, so that the right slice is known in mm."""

from __future__ import annotations

import numpy as np
import pytest
from VolumeRetrievalEngine.method.correspondence import correspondence


def a_body(rng, positions_mm, noise, dimension=64) -> np.ndarray:
    """Unit rows [n, d] of slices at these positions of one body, whose appearance changes over some 60 mm."""
    grid = np.arange(-700.0, 1500.0, 3.0)
    body_rng = np.random.default_rng(99)
    keep = np.exp(-3.0 / 60.0)
    looks = [body_rng.normal(size=dimension)]
    for _ in grid[1:]:
        looks.append(keep * looks[-1] + np.sqrt(1 - keep**2) * body_rng.normal(size=dimension))
    looks = np.array(looks)
    rows = np.stack([np.interp(positions_mm, grid, looks[:, axis]) for axis in range(dimension)], axis=1)
    rows = rows + 1.5 + noise * rng.normal(size=rows.shape)  # 1.5: what all slices have in common
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def an_irregular_stack(rng, count=150) -> np.ndarray:
    return np.cumsum(rng.choice([3.0, 3.0, 3.0, 5.0], count))


def followed(truth, query_mm, candidate_mm, *, noise=0.8, outliers=0.0, seed=0):
    """The correspondence, its path in mm, and the true one; `truth` maps query mm to candidate mm."""
    rng = np.random.default_rng(seed)
    query, candidate = a_body(rng, truth(query_mm), noise), a_body(rng, candidate_mm, noise)
    wrong = rng.random(len(query_mm)) < outliers
    query[wrong] = candidate[rng.integers(len(candidate), size=int(wrong.sum()))]
    found = correspondence(query @ candidate.T, query_mm, candidate_mm)
    path_mm = np.interp(found.path, np.arange(len(candidate_mm)), candidate_mm)
    return found, path_mm, np.clip(truth(query_mm), candidate_mm[0], candidate_mm[-1])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("truth", "flipped"),
    [
        (lambda mm: mm + 60.0, False),
        (lambda mm: 1.5 * mm + 20.0, False),
        (lambda mm: 0.6 * mm + 20.0, False),
        (lambda mm: 400.0 - mm, True),
        (lambda mm: 450.0 - 1.4 * mm, True),
    ],
    ids=["shifted", "larger", "smaller", "flipped", "flipped and larger"],
)
def test_the_path_follows_a_body_that_is_shifted_scaled_or_flipped(truth, flipped, seed):
    rng = np.random.default_rng(100 + seed)
    found, path_mm, true_mm = followed(truth, np.arange(0.0, 270.0, 3.0), an_irregular_stack(rng), seed=seed)
    error = np.abs(path_mm - true_mm)
    assert found.flipped is flipped
    assert np.median(error) < 3.0
    assert np.percentile(error, 95) < 12.0


@pytest.mark.parametrize("seed", range(3))
def test_outliers_pull_the_argmax_away_but_not_the_path(seed):
    candidate_mm = an_irregular_stack(np.random.default_rng(seed))
    found, path_mm, true_mm = followed(
        lambda mm: mm + 60.0, np.arange(0.0, 300.0, 3.0), candidate_mm, outliers=0.3, seed=seed
    )
    raw_error = np.abs(candidate_mm[found.best] - true_mm)
    assert np.percentile(raw_error, 90) > 50.0  # the outliers are there
    error = np.abs(path_mm - true_mm)
    assert np.median(error) < 4.0
    assert error.max() < 20.0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("shift", [-150.0, 330.0], ids=["begins before", "ends behind"])
def test_where_the_query_reaches_beyond_the_candidate_the_path_rests_on_its_end(shift, seed):
    candidate_mm = an_irregular_stack(np.random.default_rng(seed))
    query_mm = np.arange(0.0, 400.0, 3.0)
    _, path_mm, true_mm = followed(lambda mm: mm + shift, query_mm, candidate_mm, noise=0.6, seed=seed)
    error = np.abs(path_mm - true_mm)
    assert np.median(error) < 3.0
    assert np.percentile(error, 95) < 20.0
    outside = np.abs(query_mm + shift - true_mm) > 60.0
    assert outside.sum() > 20
    assert np.median(error[outside]) == 0.0


def test_an_identical_stack_lies_on_the_diagonal():
    positions = np.arange(80) * 3.0
    found, path_mm, _ = followed(lambda mm: mm, positions, positions, noise=0.0)
    np.testing.assert_array_equal(found.best, np.arange(80))
    np.testing.assert_allclose(path_mm, positions, atol=0.5)


def test_irregular_query_spacing_is_followed_in_millimeters():
    query_mm = np.concatenate([np.arange(30) * 3.0, 200.0 + np.arange(20) * 6.0])
    _, path_mm, true_mm = followed(lambda mm: mm + 40.0, query_mm, np.arange(140) * 3.0, noise=0.5)
    assert np.abs(path_mm - true_mm).max() < 9.0


def test_the_path_never_turns_back_and_keeps_to_its_slope_even_in_noise():
    rng = np.random.default_rng(8)
    for _ in range(10):
        n_query, n_candidate = rng.integers(2, 60, 2)
        query_mm = np.cumsum(rng.choice([2.0, 3.0, 7.0], n_query))
        candidate_mm = np.cumsum(rng.choice([2.0, 3.0, 7.0], n_candidate))
        found = correspondence(rng.normal(0, 0.2, (n_query, n_candidate)), query_mm, candidate_mm)
        path_mm = np.interp(found.path, np.arange(n_candidate), candidate_mm)
        slope = np.diff(path_mm) / np.diff(query_mm) * (-1 if found.flipped else 1)
        assert found.path.min() >= 0
        assert found.path.max() <= n_candidate - 1
        assert slope.min() >= -1e-9
        assert slope.max() <= 3.0 + 1e-6


def test_a_few_slices_without_contrast_are_no_evidence_for_a_flip():
    rng = np.random.default_rng(3)
    for _ in range(10):
        matrix = 0.5 + 1e-3 * rng.random((3, 1)) + np.zeros((3, 40))
        found = correspondence(matrix, np.arange(3) * 3.0, np.arange(40) * 3.0)
        assert not found.flipped


def test_a_single_slice_on_either_side_is_its_argmax():
    found = correspondence(np.array([[0.1, 0.9, 0.3]]), np.array([4.0]), np.array([0.0, 3.0, 6.0]))
    assert found.best.tolist() == [1]
    assert found.path.tolist() == [1.0]
    found = correspondence(np.array([[0.1], [0.9]]), np.array([4.0, 5.0]), np.array([0.0]))
    assert found.path.tolist() == [0.0, 0.0]


def test_a_very_fine_stack_is_followed_on_a_coarser_grid():
    query_mm, candidate_mm = np.arange(900) * 0.5, np.arange(1100) * 0.5
    _, path_mm, true_mm = followed(lambda mm: mm + 50.0, query_mm, candidate_mm, noise=0.5)
    assert np.percentile(np.abs(path_mm - true_mm), 95) < 6.0


def test_positions_that_do_not_ascend_and_values_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="candidate"):
        correspondence(np.zeros((2, 3)), np.array([0.0, 1.0]), np.array([0.0, 2.0, 1.0]))
    with pytest.raises(ValueError, match="query"):
        correspondence(np.zeros((2, 3)), np.array([0.0, np.nan]), np.array([0.0, 1.0, 2.0]))
    with pytest.raises(ValueError, match="not finite"):
        correspondence(np.full((2, 3), np.nan), np.array([0.0, 1.0]), np.array([0.0, 1.0, 2.0]))
