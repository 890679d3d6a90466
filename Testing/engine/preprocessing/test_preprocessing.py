"""From a volume to images: gray values, body, size, and that a slice looks the same in every query."""

from __future__ import annotations

import io
import sys
from dataclasses import replace

import numpy as np
import pytest
from VolumeRetrievalEngine.encoders.choice import create_encoder
from VolumeRetrievalEngine.encoders.encode import encode, recipe_for
from VolumeRetrievalEngine.errors import NotAVolumeError, RecipeError
from VolumeRetrievalEngine.preprocessing import chain, preprocess
from VolumeRetrievalEngine.preprocessing.resampling import ResizeToSquare
from VolumeRetrievalEngine.recipe import PLANES, PREPROCESSING_VERSION, Recipe
from VolumeRetrievalEngine.volume import Attributes, Volume

AS_IT_IS = Recipe(encoder="descriptor", size=96, slice_step_mm=0, crop=False)

#: Every 13th number of the descriptor of two axial slices of the torso below as CT and a sagittal one of it as MR.
#: When these move, embeddings made before can no longer be compared: see the test's message.
# fmt: off
GOLDEN = [
    [-0.03767, 0.06046, 0.02030, -0.03560, 0.03221, -0.00865, -0.00117, -0.00731, -0.03684, 0.04524, 0.04394,
     -0.03767, -0.01526, 0.03405, -0.01008, 0.00038, 0.00728, -0.03767, 0.02392, -0.02999, 0.00372, 0.04582,
     -0.03593, 0.02068, -0.18628, 0.19834, -0.03495, -0.06492, -0.06748, 0.09757, -0.05974, -0.06379],
    [-0.04134, 0.04603, 0.01627, -0.03954, 0.02299, 0.00736, 0.02234, 0.00002, -0.03992, 0.04154, 0.03296,
     -0.04114, 0.00115, 0.04835, -0.01138, 0.00107, 0.01673, -0.04134, 0.05252, -0.03199, -0.00673, 0.04311,
     -0.03952, 0.02547, -0.17536, 0.17651, -0.04462, -0.07019, -0.07475, 0.11315, -0.05336, -0.05931],
    [0.00635, 0.05354, 0.02071, -0.03126, 0.02034, 0.02931, -0.00634, 0.00863, -0.02021, -0.02072, -0.03195,
     -0.01158, -0.03842, -0.02872, 0.05010, 0.01334, -0.02506, -0.01916, -0.04236, -0.00486, -0.02007,
     0.04473, 0.02545, -0.10444, -0.12356, 0.12114, 0.11453, -0.06648, -0.07857, -0.06611, -0.06850, -0.06850],
]
# fmt: on


def a_volume(voxels: np.ndarray, spacing: tuple[float, float, float] = (1, 1, 1), modality: str = "CT") -> Volume:
    """An axial volume in radiological order (row 0 anterior, column 0 right) with this spacing (column, row, slice)."""
    affine = np.diag([-spacing[0], -spacing[1], spacing[2], 1.0])
    return Volume.from_array(np.asarray(voxels, np.float32), affine, Attributes(modality=modality))


def a_torso(shape: tuple[int, int, int] = (24, 60, 80), seed: int = 5) -> Volume:
    """An off-center elliptic body with lungs, spine and noise, 3 x 3 x 4 mm, in air."""
    random = np.random.default_rng(seed)
    k, j, i = np.meshgrid(*(np.arange(n, dtype=np.float64) for n in shape), indexing="ij")
    voxels = np.full(shape, -1000.0)
    body = ((j - 24) / 15) ** 2 + ((i - 36) / (20 + 4 * np.sin(k / 6))) ** 2 < 1
    voxels[body] = 40
    for side in (-1, 1):
        voxels[((j - 23) / 9) ** 2 + ((i - 36 - side * 9) / 6) ** 2 < np.clip(1.3 - k / 18, 0, 1)] = -800
    voxels[((j - 34) / 3) ** 2 + ((i - 36) / 3) ** 2 < 1] = 500
    voxels[body] += random.normal(0, 15, body.sum())
    return a_volume(voxels, (3, 3, 4))


