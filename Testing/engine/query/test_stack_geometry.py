"""A stack's geometry without its voxels, and what slice numbers mean in it."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from VolumeRetrievalEngine.errors import EmptyRegionError, NotAVolumeError, QueryError
from VolumeRetrievalEngine.preprocessing.plane_geometry import PlaneGeometry, orient
from VolumeRetrievalEngine.query.oriented_box import OrientedBox
from VolumeRetrievalEngine.query.region import BoxRAS, SingleSlice, SliceRange, box_of
from VolumeRetrievalEngine.query.selection import select_rows
from VolumeRetrievalEngine.query.stack_geometry import StackGeometry
from VolumeRetrievalEngine.volume import SliceTable, Volume

SHAPE = (9, 12, 10)  # [k, j, i]


def an_affine(order=(0, 1, 2), signs=(-1, -1, 1), spacing=(1.5, 1.5, 4.0), turned=(0, 0, 0), shear=0.0) -> np.ndarray:
    directions = np.zeros((3, 3))
    for axis, (world, sign) in enumerate(zip(order, signs, strict=True)):
        directions[world, axis] = sign
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", turned, degrees=True).as_matrix() @ directions * spacing
    affine[:3, 2] += shear * affine[:3, 1]
    affine[:3, 3] = (12.0, -40.0, 310.0)
    return affine


@pytest.mark.parametrize("plane", ["auto", "axial", "sagittal", "coronal"])
@pytest.mark.parametrize("spacing", [(1.5, 1.5, 4.0), (1.0, 1.0, 1.0), (5.0, 1.0, 1.0)])
def test_it_is_what_the_engine_makes_of_the_voxels(plane, spacing):
    for order, signs in product(permutations(range(3)), product((1, -1), repeat=3)):
        affine = an_affine(order, signs, spacing, turned=(8, -11, 5))
        oriented = orient(Volume.from_array(np.zeros(SHAPE), affine), plane)
        assert PlaneGeometry.of(SHAPE, affine, plane) == oriented.geometry
        stack = StackGeometry.of(SHAPE, affine, plane)
        assert (stack.plane, stack.count) == (oriented.geometry.plane, len(oriented.table))
        assert stack.positions == pytest.approx(oriented.table.position)
        assert np.linalg.det(stack.axes) == pytest.approx(1)
        assert stack.spacing == pytest.approx(oriented.geometry.spacing[2])


@pytest.mark.parametrize(
    ("plane", "axis", "ends"),
    [
        ("sagittal", 0, ("left", "right")),
        ("coronal", 1, ("posterior", "anterior")),
        ("axial", 2, ("inferior", "superior")),
    ],
)
def test_slices_ascend_toward_right_anterior_and_superior(plane, axis, ends):
    stack = StackGeometry.of(SHAPE, an_affine(signs=(1, 1, -1)), plane)
    assert stack.normal == pytest.approx(np.eye(3)[axis])
    assert stack.ends == ends
    assert stack.slab(0, 0).center[axis] < stack.slab(5, 5).center[axis]


def test_a_slab_ends_halfway_to_the_next_slices_and_covers_the_image():
    stack = StackGeometry.of(SHAPE, an_affine(signs=(-1, -1, -1)))
    low = 310 - 8 * 4  # of the lowest slice
    box = stack.slab(2, 4)
    corners = box.corners()
    assert corners[:, 2].min() == pytest.approx(low + 2 * 4 - 2)
    assert corners[:, 2].max() == pytest.approx(low + 4 * 4 + 2)
    assert sorted(box.size[:2]) == pytest.approx([15, 18])
    assert stack.slab(-3, 99).size == pytest.approx(stack.size)


def test_slices_of_a_range_are_those_in_its_box():
    affine = an_affine(turned=(20, 10, -15), signs=(-1, -1, -1))
    geometry = PlaneGeometry.of(SHAPE, affine)
    stack, table = StackGeometry.of_plane(geometry), SliceTable.regular(geometry.affine, SHAPE[0])
    for region in (SliceRange(2, 4), SingleSlice(0), SliceRange(7, 40, "axial")):
        box = box_of(region, stack)
        assert select_rows(box, geometry, table).tolist() == select_rows(region, geometry, table).tolist()
    box = BoxRAS((0, 0, 0), (1, 1, 1))
    assert box_of(box, stack) == OrientedBox((0.5, 0.5, 0.5), np.eye(3), (1, 1, 1))


def test_irregular_slices_have_their_true_places_and_left_out_ones_lie_between():
    geometry = PlaneGeometry("axial", np.diag([-1.0, -1.0, 3.0, 1.0]), (10, 8, 8))
    table = SliceTable.regular(geometry.affine, 10)
    origin = table.origin.copy()
    origin[6:, 2] += 30  # slices are missing in between
    table = SliceTable(table.index, table.sop_uid, table.frame, origin, table.normal, origin[:, 2]).take(
        [1, 3, 5, 6, 8]
    )
    stack = StackGeometry.of_plane(geometry, table)
    assert stack.positions == pytest.approx([0, 3, 6, 9, 12, 15, 48, 51, 54, 57])
    assert (stack.count, stack.spacing) == (10, 3)
    assert stack.slab(6, 6).corners()[:, 2].min() == pytest.approx((15 + 48) / 2)
    for region in (SliceRange(2, 5), SingleSlice(6), SliceRange(6, 9)):
        assert select_rows(box_of(region, stack), geometry, table).tolist() == (
            select_rows(region, geometry, table).tolist()
        )


def test_with_gantry_tilt_the_axes_are_at_right_angles_and_the_box_holds_every_slice():
    affine = an_affine(shear=1.2)
    stack = StackGeometry.of(SHAPE, affine)
    assert stack.axes @ stack.axes.T == pytest.approx(np.eye(3))
    assert abs(stack.normal @ affine[:3, 0]) + abs(stack.normal @ affine[:3, 1]) == pytest.approx(0, abs=1e-9)
    assert stack.spacing == pytest.approx(4)  # along the normal, not along the shifted step
    corners = np.array([[i, j, k, 1] for i in (-0.5, 9.5) for j in (-0.5, 11.5) for k in (0, 8)]) @ affine.T
    assert (np.abs((corners[:, :3] - stack.center) @ stack.axes.T) <= stack.size / 2 + 1e-9).all()
    assert np.isfinite(stack.slab(0, 8).corners()).all()
    geometry = PlaneGeometry.of(SHAPE, affine)
    table = SliceTable.regular(geometry.affine, SHAPE[0])
    assert select_rows(stack.slab(3, 5), geometry, table).tolist() == [3, 4, 5]


def test_the_nearest_slice_to_a_point():
    stack = StackGeometry.of(SHAPE, an_affine())
    assert [stack.nearest((0, 0, 310 + z)) for z in (-1.9, 0, 9.9, 10.1, 33.9)] == [0, 0, 2, 3, 8]
    assert stack.nearest((0, 0, 307)) is None and stack.nearest((0, 0, 345)) is None


def test_a_single_slice_has_its_own_thickness():
    stack = StackGeometry.of((1, 8, 8), an_affine())
    assert (stack.count, stack.spacing) == (1, 4)
    assert stack.slab(0, 0).size == pytest.approx(stack.size)


def test_texts_count_from_one_and_name_the_plane():
    assert str(SliceRange(4, 7)) == "slices 5-8"
    assert str(SliceRange(4, 7, "axial")) == "axial slices 5-8"
    assert str(SingleSlice(4, "coronal")) == "coronal slice 5"
    stack = StackGeometry.of(SHAPE, an_affine())
    with pytest.raises(
        EmptyRegionError, match=r"no axial slice 10: .* has 9, counted from 1 \(inferior\) to 9 \(superior\)"
    ):
        box_of(SingleSlice(9), stack)


def test_numbers_that_count_another_plane_are_refused():
    stack = StackGeometry.of(SHAPE, an_affine())
    with pytest.raises(QueryError, match="coronal slices 2-3: the query is sliced in the axial plane"):
        box_of(SliceRange(1, 2, "coronal"), stack)


@pytest.mark.parametrize("affine", [np.diag([1.0, 0, 1, 1]), np.full((4, 4), np.nan)])
def test_axes_without_direction_are_refused(affine):
    with pytest.raises(NotAVolumeError, match="directions"):
        StackGeometry.of(SHAPE, affine)
