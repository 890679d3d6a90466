"""Near the region a registration decides where points go, far from it the mapping; a match uses it where reliable."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from engine.searching.test_point_map import ADULT, CHILD, mapped
from VolumeRetrievalEngine.method.place import Place
from VolumeRetrievalEngine.query.oriented_box import OrientedBox
from VolumeRetrievalEngine.searching.match import Match, SearchResult
from VolumeRetrievalEngine.searching.point_map import MARGIN_MM
from VolumeRetrievalEngine.searching.refinement import Refinement
from VolumeRetrievalEngine.searching.registered_map import FAR_MM, NEAR_MM
from VolumeRetrievalEngine.volume import Attributes, SliceTable, SourceFiles

POINTS = mapped(ADULT, CHILD)
REGION = OrientedBox(np.array([10.0, -5.0, 60.0]), np.eye(3), np.array([40.0, 40.0, 40.0]))
#: What the mapping says, moved: 6 mm to the right.
MATRIX = np.array([[0.5, 0.0, 0.0, -19.0], [0.0, 0.5, 0.0, 17.5], [0.0, 0.0, 0.5, 1000.0], [0.0, 0.0, 0.0, 1.0]])
REGISTERED_BOX = OrientedBox(np.array([-14.0, 15.0, 1030.0]), np.eye(3), np.array([20.0, 20.0, 20.0]))


def a_match(success: bool) -> Match:
    refinement = Refinement(MATRIX, success, "" if success else "why not", 0.1, 6.0, REGISTERED_BOX, 1.0)
    return Match(
        rank=1, volume_id="v", key=1, score=0.9, first_stage=0.9, files=SourceFiles("", ("a",)), series_uid="",
        attributes=Attributes(), plane="axial", n_slices=41, n_rows=41, box=POINTS.box(REGION), point_map=POINTS,
        refinement=refinement,
    )  # fmt: skip


def test_in_the_region_the_registration_decides_far_away_the_mapping():
    match = a_match(True)
    far_below = 60.0 - 2 * (FAR_MM + 15.0)  # of a result half as large
    points = np.array([REGION.center, REGION.corners()[0], [10.0, -5.0, far_below]])
    there = match.map_points(points)
    np.testing.assert_allclose(there[:2], match.refinement.points(points[:2]))
    np.testing.assert_allclose(there[2], POINTS.points(points[2:])[0])
    np.testing.assert_allclose(match.map_back(there), points, atol=0.05)
    assert match.best_box == REGISTERED_BOX and match.box == POINTS.box(REGION)


def test_between_them_it_fades_without_a_step():
    match = a_match(True)
    away = np.linspace(0, FAR_MM + 20, 200)
    points = np.column_stack([np.full((200, 2), (10.0, -5.0)), 60.0 + 2 * away])
    moved = match.map_points(points)[:, 0] - POINTS.points(points)[:, 0]
    assert moved[0] == pytest.approx(6.0, abs=0.1) and moved[-1] == pytest.approx(0.0, abs=0.1)
    assert (np.diff(moved) < 1e-6).all() and np.abs(np.diff(moved)).max() < 6 * 0.6 * 2 / (FAR_MM - NEAR_MM)
    np.testing.assert_allclose(match.map_back(match.map_points(points)), points, atol=12.0)


def test_a_registration_that_is_not_reliable_changes_nothing():
    match = a_match(False)
    points = np.array([REGION.center])
    assert np.array_equal(match.map_points(points), POINTS.points(points))
    assert match.best_box == match.box and match.mapping is POINTS


def test_the_affine_that_shows_a_match_in_the_querys_space():
    table = SliceTable.regular(np.diag([-2.0, -2.0, 5.0, 1.0]), 41)
    place = Place(8, 16, 8, 16, "", "", 1020.0, 1040.0, 0.9, 1.0, 8, 16)
    match = replace(a_match(False), place=place)
    result = SearchResult((match,), "q", "", "axial", table, 1, 1, "two-stage", "slices", query_box=REGION)
    nearest = result.alignment(match)
    np.testing.assert_allclose((nearest @ np.append(REGION.center, 1.0))[:3], POINTS.points(REGION.center[None])[0])
    np.testing.assert_allclose(nearest[:3, :3], 0.5 * np.eye(3), atol=0.01)
    assert np.array_equal(result.alignment(replace(a_match(True), place=place)), MATRIX)
    assert result.alignment(a_match(True)) is None, "nothing says where it lies"
    assert MARGIN_MM == NEAR_MM, "what the registration has seen is what it decides"
