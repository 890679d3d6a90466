"""Regions of a query: which slices they select and where they lie in plane, against slow geometry."""

from __future__ import annotations

import re

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.optimize import linprog
from scipy.spatial.transform import Rotation
from VolumeRetrievalEngine.errors import EmptyRegionError, QueryError, UnreadableFileError
from VolumeRetrievalEngine.preprocessing.plane_geometry import PlaneGeometry, orient
from VolumeRetrievalEngine.query.region import (
    BoxRAS,
    MaskRegion,
    SingleSlice,
    SliceRange,
    parse_region,
)
from VolumeRetrievalEngine.query.selection import in_plane_box, select_rows
from VolumeRetrievalEngine.volume import SliceTable, Volume


def an_affine(spacing=(1.0, 1.0, 3.0), middle=(0.0, 0.0, 0.0), shape=(30, 40, 50), angles=(0.0, 0.0, 0.0)):
    """(column, row, slice) to RAS mm of a stack [slices, rows, columns] around `middle`, turned by degrees."""
    affine = np.eye(4)
    turned = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    affine[:3, :3] = turned @ np.diag([-1.0, -1.0, 1.0]) @ np.diag(spacing)
    affine[:3, 3] = np.array(middle) - affine[:3, :3] @ (0.5 * (np.array(shape[::-1]) - 1))
    return affine


def a_stack(shape=(30, 40, 50), every=1, **where) -> tuple[PlaneGeometry, SliceTable]:
    geometry = PlaneGeometry("axial", an_affine(shape=shape, **where), shape)
    return geometry, SliceTable.regular(geometry.affine, shape[0]).take(np.arange(0, shape[0], every))


def height(geometry, slice_number) -> float:
    return float(geometry.affine[2, 2] * slice_number + geometry.affine[2, 3])


# Slices


def test_a_slice_range_selects_the_kept_slices_within_it():
    geometry, table = a_stack(every=3)
    assert table.index[select_rows(SliceRange(4, 12), geometry, table)].tolist() == [6, 9, 12]
    assert table.index[select_rows(SliceRange(27, 500), geometry, table)].tolist() == [27]


def test_slices_between_two_kept_ones_select_the_nearest():
    geometry, table = a_stack(every=4)
    assert table.index[select_rows(SingleSlice(7), geometry, table)].tolist() == [8]
    assert table.index[select_rows(SliceRange(9, 10), geometry, table)].tolist() == [8]
    assert table.index[select_rows(SingleSlice(29), geometry, table)].tolist() == [28]


def test_slices_outside_the_volume_are_an_empty_region_that_names_its_slices():
    geometry, table = a_stack(every=3)
    with pytest.raises(
        EmptyRegionError, match=r"no axial slices 31-36: the volume has 30, counted from 1 \(inferior\) to 30"
    ):
        select_rows(SliceRange(30, 35), geometry, table)
    with pytest.raises(EmptyRegionError, match="no axial slice 100"):
        select_rows(SingleSlice(99), geometry, table)
    with pytest.raises(QueryError, match="lower one first"):
        SliceRange(8, 7)


# Boxes


def test_a_box_selects_the_slices_that_pass_through_it():
    geometry, table = a_stack()
    box = BoxRAS((-5, -5, height(geometry, 9.6)), (5, 5, height(geometry, 14.2)))
    assert select_rows(box, geometry, table).tolist() == [10, 11, 12, 13, 14]


def test_a_thin_box_between_kept_slices_selects_the_nearest():
    geometry, table = a_stack(every=4)
    box = BoxRAS((-5, -5, height(geometry, 9.4)), (5, 5, height(geometry, 9.6)))
    assert table.index[select_rows(box, geometry, table)].tolist() == [8]
    point = (0.0, 0.0, height(geometry, 10.2))
    assert table.index[select_rows(BoxRAS(point, point), geometry, table)].tolist() == [12]


