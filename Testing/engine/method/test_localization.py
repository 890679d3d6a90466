"""Matched ranges, on similarity matrices whose answer can be read off."""

from __future__ import annotations

import numpy as np
import pytest
from VolumeRetrievalEngine.method.localization import matched_ranges
from VolumeRetrievalEngine.volume import SliceTable


def a_stack(positions, index=None, uids=None) -> SliceTable:
    count = len(positions)
    return SliceTable(
        index=np.arange(count, dtype=np.int32) if index is None else np.asarray(index, np.int32),
        sop_uid=("",) * count if uids is None else tuple(uids),
        frame=np.full(count, -1, np.int32),
        origin=np.stack([np.zeros(count), np.zeros(count), np.asarray(positions, float)], axis=1),
        normal=np.tile([0.0, 0.0, 1.0], (count, 1)),
        position=np.asarray(positions, dtype=np.float64),
    )


def votes(columns, n_candidate, value=0.9, floor=0.1) -> np.ndarray:
    """A similarity matrix whose row i has its one peak at columns[i]; `value` is one number or one for each row."""
    matrix = np.full((len(columns), n_candidate), floor, np.float32)
    matrix[np.arange(len(columns)), columns] = value
    return matrix


def test_neighboring_votes_form_one_range_with_its_slices_positions_and_voters():
    candidate = a_stack(
        np.arange(20) * 3.0 - 7.0, index=np.arange(20) * 3, uids=[f"1.2.{number}" for number in range(20)]
    )
    query = a_stack(np.arange(4) * 3.0, index=[10, 13, 16, 19])
    (found,) = matched_ranges(votes([9, 7, 8, 11], 20), query, candidate)
    assert (found.first_row, found.last_row) == (7, 11)
    assert (found.first_slice, found.last_slice) == (21, 33)
    assert (found.first_sop_uid, found.last_sop_uid) == ("1.2.7", "1.2.11")
    assert (found.start_mm, found.end_mm, found.extent_mm) == (14.0, 26.0, 12.0)
    assert found.query_rows == (0, 1, 2, 3)
    assert found.query_slices == (10, 13, 16, 19)
    assert found.weight == pytest.approx(1.0)
    assert found.similarity == pytest.approx(0.9)


def test_votes_up_to_ten_millimeters_apart_belong_together_and_farther_ones_do_not():
    query = a_stack([0.0, 3.0])
    candidate = a_stack(np.arange(40) * 2.5)
    assert len(matched_ranges(votes([10, 14], 40), query, candidate)) == 1  # 10.0 mm
    assert len(matched_ranges(votes([10, 15], 40), query, candidate)) == 2  # 12.5 mm


def test_in_thick_slices_the_gap_is_two_and_a_half_spacings():
    query = a_stack([0.0, 3.0])
    candidate = a_stack(np.arange(20) * 6.0)
    assert len(matched_ranges(votes([3, 5], 20), query, candidate)) == 1  # 12 mm, of 15
    assert len(matched_ranges(votes([3, 6], 20), query, candidate)) == 2  # 18 mm


def test_a_run_grows_through_votes_that_are_each_near_the_next():
    (found,) = matched_ranges(votes([2, 5, 8, 11], 30), a_stack(np.arange(4.0)), a_stack(np.arange(30) * 3.0))
    assert (found.first_row, found.last_row) == (2, 11)


def test_missing_slices_split_a_run_by_their_distance_not_by_their_number():
    positions = np.concatenate([np.arange(10) * 3.0, 60.0 + np.arange(10) * 3.0])
    ranges = matched_ranges(votes([9, 10], 20), a_stack([0.0, 3.0]), a_stack(positions))
    assert {(one.first_row, one.last_row) for one in ranges} == {(9, 9), (10, 10)}


def test_ranges_come_heaviest_first_and_weight_is_height_above_the_row_mean():
    matrix = votes([3, 25, 26], 40, value=[0.95, 0.5, 0.5])
    matrix[0] = 0.94  # a row that is high everywhere says little about where it belongs
    matrix[0, 3] = 0.95
    heavy, light = matched_ranges(matrix, a_stack(np.arange(3.0)), a_stack(np.arange(40) * 3.0), minimum_share=0.0)
    assert (heavy.first_row, heavy.last_row) == (25, 26)
    expected = (0.95 - matrix[0].mean()) / (0.95 - matrix[0].mean() + 2 * (0.5 - matrix[1].mean()))
    assert light.weight == pytest.approx(float(expected), rel=1e-4)
    assert heavy.weight + light.weight == pytest.approx(1.0)


