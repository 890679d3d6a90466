"""ResNet-50 as MONAI's network, for weights with torchvision's names.

He et al., Deep Residual Learning for Image Recognition (CVPR 2016). MONAI's defaults are those of Med3D: the weights
need a first convolution of stride 2 and shortcuts without a bias.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..networks.tensors import SourceTensors

if TYPE_CHECKING:
    import torch

#: RadImageNet's PyTorch weights are those of nn.Sequential(*list(resnet50().children())[:9]), without names.
_NUMBERED = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}


def resnet50() -> torch.nn.Module:
    """MONAI's network, from images [n, 3, s, s] to globally averaged features [n, 2048]."""
    from monai.networks import nets

    return nets.resnet50(
        spatial_dims=2, n_input_channels=3, conv1_t_stride=2, bias_downsample=False, feed_forward=False
    )


def convert_resnet(source: SourceTensors) -> dict[str, torch.Tensor]:
    """torchvision's names are MONAI's; the classifier is left out. RadImageNet's numbers become those names."""
    source.leave_out(r"fc\.(weight|bias)")
    converted = {}
    for name in source.names():
        numbered = re.fullmatch(r"backbone\.(\d)\.(.+)", name)
        ours = f"{_NUMBERED.get(numbered[1], numbered[1])}.{numbered[2]}" if numbered else name
        converted[ours] = source.take(name)
    return converted
