"""Scrolling one column moves the others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import slicer
from compared import SPACING, aVolume, main, offsetOf, show, textIn
from fake_logic import aMatch, aResult
from VolumeRetrievalEngine.searching.match import Correspondence
from VolumeRetrievalLib.Views.MatchDisplay import MatchDisplay, ShownMatch


@pytest.fixture
def display():
    display = MatchDisplay()
    yield display
    display.remove()
    display.cleanUp()


def scroll(number, position):
    main(number).JumpSliceByOffsetting(0, 0, float(position))


def snapped(match, queryRow):
    return SPACING[2] * round(float(np.interp(queryRow, np.arange(40), match.correspondence.path)))


def test_scrolling_the_query_moves_each_result_to_a_slice_that_was_compared(display):
    _query, result, matches = show(display, 3)
    for row in (20, 3, 39):
        scroll(0, result.query_table.position[row])
        for number, one in enumerate(matches, start=1):
            assert offsetOf(f"Result{number}") == pytest.approx(snapped(one.match, row))
    scroll(0, result.query_table.position[10] + 1.5)  # between two slices of the query
    assert offsetOf("Query") == pytest.approx(31.5)  # stays where the user put it
    assert offsetOf("Result1") in [pytest.approx(SPACING[2] * row) for row in range(60)]


def test_scrolling_a_result_moves_the_query_and_the_other_results(display):
    _query, result, matches = show(display, 3)
    scroll(2, matches[1].match.positions_mm[30])
    queryRow = round(offsetOf("Query") / 3.0)
    assert offsetOf("Query") == pytest.approx(result.query_table.position[queryRow])
    assert matches[1].match.correspondence.path[queryRow] == pytest.approx(30, abs=0.5)
    assert offsetOf("Result2") == pytest.approx(30 * SPACING[2])
    for number in (1, 3):
        assert offsetOf(f"Result{number}") == pytest.approx(snapped(matches[number - 1].match, queryRow))


def test_scrolling_slice_by_slice_in_a_result_never_stalls_or_runs_away(display):
    show(display, 2)
    seen = []
    for row in range(15, 45):
        scroll(1, row * SPACING[2])
        assert offsetOf("Result1") == pytest.approx(row * SPACING[2])
        seen.append(offsetOf("Query"))
    assert seen == sorted(seen) and seen[-1] > seen[0]
    for row in reversed(range(15, 45)):
        scroll(1, row * SPACING[2])
    assert offsetOf("Query") == pytest.approx(seen[0], abs=2 * SPACING[2])


def test_views_tell_once_for_each_move(display):
    _query, _result, _matches = show(display, 3)
    told = []
    display.onPairChanged = told.append
    scroll(0, 60)
    assert len(told) == 1
    scroll(3, 90)
    assert len(told) == 2
    main(0).SetFieldOfView(50, 50, 1)  # zooming is no move
    assert len(told) == 2


def test_the_pair_that_is_told_is_what_the_views_show(display):
    _query, _result, matches = show(display, 2)
    told = []
    display.onPairChanged = told.append
    match = matches[0].match
    scroll(0, 30)
    assert (told[-1].match, told[-1].querySlice, told[-1].similarity) == (match, 20, None)
    display.setSimilarity(match, match.similarity)
    row = round(offsetOf("Result1") / SPACING[2])
    assert told[-1].slice == match.slice_index[row]
    assert told[-1].similarity == pytest.approx(match.similarity[10, row])
    display.select(matches[1].match)
    assert told[-1].match is matches[1].match


def test_turned_off_each_column_scrolls_alone(display):
    show(display, 2)
    display.setFollow(False)
    before = [offsetOf("Result1"), offsetOf("Result2")]
    scroll(0, 90)
    assert [offsetOf("Result1"), offsetOf("Result2")] == before
    scroll(1, 60)
    assert offsetOf("Query") == pytest.approx(90) and offsetOf("Result2") == before[1]
    assert "slice 41 of 120" in textIn("Result1") or "slice 21 of 120" in textIn("Result1")
    display.setFollow(True)
    scroll(0, 30)
    assert offsetOf("Result1") != pytest.approx(60)


def test_it_stays_off_for_the_next_results(display):
    display.setFollow(False)
    show(display, 1)
    before = offsetOf("Result1")
    scroll(0, 90)
    assert offsetOf("Result1") == before


def test_a_pair_chosen_by_hand_is_shown_as_it_is_and_following_goes_on(display):
    _query, result, matches = show(display, 2)
    other = offsetOf("Result2")
    display.showPair(matches[0].match, 5, 50)
    assert offsetOf("Query") == pytest.approx(result.query_table.position[5])
    assert offsetOf("Result1") == pytest.approx(50 * SPACING[2])
    assert offsetOf("Result2") == other
    scroll(0, result.query_table.position[20])
    assert offsetOf("Result1") != pytest.approx(50 * SPACING[2])


def test_a_match_that_is_not_shown_moves_nothing(display):
    show(display, 1)
    before = offsetOf("Query")
    display.showPair(aMatch(5), 0, 0)
    display.select(aMatch(5))
    assert offsetOf("Query") == before


def test_planes_differ_and_the_columns_still_move_together(display):
    """A coronal result next to an axial query: each view stays in the plane of its own slices."""
    matrix = np.eye(4)
    matrix[:3, :3] = [[-4, 0, 0], [0, 0, 3], [0, -4, 0]]
    match = replace(aMatch(1), plane="coronal")
    display.show(
        aVolume("query", 40), aResult(1, matches=(match,)), [ShownMatch(match, aVolume("coronal", ijkToRas=matrix))]
    )
    scroll(0, 60)
    assert main(1).GetSliceToRAS().GetElement(1, 3) == pytest.approx(snapped(match, 20))
    main(1).JumpSliceByOffsetting(0, 90.0, 0)
    assert offsetOf("Query") != pytest.approx(60)


def test_a_flipped_result_runs_the_other_way(display):
    path = np.linspace(50, 20, 40)
    match = replace(aMatch(1), correspondence=Correspondence(np.round(path).astype(int), path, path * SPACING[2], True))
    display.show(aVolume("query", 40), aResult(1, matches=(match,)), [ShownMatch(match, aVolume("match"))])
    scroll(0, 0)
    low = offsetOf("Result1")
    scroll(0, 117)
    assert (low, offsetOf("Result1")) == (pytest.approx(150), pytest.approx(60))
    scroll(1, 150)
    assert offsetOf("Query") == pytest.approx(0)


def test_a_view_that_was_turned_out_of_its_plane_leads_nobody(display):
    show(display, 1)
    before = offsetOf("Result1")
    main(0).SetOrientation("Sagittal")
    main(0).JumpSliceByOffsetting(20, 0, 0)
    assert offsetOf("Result1") == before
    assert "out of its plane" in textIn("Query")


def test_the_line_in_the_navigator_shows_where_the_main_view_is(display):
    show(display, 1)
    manager = slicer.app.layoutManager()
    node = manager.sliceWidget("Result1").sliceLogic().GetSliceDisplayNode()
    assert node.GetIntersectingSlicesVisibility()
    display.remove()
    assert not node.GetIntersectingSlicesVisibility()
