"""The encoders whose speed is measured: those that run here, and the catalog's with random weights where none are."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from VolumeRetrievalEngine.encoders.base import Encoder
from VolumeRetrievalEngine.encoders.catalog import CATALOG, CatalogEntry
from VolumeRetrievalEngine.encoders.choice import create_encoder
from VolumeRetrievalEngine.encoders.weights.folder import WeightsFolder
from VolumeRetrievalEngine.errors import VolumeRetrievalError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Benchmarked:
    """An encoder that can be made.

    Attributes:
        name: for the table, and to choose it by.
        make: takes its time, and may raise VolumeRetrievalError where it cannot run.
    """

    name: str
    make: Callable[[], Encoder]


def benchmarked_encoders(shared: Path, folder: Path, device: str | None) -> list[Benchmarked]:
    """Every encoder, the quick ones first.

    Args:
        shared: the folder with weights/.
        folder: where files may be written.
        device: for the networks.
    """
    mobilenet = shared / "weights" / "mobilenet_v2_imagenet.torchscript.pt"
    several = [
        Benchmarked("descriptor", partial(create_encoder, "descriptor")),
        Benchmarked("radiology-resnet (MONAI)", partial(create_encoder, "radiology-resnet", device=device)),
        Benchmarked("radiology-resnet (onnxruntime)", _by_onnxruntime),
    ]
    if mobilenet.is_file():
        several.append(Benchmarked("torchscript", partial(_torchscript, mobilenet, folder, device)))
    weights = WeightsFolder()
    for entry in CATALOG.values():
        if weights.status(entry).state == "installed":
            several.append(Benchmarked(entry.name, partial(create_encoder, entry.name, device=device)))
        elif entry.network in _unfilled_networks():
            several.append(Benchmarked(f"{entry.name} (random weights)", partial(_random, entry, folder, device)))
    return several


def made(several: list[Benchmarked], wanted: list[str] | None) -> Iterator[tuple[str, Encoder]]:
    """Those encoders that can run, one after the other; for the others a line says why not."""
    for one in several:
        if wanted and not any(one.name.startswith(name) for name in wanted):
            continue
        try:
            yield one.name, one.make()
        except VolumeRetrievalError as error:
            print(f"{one.name} cannot run here: {error}", flush=True)


def _by_onnxruntime() -> Encoder:
    from VolumeRetrievalEngine.encoders.radiology_resnet.onnx_backend import onnx_radiology_resnet

    return onnx_radiology_resnet(threads=1)


def _torchscript(file: Path, folder: Path, device: str | None) -> Encoder:
    description = folder / "mobilenet_v2_imagenet.json"
    values = {"name": "mobilenet_v2_imagenet", "file": str(file), "input_size": 224}
    description.write_text(json.dumps({**values, "mean": [0.5] * 3, "std": [0.5] * 3}), encoding="utf-8")
    return create_encoder("torchscript", weights=description, device=device)


def _random(entry: CatalogEntry, folder: Path, device: str | None) -> Encoder:
    """The entry's architecture: it computes as much as with the publisher's weights."""
    import torch
    from VolumeRetrievalEngine.encoders.networks.monai_network import MonaiNetwork
    from VolumeRetrievalEngine.encoders.networks.network import Network
    from VolumeRetrievalEngine.encoders.pretrained import input_of

    torch.manual_seed(0)
    no_weights = folder / "random"
    no_weights.touch()
    kind = Network if "timm" in entry.packages else MonaiNetwork
    return kind(
        _unfilled_networks()[entry.network](),
        selector=entry.name,
        name=f"{entry.name}-random",
        spec=input_of(entry),
        weights_path=no_weights,
        source=no_weights,
        device=device,
    )


def _unfilled_networks() -> Mapping[str, Callable[[], torch.nn.Module]]:
    """By CatalogEntry.network; the shape of RadImageNet's Swin transformer is known only from its file."""
    from VolumeRetrievalEngine.encoders import architectures as known
    from VolumeRetrievalEngine.encoders.architectures.dinov3 import dinov3_vits16
    from VolumeRetrievalEngine.encoders.architectures.dreamsim import dreamsim
    from VolumeRetrievalEngine.encoders.architectures.efficientnet import efficientnet_b0
    from VolumeRetrievalEngine.encoders.architectures.resnet import resnet50
    from VolumeRetrievalEngine.encoders.architectures.vit import vit

    return {
        "resnet50": resnet50,
        "efficientnet-b0": partial(efficientnet_b0, 224),
        "dino-vitb16": partial(vit, known.DINO_VITB16),
        "dino-vitb8": partial(vit, known.DINO_VITB8),
        "dinov2-vits14": partial(vit, known.DINOV2_VITS14),
        "dinov2-vitb14": partial(vit, known.DINOV2_VITB14),
        "dinov2-vitl14": partial(vit, known.DINOV2_VITL14),
        "dreamsim": dreamsim,
        "biomedclip": partial(vit, known.BIOMEDCLIP),
        "dinov3-vits16": partial(dinov3_vits16, 224),
    }
