"""Which slice belongs to which: numbers only, no views."""

from __future__ import annotations

import numpy as np
import pytest
from VolumeRetrievalLib.Views import ViewPlane
from VolumeRetrievalLib.Views.SlicePairs import Companion, StackRows


def rows(count, spacing=3.0, first=0.0, every=1):
    """A stack of which every n-th slice was compared."""
    numbers = np.arange(0, count, every)
    return StackRows(first + spacing * numbers, numbers, spacing, count)


QUERY = rows(40)


def test_a_result_snaps_to_a_slice_that_was_compared():
    companion = Companion(rows(60, spacing=5.0), path=10 + 0.6 * np.arange(40))
    for position in (0.0, 4.4, 61.0, 117.0):
        target = companion.positionFor(QUERY, position)
        assert target in companion.rows.positions
        assert target == pytest.approx(5.0 * round(10 + 0.6 * position / 3.0))


def test_beyond_its_ends_a_result_stays_at_its_first_or_last_slice():
    companion = Companion(rows(20), path=np.clip(np.arange(40) - 10.0, 0, 19))
    assert companion.positionFor(QUERY, -50.0) == 0.0
    assert companion.positionFor(QUERY, 500.0) == 57.0


def test_the_query_follows_a_result_back_to_the_slice_it_came_from():
    companion = Companion(rows(60), path=10 + 1.0 * np.arange(40))
    for row in range(40):
        assert companion.queryRowFor(companion.positionFor(QUERY, 3.0 * row), near=0) == row


def test_a_flipped_result_runs_the_other_way():
    companion = Companion(rows(40), path=39.0 - np.arange(40))
    assert companion.positionFor(QUERY, 0.0) == 39 * 3.0
    assert companion.positionFor(QUERY, 30.0) == 29 * 3.0
    assert companion.queryRowFor(29 * 3.0, near=0) == 10


def test_where_the_path_rests_the_query_stays_as_near_as_it_can():
    companion = Companion(rows(20), path=np.minimum(np.arange(40.0), 19.0))
    assert companion.queryRowFor(19 * 3.0, near=33) == 33
    assert companion.queryRowFor(19 * 3.0, near=0) == 19


def test_without_a_path_nothing_follows():
    companion = Companion(rows(20), path=None)
    assert companion.positionFor(QUERY, 10.0) is None
    assert companion.queryRowFor(10.0, near=0) is None


def test_slice_numbers_are_those_of_the_full_stack():
    thinned = rows(90, spacing=1.0, first=-100.0, every=3)
    assert [thinned.number(position) for position in (-100.0, -99.0, -97.4, -11.0)] == [0, 1, 3, 89]
    assert [thinned.number(position) for position in (-500.0, 500.0)] == [0, 89]
    assert thinned.holds(-99.0) and thinned.holds(-98.6) and not thinned.holds(-103.0)


def test_of_a_region_only_its_slices_were_compared():
    region = StackRows(30.0 + 3.0 * np.arange(5), np.arange(10, 15), 3.0, 40)
    assert region.holds(30.0) and not region.holds(50.0)
    assert [region.number(position) for position in (0.0, 36.0, 117.0)] == [0, 12, 39]


def test_slices_that_show_nothing_were_not_compared():
    kept = np.array([*range(12), *range(40, 50)])
    gap = StackRows(3.0 * kept, kept, 3.0, 60)
    assert gap.holds(33.0) and gap.holds(34.4) and not gap.holds(40.0) and not gap.holds(78.0)
    assert gap.holds(120.0) and gap.number(78.0) == 26


def test_one_slice_is_a_stack():
    single = StackRows(np.array([7.0]), np.array([0]), 5.0, 1)
    assert single.holds(8.0) and not single.holds(20.0) and single.number(100.0) == 0


AXIAL = np.diag([-1.0, 1.0, 1.0])
CORONAL = np.array([[-1.0, 0, 0], [0, 0, 1], [0, 1, 0]])
SAGITTAL = np.array([[0.0, 0, 1], [-1, 0, 0], [0, 1, 0]])


def turned(degrees):
    angle = np.radians(degrees)
    return np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])


@pytest.mark.parametrize("orientation", [AXIAL, CORONAL, SAGITTAL])
@pytest.mark.parametrize("degrees", [0, 18, -40])
def test_a_view_looks_along_the_volumes_own_axes_whichever_way_these_run(orientation, degrees):
    expected = turned(degrees) @ orientation
    for signs in ([1, 1, 1], [-1, 1, -1], [1, -1, -1]):
        for order in ([0, 1, 2], [2, 0, 1]):
            axes = (np.diag(signs) @ turned(degrees).T)[order]
            assert ViewPlane.along(orientation, axes) == pytest.approx(expected)


def test_no_axis_is_taken_twice_at_45_degrees():
    matrix = ViewPlane.along(AXIAL, turned(45).T)
    assert matrix.T @ matrix == pytest.approx(np.eye(3))
