"""A network's precision and batch size: chosen, tried out, noted, and never the reason for other results."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
from engine.archives import a_scan, write_scan
from VolumeRetrievalEngine.encoders.choice import encoder_facts, encoder_in_words
from VolumeRetrievalEngine.encoders.networks import network
from VolumeRetrievalEngine.encoders.networks.batch_size import LARGEST, SMALLEST, fastest_batch_size
from VolumeRetrievalEngine.encoders.networks.input_spec import InputSpec
from VolumeRetrievalEngine.encoders.networks.network import Network
from VolumeRetrievalEngine.encoders.request import EncoderRequest
from VolumeRetrievalEngine.errors import EncoderError
from VolumeRetrievalEngine.retriever import Retriever
from VolumeRetrievalEngine.searching.options import SearchOptions

torch = pytest.importorskip("torch")


class Convolutions(torch.nn.Module):
    """Small, with random weights, and computed in what autocast says."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.first = torch.nn.Conv2d(3, 16, 5, stride=2)
        self.second = torch.nn.Conv2d(16, 24, 3, stride=2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.second(torch.relu(self.first(images))).mean(dim=(2, 3))


class InAutocast(torch.nn.Module):
    """Does something else where it runs in another precision."""

    def __init__(self, spoil) -> None:
        super().__init__()
        self.spoil, self.inner = spoil, Convolutions()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        made = self.inner(images)
        return self.spoil(images, made) if torch.is_autocast_enabled("cpu") else made


class Limited(torch.nn.Module):
    """Fails as a graphics card does with more than so many slices at once."""

    def __init__(self, most: int):
        super().__init__()
        self.most = most

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if len(images) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return images.flatten(1)[:, ::37]


class OnACard(Network):
    """Takes the ways of a graphics card, on the processor."""

    _on_cpu = False


def network_of(module: torch.nn.Module, folder: Path, kind: type[Network] = Network, **settings: object) -> Network:
    file = folder / "weights"
    file.write_bytes(b"weights")
    spec = InputSpec(32, (2.0, 4.0, 8.0), (-1.0, 0.5, 0.0), reversed_channels=True)
    return kind(module, selector="x", name="x", spec=spec, weights_path=file, source=file, device="cpu", **settings)


def slices(count: int) -> np.ndarray:
    return np.random.default_rng(count).uniform(size=(count, 3, 32, 32)).astype(np.float32)


def cosines(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    return (ours * theirs).sum(axis=1)


# Precision


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_another_precision_gives_other_numbers_and_the_same_embeddings(tmp_path, precision):
    exact = network_of(Convolutions(), tmp_path)
    reduced = network_of(Convolutions(), tmp_path, precision=precision)
    assert (exact.precision, reduced.precision) == ("float32", precision)
    ours, theirs = reduced.embed(slices(9)), exact.embed(slices(9))
    assert not np.array_equal(ours, theirs)
    assert cosines(ours, theirs).min() >= 0.999
    assert ours.dtype == np.float32


def test_a_network_that_disagrees_in_another_precision_runs_in_float32_and_says_so(tmp_path, caplog):
    module = InAutocast(lambda images, made: made.flip(1))
    with caplog.at_level(logging.WARNING):
        encoder = network_of(module, tmp_path, precision="bfloat16")
    assert encoder.precision == "float32"
    assert "not bfloat16: embeddings have a cosine of" in encoder.precision_reason
    assert encoder.precision_reason in caplog.text
    assert encoder.precision_reason in encoder_in_words(encoder)
    assert np.array_equal(encoder.embed(slices(3)), network_of(Convolutions(), tmp_path).embed(slices(3)))


def test_float16_stands_in_where_bfloat16_is_too_coarse_and_was_not_asked_for(tmp_path, monkeypatch):
    def spoil(images: torch.Tensor, made: torch.Tensor) -> torch.Tensor:
        return made.flip(1) if torch.get_autocast_dtype("cpu") == torch.bfloat16 else made

    monkeypatch.setattr(network, "choose_precision", lambda asked, device: ("bfloat16", "this card is fast in it"))
    encoder = network_of(InAutocast(spoil), tmp_path)
    assert encoder.precision == "float16"
    assert encoder.precision_reason.startswith("not bfloat16: embeddings have a cosine of")
    assert network_of(InAutocast(spoil), tmp_path, precision="bfloat16").precision == "float32"


def test_a_network_that_fails_in_another_precision_runs_in_float32(tmp_path):
    def fail(images: torch.Tensor, made: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("not implemented for 'BFloat16'")

    encoder = network_of(InAutocast(fail), tmp_path, precision="bfloat16")
    assert encoder.precision == "float32"
    assert "not implemented" in encoder.precision_reason


def test_values_too_large_for_a_precision_end_its_use_and_not_the_run(tmp_path):
    # The trial slices are well within what the precision holds; one later slice is not.
    module = InAutocast(lambda images, made: torch.where(images.amax() > 100, torch.inf, 1.0) * made)
    encoder = network_of(module, tmp_path, precision="float16", batch_size=4)
    given = slices(6)
    assert np.isfinite(encoder.embed(given)).all()
    assert encoder.precision == "float16"
    given[5] *= 50
    found = encoder.embed(given)
    assert encoder.precision == "float32"
    assert np.array_equal(found, network_of(Convolutions(), tmp_path, batch_size=4).embed(given))


def test_a_precision_that_there_is_not_is_refused(tmp_path):
    with pytest.raises(EncoderError, match="precision 'int8': expected one of auto, float32, bfloat16, float16"):
        network_of(Convolutions(), tmp_path, precision="int8")


def test_a_processor_computes_in_float32_unless_asked(tmp_path):
    for asked in (None, "auto", "float32"):
        assert network_of(Convolutions(), tmp_path, precision=asked).precision == "float32"


def test_one_index_is_filled_and_searched_in_several_precisions(tmp_path):
    weights = tmp_path / "network.pt"
    torch.jit.save(torch.jit.script(Convolutions()), weights)
    weights.with_suffix(".json").write_text(json.dumps({"input_size": 64, "scale": 1, "offset": 0}))
    store = tmp_path / "index"
    recipes = set()
    for seed, precision in enumerate(("float32", "bfloat16")):
        archive = tmp_path / f"archive {seed}"
        write_scan(archive / "head.nii.gz", a_scan(seed, "head"))
        retriever = Retriever.create(store, EncoderRequest("torchscript", weights, "cpu", precision=precision))
        retriever.add([archive])
        recipes.add(retriever.recipe)
        assert encoder_facts(retriever.encoder())["precision"] == precision
        retriever.close()
    assert len(recipes) == 1
    records = retriever.listing()
    assert {record.precision for record in records} == {"float32", "bfloat16"}
    assert sum(retriever.status().made_on.values()) == len(records)
    # What one precision embedded is found, as itself, by a query that the other embeds.
    for record in records:
        other = {"float32": "bfloat16", "bfloat16": "float32"}[record.precision]
        searching = Retriever.open(store, EncoderRequest("torchscript", device="cpu", precision=other))
        everything = SearchOptions(exclude=frozenset())
        best = searching.search(searching.read_again(record), options=everything).matches[0]
        searching.close()
        assert best.volume_id == record.volume_id
        assert best.score > 0.999
    retriever.close()


# Batches


def test_a_batch_grows_while_that_brings_something():
    tried = []

    def seconds(size: int) -> float:
        tried.append(size)
        return max(size, 64) / 1000

    assert fastest_batch_size(seconds) == 64
    assert tried == [16, 32, 64, 128]
    assert fastest_batch_size(lambda size: 1.0) == LARGEST
    assert fastest_batch_size(lambda size: size / 1000) == SMALLEST


def test_a_batch_grows_no_further_than_the_memory():
    assert fastest_batch_size(lambda size: None if size > 32 else 1.0) == 32
    assert fastest_batch_size(lambda size: None) == 1
    # Half of the free memory at most: the next size would need twice that of the last.
    needed = iter((10, 20, 40))
    assert fastest_batch_size(lambda size: 1.0, lambda: next(needed), free=70) == 32


def test_a_card_finds_its_own_batch_size_unless_told(tmp_path):
    encoder = network_of(Limited(40), tmp_path, OnACard)
    assert encoder.batch_size in (16, 32)
    assert network_of(Limited(40), tmp_path, OnACard, batch_size=7).batch_size == 7


def test_a_card_gets_the_same_images_as_the_processor(tmp_path):
    given = slices(11)[:, :, ::-1]  # not contiguous
    ours = network_of(Convolutions(), tmp_path, OnACard, batch_size=4).embed(given)
    theirs = network_of(Convolutions(), tmp_path, batch_size=4).embed(given)
    assert np.allclose(ours, theirs, atol=1e-6)


def test_no_slices_have_no_embeddings(tmp_path):
    assert network_of(Limited(4), tmp_path).embed(slices(0)).shape == (0, 84)
