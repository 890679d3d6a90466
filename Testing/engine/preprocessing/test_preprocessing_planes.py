"""Planes: which one, in which order and orientation, and where every slice lies."""

from __future__ import annotations

import json
from itertools import permutations, product

import numpy as np
import pytest
from VolumeRetrievalEngine.errors import NotAVolumeError
from VolumeRetrievalEngine.preprocessing import preprocess
from VolumeRetrievalEngine.preprocessing.plane_geometry import PlaneGeometry, choose_plane, orient, thin
from VolumeRetrievalEngine.recipe import Recipe
from VolumeRetrievalEngine.volume import SliceTable, Volume

#: World axes (0 = right, 1 = anterior, 2 = superior) of slices, rows and columns, as radiologists see each plane.
LAID_OUT = {"axial": (2, 1, 0), "coronal": (1, 2, 0), "sagittal": (0, 2, 1)}

EVERY_ORIENTATION = list(product(permutations(range(3)), product((1, -1), repeat=3)))


def a_volume_along(order: tuple[int, ...], signs: tuple[int, ...], tilt: float = 0.0) -> Volume:
    """A volume whose axes i, j, k run along these world axes in these directions, turned by `tilt` radians about z."""
    directions = np.zeros((3, 3))
    for axis, (world, sign) in enumerate(zip(order, signs, strict=True)):
        directions[world, axis] = sign
    turn = np.array([[np.cos(tilt), -np.sin(tilt), 0], [np.sin(tilt), np.cos(tilt), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ directions * [1.0, 1.5, 1.75]
    affine[:3, 3] = [-40, 25, 310]
    return Volume.from_array(np.arange(4 * 5 * 6).reshape(4, 5, 6), affine)


def world_of_values(volume: Volume) -> np.ndarray:
    """float [n, 3]: RAS of the voxel that holds each value."""
    k, j, i = np.unravel_index(np.arange(volume.voxels.size), volume.voxels.shape)
    return (np.stack([i, j, k, np.ones_like(i)], axis=1) @ volume.affine.T)[:, :3]


def irregular(positions: list[float], affine: np.ndarray) -> Volume:
    """A volume of 8 x 8 slices at these positions along k, with UIDs and frames."""
    count = len(positions)
    step = affine[:3, 2] / np.linalg.norm(affine[:3, 2])
    table = SliceTable(
        index=np.arange(count, dtype=np.int32),
        sop_uid=tuple(f"1.2.{number}" for number in range(count)),
        frame=np.arange(count, dtype=np.int32),
        origin=affine[:3, 3] + np.array(positions)[:, None] * step,
        normal=np.tile(step, (count, 1)),
        position=(affine[:3, 3] @ step) + np.array(positions),
    )
    voxels = np.random.default_rng(0).uniform(1, 2, (count, 8, 8)).astype(np.float32)
    return Volume(voxels=voxels, affine=affine, slices=table)


@pytest.mark.parametrize("plane", LAID_OUT)
@pytest.mark.parametrize(("order", "signs"), EVERY_ORIENTATION)
def test_every_voxel_stays_where_it_is_and_lies_as_radiologists_see_it(order, signs, plane):
    volume = a_volume_along(order, signs)
    stack = orient(volume, plane)
    values = stack.voxels.astype(int)
    k, row, column = (axis.reshape(-1) for axis in np.indices(values.shape))
    there = (np.stack([column, row, k, np.ones_like(k)], axis=1) @ stack.geometry.affine.T)[:, :3]
    assert np.allclose(there, world_of_values(volume)[values.reshape(-1)])
    across, down, along = LAID_OUT[plane]
    steps = stack.geometry.affine[:3, :3]
    assert steps[across, 2] > 0  # slices ascend toward +R, +A or +S
    assert steps[down, 1] < 0  # rows go from anterior or superior
    assert steps[along, 0] < 0  # columns go from the right, or from anterior
    number = np.arange(len(values))[:, None]
    assert np.allclose(stack.table.origin, stack.geometry.affine[:3, 3] + number * steps[:, 2])
    assert np.all(np.diff(stack.table.position) > 0)


@pytest.mark.parametrize("plane", LAID_OUT)
def test_an_oblique_acquisition_keeps_its_own_axes(plane):
    volume = a_volume_along((0, 1, 2), (-1, -1, 1), tilt=0.5)
    stack = orient(volume, plane)
    assert np.shares_memory(stack.voxels, volume.voxels)
    assert sorted(stack.voxels.shape) == sorted(volume.voxels.shape)
    acquired = volume.affine[:3, LAID_OUT[plane][0]]
    assert np.allclose(abs(stack.geometry.affine[:3, 2]), abs(acquired))


@pytest.mark.parametrize(
    ("order", "spacing", "plane"),
    [
        ((0, 1, 2), (1, 1, 1), "axial"),
        ((1, 2, 0), (1, 1, 2), "axial"),  # sagittal, but nearly isotropic
        ((1, 2, 0), (1, 1, 2.1), "sagittal"),
        ((0, 2, 1), (0.5, 0.5, 4), "coronal"),
        ((0, 1, 2), (0.5, 0.5, 4), "axial"),
        ((0, 1, 2), (4, 0.5, 0.5), "sagittal"),  # a file whose thick axis is not its last
        ((0, 1, 2), (5.08, 5.08, 2.5), "axial"),  # pixels coarser than slices: no thick-slice axis
    ],
)
def test_auto_is_axial_when_nearly_isotropic_else_the_plane_of_the_thick_slices(order, spacing, plane):
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[:, list(order)] * spacing
    volume = Volume.from_array(np.random.default_rng(0).uniform(size=(5, 5, 5)), affine)
    assert choose_plane(volume) == plane
    assert preprocess(volume, Recipe(encoder="descriptor")).plane == plane


def test_acquired_slices_keep_uid_frame_and_true_position_in_reversed_order():
    descending = np.diag([-1.0, -1.0, -3.0, 1.0])
    volume = irregular([0, 3, 6, 14, 17], descending)
    table = orient(volume, "axial").table
    assert table.sop_uid == ("1.2.4", "1.2.3", "1.2.2", "1.2.1", "1.2.0")
    assert table.frame.tolist() == [4, 3, 2, 1, 0]
    assert table.index.tolist() == [0, 1, 2, 3, 4]
    assert np.allclose(table.position, [-17, -14, -6, -3, 0])
    assert np.allclose(table.normal, [0, 0, 1])
    assert np.allclose(table.origin[0], [0, 0, -17])


def test_the_origin_of_a_mirrored_acquisition_is_its_new_first_pixel():
    volume = irregular([0, 3, 6], np.diag([1.0, 2.0, 3.0, 1.0]))  # columns to the right, rows to anterior
    table = orient(volume, "axial").table
    assert np.allclose(table.origin, [[7, 14, 0], [7, 14, 3], [7, 14, 6]])


def test_reformatted_slices_have_no_uid_and_regular_positions():
    volume = irregular([0, 3, 6, 14, 17], np.diag([-1.0, -1.0, 3.0, 1.0]))
    table = orient(volume, "coronal").table
    assert set(table.sop_uid) == {""}
    assert set(table.frame.tolist()) == {-1}
    assert np.allclose(np.diff(table.position), 1.0)


def test_a_reformat_of_irregular_slices_shows_them_at_their_true_heights():
    volume = irregular([0, 3, 6, 14, 17], np.diag([-1.0, -1.0, 3.0, 1.0]))
    assert np.allclose(orient(volume, "sagittal").row_mm, [0, 3, 11, 14, 17])  # from superior


def test_thinning_keeps_a_slice_when_it_is_a_step_beyond_the_last_kept():
    assert thin(np.arange(10) * 1.0, 3.0).tolist() == [0, 3, 6, 9]
    assert thin(np.arange(6) * 1.25, 3.0).tolist() == [0, 3]
    assert thin(np.arange(4) * 2.98, 3.0).tolist() == [0, 1, 2, 3]  # within one percent
    assert thin(np.array([0.0, 1, 9, 10, 12]), 3.0).tolist() == [0, 2, 4]
    assert thin(np.arange(5) * 0.1, 0.0).tolist() == [0, 1, 2, 3, 4]


def test_kept_slices_remember_which_they_are():
    volume = irregular([float(position) for position in range(10)], np.diag([-1.0, -1.0, 1.0, 1.0]))
    stack = preprocess(volume, Recipe(encoder="descriptor", slice_step_mm=3.0))
    assert stack.table.index.tolist() == [0, 3, 6, 9]
    assert stack.table.sop_uid == ("1.2.0", "1.2.3", "1.2.6", "1.2.9")
    assert stack.n_slices == 10
    assert len(stack) == 4


def test_geometry_survives_json():
    geometry = orient(a_volume_along((1, 2, 0), (1, -1, -1), tilt=0.3), "sagittal").geometry
    assert PlaneGeometry.from_dict(json.loads(json.dumps(geometry.to_dict()))) == geometry


def test_axes_without_direction_are_refused():
    flat = np.diag([1.0, 0.0, 1.0, 1.0])
    with pytest.raises(NotAVolumeError, match="directions"):
        orient(Volume.from_array(np.zeros((3, 3, 3)), flat, name="flat.nii"))
