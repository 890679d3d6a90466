"""radiology-resnet by torch and MONAI: on the CPU, or on a graphics card."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..networks.device import choose_device, require_torch
from ..networks.monai_network import MonaiNetwork
from ..networks.tensors import fit, read_tensors
from .architecture import radiology_resnet
from .description import NAME, read_description
from .editions import read_edition

if TYPE_CHECKING:
    import torch

#: Slices in one pass on a CPU: the most in a second, of 4 to 64, on one core and on two. See network.py.
_BATCH_SIZE_CPU = 16


class RadiologyResNet(MonaiNetwork):
    """The shipped network, by MONAI."""

    backend = "MONAI"


def monai_radiology_resnet(
    weights: Path | None = None,
    *,
    edition: str = "",
    device: str | None = None,
    precision: str | None = None,
    batch_size: int | None = None,
    threads: int | None = None,
) -> RadiologyResNet:
    """The encoder by torch and MONAI.

    Args:
        weights: a file of weights of this network, with its JSON next to it; None for those that ship.
        edition: of those that ship, the ones with this sha256 (editions.py); "" for the current ones.
        device, precision, batch_size, threads: as for `Network` (networks/network.py).

    Raises:
        WeightsError: a file is missing, damaged, or of another network.
        MissingPackageError: torch, MONAI or safetensors is not installed.
    """
    require_torch(f"the encoder {NAME}")
    described = read_edition(edition) if weights is None else read_description(weights)
    described.check(described.tensors_path)
    module = radiology_resnet(described.layers, described.widths, described.dimension, described.grid)
    fit(module, read_tensors(described.tensors_path), described.tensors_path)
    if batch_size is None and choose_device(device)[0] == "cpu":
        batch_size = _BATCH_SIZE_CPU
    return RadiologyResNet(
        with_folded_normalisation(module.eval()),
        selector=NAME,
        name=NAME,
        spec=described.spec,
        weights_path=described.tensors_path,
        source=weights,
        device=device,
        precision=precision,
        batch_size=batch_size,
        threads=threads,
    )


def with_folded_normalisation(module: torch.nn.Module) -> torch.nn.Module:
    """The same network, in place, with every batch normalisation folded into the convolution before it.

    It gives the same features but for rounding, and a sixth more slices in a second.
    """
    from torch.nn import Identity
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    module.conv1, module.bn1 = fuse_conv_bn_eval(module.conv1, module.bn1), Identity()
    for stage in (module.layer1, module.layer2, module.layer3, module.layer4):
        for block in stage:
            block.conv1, block.bn1 = fuse_conv_bn_eval(block.conv1, block.bn1), Identity()
            block.conv2, block.bn2 = fuse_conv_bn_eval(block.conv2, block.bn2), Identity()
            if block.downsample is not None:
                convolution, normalisation = block.downsample
                block.downsample[0], block.downsample[1] = fuse_conv_bn_eval(convolution, normalisation), Identity()
    return module
