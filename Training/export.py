"""From a trained network to the files that ship: float16 safetensors, the same network as ONNX, and their JSON."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from VolumeRetrievalEngine.encoders.radiology_resnet.architecture import radiology_resnet
from VolumeRetrievalEngine.encoders.radiology_resnet.description import NAME
from VolumeRetrievalEngine.encoders.radiology_resnet.monai_backend import monai_radiology_resnet
from VolumeRetrievalEngine.encoders.radiology_resnet.onnx_backend import onnx_radiology_resnet

from .onnx_graph import onnx_model

if TYPE_CHECKING:
    import torch

#: What the network takes unless `values` say something else: slices in [0, 1] become about -2 to 2.
INPUT = {"input_size": 128, "mean": [0.5] * 3, "std": [0.25] * 3}

#: Cosine similarity of an embedding of the written files with one of the trained network, at least.
_LEAST_COSINE = 0.999
#: Slices that the files are tried with.
_TRIED = 16


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        description: the JSON; the other files lie beside it.
        weights: sha256 of the safetensors file.
        size_bytes: of safetensors and ONNX together.
        cosine: the least similarity of an embedding of one of the files with one of the network in float32.
    """

    description: Path
    weights: str
    size_bytes: int
    cosine: float


def export(
    module: torch.nn.Module,
    folder: Path,
    *,
    name: str = NAME,
    values: Mapping[str, Any],
    with_onnx: bool = True,
) -> Exported:
    """Write <folder>/<name>.safetensors, .onnx and .json, and try them.

    The same weights always make the same files.

    Args:
        module: made by radiology_resnet(); it is not changed.
        values: "layers", "widths" and, where it is not 1, "grid" that it was made with; "input_size", "mean" and "std"
            where they are not INPUT's; whatever else the JSON should say (the commit, the date, the data), in values
            of JSON.
        with_onnx: False for weights that only MONAI will run, a fold's say.

    Raises:
        ValueError: a weight is too large for float16, or what was written gives other embeddings.
    """
    folder.mkdir(parents=True, exist_ok=True)
    described = {**INPUT, **values, "name": NAME}
    described["dimension"] = module.fc.out_features
    rounded, tensors = _in_float16(module, described)
    written = {f"{name}.safetensors": _safetensors(tensors)}
    if with_onnx:
        written[f"{name}.onnx"] = onnx_model(rounded, described["input_size"]).SerializeToString(deterministic=True)
    for file, content in written.items():
        (folder / file).write_bytes(content)
    described["sha256"] = {file: hashlib.sha256(content).hexdigest() for file, content in written.items()}
    description = folder / f"{name}.json"
    description.write_text(json.dumps(described, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    cosine = _tried(module, description, described, with_onnx)
    size = sum(len(content) for content in written.values())
    return Exported(description, described["sha256"][f"{name}.safetensors"], size, cosine)


def _in_float16(
    module: torch.nn.Module, described: Mapping[str, Any]
) -> tuple[torch.nn.Module, dict[str, torch.Tensor]]:
    """The network with its weights rounded to float16, for evaluation; and its tensors in float16."""
    import torch

    tensors = {}
    for name, tensor in module.state_dict().items():
        if name.endswith("num_batches_tracked"):  # counts updates in training; nothing in inference
            continue
        tensors[name] = tensor.detach().cpu().to(torch.float16).contiguous()
        if not torch.isfinite(tensors[name]).all():
            raise ValueError(f"{name}: holds NaN or values beyond float16, up to {float(tensor.abs().max()):.3g}")
    rounded = radiology_resnet(
        described["layers"], described["widths"], described["dimension"], described.get("grid", 1)
    ).eval()
    missing = rounded.load_state_dict({name: one.float() for name, one in tensors.items()}, strict=False)
    if missing.unexpected_keys or any(not one.endswith("num_batches_tracked") for one in missing.missing_keys):
        raise ValueError(f"the network was not made with layers {described['layers']}: {missing}")
    return rounded, tensors


def _safetensors(tensors: dict[str, torch.Tensor]) -> bytes:
    from safetensors.torch import save

    return save(tensors, metadata={"format": "pt"})


def _tried(module: torch.nn.Module, description: Path, described: Mapping[str, Any], with_onnx: bool) -> float:
    """The least cosine similarity of what the written files give with what the network gives."""
    import torch

    size = described["input_size"]
    # Coarse shapes with noise on them: like slices, in that neighbouring pixels are alike.
    coarse = np.random.default_rng(0).uniform(size=(_TRIED, 3, 8, 8)).astype(np.float32)
    slices = np.kron(coarse, np.ones((1, 1, -(-size // 8), -(-size // 8)), np.float32))[..., :size, :size]
    mean, std = (np.float32(described[one])[:, None, None] for one in ("mean", "std"))
    with torch.inference_mode():
        plain = copy.deepcopy(module).cpu().float().eval()(torch.from_numpy((slices - mean) / std)).numpy()
    plain /= np.linalg.norm(plain, axis=1, keepdims=True)
    encoders = [monai_radiology_resnet(description, device="cpu")]
    if with_onnx:
        encoders.append(onnx_radiology_resnet(description))
    least = min(float((plain * encoder.embed(slices)).sum(axis=1).min()) for encoder in encoders)
    if least < _LEAST_COSINE:
        raise ValueError(f"{description}: what was written gives embeddings of cosine {least:.6f} to the network's")
    return least
