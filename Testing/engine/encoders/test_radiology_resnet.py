"""The encoder that ships: its two back ends are one, its files are checked, and other weights of it can be used."""

from __future__ import annotations

import hashlib
import json
import shutil
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pytest
from engine.encoders.test_encoders import smooth_slices
from VolumeRetrievalEngine.encoders.base import Encoder
from VolumeRetrievalEngine.encoders.choice import create_encoder, encoder_note
from VolumeRetrievalEngine.encoders.encode import recipe_for
from VolumeRetrievalEngine.encoders.radiology_resnet import backend, description
from VolumeRetrievalEngine.encoders.radiology_resnet.monai_backend import monai_radiology_resnet
from VolumeRetrievalEngine.encoders.radiology_resnet.onnx_backend import onnx_radiology_resnet
from VolumeRetrievalEngine.errors import EncoderError, WeightsError

torch = pytest.importorskip("torch")
pytest.importorskip("monai")
pytest.importorskip("safetensors")
pytest.importorskip("onnxruntime")

SIZE = 128


@pytest.fixture(scope="module")
def by_monai() -> Encoder:
    return monai_radiology_resnet(device="cpu")


@pytest.fixture(scope="module")
def by_onnx() -> Encoder:
    return onnx_radiology_resnet()


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with the files that ship; a copy, which may be damaged."""
    folder = tmp_path / "shipped"
    shutil.copytree(description.FOLDER, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    monkeypatch.setattr(description, "FOLDER", folder)
    return folder


@pytest.fixture
def without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent() -> None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(backend, "_try_torch", absent)


# One encoder, two back ends


def test_both_back_ends_give_the_same_embeddings(by_monai, by_onnx):
    slices = smooth_slices(40, size=SIZE)
    one, other = by_monai.embed(slices), by_onnx.embed(slices)
    assert (one * other).sum(axis=1).min() >= 0.99999


def test_both_back_ends_count_as_one_recipe(by_monai, by_onnx):
    assert recipe_for(by_monai) == recipe_for(by_onnx)
    assert recipe_for(by_monai).weights == by_monai.weights != ""
    assert encoder_note(by_monai) == encoder_note(by_onnx) == {"name": "radiology-resnet", "weights": ""}


def test_each_says_which_library_runs(by_monai, by_onnx):
    assert (by_monai.backend, by_onnx.backend) == ("MONAI", "onnxruntime")


@pytest.mark.parametrize("count", [0, 1, 5, 33])
@pytest.mark.parametrize("name", ["by_monai", "by_onnx"])
def test_any_number_of_slices_becomes_float32_unit_rows(name, count, request):
    encoder = request.getfixturevalue(name)
    rows = encoder.embed(smooth_slices(count, size=SIZE)) if count else encoder.embed(np.zeros((0, 3, SIZE, SIZE)))
    assert isinstance(encoder, Encoder)
    assert (rows.shape, rows.dtype) == ((count, encoder.dimension), np.float32)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("name", ["by_monai", "by_onnx"])
def test_an_embedding_does_not_depend_on_the_slices_beside_it(name, request):
    encoder, slices = request.getfixturevalue(name), smooth_slices(11, size=SIZE)
    alone = np.concatenate([encoder.embed(one[None]) for one in slices])
    assert (encoder.embed(slices) * alone).sum(axis=1).min() > 0.99999


def test_folding_batch_normalisation_changes_nothing(by_monai):
    from VolumeRetrievalEngine.encoders.networks.tensors import fit, read_tensors
    from VolumeRetrievalEngine.encoders.radiology_resnet.architecture import radiology_resnet

    described = description.read_description()
    module = radiology_resnet(described.layers, described.widths, described.dimension, described.grid).eval()
    fit(module, read_tensors(described.tensors_path), described.tensors_path)
    slices = smooth_slices(8, size=SIZE)
    with torch.inference_mode():
        features = module(torch.from_numpy(described.spec.prepare(slices))).numpy()
    rows = features / np.linalg.norm(features, axis=1, keepdims=True)
    assert np.allclose(rows, by_monai.embed(slices), atol=1e-4)


# The best back end that works


def test_torch_is_taken_where_it_works(by_monai):
    assert create_encoder("radiology-resnet").backend == "MONAI"


def test_onnxruntime_is_taken_without_torch_and_says_why(without_torch):
    encoder = create_encoder("radiology-resnet", batch_size=3, threads=1)
    assert encoder.backend == "onnxruntime"
    assert encoder.backend_reason == "PyTorch with MONAI is not installed (no torch)"
    assert encoder.batch_size == 3


def test_what_onnxruntime_cannot_do_is_refused_with_the_reason(without_torch, tmp_path):
    with pytest.raises(EncoderError, match=r"'cuda'.*expected cpu.*PyTorch with MONAI is not installed"):
        create_encoder("radiology-resnet", device="cuda")
    with pytest.raises(EncoderError, match=r"fold\.safetensors.*need PyTorch with MONAI"):
        create_encoder("radiology-resnet", weights=tmp_path / "fold.safetensors")


def test_a_torch_that_was_built_for_another_numpy_is_not_taken(monkeypatch):
    def fails(array: np.ndarray) -> None:
        raise RuntimeError("Numpy is not available")

    monkeypatch.setattr(torch, "from_numpy", fails)
    found = backend.find_backend()
    assert found.name == "onnxruntime"
    assert "installed but does not work (RuntimeError: Numpy is not available)" in found.reason


# The files


def test_the_files_are_those_of_their_description():
    described = description.read_description()
    files = [described.tensors_path, described.onnx_path]
    assert set(described.hashes) == {file.name for file in files}
    for file in files:
        assert hashlib.sha256(file.read_bytes()).hexdigest() == described.hashes[file.name]
    assert described.spec.input_size == SIZE
    assert 128 <= described.dimension <= 384


def test_the_files_are_part_of_the_python_package():
    pyproject = tomllib.loads((Path(__file__).resolve().parents[3] / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = pyproject["tool"]["setuptools"]["package-data"]["VolumeRetrievalEngine.encoders.radiology_resnet"]
    others = [path.name for path in description.FOLDER.iterdir() if path.is_file() and path.suffix != ".py"]
    assert len(others) >= 3
    assert [name for name in others if not any(fnmatch(name, pattern) for pattern in patterns)] == []


def test_the_weights_are_float16():
    from safetensors import safe_open

    with safe_open(description.read_description().tensors_path, "numpy") as file:
        assert {str(file.get_tensor(name).dtype) for name in file.keys()} == {"float16"}  # noqa: SIM118 - no mapping


@pytest.mark.parametrize(
    ("suffix", "make"), [(".safetensors", monai_radiology_resnet), (".onnx", onnx_radiology_resnet)]
)
def test_a_damaged_or_absent_file_is_refused_by_name(shipped, suffix, make):
    path = (shipped / "radiology-resnet").with_suffix(suffix)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=rf"radiology-resnet\{suffix}: damaged or exchanged.*install the extension"):
        make()
    path.unlink()
    with pytest.raises(WeightsError, match=rf"radiology-resnet\{suffix}: cannot be read.*install the extension"):
        make()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"layers": 1}', '{"mean": [0, 0, 0], "std": [0, 1, 1]}'])
def test_a_damaged_description_is_refused_by_name(shipped, text):
    (shipped / "radiology-resnet.json").write_text(text)
    with pytest.raises(WeightsError, match=r"radiology-resnet\.json: expected .*layers"):
        onnx_radiology_resnet()


def test_an_absent_description_is_refused_by_name(shipped):
    (shipped / "radiology-resnet.json").unlink()
    with pytest.raises(WeightsError, match=r"radiology-resnet\.json: cannot be read"):
        monai_radiology_resnet()


def test_a_file_that_onnxruntime_cannot_load_is_refused_by_name(shipped):
    path, described = shipped / "radiology-resnet.onnx", shipped / "radiology-resnet.json"
    path.write_bytes(b"not a network")
    values = json.loads(described.read_text())
    values["sha256"][path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    described.write_text(json.dumps(values))
    with pytest.raises(WeightsError, match=r"radiology-resnet\.onnx: onnxruntime .* cannot load it"):
        onnx_radiology_resnet()
