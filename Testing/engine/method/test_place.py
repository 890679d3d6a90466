"""The one range that the path spans, what of the query lies outside, and how certain the place is."""

from __future__ import annotations

import numpy as np
import pytest
from VolumeRetrievalEngine.method.correspondence import correspondence
from VolumeRetrievalEngine.method.place import Place, best_pair, certainty, matched_place
from VolumeRetrievalEngine.searching.place_notes import place_notes
from VolumeRetrievalEngine.volume import SliceTable


def stack(count: int, spacing: float = 3.0, start: float = 0.0) -> SliceTable:
    affine = np.diag([1.0, 1.0, spacing, 1.0])
    affine[2, 3] = start
    return SliceTable.regular(affine, count)


def like(query_at: np.ndarray, candidate_at: np.ndarray, seed: int = 0) -> np.ndarray:
    """S of slices that lie at these heights (mm) of one anatomy, with noise."""
    noise = np.random.default_rng(seed).normal(0, 0.02, (len(query_at), len(candidate_at)))
    return (0.3 + 0.6 * np.exp(-np.abs(query_at[:, None] - candidate_at[None]) / 15.0) + noise).astype(np.float32)


def place_of(similarity: np.ndarray, query: SliceTable, candidate: SliceTable) -> Place:
    found = correspondence(similarity, query.position, candidate.position)
    sure = certainty(similarity, query.position, candidate.position, found.flipped)
    return matched_place(similarity, found, query, candidate, sure)


def test_an_organ_is_one_range_where_votes_break_it_into_pieces():
    query, candidate = stack(14), stack(60)
    heights = 60.0 + query.position
    similarity = like(heights, candidate.position)
    similarity[5, 50] = similarity[9, 3] = 0.99  # two slices that look like something far away
    place = place_of(similarity, query, candidate)
    assert (place.first_slice, place.last_slice) == pytest.approx((20, 33), abs=1)
    assert place.extent_mm == place.end_mm - place.start_mm == pytest.approx(39, abs=6)
    assert place.is_certain and (place.missing_before, place.missing_after) == (0.0, 0.0)
    row, column = best_pair(similarity, correspondence(similarity, query.position, candidate.position), place)
    assert place.first_row < column < place.last_row and 2 <= row < 12, "from the middle of the range"


@pytest.mark.parametrize(("start", "before", "after"), [(-60.0, 0.5, 0.0), (120.0, 0.0, 0.5)])
def test_what_of_the_query_lies_outside_is_said(start, before, after):
    """The candidate has the upper, or the lower, half of the query only."""
    query, candidate = stack(40), stack(40)
    similarity = (
        like(query.position + start, candidate.position)
        if start < 0
        else like(query.position + 60.0, candidate.position)
    )
    place = place_of(similarity, query, candidate)
    assert place.missing_before == pytest.approx(before, abs=0.1)
    assert place.missing_after == pytest.approx(after, abs=0.1)
    notes = place_notes(place, "axial")
    assert any(("inferior" if before else "superior") in note for note in notes)
    end = place.first_row if before else 39 - place.last_row
    assert end <= 3, "the range reaches the end of the candidate that the path leaves by"


def test_a_whole_volume_and_a_longer_one_overlap_where_they_are_alike():
    query, candidate = stack(60, 5.0), stack(50, 4.0)  # 295 mm against 196 mm, which begins 50 mm higher
    similarity = like(query.position, candidate.position + 50.0)
    place = place_of(similarity, query, candidate)
    assert (place.first_row, place.last_row) == pytest.approx((0, 49), abs=2)
    assert query.position[place.query_first_row] == pytest.approx(50, abs=15)
    assert query.position[place.query_last_row] == pytest.approx(246, abs=15)


def test_a_flipped_stack_has_the_range_too():
    query, candidate = stack(20), stack(60)
    heights = 150.0 - query.position
    place = place_of(like(heights, candidate.position), query, candidate)
    assert (place.first_slice, place.last_slice) == pytest.approx((31, 50), abs=1)
    assert place.first_row < place.last_row and place.is_certain


def test_gaps_and_irregular_spacing_are_measured_in_millimeters():
    query = stack(14)
    candidate = stack(80).take(np.r_[0:20, 25:30, 32:60:3, 62, 70])
    place = place_of(like(60.0 + query.position, candidate.position), query, candidate)
    assert place.start_mm == pytest.approx(60, abs=15) and place.end_mm == pytest.approx(99, abs=9)


@pytest.mark.parametrize(("n_query", "n_candidate"), [(1, 40), (10, 1), (1, 1)])
def test_one_slice_has_a_place_but_no_certainty(n_query, n_candidate):
    query, candidate = stack(n_query), stack(n_candidate)
    place = place_of(like(60.0 + query.position, candidate.position), query, candidate)
    assert place.first_slice == place.last_slice
    assert place.certainty == 0.0 and not place.is_certain
    assert "uncertain" in place_notes(place, "coronal")[0]


def test_a_volume_without_the_region_is_called_uncertain():
    sure = []
    query, candidate = stack(14), stack(60)
    for seed in range(20):
        noise = np.random.default_rng(seed).normal(0.5, 0.05, (20, 66))
        smooth = np.apply_along_axis(np.convolve, 1, noise, np.ones(7) / 7, "valid")
        smooth = np.apply_along_axis(np.convolve, 0, smooth, np.ones(7) / 7, "valid")
        sure.append(place_of(smooth.astype(np.float32)[:14], query, candidate).is_certain)
    assert sum(sure) <= 2


def test_certainty_does_not_depend_on_contrast_or_offset_and_repeats():
    query, candidate = stack(14), stack(60)
    similarity = like(60.0 + query.position, candidate.position)
    first = certainty(similarity, query.position, candidate.position)
    assert first == certainty(similarity, query.position, candidate.position)
    assert certainty(0.5 * similarity + 0.2, query.position, candidate.position) == pytest.approx(first, abs=0.01)


def test_a_place_comes_back_from_json():
    query, candidate = stack(14), stack(60)
    place = place_of(like(60.0 + query.position, candidate.position), query, candidate)
    assert Place.from_dict(place.to_dict()) == place
