"""DreamSim's ensemble: three Vision Transformers with what was learned about human judgment of similarity.

Fu, Tamir, Sundaram et al., DreamSim (NeurIPS 2023), arXiv:2306.09344. The publisher's archive holds the image towers of
CLIP and OpenCLIP, and low-rank updates (LoRA, Hu et al. 2021) of the attention of all three. DINO's own weights are not
in it: they are those of the catalog's dino-vitb16.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import WeightsError
from ..networks.tensors import SourceTensors, read_tensors, tensors_in
from .vit import VitShape, convert_vit, vit

if TYPE_CHECKING:
    import torch

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))

#: In the order in which the ensemble joins their embeddings. DINO's is taken before the last LayerNorm.
BRANCHES = (
    VitShape(patch_size=16, norm_after=False),
    VitShape(patch_size=16, epsilon=1e-5, norm_before=True, quick_gelu=True, projection=512),
    VitShape(patch_size=16, epsilon=1e-5, norm_before=True, projection=512),
)
_NORMALISATIONS = (_IMAGENET, _CLIP, _CLIP)

#: What the archive has to hold.
_TOWERS = ("clip_vitb16_pretrain.pth.tar", "open_clip_vitb16_pretrain.pth.tar")
_ADAPTER, _ADAPTER_WEIGHTS = "ensemble_lora/adapter_config.json", "ensemble_lora/adapter_model"

#: What zipfile (RuntimeError: encrypted, or packed in a way it does not know) and the reading of the settings raise.
_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
    KeyError,
    TypeError,
    ZeroDivisionError,
)

_UPDATED = re.compile(r"(?:base_model\.model\.)*extractor_list\.(\d)\.model\.(.+)\.lora_([AB])(?:\.\w+)?\.weight")


def dreamsim(branches: tuple[VitShape, ...] = BRANCHES) -> torch.nn.Module:
    """The ensemble, from images [n, 3, 224, 224] with values in [0, 1] to joined embeddings [n, 1792] of mean 0."""
    return _network_class()(branches)


def convert_dreamsim(path: Path, dino: Path, branches: tuple[VitShape, ...] = BRANCHES) -> dict[str, torch.Tensor]:
    """The tensors of :func:`dreamsim`.

    Args:
        path: the publisher's dreamsim_ensemble_checkpoint.zip; nothing is unpacked to the disk.
        dino: the weights of dino-vitb16.

    Raises:
        WeightsError: the archive is damaged or holds something else.
    """
    towers, updates, scale = _read_archive(path)
    converted: dict[str, torch.Tensor] = {}
    for number, (tensors, shape) in enumerate(zip((read_tensors(dino), *towers), branches, strict=True)):
        projection = tensors.pop("proj", None)
        source = SourceTensors(_updated(tensors, updates, number, scale, path), path if number else dino)
        if not shape.norm_after:
            source.leave_out(r"norm\.(weight|bias)")
        branch = convert_vit(source, shape)
        source.finish()
        if projection is not None:
            branch["classification_head.weight"] = projection.T
        converted |= {f"branches.{number}.{name}": tensor for name, tensor in branch.items()}
    left = [name for name in updates if not name.startswith(tuple(f"{number}." for number in range(len(branches))))]
    if left:
        raise WeightsError(f"{path}: the updates of {', '.join(left[:3])} are of no network of the ensemble")
    return converted


def _read_archive(path: Path) -> tuple[list[dict[str, torch.Tensor]], dict[str, torch.Tensor], float]:
    """The towers, the halves of the updates by "NUMBER.LAYER.A" and "...B", and what their product is multiplied by."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            adapter = next(
                (f"{_ADAPTER_WEIGHTS}{end}" for end in (".safetensors", ".bin") if f"{_ADAPTER_WEIGHTS}{end}" in names),
                "",
            )
            missing = [name for name in (*_TOWERS, _ADAPTER) if name not in names]
            if missing or not adapter:
                raise WeightsError(
                    f"{path}: expected the archive dreamsim_ensemble_checkpoint.zip; it lacks "
                    f"{', '.join(missing) or _ADAPTER_WEIGHTS}"
                )
            towers = [tensors_in(io.BytesIO(archive.read(name)), name, path) for name in _TOWERS]
            settings = json.loads(archive.read(_ADAPTER))
            found = tensors_in(io.BytesIO(archive.read(adapter)), adapter, path)
            scale = float(settings["lora_alpha"]) / float(settings["r"])
    except _UNREADABLE as error:
        raise WeightsError(f"{path}: cannot be read as DreamSim's archive of weights ({error})") from error
    if settings.get("use_rslora") or settings.get("use_dora") or settings.get("bias", "none") != "none":
        raise WeightsError(f"{path}: the archive's updates are of a kind that is not known here: {settings}")
    updates = {}
    for name, tensor in found.items():
        parts = _UPDATED.fullmatch(name)
        if parts is None:
            raise WeightsError(f"{path}: the archive's updates hold {name!r}, which is no update of the ensemble")
        updates[f"{parts[1]}.{parts[2]}.{parts[3]}"] = tensor.float()
    return towers, updates, scale


def _updated(
    tensors: dict[str, torch.Tensor], updates: dict[str, torch.Tensor], number: int, scale: float, path: Path
) -> dict[str, torch.Tensor]:
    """The tensors with their updates folded in: W + scale * B A; these leave `updates`."""
    updated = dict(tensors)
    for first in [name for name in updates if name.startswith(f"{number}.") and name.endswith(".A")]:
        layer = first.removesuffix(".A")
        weight = f"{layer.partition('.')[2]}.weight"
        second = updates.get(f"{layer}.B")
        if second is None or weight not in updated or (len(second), updates[first].shape[1]) != updated[weight].shape:
            raise WeightsError(f"{path}: the update of {layer} does not fit the network")
        updated[weight] = updated[weight].float() + scale * (second @ updates[first])
        del updates[first], updates[f"{layer}.B"]
    return updated


@cache
def _network_class() -> type[torch.nn.Module]:
    import torch
    from torch import nn

    class Ensemble(nn.Module):
        def __init__(self, branches: tuple[VitShape, ...]):
            super().__init__()
            self.branches = nn.ModuleList(vit(shape) for shape in branches)
            for number, values in enumerate(_NORMALISATIONS):
                for name, value in zip(("mean", "std"), values, strict=True):
                    self.register_buffer(f"{name}{number}", torch.tensor(value)[:, None, None], persistent=False)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            embeddings = torch.cat(
                [
                    branch((images - getattr(self, f"mean{number}")) / getattr(self, f"std{number}"))
                    for number, branch in enumerate(self.branches)
                ],
                dim=1,
            )
            return embeddings - embeddings.mean(dim=1, keepdim=True)

    return Ensemble
