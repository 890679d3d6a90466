"""Networks of MONAI by name, without their classification heads, with weights from a file of tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import EncoderError, MissingPackageError
from ...preprocessing import Transform
from .device import require_torch
from .input_spec import InputSpec, find_spec
from .network import Network
from .tensors import fit, read_tensors

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class _Architecture:
    """How to make a network of MONAI that ends in its pooled features, and what its head's tensors are called."""

    make: Callable[[int], torch.nn.Module]
    head: tuple[str, ...]


def _resnet(depth: int) -> _Architecture:
    def make(input_size: int) -> torch.nn.Module:
        from monai.networks import nets

        # MONAI's defaults are those of Med3D. ImageNet weights were trained with a first convolution of stride 2 and
        # without a bias in the shortcuts; with the defaults they load but mean nothing.
        return getattr(nets, f"resnet{depth}")(
            spatial_dims=2, n_input_channels=3, conv1_t_stride=2, bias_downsample=False, feed_forward=False
        )

    return _Architecture(make, ("fc.",))


def _densenet121(input_size: int) -> torch.nn.Module:
    from monai.networks import nets
    from torch.nn import Identity

    network = nets.DenseNet121(spatial_dims=2, in_channels=3, out_channels=1)
    network.class_layers.out = Identity()
    return network


def _efficientnet_b0(input_size: int) -> torch.nn.Module:
    from monai.networks import nets
    from torch.nn import Identity

    network = nets.EfficientNetBN("efficientnet-b0", pretrained=False, spatial_dims=2, in_channels=3)
    network._fc = Identity()
    return network


def _vit_b16(input_size: int) -> torch.nn.Module:
    from monai.networks import nets
    from torch.nn import Identity, Module

    class ClassToken(nets.ViT):
        """MONAI's ViT returns its class token together with every layer's hidden states."""

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return super().forward(images)[0]

    network: Module = ClassToken(in_channels=3, img_size=input_size, patch_size=16, classification=True, spatial_dims=2)
    network.classification_head = Identity()
    return network


_ARCHITECTURES: Mapping[str, _Architecture] = {
    "resnet10": _resnet(10),
    "resnet18": _resnet(18),
    "resnet34": _resnet(34),
    "resnet50": _resnet(50),
    "densenet121": _Architecture(_densenet121, ("class_layers.out.",)),
    "efficientnet-b0": _Architecture(_efficientnet_b0, ("_fc.",)),
    "vit-b16": _Architecture(_vit_b16, ("classification_head.",)),
}

#: What may follow "monai:".
NETWORKS = tuple(_ARCHITECTURES)


class MonaiNetwork(Network):
    """A network of MONAI, whose input is made by MONAI's Compose out of the engine's own transforms."""

    @staticmethod
    def compose(transforms: Sequence[Transform]) -> Transform:
        from monai.transforms import Compose

        return Compose(list(transforms))


def monai_encoder(network: str, weights: Path, **settings: Any) -> MonaiNetwork:
    """The encoder "monai:NETWORK".

    Args:
        network: one of NETWORKS.
        weights: a state dict with MONAI's tensor names, as .safetensors or a file that torch.load reads with
            weights_only; its classification head is left out. A JSON next to it may give input size and normalisation
            (input_spec.py); without it the network takes 224 pixels and values in [0, 1].
        settings: device, precision, batch_size and threads, as for :class:`Network`.

    Raises:
        EncoderError: no such network.
        WeightsError: tensors that are missing, unexpected or of the wrong shape.
    """
    architecture = _ARCHITECTURES.get(network.lower())
    if architecture is None:
        raise EncoderError(f"unknown network 'monai:{network}': expected one of {', '.join(NETWORKS)}")
    require_torch(f"the encoder monai:{network}")
    path, spec = find_spec(Path(weights), required=False)
    tensors = read_tensors(path)
    module = _made(architecture, network, spec)
    fit(module, tensors, path, left_out=architecture.head)
    return MonaiNetwork(
        module,
        selector=f"monai:{network.lower()}",
        name=f"monai-{network.lower()}",
        spec=spec,
        weights_path=path,
        source=Path(weights),
        **settings,
    )


def _made(architecture: _Architecture, network: str, spec: InputSpec) -> torch.nn.Module:
    try:
        return architecture.make(spec.input_size)
    except ImportError as error:
        package = "einops" if "einops" in str(error) else "monai"  # MONAI's own optional dependency, for ViT
        raise MissingPackageError(package, f"the encoder monai:{network}") from error
