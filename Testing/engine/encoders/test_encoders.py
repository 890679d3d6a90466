"""Encoders: the floor, how they are asked for, and slices going through one."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from VolumeRetrievalEngine.encoders.base import Encoder
from VolumeRetrievalEngine.encoders.choice import available_encoders, create_encoder, encoder_note
from VolumeRetrievalEngine.encoders.encode import encode, prefetched, recipe_for
from VolumeRetrievalEngine.errors import EncoderError
from VolumeRetrievalEngine.preprocessing import preprocess
from VolumeRetrievalEngine.progress import Cancelled, Progress
from VolumeRetrievalEngine.recipe import Recipe
from VolumeRetrievalEngine.volume import Volume

ENGINE_ROOT = Path(sys.modules["VolumeRetrievalEngine"].__file__).parents[1]


def smooth_slices(count: int, seed: int = 0, size: int = 96) -> np.ndarray:
    """Random smooth images float32 [count, 3, size, size] in [0, 1], no two alike."""
    random = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(random.normal(size=(count, 3, size, size)), (0, 0, 6, 6))
    return np.clip(0.5 + noise * 8, 0, 1).astype(np.float32)


def a_volume(slices: int = 20) -> Volume:
    random = np.random.default_rng(4)
    voxels = ndimage.gaussian_filter(random.normal(size=(slices, 40, 40)), 3) * 500
    return Volume.from_array(voxels, np.diag([-2.0, -2.0, 3.0, 1.0]))


# Descriptor


def test_the_descriptor_is_an_encoder_of_float32_unit_rows():
    encoder = create_encoder("descriptor")
    rows = encoder.embed(smooth_slices(11))
    assert isinstance(encoder, Encoder)
    assert rows.shape == (11, encoder.dimension)
    assert rows.dtype == np.float32
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_a_constant_slice_has_a_unit_row(value):
    rows = create_encoder("descriptor").embed(np.full((2, 3, 96, 96), value, np.float32))
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def test_no_slices_give_no_rows():
    encoder = create_encoder("descriptor")
    assert encoder.embed(np.zeros((0, 3, 96, 96), np.float32)).shape == (0, encoder.dimension)


def test_a_descriptor_does_not_depend_on_the_slices_beside_it():
    encoder, slices = create_encoder("descriptor"), smooth_slices(13)
    together = encoder.embed(slices)
    alone = np.concatenate([encoder.embed(one[None]) for one in slices])
    assert np.allclose(together, alone, atol=1e-6)


def test_a_moved_or_brightened_slice_is_nearer_than_any_other():
    encoder, slices = create_encoder("descriptor"), smooth_slices(30)
    moved = np.roll(slices, (3, -2), axis=(2, 3))
    brighter = np.clip(slices * 1.15, 0, 1)
    rows = encoder.embed(slices)
    for changed in (moved, brighter):
        similarity = rows @ encoder.embed(changed).T
        assert np.array_equal(similarity.argmax(axis=1), np.arange(30))


def test_similarities_of_unrelated_slices_spread_around_zero():
    """Histograms that are only positive would make every two slices similar."""
    rows = create_encoder("descriptor").embed(smooth_slices(40))
    similarity = (rows @ rows.T)[~np.eye(40, dtype=bool)]
    assert abs(similarity.mean()) < 0.15
    assert similarity.std() > 0.05


def test_bright_and_dark_are_told_apart_where_edges_are_the_same():
    encoder, slices = create_encoder("descriptor"), smooth_slices(5)
    rows, inverted = encoder.embed(slices), encoder.embed(1 - slices)
    same_edges = encoder.dimension - 3 * (16 + 12)
    assert np.all((rows * inverted)[:, :same_edges].sum(axis=1) > 0.5)
    assert np.all((rows * inverted)[:, same_edges:].sum(axis=1) < 0)


# Asking for one


@pytest.mark.parametrize("name", ["", "resnet", "monai", "monai:alexnet", "descriptor:96", "Descriptor"])
def test_an_unknown_encoder_is_refused_with_the_known_ones(name, tmp_path):
    with pytest.raises(EncoderError, match=r"expected one of .*resnet50"):
        create_encoder(name, weights=tmp_path / "weights.pt")


@pytest.mark.parametrize("name", ["torchscript", "monai:resnet18"])
def test_a_network_without_weights_is_refused(name):
    with pytest.raises(EncoderError, match="needs a file of weights"):
        create_encoder(name)


def test_weights_for_an_encoder_without_any_are_refused(tmp_path):
    with pytest.raises(EncoderError, match="takes no weights"):
        create_encoder("descriptor", weights=tmp_path / "weights.pt")


def test_available_encoders_say_what_they_need():
    choices = {choice.name: choice for choice in available_encoders()}
    assert choices["descriptor"].missing == ()
    assert not choices["descriptor"].needs_weights
    assert {"torchscript", "monai:resnet50", "monai:densenet121"} <= set(choices)


def test_the_note_of_an_encoder_makes_it_again():
    note = encoder_note(create_encoder("descriptor"))
    assert create_encoder(note["name"], weights=note["weights"] or None).name == "descriptor"


def test_the_floor_needs_neither_torch_nor_monai():
    code = """
