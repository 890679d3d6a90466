"""A registration makes the mapping more exact, or says that it did not; it can be stopped."""

from __future__ import annotations

import json

import numpy as np
import pytest
from engine.archives import a_scan
from VolumeRetrievalEngine.preprocessing import preprocess
from VolumeRetrievalEngine.progress import Cancelled
from VolumeRetrievalEngine.query.body_stack import BodyStack
from VolumeRetrievalEngine.query.oriented_box import OrientedBox
from VolumeRetrievalEngine.recipe import Recipe
from VolumeRetrievalEngine.searching.point_map import PointMap
from VolumeRetrievalEngine.searching.refinement import Refinement
from VolumeRetrievalEngine.searching.registration import refine
from VolumeRetrievalEngine.volume import Attributes, Volume

MOVED = np.array([[1.05, 0.0, 0.0, 30.0], [0.0, 0.95, 0.0, -20.0], [0.0, 0.0, 1.0, 400.0], [0.0, 0.0, 0.0, 1.0]])


def stack_of(volume: Volume) -> BodyStack:
    stack = preprocess(volume, Recipe("descriptor"))
    return BodyStack.of(stack.geometry, stack.table, stack.outlines)


@pytest.fixture(scope="module")
def query() -> Volume:
    scan = a_scan(3, "abdomen")
    return Volume.from_array(scan.voxels, scan.affine, Attributes(modality="CT"))


@pytest.fixture(scope="module")
def result(query) -> Volume:
    """The same patient elsewhere, a little wider and flatter."""
    return Volume.from_array(query.voxels, MOVED @ query.affine, Attributes(modality="CT"))


@pytest.fixture(scope="module")
def region(query) -> OrientedBox:
    middle = query.affine @ [*(0.5 * np.array(query.voxels.shape[::-1])), 1.0]
    return OrientedBox(middle[:3], np.eye(3), np.array([120.0, 100.0, 80.0]))


def a_map(query: Volume, result: Volume, wrong_by_mm: float) -> PointMap:
    ours, theirs = stack_of(query), stack_of(result)
    ends = ours.position_mm[[0, -1]]
    return PointMap(ours, theirs, ends, theirs.position_mm[[0, -1]] + wrong_by_mm, False)


def test_a_mapping_that_is_some_mm_wrong_is_set_right(query, result, region):
    points = a_map(query, result, 15.0)
    true = MOVED[:3, :3] @ region.center + MOVED[:3, 3]
    assert np.linalg.norm(points.points(region.center[None])[0] - true) > 12
    found = refine(query, result, points, region)
    assert found.success and found.reason == "" and found.gain > 0
    assert np.linalg.norm(found.points(region.center[None])[0] - true) < 4
    assert np.linalg.norm(found.box.center - true) < 5
    assert 8 < found.shift_mm < 25
    assert Refinement.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_what_is_not_to_be_believed_leaves_the_mapping_and_says_why(query, result, region):
    points = a_map(query, result, 15.0)
    noise = np.random.default_rng(0).normal(0, 100, result.voxels.shape).astype(np.float32)
    found = refine(query, Volume.from_array(noise, result.affine, Attributes(modality="MR")), points, region)
    assert not found.success and "registration" in found.reason
    np.testing.assert_allclose(found.box.center, points.box(region).center)
    mapped = points.points(region.center[None])[0]
    assert np.linalg.norm(found.points(region.center[None])[0] - mapped) < 5, "the affine nearest to the mapping"


def test_a_region_outside_says_so(query, result, region):
    away = OrientedBox(region.center + np.array([0.0, 0.0, 3000.0]), region.axes, region.size)
    found = refine(query, result, a_map(query, result, 0.0), away)
    assert not found.success and "outside" in found.reason


def test_it_can_be_stopped_at_every_step(query, result, region):
    steps = []

    def stop() -> None:
        steps.append(1)
        if len(steps) == 3:
            raise Cancelled("cancelled")

    with pytest.raises(Cancelled):
        refine(query, result, a_map(query, result, 15.0), region, stop)
    assert len(steps) == 3