@pytest.mark.parametrize("seed", range(4))
def test_a_box_in_an_oblique_stack_equals_linear_programming(seed):
    rng = np.random.default_rng(seed)
    geometry, table = a_stack(angles=rng.uniform(-50, 50, 3), middle=rng.uniform(-80, 80, 3))
    middle_of_volume = (geometry.affine @ [24.5, 19.5, 14.5, 1])[:3]
    compared = 0
    for _ in range(6):
        middle = middle_of_volume + rng.uniform(-30, 30, 3)
        half = rng.uniform(2, 15, 3)
        box = BoxRAS(tuple(middle - half), tuple(middle + half))
        expected = [row for row in range(30) if _rectangle_meets_box(geometry, table.origin[row], box)]
        if expected:
            assert select_rows(box, geometry, table).tolist() == expected
            compared += 1
    assert compared >= 3


def _rectangle_meets_box(geometry, origin, box) -> bool:
    """Whether some point of the slice, up to its pixels' borders, lies in the box: a linear programme."""
    edges = geometry.affine[:3, :2]
    _, rows, columns = geometry.shape
    inequalities = np.vstack([edges, -edges])
    bounds = np.concatenate([np.array(box.maximum) - origin, origin - np.array(box.minimum)])
    limits = [(-0.5, columns - 0.5), (-0.5, rows - 0.5)]
    return linprog([0, 0], A_ub=inequalities, b_ub=bounds, bounds=limits).status == 0


@pytest.mark.parametrize("away", [(100, 0, 0), (0, 100, 0), (0, 0, 100), (0, 0, -100)])
def test_a_box_that_misses_the_volume_says_where_both_lie(away):
    geometry, table = a_stack()
    box = BoxRAS(tuple(np.array(away) - 5.0), tuple(np.array(away) + 5.0))
    with pytest.raises(EmptyRegionError, match=r"misses the volume.*x -25\.0 to 25\.0, y -20\.0 to 20\.0, z -45\.0 to"):
        select_rows(box, geometry, table)
    with pytest.raises(EmptyRegionError, match=re.escape(f"x {away[0] - 5:.1f} to {away[0] + 5:.1f}")):
        in_plane_box(box, geometry)


def test_a_box_beside_an_oblique_volume_but_within_its_bounding_box_misses_it():
    # 30 mm thick and 80 mm deep, turned by 45 degrees: it runs along y = z.
    geometry, table = a_stack(shape=(30, 40, 40), spacing=(2.0, 2.0, 1.0), angles=(45, 0, 0))
    assert len(select_rows(BoxRAS((-1, 20, 20), (1, 24, 24)), geometry, table))
    with pytest.raises(EmptyRegionError):
        select_rows(BoxRAS((-1, 20, -24), (1, 24, -20)), geometry, table)


@pytest.mark.parametrize("bad", [(np.nan, 0, 0), (np.inf, 0, 0), (20, 0, 0)])
def test_a_box_of_impossible_numbers_is_refused(bad):
    with pytest.raises(QueryError, match="box"):
        BoxRAS(bad, (10.0, 10.0, 10.0))


# Masks


def a_ball(shape, affine, middle, radius) -> np.ndarray:
    k, j, i = np.indices(shape)
    points = np.stack([i, j, k], axis=-1) @ affine[:3, :3].T + affine[:3, 3]
    return (np.linalg.norm(points - middle, axis=-1) <= radius).astype(np.uint8)


def test_a_mask_on_the_volumes_own_grid_selects_exactly_its_slices():
    geometry, table = a_stack()
    voxels = np.zeros(geometry.shape, np.uint8)
    voxels[7:12, 10:20, 10:20] = 1
    voxels[20, 0, 0] = 1
    assert select_rows(MaskRegion(voxels, geometry.affine), geometry, table).tolist() == [7, 8, 9, 10, 11, 20]