import sys
for absent in ("torch", "monai", "faiss", "safetensors", "PIL", "highdicom"):
    sys.modules[absent] = None
import numpy as np
from VolumeRetrievalEngine.encoders.choice import available_encoders, create_encoder
from VolumeRetrievalEngine.encoders.encode import encode, recipe_for
from VolumeRetrievalEngine.errors import MissingPackageError
from VolumeRetrievalEngine.preprocessing import preprocess
from VolumeRetrievalEngine.volume import Volume
encoder = create_encoder("descriptor")
volume = Volume.from_array(np.random.default_rng(0).normal(size=(5, 30, 30)), np.eye(4))
stack = preprocess(volume, recipe_for(encoder))
assert encode(stack, encoder).shape == (2, encoder.dimension)
assert stack.thumbnail(0) == b""
try:
    create_encoder("torchscript", weights="x.pt")
except MissingPackageError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(ENGINE_ROOT)}, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "pip install torch" in done.stdout


# Slices through an encoder


def test_encode_gives_the_same_as_embedding_all_images_at_once():
    encoder = create_encoder("descriptor")
    stack = preprocess(a_volume(), recipe_for(encoder))
    at_once = encoder.embed(np.concatenate(list(stack.images())))
    assert np.allclose(encode(stack, encoder, batch_size=3), at_once, atol=1e-6)
    assert np.allclose(encode(stack, encoder, rows=np.array([7, 2])), at_once[[7, 2]], atol=1e-6)


def test_a_stack_of_another_size_is_refused():
    encoder = create_encoder("descriptor")
    stack = preprocess(a_volume(), Recipe(encoder="descriptor", size=128))
    with pytest.raises(EncoderError, match=r"128 pixels .* takes 96"):
        encode(stack, encoder)


def test_progress_is_told_and_may_cancel():
    encoder = create_encoder("descriptor")
    stack = preprocess(a_volume(), recipe_for(encoder))
    told: list[Progress] = []

    def stop_after_two(step: Progress) -> None:
        told.append(step)
        if len(told) == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        encode(stack, encoder, batch_size=4, progress=stop_after_two)
    assert [(step.done, step.total) for step in told] == [(4, 20), (8, 20)]


def test_prefetched_batches_come_in_order_and_at_most_one_is_ahead():
    made: list[int] = []

    def batches():
        for number in range(6):
            made.append(number)
            yield np.array([number])

    taken = []
    for batch in prefetched(batches()):
        taken.append(int(batch[0]))
        assert len(made) <= len(taken) + 1
    assert taken == list(range(6))


def test_the_next_batch_is_made_in_another_thread_while_this_one_is_used():
    makers = []

    def batches():
        for number in range(3):
            makers.append(threading.current_thread())
            yield np.array([number])

    list(prefetched(batches()))
    assert threading.current_thread() not in makers


def test_an_error_while_making_a_batch_reaches_the_caller():
    def batches():
        yield np.zeros(1)
        raise ValueError("a broken slice")

    with pytest.raises(ValueError, match="a broken slice"):
        list(prefetched(batches()))
