"""Where the body lies on each slice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from VolumeRetrievalEngine.preprocessing import preprocess
from VolumeRetrievalEngine.recipe import Recipe
from VolumeRetrievalEngine.volume import Attributes, SliceTable, Volume

AIR, TISSUE, LUNG = -1000.0, 40.0, -850.0


def ct(voxels: np.ndarray, spacing: tuple[float, float, float] = (2.0, 2.0, 3.0)) -> Volume:
    return Volume.from_array(voxels, np.diag([-spacing[0], -spacing[1], spacing[2], 1.0]), Attributes(modality="CT"))


def ellipses(slices: int = 20, table: bool = False) -> np.ndarray:
    """A body of 100 x 70 pixels in the lower half and of 60 x 50 above, around column 110 and row 60, with lungs."""
    row, column = np.mgrid[:128, :200]
    voxels = np.full((slices, 128, 200), AIR, np.float32)
    for k in range(slices):
        wide, tall = (50, 35) if k < slices // 2 else (30, 25)
        voxels[k][((column - 110) / wide) ** 2 + ((row - 60) / tall) ** 2 <= 1] = TISSUE
        for side in (-0.4, 0.4):
            lung = ((column - 110 - side * wide) / (0.35 * wide)) ** 2 + ((row - 60) / (0.7 * tall)) ** 2 <= 1
            voxels[k][lung & (voxels[k] == TISSUE)] = LUNG
        if table:
            voxels[k, 100:102, 10:190] = 200.0
            voxels[k, 115:117, 10:190] = 200.0
            voxels[k, 100:117, [10, 189]] = 200.0
    return voxels


def outlines(voxels: np.ndarray, **recipe: object) -> np.ndarray:
    return preprocess(ct(voxels), Recipe("descriptor", **recipe)).outlines


# Of an ellipse, 1 % of the area beyond each border are 7 % of its size.
def test_middle_and_size_follow_the_body_from_slice_to_slice_with_its_lungs():
    found = outlines(ellipses())
    assert found.shape == (20, 4) and found.dtype == np.float32
    np.testing.assert_allclose(found[3], [220, 120, 200, 140], rtol=0.1)
    np.testing.assert_allclose(found[17], [220, 120, 120, 100], rtol=0.1)


def test_a_hollow_table_is_no_body():
    np.testing.assert_allclose(outlines(ellipses(table=True))[3], outlines(ellipses())[3], atol=6)


def test_slices_of_air_have_no_outline():
    voxels = ellipses(30)
    voxels[20:] = AIR
    found = outlines(voxels)
    assert len(found) == 20 and np.isfinite(found).all()  # by default they are not kept
    found = outlines(voxels, preprocessing_version=1)
    assert np.isfinite(found[:18]).all() and np.isnan(found[22:]).all()
    assert np.isnan(outlines(np.full((5, 30, 40), AIR, np.float32), preprocessing_version=1)).all()


def test_outlines_do_not_depend_on_crop_and_are_those_of_the_kept_slices():
    whole = outlines(ellipses())
    assert np.array_equal(whole, outlines(ellipses(), crop=False))
    assert np.array_equal(outlines(ellipses(), slice_step_mm=6.0), whole[::2])


def test_a_body_that_fills_the_image_is_as_large_as_the_image():
    found = outlines(np.full((8, 60, 80), TISSUE, np.float32) + np.random.default_rng(0).normal(0, 5, (8, 60, 80)))
    np.testing.assert_allclose(found[4], [79, 59, 160, 120], rtol=0.05)


def test_a_stack_in_another_plane_has_outlines_in_its_own_pixels():
    stack = preprocess(ct(ellipses()), Recipe("descriptor", plane="coronal"))
    assert stack.plane == "coronal" and stack.outlines.shape == (len(stack), 4)
    (row,) = np.flatnonzero(stack.table.index == 48)
    np.testing.assert_allclose(stack.outlines[row], [220, 28.5, 90, 59], rtol=0.05)  # in front of the lungs


def test_where_slices_lie_unevenly_outlines_follow_their_true_positions():
    volume = ct(ellipses())
    heights = np.cumsum([3.0, *([3.0] * 9), *([9.0] * 10)])
    table = volume.slices
    origin = table.origin.copy()
    origin[:, 2] = heights
    moved = SliceTable(table.index, table.sop_uid, table.frame, origin, table.normal, heights)
    found = preprocess(replace(volume, slices=moved), Recipe("descriptor", slice_step_mm=0)).outlines
    assert found[9, 2] > 180 and found[10, 2] < 140
