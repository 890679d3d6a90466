"""The network of the encoder "radiology-resnet": a small two-dimensional ResNet of MONAI.

He et al., Deep residual learning for image recognition (CVPR 2016), with fewer and narrower stages; its last linear
layer gives the embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...errors import MissingPackageError

if TYPE_CHECKING:
    import torch

#: Length of an embedding.
DIMENSION = 256


def radiology_resnet(
    layers: Sequence[int], widths: Sequence[int], dimension: int = DIMENSION, grid: int = 1
) -> torch.nn.Module:
    """A new network with random weights.

    Args:
        layers: residual blocks in each of the four stages.
        widths: channels of each stage.
        dimension: length of an embedding.
        grid: in how many places along each side the last features are averaged: 1 tells what a slice shows, more also
            where.

    Returns:
        A module from float32 [n, 3, h, w], slices normalized as its JSON says, to float32 [n, dimension]; the rows are
        not of unit length.

    Raises:
        MissingPackageError: MONAI is not installed.
    """
    try:
        from monai.networks.nets import ResNet
    except ImportError as error:
        raise MissingPackageError("monai", "the network radiology-resnet") from error
    network = ResNet(
        block="basic",
        layers=list(layers),
        block_inplanes=list(widths),
        spatial_dims=2,
        n_input_channels=3,
        conv1_t_size=7,
        conv1_t_stride=2,  # MONAI's default of 1 is for small volumes; images are halved first, as He et al. do
        num_classes=dimension,
        bias_downsample=False,
    )
    if grid > 1:
        from torch.nn import AdaptiveAvgPool2d, Flatten, Linear, Sequential

        # Flattened here, because MONAI views the features as rows, which those of channels_last cannot be.
        network.avgpool = Sequential(AdaptiveAvgPool2d(grid), Flatten())
        network.fc = Linear(widths[-1] * grid**2, dimension)
    return network
