"""Training/export.py: a trained network becomes the files that ship."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from engine.encoders.test_encoders import smooth_slices
from VolumeRetrievalEngine.encoders.choice import create_encoder, encoder_note
from VolumeRetrievalEngine.encoders.radiology_resnet.architecture import radiology_resnet
from VolumeRetrievalEngine.encoders.radiology_resnet.onnx_backend import onnx_radiology_resnet
from VolumeRetrievalEngine.errors import WeightsError

torch = pytest.importorskip("torch")
pytest.importorskip("monai")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from Training.export import export  # noqa: E402 - needs the packages above

SHAPE = {"layers": [1, 2, 1, 1], "widths": [8, 8, 16, 16]}


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    """A small network whose batch normalisation has seen something."""
    torch.manual_seed(0)
    module = radiology_resnet(**SHAPE, dimension=24)
    with torch.no_grad():
        for _ in range(3):
            module(torch.randn(8, 3, 64, 64))
    return module.eval()


def values(**others: object) -> dict[str, object]:
    return {**SHAPE, "input_size": 64, "training": {"commit": "0123abc"}, **others}


def test_the_files_give_the_embeddings_of_the_network(network, tmp_path):
    written = export(network, tmp_path, name="fold-3", values=values(mean=[0.1, 0.2, 0.3], std=[0.5, 1.0, 2.0]))
    slices = smooth_slices(9, size=64)
    scaled = (slices - np.float32([0.1, 0.2, 0.3])[:, None, None]) / np.float32([0.5, 1, 2])[:, None, None]
    with torch.inference_mode():
        features = network(torch.from_numpy(scaled)).numpy()
    rows = features / np.linalg.norm(features, axis=1, keepdims=True)
    for encoder in (
        create_encoder("radiology-resnet", weights=tmp_path / "fold-3.safetensors", device="cpu"),
        onnx_radiology_resnet(written.description),
    ):
        assert (rows * encoder.embed(slices)).sum(axis=1).min() > 0.9999
        assert (encoder.name, encoder.dimension, encoder.input_size) == ("radiology-resnet", 24, 64)
        assert encoder.weights == written.weights
    assert written.cosine > 0.9999
    assert {path.name for path in tmp_path.iterdir()} == {"fold-3.safetensors", "fold-3.onnx", "fold-3.json"}


@pytest.mark.parametrize("grid", [2, 4])
def test_a_network_that_tells_places_becomes_files_too(tmp_path, grid):
    torch.manual_seed(1)
    network = radiology_resnet(**SHAPE, dimension=24, grid=grid).eval()

    written = export(network, tmp_path, values={**SHAPE, "grid": grid, "input_size": 128})

    assert written.cosine > 0.9999
    with pytest.raises(ValueError, match="grid"):
        export(network, tmp_path, values={**SHAPE, "grid": grid, "input_size": 96 if grid == 2 else 64})


def test_the_same_weights_make_the_same_files(network, tmp_path):
    for folder in ("one", "two"):
        export(network, tmp_path / folder, values=values())
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_the_description_keeps_what_the_training_says(network, tmp_path):
    written = export(network, tmp_path, values=values(), with_onnx=False)
    said = json.loads(written.description.read_text())
    assert said["training"] == {"commit": "0123abc"}
    assert (said["layers"], said["widths"], said["dimension"]) == (SHAPE["layers"], SHAPE["widths"], 24)
    assert list(said["sha256"]) == ["radiology-resnet.safetensors"]
    with pytest.raises(WeightsError, match=r"radiology-resnet\.onnx: cannot be read"):
        onnx_radiology_resnet(written.description)


def test_other_weights_are_found_again_by_the_note_of_their_store(network, tmp_path):
    export(network, tmp_path, name="fold-0", values=values(), with_onnx=False)
    encoder = create_encoder("radiology-resnet", weights=tmp_path / "fold-0.safetensors")
    note = encoder_note(encoder)
    assert Path(note["weights"]) == tmp_path / "fold-0.safetensors"
    assert create_encoder(note["name"], weights=note["weights"]).weights == encoder.weights


def test_weights_that_do_not_fit_into_float16_are_refused(network, tmp_path):
    wide = radiology_resnet(**SHAPE, dimension=24)
    wide.load_state_dict(network.state_dict())
    wide.bn1.running_var[0] = 1e6
    with pytest.raises(ValueError, match=r"bn1\.running_var.*float16"):
        export(wide, tmp_path, values=values())
    assert not any(tmp_path.iterdir())


def test_a_description_of_another_network_is_refused(network, tmp_path):
    with pytest.raises(ValueError, match="layers"):
        export(network, tmp_path, values=values(layers=[1, 1, 1, 1]))
    assert not any(tmp_path.iterdir())
