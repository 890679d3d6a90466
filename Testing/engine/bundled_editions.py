"""Which weights of radiology-resnet are bundled, as a test has it: the first edition's, or made-up later ones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from VolumeRetrievalEngine.encoders.radiology_resnet import backend, description
from VolumeRetrievalEngine.encoders.radiology_resnet.architecture import radiology_resnet
from VolumeRetrievalEngine.encoders.radiology_resnet.editions import EARLIER

#: The folder of the first edition, and the sha256 of its weights: what indexes that were made with it know it by.
FIRST_FOLDER = EARLIER[-1]
FIRST = "f39d66e424eae61140debf578161b9331dbb3785d8baeb3c9ba72bf157057ede"


def bundle(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Have the current edition in this folder, until the test ends or another one is bundled."""
    monkeypatch.setattr(description, "FOLDER", folder)


def only_onnxruntime(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no torch, until the test ends."""

    def absent() -> None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(backend, "_try_torch", absent)


def copy_edition(folder: Path) -> Path:
    """The first edition's network as another edition, for onnxruntime alone: it is made without torch."""
    shutil.copytree(FIRST_FOLDER, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    described = folder / f"{description.NAME}.json"
    values = json.loads(described.read_text(encoding="utf-8"))
    values["sha256"][f"{description.NAME}.safetensors"] = "ab" * 32
    described.write_text(json.dumps(values), encoding="utf-8")
    return folder


def write_edition(folder: Path, seed: int = 0) -> str:
    """An edition with random weights, other layers and slices of another size; returns the sha256 of its weights."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("monai")
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from Training.export import export

    torch.manual_seed(seed)
    shape = {"layers": [1, 2, 1, 1], "widths": [8, 8, 16, 16]}
    values = {**shape, "input_size": 96, "mean": [0.4] * 3, "std": [0.5] * 3}
    return export(radiology_resnet(**shape, dimension=24).eval(), folder, values=values).weights
