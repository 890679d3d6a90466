"""The catalog's networks, made for a file of weights and filled with what is in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from ...errors import WeightsError
from ..catalog.entry import CatalogEntry
from ..networks.device import is_out_of_memory, last_line
from ..networks.tensors import SourceTensors, fit, read_tensors
from .vit import VitShape

if TYPE_CHECKING:
    import torch

#: Makes a network for an entry out of its file and the files of the entries that it needs besides, in their order.
_Make = Callable[[CatalogEntry, Path, tuple[Path, ...]], "torch.nn.Module"]


def _resnet50(entry: CatalogEntry, path: Path, others: tuple[Path, ...]) -> torch.nn.Module:
    from .resnet import convert_resnet, resnet50

    source = SourceTensors(read_tensors(path), path)
    return _filled(source, convert_resnet(source), resnet50)


def _efficientnet_b0(entry: CatalogEntry, path: Path, others: tuple[Path, ...]) -> torch.nn.Module:
    from .efficientnet import convert_efficientnet, efficientnet_b0

    network, source = efficientnet_b0(entry.input_size), SourceTensors(read_tensors(path), path)
    return _filled(source, convert_efficientnet(source, network), lambda: network)


def _vit(shape: VitShape) -> _Make:
    def make(entry: CatalogEntry, path: Path, others: tuple[Path, ...]) -> torch.nn.Module:
        from .vit import convert_vit, vit

        source = SourceTensors(read_tensors(path), path)
        source.leave_out("mask_token")  # stands for hidden patches in training
        return _filled(source, convert_vit(source, shape), lambda: vit(shape))

    return make


def _biomedclip(entry: CatalogEntry, path: Path, others: tuple[Path, ...]) -> torch.nn.Module:
    from .vit import convert_vit, vit

    source = SourceTensors(read_tensors(path), path)
    source.leave_out(r"text\..+", "logit_scale", "logit_bias")
    converted = convert_vit(source, BIOMEDCLIP, prefix="visual.trunk.")
    converted["classification_head.weight"] = source.take("visual.head.proj.weight")
    return _filled(source, converted, lambda: vit(BIOMEDCLIP))


def _swin(entry: CatalogEntry, path: Path, others: tuple[Path, ...]) -> torch.nn.Module:
    from .swin import convert_swin, swin, swin_shape

    source = SourceTensors(read_tensors(path), path)
    shape = swin_shape(source)
    return _filled(source, convert_swin(source, shape), lambda: swin(shape))


def _dinov3(entry: CatalogEntry, path: Path, others: tuple[Path, ...]) -> torch.nn.Module:
    from .dinov3 import convert_dinov3, dinov3_vits16

    source = SourceTensors(read_tensors(path), path)
    return _filled(source, convert_dinov3(source), lambda: dinov3_vits16(entry.input_size))


def _dreamsim(entry: CatalogEntry, path: Path, others: tuple[Path, ...]) -> torch.nn.Module:
    from .dreamsim import convert_dreamsim, dreamsim

    network = dreamsim()
    fit(network, convert_dreamsim(path, others[0]), path)
    return network


def _filled(
    source: SourceTensors, converted: Mapping[str, torch.Tensor], make: Callable[[], torch.nn.Module]
) -> torch.nn.Module:
    """The network with these tensors; it is not made before every tensor of the source has been used."""
    source.finish()
    network = make()
    fit(network, converted, source.path)
    return network


DINO_VITB16, DINO_VITB8 = VitShape(patch_size=16), VitShape(patch_size=8)
DINOV2_VITS14 = VitShape(patch_size=14, width=384, heads=6)
DINOV2_VITB14 = VitShape(patch_size=14)
DINOV2_VITL14 = VitShape(patch_size=14, width=1024, depth=24, heads=16)
BIOMEDCLIP = VitShape(patch_size=16, projection=512)

#: By CatalogEntry.network.
NETWORKS: Mapping[str, _Make] = MappingProxyType(
    {
        "resnet50": _resnet50,
        "efficientnet-b0": _efficientnet_b0,
        "dino-vitb16": _vit(DINO_VITB16),
        "dino-vitb8": _vit(DINO_VITB8),
        "dinov2-vits14": _vit(DINOV2_VITS14),
        "dinov2-vitb14": _vit(DINOV2_VITB14),
        "dinov2-vitl14": _vit(DINOV2_VITL14),
        "dreamsim": _dreamsim,
        "biomedclip": _biomedclip,
        "swin": _swin,
        "dinov3-vits16": _dinov3,
    }
)


def network_of(entry: CatalogEntry, path: Path, others: tuple[Path, ...] = ()) -> torch.nn.Module:
    """The entry's network with the weights in `path`, from prepared images [n, 3, s, s] to embeddings [n, d].

    Args:
        others: the weights of the entries in entry.needs.

    Raises:
        WeightsError: every tensor of the file has to be used, folded into another, or be one that is known not to be
            needed; this names those that are not, and those that are missing or of the wrong shape.
        MissingPackageError: a package that the entry needs is not installed.
    """
    try:
        return NETWORKS[entry.network](entry, path, others)
    except (RuntimeError, IndexError) as error:  # tensors have the right names, but shapes that cannot be converted
        if isinstance(error, RuntimeError) and is_out_of_memory(error):
            raise
        raise WeightsError(f"{path}: the weights are not of this network ({last_line(error)})") from error
