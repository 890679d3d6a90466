"""A box in space: what it accepts, where it lies, which slices it selects."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.spatial.transform import Rotation
from VolumeRetrievalEngine.errors import EmptyRegionError, QueryError
from VolumeRetrievalEngine.preprocessing.plane_geometry import PlaneGeometry
from VolumeRetrievalEngine.query.oriented_box import OrientedBox
from VolumeRetrievalEngine.query.region import BoxRAS
from VolumeRetrievalEngine.query.selection import in_plane_box, select_rows
from VolumeRetrievalEngine.volume import SliceTable


def turned(degrees=(20, -35, 50)) -> np.ndarray:
    return Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()


def a_stack(angles=(0.0, 0.0, 0.0), shape=(30, 40, 50), spacing=(1.0, 1.0, 3.0)):
    affine = np.eye(4)
    affine[:3, :3] = turned(angles) @ np.diag([-1.0, -1.0, 1.0]) * spacing
    affine[:3, 3] = -affine[:3, :3] @ (0.5 * (np.array(shape[::-1]) - 1))
    geometry = PlaneGeometry("axial", affine, shape)
    return geometry, SliceTable.regular(affine, shape[0])


def test_a_box_survives_json():
    box = OrientedBox((1.5, -2, 3), turned(), (10, 20, 0))
    assert OrientedBox.from_dict(json.loads(json.dumps(box.to_dict()))) == box
    assert box != OrientedBox((1.5, -2, 3), turned(), (10, 20, 1))


@pytest.mark.parametrize(
    ("center", "axes", "size"),
    [
        ((0, 0), np.eye(3), (1, 1, 1)),
        ((0, 0, np.nan), np.eye(3), (1, 1, 1)),
        ((0, 0, 1e400), np.eye(3), (1, 1, 1)),
        ((0, 0, 0), 2 * np.eye(3), (1, 1, 1)),
        ((0, 0, 0), [[1, 0, 0], [0.7, 0.7, 0], [0, 0, 1]], (1, 1, 1)),
        ((0, 0, 0), np.eye(3), (1, -1, 1)),
        ((0, 0, 0), np.eye(3), (1, np.inf, 1)),
        ("abc", np.eye(3), (1, 1, 1)),
        (None, None, None),
    ],
)
def test_what_is_no_box_is_refused(center, axes, size):
    with pytest.raises(QueryError, match="box"):
        OrientedBox(center, axes, size)
    with pytest.raises(QueryError, match="size"):
        OrientedBox.from_dict({"center": [0, 0, 0], "axes": np.eye(3).tolist()})


def test_the_box_around_points_holds_just_them():
    points = np.random.default_rng(0).normal(size=(50, 3)) * [30, 5, 12]
    box = OrientedBox.around(points, turned())
    within = np.abs((points - box.center) @ box.axes.T) - box.size / 2
    assert within.max(axis=0) == pytest.approx(np.zeros(3), abs=1e-9)
    assert OrientedBox.around(box.corners(), turned()).size == pytest.approx(box.size)


def test_its_text_says_where_it_lies():
    assert str(BoxRAS((0, 1, 2), (3, 4, 5))) == "box x 0.0 to 3.0, y 1.0 to 4.0, z 2.0 to 5.0 mm"
    assert str(OrientedBox((0, 0, 0), turned(), (1, 1, 1))).startswith("turned box x ")


def test_a_turned_box_selects_the_slices_that_pass_through_it():
    geometry, table = a_stack()
    # 60 mm long and 6 mm thick, turned by 45 degrees about x: 60 sin 45 + 6 cos 45 = 46.7 mm high.
    box = OrientedBox((0, 0, 0), turned((45, 0, 0)), (10, 60, 6))
    heights = geometry.affine[2, 2] * np.arange(30) + geometry.affine[2, 3]
    assert select_rows(box, geometry, table).tolist() == np.flatnonzero(np.abs(heights) <= 46.67 / 2).tolist()
    # Beside the image in plane, whatever the bounding boxes say.
    beside = OrientedBox((0, 45, 45), turned((45, 0, 0)), (10, 60, 2))
    with pytest.raises(EmptyRegionError, match=r"turned box .* misses the volume"):
        select_rows(beside, *a_stack(shape=(30, 10, 10)))


@pytest.mark.parametrize("seed", range(3))
def test_a_turned_box_in_an_oblique_stack_equals_linear_programming(seed):
    rng = np.random.default_rng(seed)
    geometry, table = a_stack(angles=rng.uniform(-50, 50, 3))
    for _ in range(3):
        box = OrientedBox(rng.uniform(-25, 25, 3), turned(rng.uniform(-90, 90, 3)), rng.uniform(3, 30, 3))
        expected = [row for row in range(30) if _rectangle_meets_box(geometry, table.origin[row], box)]
        if expected:
            assert select_rows(box, geometry, table).tolist() == expected


def _rectangle_meets_box(geometry, origin, box) -> bool:
    """Whether some point of the slice, up to its pixels' borders, lies in the box: a linear program."""
    edges = box.axes @ geometry.affine[:3, :2]
    start = box.axes @ (origin - box.center)
    bounds = np.concatenate([box.size / 2 - start, box.size / 2 + start])
    limits = [(-0.5, geometry.shape[2] - 0.5), (-0.5, geometry.shape[1] - 0.5)]
    return linprog([0, 0], A_ub=np.vstack([edges, -edges]), b_ub=bounds, bounds=limits).status == 0


def test_a_turned_box_bounds_the_pixels_that_its_corners_reach():
    geometry, _ = a_stack()
    box = OrientedBox((0, 0, 0), turned((0, 0, 45)), (10, 10, 5))
    half = 10 / np.sqrt(2)
    row0, row1, column0, column1 = in_plane_box(box, geometry, margin_mm=0)
    assert (row0, row1) == (int(np.floor(19.5 - half + 0.5)), int(np.ceil(19.5 + half - 0.5)) + 1)
    assert (column0, column1) == (int(np.floor(24.5 - half + 0.5)), int(np.ceil(24.5 + half - 0.5)) + 1)