def test_runs_of_little_weight_are_dropped_but_never_the_heaviest():
    query, candidate = a_stack(np.arange(20.0)), a_stack(np.arange(60) * 3.0)
    stray = votes([10] * 19 + [50], 60)
    assert [one.first_row for one in matched_ranges(stray, query, candidate)] == [10]
    assert [one.first_row for one in matched_ranges(stray, query, candidate, minimum_share=0.05)] == [10, 50]
    scattered = votes(np.arange(20) * 3, 60)
    wide = a_stack(np.arange(60) * 30.0)  # 90 mm from vote to vote: twenty runs of a twentieth each
    assert len(matched_ranges(scattered, query, wide)) == 1


def test_a_matrix_without_any_preference_matches_the_whole_candidate():
    query, candidate = a_stack(np.arange(5) * 3.0), a_stack(np.arange(8) * 4.0)
    (found,) = matched_ranges(np.full((5, 8), 0.7, np.float32), query, candidate)
    assert (found.first_row, found.last_row, found.weight) == (0, 7, 1.0)
    assert found.query_rows == (0, 1, 2, 3, 4)
    assert found.similarity == pytest.approx(0.7)


def test_rows_without_preference_do_not_vote_beside_rows_that_have_one():
    matrix = votes([20, 21], 30)
    matrix = np.concatenate([np.full((3, 30), 0.8, np.float32), matrix])
    (found,) = matched_ranges(matrix, a_stack(np.arange(5.0)), a_stack(np.arange(30) * 3.0))
    assert (found.first_row, found.last_row, found.query_rows) == (20, 21, (3, 4))


def test_a_candidate_of_one_slice_and_a_query_of_one_slice():
    (found,) = matched_ranges(np.array([[0.2], [0.6]], np.float32), a_stack([0.0, 3.0]), a_stack([5.0]))
    assert (found.first_row, found.last_row, found.extent_mm, found.weight) == (0, 0, 0.0, 1.0)
    (found,) = matched_ranges(votes([4], 9), a_stack([0.0]), a_stack(np.arange(9) * 3.0))
    assert (found.first_row, found.last_row, found.query_rows) == (4, 4, (0,))


def test_values_that_are_not_finite_are_refused():
    for bad in (np.nan, np.inf, -np.inf):
        matrix = votes([1, 2], 5)
        matrix[1, 3] = bad
        with pytest.raises(ValueError, match="not finite"):
            matched_ranges(matrix, a_stack([0.0, 3.0]), a_stack(np.arange(5.0)))


def test_a_matrix_that_does_not_fit_its_stacks_is_refused():
    with pytest.raises(ValueError, match=r"\(2, 5\).*expected 2 x 6"):
        matched_ranges(votes([1, 2], 5), a_stack([0.0, 3.0]), a_stack(np.arange(6.0)))
    with pytest.raises(ValueError, match="not empty"):
        matched_ranges(np.zeros((0, 5)), a_stack([]), a_stack(np.arange(5.0)))


def test_ranges_equal_a_slow_reading_of_the_rule():
    rng = np.random.default_rng(4)
    for _ in range(20):
        n_query, n_candidate = rng.integers(2, 40, 2)
        positions = np.cumsum(rng.choice([1.5, 3.0, 3.0, 3.0, 20.0], n_candidate))
        matrix = rng.normal(0, 0.2, (n_query, n_candidate)).astype(np.float32)
        candidate = a_stack(positions)
        found = matched_ranges(matrix, a_stack(np.arange(n_query) * 3.0), candidate, minimum_share=0.15)
        assert [(one.first_row, one.last_row, one.query_rows) for one in found] == _slow_ranges(matrix, positions, 0.15)


def _slow_ranges(matrix, positions, share):
    gap = max(10.0, 2.5 * np.median(np.diff(positions)))
    runs: list[list[tuple[int, int, float]]] = []
    ordered = sorted((int(row.argmax()), number, row.max() - row.mean()) for number, row in enumerate(matrix))
    for vote in ordered:
        if runs and positions[vote[0]] - positions[runs[-1][-1][0]] <= gap:
            runs[-1].append(vote)
        else:
            runs.append([vote])
    total = sum(weight for _, _, weight in ordered)
    runs = sorted(runs, key=lambda run: -sum(weight for _, _, weight in run))
    kept = [run for run in runs if sum(weight for _, _, weight in run) >= share * total] or runs[:1]
    return [(run[0][0], run[-1][0], tuple(sorted(number for _, number, _ in run))) for run in kept]
