"""Networks as encoders: files that the user brings, MONAI's networks, and what may be wrong with either."""

from __future__ import annotations

import hashlib
import json
import logging
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from VolumeRetrievalEngine.encoders.choice import create_encoder, encoder_note
from VolumeRetrievalEngine.encoders.encode import encode, recipe_for
from VolumeRetrievalEngine.encoders.networks.input_spec import InputSpec
from VolumeRetrievalEngine.encoders.networks.network import Network, choose_device
from VolumeRetrievalEngine.errors import EncoderError, WeightsError
from VolumeRetrievalEngine.preprocessing import preprocess
from VolumeRetrievalEngine.volume import Attributes, Volume

torch = pytest.importorskip("torch")

SPEC = {"name": "tiny", "input_size": 32, "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.25, 0.5]}


class ChannelMeans(torch.nn.Module):
    """Returns each channel's mean and 1, so that a test can see what the network was given."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.cat([images.mean(dim=(2, 3)), torch.ones(images.shape[0], 1)], dim=1)


class Unpooled(torch.nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images


class NotANumber(torch.nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(dim=(2, 3)) / 0.0 * 0.0


class FixedSize(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(3 * 48 * 48, 5)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layer(images.flatten(1))


class SmallMemory(torch.nn.Module):
    """Fails as a GPU does with more than so many slices at once."""

    def __init__(self, most: int, error: Callable[[str], Exception] = torch.OutOfMemoryError):
        super().__init__()
        self.most, self.error, self.batches = most, error, []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if len(images) > self.most:
            raise self.error("CUDA out of memory. Tried to allocate 20.00 MiB")
        self.batches.append(len(images))
        return images.flatten(1)[:, ::37]


def a_torchscript_file(folder: Path, module: torch.nn.Module | None = None, spec: dict | None = SPEC) -> Path:
    path = folder / "tiny network é.pt"
    torch.jit.save(torch.jit.script(module or ChannelMeans()), path)
    if spec is not None:
        path.with_suffix(".json").write_text(json.dumps(spec), encoding="utf-8")
    return path


def slices(count: int, size: int = 32) -> np.ndarray:
    return np.random.default_rng(count).uniform(size=(count, 3, size, size)).astype(np.float32)


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def network_of(module: torch.nn.Module, folder: Path, **settings: object) -> Network:
    file = folder / "weights"
    file.write_bytes(b"weights")
    spec = InputSpec(input_size=32)
    return Network(module, selector="x", name="x", spec=spec, weights_path=file, source=file, device="cpu", **settings)


# TorchScript


def test_a_torchscript_file_gets_the_normalised_slices_of_its_json(tmp_path):
    encoder = create_encoder("torchscript", weights=a_torchscript_file(tmp_path), device="cpu")
    given = slices(5)
    means = (given - np.array(SPEC["mean"])[:, None, None]) / np.array(SPEC["std"])[:, None, None]
    expected = unit(np.hstack([means.mean(axis=(2, 3)), np.ones((5, 1))]))
    found = encoder.embed(given)
    assert found.dtype == np.float32
    assert np.allclose(found, expected, atol=1e-5)
    assert (encoder.name, encoder.input_size, encoder.dimension) == ("torchscript-tiny", 32, 4)


@pytest.mark.parametrize(
    "spec",
    [
        {"mean": [0.5] * 3, "std": [0.5] * 3},
        {"scale": 2, "offset": -1},
        {"value_range": [-1, 1]},
    ],
)
def test_the_same_normalisation_may_be_written_in_three_ways(tmp_path, spec):
    weights = a_torchscript_file(tmp_path, spec={"input_size": 32, **spec})
    encoder = create_encoder("torchscript", weights=weights, device="cpu")
    given = slices(3)
    expected = unit(np.hstack([(given * 2 - 1).mean(axis=(2, 3)), np.ones((3, 1))]))
    assert np.allclose(encoder.embed(given), expected, atol=1e-5)
    assert json.loads(encoder.normalisation) == {"bgr": False, "offset": [-1.0] * 3, "scale": [2.0] * 3}


def test_bgr_reverses_the_channels(tmp_path):
    spec = {"input_size": 32, "scale": 1, "offset": 0, "channels": "bgr"}
    encoder = create_encoder("torchscript", weights=a_torchscript_file(tmp_path, spec=spec), device="cpu")
    given = slices(2)
    expected = unit(np.hstack([given[:, ::-1].mean(axis=(2, 3)), np.ones((2, 1))]))
    assert np.allclose(encoder.embed(given), expected, atol=1e-5)


def test_the_json_may_lie_elsewhere_and_name_the_weights(tmp_path):
    (tmp_path / "weights").mkdir()
    weights = a_torchscript_file(tmp_path / "weights", spec=None)
    described = tmp_path / "my network.json"
    described.write_text(json.dumps({**SPEC, "file": f"weights/{weights.name}"}), encoding="utf-8")
    encoder = create_encoder("torchscript", weights=described, device="cpu")
    assert encoder.weights == hashlib.sha256(weights.read_bytes()).hexdigest()
    again = create_encoder(**encoder_note(encoder))
    assert recipe_for(again) == recipe_for(encoder)


def test_the_recipe_tells_weights_and_normalisation_apart(tmp_path):
    weights = a_torchscript_file(tmp_path)
    first = recipe_for(create_encoder("torchscript", weights=weights))
    weights.with_suffix(".json").write_text(json.dumps({**SPEC, "mean": [0.5, 0.5, 0.5]}), encoding="utf-8")
    second = recipe_for(create_encoder("torchscript", weights=weights))
    assert first.weights == second.weights == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert first.digest != second.digest


def test_loading_torchscript_says_that_it_can_run_code(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        create_encoder("torchscript", weights=a_torchscript_file(tmp_path))
    assert any("can run code" in record.message for record in caplog.records)


def test_a_missing_json_is_an_error_that_says_what_to_write(tmp_path):
    weights = a_torchscript_file(tmp_path, spec=None)
    with pytest.raises(WeightsError) as told:
        create_encoder("torchscript", weights=weights)
    said = str(told.value)
    assert str(weights.with_suffix(".json")) in said
    example = said[said.index("{") : said.index("}") + 1]
    weights.with_suffix(".json").write_text(example)  # what it says to write is enough
    assert create_encoder("torchscript", weights=weights).input_size == 224


def test_weights_that_have_moved_are_said_to_be_missing_and_not_their_json(tmp_path):
    with pytest.raises(WeightsError, match=r"network\.pt: no such file.*--weights"):
        create_encoder("torchscript", weights=tmp_path / "moved" / "network.pt")


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({**SPEC, "input_size": "32"}, "input_size"),
        ({**SPEC, "mean": [1, 2]}, "mean"),
        ({**SPEC, "std": [1, 0, 1]}, "std"),
        ({**SPEC, "std": [1, "a", 1]}, "std"),
        ({**SPEC, "scale": 1, "offset": 0}, "either mean and std"),
        ({"input_size": 32}, "either mean and std"),
        ({"input_size": 32, "mean": [0, 0, 0]}, "either mean and std"),
        ({**SPEC, "means": 1}, "means"),
        ({**SPEC, "channels": "gray"}, "channels"),
        ({**SPEC, "output": "tokens"}, "pooled"),
        ([], "holds"),
    ],
)
def test_a_wrong_json_is_refused_with_the_entry_that_is_wrong(tmp_path, spec, said):
    with pytest.raises(WeightsError, match=said):
        create_encoder("torchscript", weights=a_torchscript_file(tmp_path, spec=spec))


@pytest.mark.parametrize(
    ("module", "said"),
    [(Unpooled(), r"\[2, 3, 32, 32\]; expected one pooled"), (NotANumber(), "NaN"), (FixedSize(), "input size")],
)
def test_a_network_that_gives_no_vectors_is_refused(tmp_path, module, said):
    with pytest.raises(WeightsError, match=said):
        create_encoder("torchscript", weights=a_torchscript_file(tmp_path, module), device="cpu")


def test_files_that_are_no_torchscript_are_refused(tmp_path):
    weights = a_torchscript_file(tmp_path)
    for content in (b"", b"not a network", weights.read_bytes()[:500]):
        weights.write_bytes(content)
        with pytest.raises(WeightsError, match="TorchScript"):
            create_encoder("torchscript", weights=weights)
    weights.unlink()
    with pytest.raises(WeightsError, match="no such file"):
        create_encoder("torchscript", weights=weights)


def test_a_real_pretrained_network_finds_the_neighboring_slice(shared, tmp_path):
    import SimpleITK as sitk

    described = tmp_path / "mobilenet.json"
    file = shared / "weights" / "mobilenet_v2_imagenet.torchscript.pt"
    described.write_text(
        json.dumps({"name": "mobilenet", "file": str(file), "input_size": 224, "value_range": [-1, 1]})
    )
    encoder = create_encoder("torchscript", weights=described, device="cpu")
    assert encoder.weights == "6763d4402a40d0ac612146dfc550d23661c3bb4177f57aa8fd5b22168658e88f"
    image = sitk.DICOMOrient(sitk.ReadImage(shared / "data" / "ct_chest_LIDC-0001" / "volume.nii.gz"), "LPS")
    spacing = image.GetSpacing()
    voxels = sitk.GetArrayFromImage(image)
    volume = Volume.from_array(voxels, np.diag([-spacing[0], -spacing[1], spacing[2], 1]), Attributes(modality="CT"))
    stack = preprocess(volume, recipe_for(encoder))
    rows = encode(stack, encoder, rows=np.arange(10, len(stack), 10))
    beside = encode(stack, encoder, rows=np.arange(11, len(stack), 10)[: len(rows)])
    assert rows.shape[1] == 1280
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert np.array_equal((beside @ rows[: len(beside)].T).argmax(axis=1), np.arange(len(beside)))


# Memory and devices


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError])
def test_a_batch_that_does_not_fit_is_halved_for_good(tmp_path, error):
    module = SmallMemory(most=3, error=error)
    encoder = network_of(module, tmp_path, batch_size=16)
    given = slices(20)
    found = encoder.embed(given)
    assert encoder.batch_size == 2
    assert np.allclose(found, unit(given.reshape(20, -1)[:, ::37]), atol=1e-5)
    assert module.batches == [2] + [2] * 10  # the probe, then the slices


def test_a_slice_that_does_not_fit_alone_is_an_error_that_says_so(tmp_path):
    module = SmallMemory(most=2)
    encoder = network_of(module, tmp_path)
    module.most = 0
    with pytest.raises(EncoderError, match="does not fit into memory"):
        encoder.embed(slices(4))


def test_other_errors_of_a_network_are_not_taken_for_memory(tmp_path):
    module = SmallMemory(most=2)
    encoder = network_of(module, tmp_path, batch_size=8)
    module.error = lambda said: RuntimeError("the driver has gone")
    with pytest.raises(RuntimeError, match="the driver has gone"):
        encoder.embed(slices(8))
    assert encoder.batch_size == 8


def test_nan_from_a_network_is_an_error_and_never_an_embedding(tmp_path):
    module = SmallMemory(most=4)
    encoder = network_of(module, tmp_path)
    with pytest.raises(EncoderError, match="NaN"):
        encoder.embed(np.full((3, 3, 32, 32), np.nan, np.float32))


def test_a_row_of_zeros_becomes_a_unit_row(tmp_path):
    rows = network_of(SmallMemory(most=4), tmp_path).embed(np.zeros((2, 3, 32, 32), np.float32))
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def test_the_device_is_chosen_with_a_reason_and_an_absent_one_is_refused():
    device, reason = choose_device()
    assert device.partition(":")[0] in ("cpu", "cuda", "mps")
    assert reason
    assert choose_device("cpu") == ("cpu", "as asked")
    for absent in ("tpu", "cuda:99", "cpu:3"):
        with pytest.raises(EncoderError, match=r"available: .*cpu"):
            choose_device(absent)


def test_threads_stay_as_they_are_unless_asked_for(tmp_path):
    before = torch.get_num_threads()
    try:
        network_of(ChannelMeans(), tmp_path)
        assert torch.get_num_threads() == before
        network_of(ChannelMeans(), tmp_path, threads=1)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


# MONAI


@pytest.fixture(scope="module")
def resnet10_tensors() -> dict[str, torch.Tensor]:
    nets = pytest.importorskip("monai.networks.nets")
    torch.manual_seed(3)
    network = nets.resnet10(
        spatial_dims=2, n_input_channels=3, conv1_t_stride=2, bias_downsample=False, num_classes=7
    ).eval()
    return network.state_dict()


def a_state_dict(folder: Path, tensors: dict[str, torch.Tensor], suffix: str = ".safetensors") -> Path:
    path = folder / f"resnet{suffix}"
    if suffix == ".safetensors":
        from safetensors.torch import save_file

        save_file(tensors, path)
    else:
        torch.save(tensors, path)
    path.with_suffix(".json").write_text(json.dumps({"input_size": 64, "scale": 1, "offset": 0}))
    return path


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_a_monai_resnet_gives_its_pooled_features_with_stride_2_and_no_shortcut_bias(
    tmp_path, resnet10_tensors, suffix
):
    from monai.networks import nets

    encoder = create_encoder("monai:resnet10", weights=a_state_dict(tmp_path, resnet10_tensors, suffix), device="cpu")
    reference = nets.resnet10(
        spatial_dims=2, n_input_channels=3, conv1_t_stride=2, bias_downsample=False, num_classes=7
    )
    reference.load_state_dict(resnet10_tensors)
    reference.fc = None
    given = slices(3, 64)
    with torch.inference_mode():
        expected = reference.eval()(torch.from_numpy(given)).numpy()
    assert np.allclose(encoder.embed(given), unit(expected), atol=1e-4)
    assert (encoder.name, encoder.dimension, encoder.input_size) == ("monai-resnet10", 512, 64)


def test_checkpoints_of_a_parallel_training_are_unwrapped(tmp_path, resnet10_tensors):
    wrapped = {"state_dict": {f"module.{name}": tensor for name, tensor in resnet10_tensors.items()}}
    weights = a_state_dict(tmp_path, wrapped, ".pt")
    assert create_encoder("monai:resnet10", weights=weights, device="cpu").dimension == 512


def test_weights_of_another_network_are_refused_with_the_names_of_the_tensors(tmp_path, resnet10_tensors):
    tensors = dict(resnet10_tensors)
    tensors["conv1.weight"] = torch.zeros(64, 1, 7, 7)
    del tensors["bn1.weight"]
    tensors["extra.bias"] = torch.zeros(2)
    with pytest.raises(WeightsError) as told:
        create_encoder("monai:resnet10", weights=a_state_dict(tmp_path, tensors))
    said = str(told.value)
    assert "missing (1): bn1.weight" in said
    assert "unexpected (1): extra.bias" in said
    assert "conv1.weight [64, 1, 7, 7] instead of [64, 3, 7, 7]" in said


def test_weights_of_a_larger_network_are_refused(tmp_path, resnet10_tensors):
    with pytest.raises(WeightsError, match=r"missing \(\d+\).* more"):
        create_encoder("monai:resnet50", weights=a_state_dict(tmp_path, resnet10_tensors))


def test_a_pickled_network_is_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    weights = tmp_path / "trap.pt"
    weights.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(WeightsError, match="tensors only"):
        create_encoder("monai:resnet10", weights=weights)
    torch.save(Trap(), weights)
    with pytest.raises(WeightsError, match="tensors only"):
        create_encoder("monai:resnet10", weights=weights)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pt"])
@pytest.mark.parametrize("content", [b"", b"no tensors", bytes(200)])
def test_damaged_weights_are_refused(tmp_path, name, content):
    weights = tmp_path / name
    weights.write_bytes(content)
    with pytest.raises(WeightsError, match="cannot be read"):
        create_encoder("monai:resnet10", weights=weights)


def test_a_torchscript_file_for_a_monai_network_is_refused_with_the_encoder_that_takes_it(tmp_path, recwarn):
    with pytest.raises(WeightsError, match="encoder by itself: torchscript"):
        create_encoder("monai:resnet10", weights=a_torchscript_file(tmp_path))
    assert not [one for one in recwarn if "TorchScript" in str(one.message)]


@pytest.mark.parametrize(
    ("network", "dimension"),
    [("resnet18", 512), ("densenet121", 1024), ("efficientnet-b0", 1280), ("vit-b16", 768)],
)
def test_other_networks_of_monai_end_in_their_pooled_features(tmp_path, network, dimension):
    pytest.importorskip("monai")
    if network.startswith("vit"):
        pytest.importorskip("einops", reason="MONAI's ViT needs einops")
    from VolumeRetrievalEngine.encoders.networks.monai_network import _ARCHITECTURES

    weights = a_state_dict(tmp_path, _ARCHITECTURES[network].make(64).state_dict())
    encoder = create_encoder(f"monai:{network}", weights=weights, device="cpu")
    rows = encoder.embed(slices(2, 64))
    assert rows.shape == (2, dimension)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def test_images_for_monai_networks_are_chained_by_its_compose_and_are_the_same(tmp_path, resnet10_tensors):
    encoder = create_encoder("monai:resnet10", weights=a_state_dict(tmp_path, resnet10_tensors), device="cpu")
    volume = Volume.from_array(np.random.default_rng(0).normal(size=(6, 40, 40)), np.diag([-1.0, -1, 3, 1]))
    stack = preprocess(volume, recipe_for(encoder))
    assert type(encoder.compose(stack.transforms)).__module__.startswith("monai.")
    plain = np.concatenate(list(stack.images()))
    assert np.array_equal(plain, np.concatenate(list(stack.images(compose=encoder.compose))))
    assert np.allclose(encode(stack, encoder), encoder.embed(plain), atol=1e-5)