@pytest.mark.parametrize("seed", range(4))
def test_a_tilted_mask_of_another_grid_equals_brute_force(seed):
    rng = np.random.default_rng(seed)
    geometry, table = a_stack(shape=(30, 100, 100), angles=rng.uniform(-30, 30, 3))
    shape = (12, 18, 16)
    affine = an_affine(
        shape=shape, spacing=rng.uniform(0.8, 3.0, 3), middle=rng.uniform(-8, 8, 3), angles=rng.uniform(-90, 90, 3)
    )
    voxels = (rng.random(shape) < 0.004).astype(np.uint8)  # single voxels: nothing hides behind its neighbors
    assert voxels.any()
    rows = select_rows(MaskRegion(voxels, affine), geometry, table)
    assert rows.tolist() == _rows_by_corners(voxels, affine, geometry, table)
    assert set(_rows_by_sampling(voxels, affine, geometry, table)) <= set(rows.tolist())


def _rows_by_corners(voxels, affine, geometry, table) -> list[int]:
    """Rows whose plane separates the corners of some marked voxel. For masks well inside the image."""
    normal = np.cross(geometry.affine[:3, 0], geometry.affine[:3, 1])
    rows = set()
    for k, j, i in np.argwhere(voxels):
        corners = np.array([[i + a, j + b, k + c, 1] for a in (-0.5, 0.5) for b in (-0.5, 0.5) for c in (-0.5, 0.5)])
        heights = (corners @ affine.T)[:, :3] @ normal
        planes = table.origin @ normal
        rows |= set(np.flatnonzero((planes >= heights.min()) & (planes <= heights.max())).tolist())
    return sorted(rows)


