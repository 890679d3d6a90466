from __future__ import annotations

import numpy as np
import pytest
from engine.memory_store import stack
from VolumeRetrievalEngine.method.pooling import pool


def test_slices_every_3_mm_are_pooled_by_eight() -> None:
    rows = stack(np.random.default_rng(0), 64)
    pooled, first = pool(rows, 3.0 * np.arange(64))
    assert first.tolist() == list(range(0, 64, 8))
    mean = rows[8:16].mean(axis=0)
    np.testing.assert_allclose(pooled[1], mean / np.linalg.norm(mean), atol=1e-6)


@pytest.mark.parametrize("spacing", [0.6, 1.0, 2.5, 5.0, 10.0])
@pytest.mark.parametrize("n", [2, 17, 100])
def test_groups_have_about_the_same_extent_whatever_the_spacing(n: int, spacing: float) -> None:
    _pooled, first = pool(stack(np.random.default_rng(1), n), spacing * np.arange(n))
    sizes = np.diff(np.append(first, n))
    assert sizes.max() - sizes.min() <= 1
    assert abs(sizes.mean() * spacing - 24.0) <= 12.0 or len(first) in (1, n)


def test_a_gap_between_slices_divides_groups() -> None:
    positions = np.array([0.0, 3, 6, 9, 200, 203, 206, 209])
    _pooled, first = pool(stack(np.random.default_rng(2), 8), positions)
    assert first.tolist() == [0, 4]


def test_pooled_rows_are_unit_rows_even_where_slices_cancel_out() -> None:
    row = stack(np.random.default_rng(3), 1)
    pooled, first = pool(np.concatenate((row, -row)), np.array([0.0, 3.0]))
    assert first.tolist() == [0]
    np.testing.assert_allclose(pooled, row)


def test_one_slice_stays_itself_and_equal_positions_are_one_group() -> None:
    rows = stack(np.random.default_rng(4), 5)
    pooled, first = pool(rows[:1], np.array([7.0]))
    np.testing.assert_array_equal(pooled, rows[:1])
    assert first.tolist() == [0]
    assert len(pool(rows, np.zeros(5))[0]) == 1


def test_positions_may_descend() -> None:
    rows = stack(np.random.default_rng(5), 30)
    np.testing.assert_array_equal(pool(rows, -3.0 * np.arange(30))[1], pool(rows, 3.0 * np.arange(30))[1])


def test_no_span_leaves_every_slice_alone() -> None:
    rows = stack(np.random.default_rng(6), 6)
    np.testing.assert_array_equal(pool(rows, np.arange(6.0), span_mm=0)[0], rows)


def test_positions_of_another_number_are_refused() -> None:
    with pytest.raises(ValueError, match="n positions"):
        pool(np.eye(3, dtype=np.float32), np.arange(2.0))