def images_of(volume: Volume, recipe: Recipe = AS_IT_IS, **more: object) -> np.ndarray:
    return np.concatenate(list(preprocess(volume, recipe, **more).images()))


# Gray values --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hounsfield", "lung", "soft_tissue", "bone"),
    [
        (-1000, 0.0, 0.0, 0.0),
        (-400, 0.5, 0.0, 0.0),
        (40, 1040 / 1200, 0.5, 0.2),
        (400, 1.0, 1.0, 0.5),
        (3000, 1.0, 1.0, 1.0),
        (-3024, 0.0, 0.0, 0.0),
    ],
)
def test_ct_is_shown_in_lung_soft_tissue_and_bone_windows(hounsfield, lung, soft_tissue, bone):
    voxels = np.full((3, 8, 8), 40.0)
    voxels[:, :, :4] = hounsfield
    images = images_of(a_volume(voxels, (50, 50, 3)))[..., :40]
    assert np.allclose(images.mean(axis=(0, 2, 3)), [lung, soft_tissue, bone], atol=1e-5)


def test_other_modalities_are_clipped_to_percentiles_of_the_whole_volume_and_repeated():
    random = np.random.default_rng(0)
    voxels = random.uniform(100, 500, (20, 48, 48))
    voxels[0, 0, :5] = 1e6  # five voxels of 46,080 are beyond any robust percentile
    images = images_of(a_volume(voxels, modality="MR"), replace(AS_IT_IS, size=48))
    low, high = np.percentile(voxels, (0.5, 99.5))
    expected = np.clip((voxels - low) / (high - low), 0, 1)
    assert np.array_equal(images[:, 0], images[:, 1])
    assert np.array_equal(images[:, 0], images[:, 2])
    assert np.allclose(images[:, 0], expected, atol=1e-5)


def test_values_above_the_percentiles_of_a_mostly_empty_volume_are_still_seen():
    voxels = np.zeros((10, 50, 50))
    voxels[5, 20:22, 20:22] = 9.0
    (image,) = images_of(a_volume(voxels, modality="PT"))
    assert image.max() > 0.5