def _rows_by_sampling(voxels, affine, geometry, table) -> list[int]:
    """Rows some of whose points, four to a pixel's side, fall into a marked voxel."""
    _, n_rows, n_columns = geometry.shape
    column, row = np.meshgrid(np.arange(0, n_columns, 0.25), np.arange(0, n_rows, 0.25))
    in_plane = np.stack([column.ravel(), row.ravel()], axis=1) @ geometry.affine[:3, :2].T
    found = []
    for number, origin in enumerate(table.origin):
        ijk = np.rint((in_plane + origin - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T).astype(int)
        inside = ((ijk >= 0) & (ijk < np.array(voxels.shape[::-1]))).all(axis=1)
        i, j, k = ijk[inside].T
        if voxels[k, j, i].any():
            found.append(number)
    return found


def test_a_coarse_mask_covers_every_slice_within_its_voxels():
    geometry, table = a_stack(spacing=(1.0, 1.0, 1.0))
    affine = an_affine(shape=(3, 3, 3), spacing=(10.0, 10.0, 8.0))
    voxels = np.zeros((3, 3, 3), np.uint8)
    voxels[1, 1, 1] = 1  # 8 mm around z = 0; slices lie at -14.5, -13.5 ...
    rows = select_rows(MaskRegion(voxels, affine), geometry, table)
    assert table.position[rows].tolist() == [-3.5, -2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5]


def test_a_thin_mask_between_kept_slices_selects_the_nearest():
    geometry, table = a_stack(every=5)
    affine = an_affine(shape=(1, 20, 20), spacing=(1.0, 1.0, 0.5), middle=(0, 0, height(geometry, 12.8)))
    rows = select_rows(MaskRegion(np.ones((1, 20, 20), np.uint8), affine), geometry, table)
    assert table.index[rows].tolist() == [15]


def test_only_the_part_of_a_mask_inside_the_image_selects_slices():
    geometry, table = a_stack()  # 50 mm wide
    affine = an_affine(shape=(30, 40, 200))  # 200 mm wide
    voxels = np.zeros((30, 40, 200), np.uint8)
    voxels[3:6, :, :40] = 1  # beside the image
    voxels[10:13, :, 100] = 1  # within it
    assert select_rows(MaskRegion(voxels, affine), geometry, table).tolist() == [10, 11, 12]


@pytest.mark.parametrize("away", [(100, 0, 0), (0, -100, 0), (0, 0, 100)])
def test_a_mask_that_misses_the_volume_says_where_both_lie(away):
    geometry, table = a_stack()
    affine = an_affine(shape=(4, 4, 4), middle=away)
    region = MaskRegion(np.ones((4, 4, 4), np.uint8), affine, name="tumor.nii.gz")
    with pytest.raises(
        EmptyRegionError, match=r"tumor\.nii\.gz, which lies at .* misses the volume, which lies at x -25"
    ):
        select_rows(region, geometry, table)
    with pytest.raises(EmptyRegionError, match="misses the volume"):
        in_plane_box(region, geometry)


def test_an_empty_mask_and_a_label_that_is_not_there_are_empty_regions():
    geometry, table = a_stack()
    voxels = np.zeros(geometry.shape, np.uint8)
    with pytest.raises(EmptyRegionError, match="mask is empty"):
        select_rows(MaskRegion(voxels, geometry.affine), geometry, table)
    voxels[3], voxels[9] = 2, 5
    with pytest.raises(EmptyRegionError, match="no voxel has label 4; labels in the mask: 2, 5"):
        select_rows(MaskRegion(voxels, geometry.affine, label=4), geometry, table)
    assert select_rows(MaskRegion(voxels, geometry.affine, label=5), geometry, table).tolist() == [9]
    assert select_rows(MaskRegion(voxels, geometry.affine), geometry, table).tolist() == [3, 9]


def test_nan_in_a_mask_belongs_to_no_region_and_a_probability_counts_from_one_half():
    geometry, table = a_stack()
    voxels = np.full(geometry.shape, np.nan, np.float32)
    with pytest.raises(EmptyRegionError, match="mask is empty"):
        select_rows(MaskRegion(voxels, geometry.affine), geometry, table)
    voxels[4], voxels[5], voxels[6], voxels[7] = 0.49, 0.5, 1.0, np.inf
    assert select_rows(MaskRegion(voxels, geometry.affine), geometry, table).tolist() == [5, 6]


def test_a_mask_without_three_dimensions_or_directions_is_refused():
    with pytest.raises(QueryError, match="voxels"):
        MaskRegion(np.ones((4, 4)), np.eye(4))
    with pytest.raises(QueryError, match="three directions"):
        MaskRegion(np.ones((4, 4, 4)), np.diag([1.0, 1.0, 0.0, 1.0]))
    with pytest.raises(QueryError, match="three directions"):
        MaskRegion(np.ones((4, 4, 4)), np.full((4, 4), np.nan))


# Awkward stacks


def test_irregular_slices_are_met_where_they_truly_lie():
    geometry, table = a_stack()
    origin = table.origin.copy()
    origin[15:, 2] += 60.0  # slices are missing in between
    table = SliceTable(table.index, table.sop_uid, table.frame, origin, table.normal, origin[:, 2])
    z = float(origin[20, 2])
    box = BoxRAS((-5, -5, z - 1), (5, 5, z + 1))
    assert select_rows(box, geometry, table).tolist() == [20]
    affine = an_affine(shape=(1, 10, 10), spacing=(1.0, 1.0, 2.0), middle=(0, 0, z))
    assert select_rows(MaskRegion(np.ones((1, 10, 10)), affine), geometry, table).tolist() == [20]
    gap = BoxRAS((-5, -5, float(origin[14, 2]) + 40), (5, 5, float(origin[14, 2]) + 44))
    assert select_rows(gap, geometry, table).tolist() == [15]


def test_gantry_tilt_moves_the_field_of_view_along_with_the_slices():
    affine = an_affine()
    affine[1, 2] = 3.0  # each slice lies 3 mm further anterior
    geometry = PlaneGeometry("axial", affine, (30, 40, 50))
    table = SliceTable.regular(affine, 30)
    first_row_of = affine[:3, 3] + np.arange(30)[:, None] * affine[:3, 2]
    for row in (2, 27):
        middle = first_row_of[row] + affine[:3, 0] * 25 + affine[:3, 1] * 38
        box = BoxRAS(tuple(middle - 0.4), tuple(middle + 0.4))
        assert select_rows(box, geometry, table).tolist() == [row]
        mask = MaskRegion(np.ones((1, 1, 1)), an_affine(shape=(1, 1, 1), spacing=(0.8, 0.8, 0.8), middle=middle))
        assert select_rows(mask, geometry, table).tolist() == [row]
        assert in_plane_box(mask, geometry, margin_mm=0) == (38, 39, 25, 26)


@pytest.mark.parametrize("plane", ["axial", "sagittal", "coronal"])
def test_a_mask_selects_the_same_anatomy_in_every_plane(plane):
    affine = np.diag([2.0, 1.5, 2.5, 1.0])
    affine[:3, 3] = [-30.0, -20.0, 10.0]
    voxels = np.zeros((24, 30, 28), np.float32)
    voxels[5:9, 12:20, 3:7] = 1
    stack = orient(Volume.from_array(voxels, affine), plane)
    rows = select_rows(MaskRegion(voxels, affine), stack.geometry, stack.table)
    assert rows.tolist() == np.flatnonzero(stack.voxels.any(axis=(1, 2))).tolist()
    row0, row1, column0, column1 = in_plane_box(MaskRegion(voxels, affine), stack.geometry, margin_mm=0)
    shown = stack.voxels.any(axis=0)
    assert (row0, row1 - 1) == tuple(np.flatnonzero(shown.any(axis=1))[[0, -1]])
    assert (column0, column1 - 1) == tuple(np.flatnonzero(shown.any(axis=0))[[0, -1]])


# In plane


def test_slices_are_not_bounded_in_plane():
    geometry, _ = a_stack()
    assert in_plane_box(SliceRange(3, 5), geometry) is None
    assert in_plane_box(SingleSlice(3), geometry) is None


def test_the_box_in_plane_has_a_margin_in_mm_and_stays_within_the_image():
    geometry, _ = a_stack(spacing=(0.5, 1.0, 3.0))
    voxels = np.zeros(geometry.shape, np.uint8)
    voxels[5, 18:22, 24:26] = 1
    region = MaskRegion(voxels, geometry.affine)
    assert in_plane_box(region, geometry, margin_mm=0) == (18, 22, 24, 26)
    assert in_plane_box(region, geometry, margin_mm=3) == (15, 25, 18, 32)
    assert in_plane_box(region, geometry, margin_mm=1000) == (0, 40, 0, 50)


def test_a_box_region_bounds_the_pixels_that_it_covers():
    geometry, _ = a_stack()
    low, high = (geometry.affine @ [30, 25, 10, 1])[:3], (geometry.affine @ [20, 15, 12, 1])[:3]
    region = BoxRAS(tuple(np.minimum(low, high)), tuple(np.maximum(low, high)))
    assert in_plane_box(region, geometry, margin_mm=0.0) == (15, 26, 20, 31)
    corner = BoxRAS((24.5, 19.5, 0), (200, 200, 10))  # only the corner pixel of the image
    assert in_plane_box(corner, geometry, margin_mm=0.0) == (0, 1, 0, 1)


# Text and files


def test_texts_of_the_command_line_become_regions(tmp_path):
    assert parse_region("slices=41-63") == SliceRange(41, 63)
    assert parse_region("slice=40") == SingleSlice(40)
    assert parse_region("box=10,-20.5,3e1,-5,20,-7") == BoxRAS((-5.0, -20.5, -7.0), (10.0, 20.0, 30.0))
    path = tmp_path / "Größe des Tumors, links.nii.gz"
    sitk.WriteImage(sitk.GetImageFromArray(np.array([[[0, 3], [4, 3]]], np.uint8)), str(path))
    assert parse_region(str(path)).label is None
    assert parse_region(f"mask={path},label=3").label == 3


@pytest.mark.parametrize(
    "text",
    [
        "slices=63-41",
        "slices=a-b",
        "slice=",
        "slice=4.5",
        "box=1,2,3",
        "box=1,2,3,4,5,nan",
        "nowhere.nii.gz",
        "",
        "mask=",
    ],
)
def test_other_texts_are_refused_with_what_was_expected(text):
    with pytest.raises(QueryError, match="expected"):
        parse_region(text)


def test_a_mask_file_lies_where_itk_says(tmp_path):
    rng = np.random.default_rng(5)
    geometry, table = a_stack(shape=(30, 100, 100), angles=(10, 20, -15), middle=(30, -40, 500))
    voxels = (rng.random((9, 11, 13)) < 0.02).astype(np.uint8)
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((2.0, 1.5, 3.0))
    image.SetDirection(Rotation.from_euler("xyz", (5, -12, 40), degrees=True).as_matrix().ravel().tolist())
    image.SetOrigin((-38.0, 35.0, 480.0))
    path = tmp_path / "mask.nrrd"
    sitk.WriteImage(image, str(path))
    region = MaskRegion.from_file(path)
    points = np.concatenate(list(region.points()))
    expected = [image.TransformIndexToPhysicalPoint((int(i), int(j), int(k))) for k, j, i in np.argwhere(voxels)]
    np.testing.assert_allclose(points, np.array(expected) * [-1, -1, 1], atol=1e-6)
    assert select_rows(region, geometry, table).tolist() == _rows_by_corners(voxels, region.affine, geometry, table)


def test_a_mask_of_several_layers_is_their_union_or_one_label_of_any(tmp_path):
    layers = np.zeros((6, 4, 4, 2), np.uint8)
    layers[1, 2, 2, 0], layers[1, 2, 2, 1], layers[4, 1, 1, 1] = 1, 2, 1
    path = tmp_path / "segmentation.seg.nrrd"
    sitk.WriteImage(sitk.GetImageFromArray(layers, isVector=True), str(path))
    assert sum(len(points) for points in MaskRegion.from_file(path).points()) == 2
    assert sum(len(points) for points in MaskRegion.from_file(path, label=2).points()) == 1


def test_files_that_are_no_mask_are_refused_by_name(tmp_path):
    text = tmp_path / "notes.nii"
    text.write_text("not an image")
    flat = tmp_path / "flat.png"
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((4, 4), np.uint8)), str(flat))
    series = tmp_path / "series.nii"
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((2, 4, 4, 4), np.uint8), isVector=False), str(series))
    with pytest.raises(UnreadableFileError, match=r"notes\.nii"):
        MaskRegion.from_file(text)
    with pytest.raises(UnreadableFileError, match=r"flat\.png.*3 dimensions, it has 2"):
        MaskRegion.from_file(flat)
    with pytest.raises(UnreadableFileError, match=r"series\.nii.*3 dimensions, it has 4"):
        MaskRegion.from_file(series)
    with pytest.raises(UnreadableFileError, match=r"absent\.nii.*[Nn]o such file"):
        MaskRegion.from_file(tmp_path / "absent.nii")
    segmentation = tmp_path / "segmentation.dcm"
    segmentation.write_bytes(bytes(128) + b"DICM" + bytes(100))
    with pytest.raises(UnreadableFileError, match="a DICOM object; export"):
        MaskRegion.from_file(segmentation)


def test_a_truncated_mask_is_an_error_instead_of_a_smaller_region(tmp_path):
    whole, cut = tmp_path / "whole.nii.gz", tmp_path / "cut.nii.gz"
    voxels = np.random.default_rng(0).integers(0, 2, (40, 40, 40)).astype(np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(whole))
    cut.write_bytes(whole.read_bytes()[:4000])
    with pytest.raises(UnreadableFileError, match=r"cut\.nii\.gz.*truncated"):
        MaskRegion.from_file(cut)
