"""A point of the query becomes a point of a result, and back; a region becomes a box."""

from __future__ import annotations

import json

import numpy as np
import pytest
from VolumeRetrievalEngine.preprocessing.plane_geometry import PlaneGeometry
from VolumeRetrievalEngine.query.body_stack import BodyStack
from VolumeRetrievalEngine.query.oriented_box import OrientedBox
from VolumeRetrievalEngine.searching.point_map import PointMap
from VolumeRetrievalEngine.volume import SliceTable


def stack(
    slices: int, spacing: float, start: float, middle: tuple[float, float], size: tuple[float, float], turn: float = 0.0
) -> BodyStack:
    """An axial stack of 200 x 100 pixels of 2 mm; the body's middle and size in mm along R and A."""
    affine = np.diag([-2.0, -2.0, spacing, 1.0])
    affine[:3, 3] = (200.0, 100.0, start)
    rotation = np.eye(4)
    rotation[1:3, 1:3] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    affine = rotation @ affine
    geometry = PlaneGeometry("axial", affine, (slices, 100, 200))
    outline = [200.0 - middle[0], 100.0 - middle[1], size[0], size[1]]
    outlines = np.tile(np.array(outline, np.float32), (slices, 1))
    outlines[: slices // 4] = np.nan
    return BodyStack.of(geometry, SliceTable.regular(affine, slices), outlines)


def mapped(query: BodyStack, result: BodyStack, flipped: bool = False) -> PointMap:
    """The path joins the lowest slice to the lowest (flipped: to the highest) slice, end to end."""
    along = result.position_mm[[0, -1]]
    return PointMap(query, result, query.position_mm[[0, -1]], along[::-1] if flipped else along, flipped)


ADULT = stack(41, 5.0, 0.0, (10.0, -5.0), (300.0, 200.0))
CHILD = stack(41, 2.5, 1000.0, (-20.0, 15.0), (150.0, 100.0))


def test_a_point_keeps_its_place_relative_to_the_body():
    points = np.array([[10.0, -5.0, 100.0], [160.0, 95.0, 0.0], [-140.0, -105.0, 200.0]])
    expected = [[-20.0, 15.0, 1050.0], [55.0, 65.0, 1000.0], [-95.0, -35.0, 1100.0]]
    points_map = mapped(ADULT, CHILD)
    np.testing.assert_allclose(points_map.points(points), expected, atol=0.02)
    np.testing.assert_allclose(points_map.inverse().points(expected), points, atol=0.05)


def test_beyond_the_path_it_goes_on_at_one_mm_for_each():
    (below, above) = mapped(ADULT, CHILD).points(np.array([[10.0, -5.0, -30.0], [10.0, -5.0, 230.0]]))
    assert (below[2], above[2]) == pytest.approx((970.0, 1130.0))
    (below, above) = mapped(ADULT, CHILD, flipped=True).points(np.array([[10.0, -5.0, -30.0], [10.0, -5.0, 230.0]]))
    assert (below[2], above[2]) == pytest.approx((1130.0, 970.0))


def test_a_flipped_path_turns_the_height_alone_and_back():
    points = np.array([[160.0, 95.0, 40.0]])
    points_map = mapped(ADULT, CHILD, flipped=True)
    np.testing.assert_allclose(points_map.points(points), [[55.0, 65.0, 1080.0]], atol=0.02)
    np.testing.assert_allclose(points_map.inverse().points(points_map.points(points)), points, atol=0.05)


def test_an_oblique_stack_is_followed_along_its_own_axes():
    turned = stack(41, 5.0, 0.0, (10.0, -5.0), (300.0, 200.0), turn=0.4)
    points = np.array([[30.0, 20.0, 60.0], [-40.0, -60.0, 150.0]])
    rotation = np.array([[1, 0, 0], [0, np.cos(0.4), -np.sin(0.4)], [0, np.sin(0.4), np.cos(0.4)]])
    np.testing.assert_allclose(mapped(ADULT, turned).points(points), points @ rotation.T, atol=0.05)


def test_without_an_outline_distances_in_plane_are_kept():
    affine = np.diag([-2.0, -2.0, 2.5, 1.0])
    affine[:3, 3] = (199.0, 99.0, 1000.0)
    plain = BodyStack.of(PlaneGeometry("axial", affine, (41, 100, 200)), SliceTable.regular(affine, 41), None)
    assert not plain.is_body
    np.testing.assert_allclose(mapped(ADULT, plain).points([[40.0, 15.0, 100.0]]), [[30.0, 20.0, 1050.0]], atol=0.02)


def test_another_plane_keeps_the_place_relative_to_the_box_around_the_body():
    affine = np.array([[-2.0, 0, 0, 75.0], [0, 0, 5.0, -80.0], [0, -2.0, 0, 290.0], [0, 0, 0, 1]])
    outlines = np.tile(np.array([75.0, 100.0, 150.0, 200.0], np.float32), (33, 1))  # R -75 to 75, S 90 to 290
    coronal = BodyStack.of(PlaneGeometry("coronal", affine, (33, 120, 80)), SliceTable.regular(affine, 33), outlines)
    points_map = mapped(ADULT, coronal)
    low, high = np.array([-140.0, -105.0, -2.5]), np.array([160.0, 95.0, 202.5])
    theirs_low, theirs_high = np.array([-75.0, -82.5, 90.0]), np.array([75.0, 82.5, 290.0])
    share = np.array([[0.2, 0.3, 0.9], [0.0, 1.0, 0.5]])
    points = low + share * (high - low)
    np.testing.assert_allclose(points_map.points(points), theirs_low + share * (theirs_high - theirs_low), atol=0.1)
    box = points_map.box(OrientedBox.around(np.array([low, high]), np.eye(3)))
    np.testing.assert_allclose(sorted(box.size), sorted(theirs_high - theirs_low), atol=0.2)


def test_a_region_becomes_a_box_of_the_result_along_its_stack():
    box = OrientedBox.around(np.array([[-20.0, -25.0, 80.0], [40.0, 15.0, 120.0]]), np.eye(3))
    found = mapped(ADULT, CHILD).box(box)
    np.testing.assert_allclose(found.center, [-20.0, 15.0, 1050.0], atol=0.05)
    np.testing.assert_allclose(np.abs(found.size @ found.axes), [30.0, 20.0, 20.0], atol=0.1)
    np.testing.assert_allclose(mapped(ADULT, CHILD, flipped=True).box(box).center, [-20.0, 15.0, 1050.0], atol=0.05)


def test_slices_become_the_body_between_their_borders():
    found = mapped(ADULT, CHILD).result.slab(1010.0, 1020.0)
    corners = found.corners()
    np.testing.assert_allclose(corners.min(axis=0), [-95.0, -35.0, 1008.75], atol=0.05)
    np.testing.assert_allclose(corners.max(axis=0), [55.0, 65.0, 1021.25], atol=0.05)


def test_one_slice_maps_too():
    one = stack(1, 5.0, 30.0, (10.0, -5.0), (300.0, 200.0))
    points_map = PointMap(one, CHILD, one.position_mm, np.array([1040.0]), False)
    np.testing.assert_allclose(points_map.points([[10.0, -5.0, 33.0]]), [[10.0 - 30.0, 15.0, 1043.0]], atol=0.05)


def test_a_map_comes_back_from_json():
    before = mapped(ADULT, CHILD, flipped=True)
    after = PointMap.from_dict(json.loads(json.dumps(before.to_dict())))
    assert after == before and after.query == ADULT and after.query != CHILD
    points = np.random.default_rng(0).normal(0, 100, (10, 3))
    assert np.array_equal(after.points(points), before.points(points))
