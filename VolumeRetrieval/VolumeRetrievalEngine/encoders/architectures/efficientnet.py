"""EfficientNet-B0 as MONAI's network, for the weights of EfficientNet-PyTorch, which MONAI itself downloads.

Tan & Le, EfficientNet (ICML 2019). Both pad as TensorFlow does. torchvision's and timm's own weights of the same name
were trained with symmetric padding and another epsilon, and are other weights.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..networks.tensors import SourceTensors

if TYPE_CHECKING:
    import torch


def efficientnet_b0(input_size: int) -> torch.nn.Module:
    """MONAI's network, from images [n, 3, input_size, input_size] to globally averaged features [n, 1280]."""
    from monai.networks import nets
    from torch.nn import Identity

    network = nets.EfficientNetBN(
        "efficientnet-b0",
        pretrained=False,
        spatial_dims=2,
        in_channels=3,
        norm=("batch", {"eps": 1e-3, "momentum": 0.01}),
    )
    network.set_swish(memory_efficient=False)  # the other is for training, and torch.jit and exports cannot take it
    network._fc = Identity()
    if input_size != 224:
        raise ValueError(f"MONAI fixes the padding for 224 pixels, not for {input_size}")
    return network


def convert_efficientnet(source: SourceTensors, network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """MONAI numbers blocks by stage and overall, EfficientNet-PyTorch overall only; the classifier is left out."""
    source.leave_out(r"_fc\.(weight|bias)")
    converted = {}
    for name in network.state_dict():
        theirs = re.sub(r"^_blocks\.\d+\.(\d+\.)", r"_blocks.\1", name)
        tensor = source.take_optional(theirs) if theirs.endswith("num_batches_tracked") else source.take(theirs)
        if tensor is not None:
            converted[name] = tensor
    return converted