@pytest.mark.parametrize("modality", ["CT", "MR", "PT", ""])
@pytest.mark.parametrize(("version", "plane"), [(1, "auto"), *((PREPROCESSING_VERSION, plane) for plane in PLANES)])
@pytest.mark.parametrize(
    "voxels",
    [
        pytest.param(np.ones((1, 1, 1)), id="one voxel"),
        pytest.param(np.full((4, 20, 30), 7.0), id="constant"),
        pytest.param(np.full((4, 20, 30), np.nan), id="only NaN"),
        pytest.param(np.where(np.arange(2400).reshape(4, 20, 30) % 3, np.nan, 250.0), id="mostly NaN"),
        pytest.param(np.where(np.arange(2400).reshape(4, 20, 30) % 7, 100.0, -np.inf), id="infinite"),
        pytest.param(np.arange(600.0).reshape(3, 200, 1), id="one column"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_any_voxels_become_finite_images_and_unit_embeddings(voxels, version, plane, modality):
    encoder = create_encoder("descriptor")
    recipe = recipe_for(encoder, plane=plane, preprocessing_version=version)
    try:
        stack = preprocess(a_volume(voxels, modality=modality), recipe)
    except NotAVolumeError as error:
        # Nothing but air, or nothing to tell from it: refused, but by the first version.
        assert version > 1 and (modality != "CT" or np.isnan(voxels).any()), error
        return
    images = np.concatenate(list(stack.images()))
    assert images.shape == (len(stack), 3, 96, 96)
    assert images.dtype == np.float32
    assert images.min() >= 0 and images.max() <= 1
    assert np.allclose(np.linalg.norm(encode(stack, encoder), axis=1), 1, atol=1e-5)


def test_nan_is_shown_as_air():
    air = np.full((3, 16, 16), 30.0)
    air[:, :, 8:] = -1000
    unknown = np.where(air == -1000, np.nan, air)
    assert np.array_equal(images_of(a_volume(air)), images_of(a_volume(unknown)))


# What is shown at all -----------------------------------------------------------------------------


def padded(volume: Volume, below: int, above: int, value: float = -1000.0) -> Volume:
    """The volume with slices of this value added at both ends."""
    voxels = np.pad(volume.voxels, ((below, above), (0, 0), (0, 0)), constant_values=value)
    return Volume.from_array(voxels, volume.affine, volume.attributes)


@pytest.mark.parametrize(("modality", "value"), [("CT", -1000.0), ("CT", -3024.0), ("CT", np.nan), ("MR", -1000.0)])
def test_slices_of_air_and_padding_are_left_out_and_the_others_keep_their_numbers(modality, value):
    volume = replace(a_torso(), attributes=Attributes(modality=modality))
    stack = preprocess(padded(volume, 5, 3, value), AS_IT_IS)
    assert stack.table.index.tolist() == list(range(5, 29))
    assert stack.n_slices == 32
    assert len(stack.outlines) == len(stack.thumbnails()) == len(stack) == 24
    if modality == "CT":  # elsewhere the gray range is that of the whole volume
        assert np.array_equal(next(stack.images([0])), next(preprocess(volume, AS_IT_IS).images([0])))


def test_a_slice_with_little_to_show_is_kept():
    volume = padded(a_torso(), 2, 2)
    volume.voxels[0, 22:25, 35:38] = 40.0  # the tip of something
    assert preprocess(volume, AS_IT_IS).table.index.tolist() == [0, *range(2, 26)]


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_a_volume_of_nothing_but_air_is_refused_and_says_so(modality):
    noise = np.random.default_rng(0).normal(-1000, 5, (6, 30, 30)) if modality == "CT" else np.zeros((6, 30, 30))
    with pytest.raises(NotAVolumeError, match="anything but air"):
        preprocess(a_volume(noise, modality=modality), AS_IT_IS)


@pytest.mark.parametrize(("modality", "filling"), [("CT", 0.0), ("CT", 3000.0), ("MR", -32768.0), ("MR", 32767.0)])
def test_what_an_image_is_filled_up_with_is_air_whatever_its_value(modality, filling):
    volume = replace(a_torso(), attributes=Attributes(modality=modality))
    volume.voxels[:] += 1000.0 if modality == "MR" else 0.0
    j, i = np.meshgrid(np.arange(60), np.arange(80), indexing="ij")
    outside = np.hypot(j - 30, i - 40) > 36  # the reconstruction circle
    filled = replace(volume, voxels=np.where(outside, filling, volume.voxels).astype(np.float32))
    shown, expected = images_of(filled), images_of(volume)
    assert preprocess(filled, replace(AS_IT_IS, crop=True)).body_box == (
        preprocess(volume, replace(AS_IT_IS, crop=True)).body_box
    )
    assert np.allclose(shown, expected, atol=0.02)


def test_the_first_version_still_makes_the_slices_that_it_made():
    volume = padded(a_torso(), 5, 3)
    assert len(preprocess(volume, replace(AS_IT_IS, preprocessing_version=1))) == 32


def test_a_version_of_a_newer_engine_is_refused():
    with pytest.raises(RecipeError, match=r"version 99 .* newer"):
        preprocess(a_torso(), replace(AS_IT_IS, preprocessing_version=99))


# One slice, many queries --------------------------------------------------------------------------


@pytest.mark.parametrize("modality", ["CT", "MR"])
@pytest.mark.parametrize("crop", [True, False])
@pytest.mark.parametrize("plane", ["axial", "sagittal"])
def test_a_slice_has_the_same_embedding_in_a_region_query_as_in_its_whole_volume(plane, crop, modality):
    volume = replace(a_torso(), attributes=Attributes(modality=modality))
    encoder = create_encoder("descriptor")
    stack = preprocess(volume, recipe_for(encoder, plane=plane, crop=crop))
    whole = encode(stack, encoder)
    for rows in ([3], [2, 3, 4, 5], list(range(len(stack)))[::-1]):
        region = encode(
            preprocess(volume, recipe_for(encoder, plane=plane, crop=crop)), encoder, 3, rows=np.array(rows)
        )
        assert np.array_equal(region, whole[rows])


def test_images_do_not_depend_on_the_batch_they_are_made_in():
    stack = preprocess(a_torso(), replace(AS_IT_IS, crop=True, size=128))
    together = np.concatenate(list(stack.images(batch_size=64)))
    one_by_one = np.concatenate(list(stack.images(batch_size=1)))
    assert np.array_equal(together, one_by_one)


def test_a_box_in_plane_is_shown_with_the_grey_values_of_the_whole_volume():
    volume = replace(a_torso(), attributes=Attributes(modality="MR"))
    whole = preprocess(volume, AS_IT_IS)
    boxed = preprocess(volume, AS_IT_IS, in_plane_box=(14, 34, 26, 46))
    assert boxed.intensity == whole.intensity
    assert boxed.body_box == whole.body_box
    low, high = whole.intensity.low, whole.intensity.high
    shown = np.clip((volume.voxels[12, 14:34, 26:46] - low) / (high - low), 0, 1)
    image = next(boxed.images([12]))[0, 0]
    assert abs(image.mean() - shown.mean()) < 0.01


def test_a_box_beyond_the_image_is_shown_as_far_as_it_goes():
    stack = preprocess(a_torso(), AS_IT_IS, in_plane_box=(-20, 30, 50, 500))
    assert (stack.shown_box.row0, stack.shown_box.row1) == (0, 30)
    assert (stack.shown_box.column0, stack.shown_box.column1) == (50, 80)


def test_preprocessing_neither_copies_nor_changes_the_voxels():
    volume = a_torso()
    before = volume.voxels.copy()
    stack = preprocess(volume, replace(AS_IT_IS, plane="coronal", crop=True))
    list(stack.images())
    assert np.shares_memory(stack._voxels, volume.voxels)
    assert np.array_equal(volume.voxels, before)


# Size ---------------------------------------------------------------------------------------------


def test_a_circle_in_mm_stays_a_circle_when_pixels_are_not_square():
    j, i = np.meshgrid(np.arange(100) * 1.0, np.arange(50) * 2.0, indexing="ij")
    disc = np.where((j - 50) ** 2 + (i - 50) ** 2 < 30**2, 1000.0, -1000.0)
    image = images_of(a_volume(np.stack([disc] * 3), (2, 1, 2)))[1, 0] > 0.5
    height, width = image.any(axis=1).sum(), image.any(axis=0).sum()
    assert abs(height - width) <= 1
    assert abs(height - 60 / 100 * 96) <= 1.5


def test_the_shorter_side_is_centred_in_air():
    image = images_of(a_volume(np.full((3, 20, 40), 40.0), (10, 10, 3)))[0, 0]
    filled = np.flatnonzero(image.max(axis=1) > 0)
    assert (filled[0], filled[-1]) == (24, 71)
    assert np.all(image[24:72] > 0)


def test_a_part_of_a_ct_is_not_blown_up_to_the_size_of_a_whole_body():
    whole = a_torso((24, 60, 80))
    part = a_volume(whole.voxels[14:, 16:32, 24:48], (3, 3, 4))  # 48 x 72 mm, within the body
    stack = preprocess(part, AS_IT_IS)
    assert stack.side_mm == pytest.approx(300)
    image = next(stack.images([5]))[0, 0]
    rows, columns = np.flatnonzero(image.max(axis=1) > 0), np.flatnonzero(image.max(axis=0) > 0)
    assert len(rows) == pytest.approx(48 / 300 * 96, abs=1.5) and len(columns) == pytest.approx(72 / 300 * 96, abs=1.5)
    assert rows.mean() == pytest.approx(47.5, abs=1) and columns.mean() == pytest.approx(47.5, abs=1)
    # What a region query cuts out fills its image, as do a limb whose border is seen, and an MR of a small field.
    boxed = preprocess(part, AS_IT_IS, in_plane_box=(2, 12, 3, 20))
    limb = preprocess(a_volume(whole.voxels[:, :40, 10:], (1, 1, 4)), AS_IT_IS)
    small = preprocess(replace(part, attributes=Attributes(modality="MR")), AS_IT_IS)
    first = preprocess(part, replace(AS_IT_IS, preprocessing_version=1))
    assert [one.side_mm for one in (boxed, limb, small, first)] == pytest.approx([51, 70, 72, 72])


def test_detail_finer_than_the_pixels_becomes_its_mean():
    stripes = np.where(np.arange(512) % 2, -1000.0, 1000.0)
    image = images_of(a_volume(np.tile(stripes, (3, 512, 1))), replace(AS_IT_IS, size=64))[0]
    assert np.allclose(image[0, :, 2:-2], 1000 / 1200, atol=0.01)  # 0 HU, in the lung window


def test_enlarging_interpolates_linearly_and_the_same_size_changes_nothing():
    random = np.random.default_rng(1)
    image = random.uniform(0, 1, (1, 32, 32)).astype(np.float32)
    middles = np.arange(32.0)
    assert np.allclose(ResizeToSquare(middles, middles, 32)(image), image, atol=1e-6)
    twice = ResizeToSquare(middles, middles, 64)(image)[0]
    assert np.allclose(twice[1:-1, 1], 0.75 * np.interp(np.arange(62) / 2 + 0.25, middles, image[0, :, 0])
                       + 0.25 * np.interp(np.arange(62) / 2 + 0.25, middles, image[0, :, 1]), atol=1e-5)  # fmt: skip


def test_rows_at_irregular_positions_are_put_where_they_truly_are():
    row_mm = np.array([0.0, 1, 2, 3, 8, 9, 10, 20, 21, 22, 23, 24])
    ramp = np.repeat(row_mm[None, :, None], 25, axis=2).astype(np.float32)
    resized = ResizeToSquare(row_mm, np.arange(25.0), 25)(ramp)[0]
    assert np.allclose(resized[1:-1, 12], np.arange(1, 24), atol=0.2)


# Body ---------------------------------------------------------------------------------------------


def box_of(volume: Volume) -> tuple[int, int, int, int]:
    box = preprocess(volume, replace(AS_IT_IS, crop=True)).body_box
    return box.row0, box.row1, box.column0, box.column1


def test_the_box_holds_the_body_and_leaves_the_table_out():
    volume = a_torso()
    volume.voxels[:, 46:48, 5:75] = 100  # a plate of 6 mm, 21 mm below the body
    row0, row1, column0, column1 = box_of(volume)
    assert row0 <= 9 and column0 <= 12 and column1 >= 61
    assert 39 <= row1 <= 45
    assert row0 >= 4 and column0 >= 7 and column1 <= 66


def test_parts_of_similar_size_beside_each_other_are_both_body():
    voxels = np.full((20, 60, 100), -1000.0)
    voxels[:, 20:40, 10:30] = 30
    voxels[:, 20:40, 70:90] = 30
    row0, row1, column0, column1 = box_of(a_volume(voxels, (2, 2, 3)))
    assert column0 <= 10 and column1 >= 90 and row0 <= 20 and row1 >= 40
    assert row0 > 8 and row1 < 52


def test_a_body_that_fills_the_image_is_not_cropped():
    random = np.random.default_rng(2)
    assert box_of(a_volume(random.normal(40, 20, (20, 50, 60)))) == (0, 50, 0, 60)
    assert box_of(a_volume(random.normal(400, 60, (20, 50, 60)), modality="MR")) == (0, 50, 0, 60)


def test_mr_background_is_cut_away_though_it_is_noisy_and_the_coil_is_uneven():
    random = np.random.default_rng(3)
    j, i = np.meshgrid(np.arange(120), np.arange(120), indexing="ij")
    head = ((j - 50) / 32) ** 2 + ((i - 64) / 26) ** 2 < 1
    signal = np.where(head, 300 + 900 * np.exp(-((j - 20) ** 2) / 900), 0)
    voxels = np.abs(np.stack([signal] * 20) + random.normal(0, 20, (20, 120, 120)))
    row0, row1, column0, column1 = box_of(a_volume(voxels, (2, 2, 3), "MR"))
    assert row0 <= 19 and row1 >= 82 and column0 <= 39 and column1 >= 90
    assert row0 >= 8 and row1 <= 93 and column0 >= 28 and column1 <= 101


@pytest.mark.parametrize("thing", ["arms", "cushion", "foam table", "head holder"])
def test_what_lies_beside_the_body_or_under_it_does_not_widen_the_box(thing):
    j, i = np.meshgrid(np.arange(60), np.arange(100), indexing="ij")  # 4 mm

    def disk(row: float, column: float, down: float, along: float) -> np.ndarray:
        return ((j - row) / down) ** 2 + ((i - column) / along) ** 2 < 1

    image = np.where(disk(26, 50, 16, 26), 40.0, -1000.0)
    if thing == "arms":
        image[disk(28, 14, 7, 7) | disk(28, 86, 7, 7)] = 30.0
    elif thing == "cushion":
        image[46:52, 10:90] = -50.0  # 24 mm thick and no air
    elif thing == "foam table":
        image[45:57, 5:95] = -870.0
        image[[45, 56], 5:95] = 100.0
    else:
        image[disk(26, 50, 20, 31) & ~disk(26, 50, 18.5, 29.5) & (j > 26)] = 200.0
    volume = a_volume(np.stack([image] * 12), (4, 4, 4))
    row0, row1, column0, column1 = box_of(volume)
    assert 6 <= row0 <= 11 and 42 <= row1 <= 46 and 20 <= column0 <= 25 and 76 <= column1 <= 80


def a_pet(dim: float, hot: float) -> Volume:
    """A dim body with a hot spot in the middle of it, in noise."""
    j, i = np.meshgrid(np.arange(60), np.arange(60), indexing="ij")
    body = np.where(((j - 30) / 24) ** 2 + ((i - 30) / 20) ** 2 < 1, dim, 0.0)
    body[np.hypot(j - 30, i - 30) < 6] = hot
    noise = np.random.default_rng(6).exponential(dim / 200, (20, 60, 60))
    return a_volume(np.stack([body] * 20) + noise, (4, 4, 4), "PT")


def test_the_box_of_a_pet_holds_the_body_around_the_hottest_spot_and_the_body_is_seen():
    volume = a_pet(dim=0.5, hot=40.0)
    row0, row1, column0, column1 = box_of(volume)
    assert row0 <= 6 and row1 >= 54 and column0 <= 10 and column1 >= 50
    assert row0 >= 2 and row1 <= 58 and column0 >= 6 and column1 <= 54
    image = images_of(volume)[10, 0]  # 60 pixels in 96
    assert image[20:24, 44:52].mean() > 0.2 > 0.1 > image[2:6, 2:6].mean() and image[46:50, 46:50].mean() > 0.95
    first = images_of(volume, replace(AS_IT_IS, preprocessing_version=1))[10, 0]
    assert first[20:24, 44:52].mean() < 0.05


def test_a_pet_of_values_that_are_not_positive_is_shown_in_gray():
    volume = replace(a_torso(), attributes=Attributes(modality="PT"))
    assert np.isfinite(images_of(replace(volume, voxels=volume.voxels - 2000))).all()


def test_a_small_volume_of_thin_structures_keeps_them():
    voxels = np.zeros((30, 60, 60))
    voxels[:, 10:14, 8:52] = voxels[:, 40:43, 8:52] = 800.0
    row0, row1, column0, column1 = box_of(a_volume(voxels, modality="MR"))
    assert row0 <= 10 and row1 >= 43 and column0 <= 8 and column1 >= 52


def test_the_crop_ignores_what_other_slices_of_a_query_show():
    """One box for the volume: a thin neck is shown as small beside the shoulders as it is."""
    volume = a_torso()
    stack = preprocess(volume, replace(AS_IT_IS, crop=True))
    first, last = (next(stack.images([row]))[0, 1] for row in (0, 12))
    assert stack.shown_box == stack.body_box
    assert (first > 0.2).any(axis=0).sum() != (last > 0.2).any(axis=0).sum()


@pytest.mark.parametrize("patient", ["ct_hn_openkbp_pt_100", "ct_hn_openkbp_pt_27", "ct_ext_STS_004", "mr_ext_STS_004"])
def test_the_box_of_a_real_volume_holds_its_organs(shared, patient):
    import SimpleITK as sitk

    folder = shared / "data" / patient
    image = sitk.DICOMOrient(sitk.ReadImage(folder / "volume.nii.gz", sitk.sitkFloat32), "LPS")
    volume = a_volume(sitk.GetArrayFromImage(image), image.GetSpacing(), "MR" if patient.startswith("mr") else "CT")
    box = preprocess(volume, replace(AS_IT_IS, crop=True, plane="axial")).body_box
    for label in sorted((folder / "labels").glob("*.nii.gz")):
        mask = sitk.Resample(sitk.ReadImage(label), image, sitk.Transform(), sitk.sitkNearestNeighbor)
        _, rows, columns = np.nonzero(sitk.GetArrayViewFromImage(mask))
        assert rows.size
        assert box.row0 <= rows.min() and rows.max() < box.row1, label.name
        assert box.column0 <= columns.min() and columns.max() < box.column1, label.name


# The steps and their chain ------------------------------------------------------------------------


def test_monai_compose_and_the_plain_chain_give_identical_images():
    transforms = pytest.importorskip("monai.transforms")
    stack = preprocess(a_torso(), replace(AS_IT_IS, crop=True, size=64))
    plain = np.concatenate(list(stack.images()))
    composed = np.concatenate(list(stack.images(compose=lambda steps: transforms.Compose(list(steps)))))
    assert np.array_equal(plain, composed)


def test_the_steps_are_callables_on_arrays_that_can_be_chained_by_hand():
    volume = a_torso()
    stack = preprocess(volume, replace(AS_IT_IS, crop=True))
    by_hand = chain(stack.transforms)(volume.voxels[4:6])
    assert np.array_equal(by_hand, next(stack.images([4, 5])))


# Thumbnails ---------------------------------------------------------------------------------------


def test_thumbnails_are_small_jpegs_of_the_soft_tissue_window():
    from PIL import Image

    stack = preprocess(a_torso(), replace(AS_IT_IS, crop=True))
    with Image.open(io.BytesIO(stack.thumbnail(12))) as thumbnail:
        assert thumbnail.format == "JPEG"
        assert thumbnail.size == (80, 80)
        shown = np.asarray(thumbnail, dtype=float) / 255
    image = next(stack.images([12]))[0, 1]
    assert abs(shown.mean() - image.mean()) < 0.03
    assert len(stack.thumbnails()) == len(stack)


def test_without_pillow_thumbnails_are_empty(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert preprocess(a_torso(), AS_IT_IS).thumbnails([0, 1]) == [b"", b""]


# Versions -----------------------------------------------------------------------------------------


def golden_sample(version: int) -> np.ndarray:
    encoder = create_encoder("descriptor")
    as_mr = replace(a_torso(), attributes=Attributes(modality="MR"))
    found = []
    for volume, plane, slices in ((a_torso(), "axial", (0, 12)), (as_mr, "sagittal", (30,))):
        stack = preprocess(volume, recipe_for(encoder, plane=plane, preprocessing_version=version))
        rows = np.flatnonzero(np.isin(stack.table.index, slices))
        found.append(encode(stack, encoder, rows=rows))
    return np.concatenate(found)[:, ::13]


@pytest.mark.parametrize("version", [1, PREPROCESSING_VERSION])
def test_golden_embeddings_of_a_seeded_volume_have_not_moved(version):
    found = golden_sample(version)
    assert np.allclose(found, GOLDEN, atol=1e-4), (
        "preprocessing or the descriptor changed: embeddings in existing stores no longer compare with new ones. Raise "
        "PREPROCESSING_VERSION in recipe.py, then store these values as GOLDEN:\n"
        + np.array2string(found, precision=5, separator=", ", max_line_width=118)
    )
