"""DINOv3's Vision Transformers as timm's; MONAI's ViT has neither rotary positions nor register tokens.

Siméoni et al., DINOv3 (2025), arXiv:2508.10104.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import EncoderError, MissingPackageError
from ..networks.tensors import SourceTensors

if TYPE_CHECKING:
    import torch

_RENAMED = {"storage_tokens": "reg_token"}


def dinov3_vits16(input_size: int, depth: int = 12) -> torch.nn.Module:
    """timm's network, from images [n, 3, s, s] to the class token [n, 384]."""
    try:
        import timm
    except ImportError as error:
        raise MissingPackageError("timm", "the encoder dinov3-vits16") from error
    except RuntimeError as error:  # out of torchvision, which timm imports: its operators are not in this torch
        raise EncoderError(
            f"the encoder dinov3-vits16 needs timm, which cannot be imported here ({error}): install the torchvision "
            "that belongs to the installed torch (pytorch.org says which)"
        ) from error
    return timm.create_model(
        "vit_small_patch16_dinov3_qkvb",
        pretrained=False,
        num_classes=0,
        global_pool="token",
        img_size=input_size,
        depth=depth,
    )


def convert_dinov3(source: SourceTensors) -> dict[str, torch.Tensor]:
    """Meta's tensors by timm's names.

    Left out: the token that hides patches in training, the periods of the rotary positions, which timm computes, and
    the bias of the keys with its mask. It is masked out in DINOv3, and would add the same to a query's product with
    every key, which softmax takes away again.
    """
    source.leave_out("mask_token", r"rope_embed\.periods", r"blocks\.\d+\.attn\.qkv\.bias_mask")
    converted = {}
    for name in source.names():
        tensor = source.take(name)
        ours = _RENAMED.get(name, name).replace("ls1.gamma", "gamma_1").replace("ls2.gamma", "gamma_2")
        if ours.endswith("attn.qkv.bias"):
            query, _, value = tensor.chunk(3)
            block = ours.removesuffix("qkv.bias")
            converted[f"{block}q_bias"], converted[f"{block}v_bias"] = query, value
        else:
            converted[ours] = tensor
    return converted
