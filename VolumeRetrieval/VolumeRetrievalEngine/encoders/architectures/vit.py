"""Vision Transformers of the DINO, timm and CLIP families as MONAI's ViT, with their weights converted.

Dosovitskiy et al., An Image is Worth 16x16 Words (ICLR 2021). MONAI's ViT differs in four ways from those that the
weights were trained with, and each is mended once, when the weights are converted:

- it has no position for the class token: that is added to the token itself;
- it has no LayerScale (Touvron et al., Going deeper with Image Transformers, ICCV 2021), which multiplies what a block
  adds to its input: the factors go into the weights and the bias of the block's last linear layers;
- its positions are for one input size: others are resampled as the publisher does;
- its LayerNorm uses another epsilon: it is set.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from ..networks.tensors import SourceTensors

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class VitShape:
    """What distinguishes one Vision Transformer from another.

    Attributes:
        patch_size: side in pixels.
        width, depth, heads: of the tokens, in blocks, of attention.
        input_size: side of the input in pixels.
        epsilon: of LayerNorm.
        norm_before: whether tokens pass a LayerNorm before the first block, as in CLIP.
        norm_after: whether the class token passes one after the last block.
        quick_gelu: whether the activation is x * sigmoid(1.702 x), as in OpenAI's CLIP, instead of GELU.
        projection: length of the embedding where a linear layer without bias follows; 0 for none.
    """

    patch_size: int
    width: int = 768
    depth: int = 12
    heads: int = 12
    input_size: int = 224
    epsilon: float = 1e-6
    norm_before: bool = False
    norm_after: bool = True
    quick_gelu: bool = False
    projection: int = 0

    @property
    def side(self) -> int:
        """Patches along each side."""
        return self.input_size // self.patch_size


def vit(shape: VitShape) -> torch.nn.Module:
    """MONAI's network of this shape, from images [n, 3, s, s] to the class token [n, width or projection]."""
    return _network_class()(shape)


def convert_vit(source: SourceTensors, shape: VitShape, prefix: str = "") -> dict[str, torch.Tensor]:
    """The tensors of :func:`vit` out of a file with the names that DINO, DINOv2 and timm use.

    Args:
        source: its tensors are marked as used.
        prefix: of the publisher's names, with its dot.
    """

    def take(name: str) -> torch.Tensor:
        return source.take(prefix + name)

    positions = take("pos_embed").float()
    converted = {
        "cls_token": take("cls_token").float() + positions[:, :1],
        "patch_embedding.position_embeddings": _resampled(positions[:, 1:], shape.side),
        "patch_embedding.patch_embeddings.weight": take("patch_embed.proj.weight"),
        "patch_embedding.patch_embeddings.bias": take("patch_embed.proj.bias"),
    }
    for block in range(shape.depth):
        converted |= _block(source, f"{prefix}blocks.{block}.", f"blocks.{block}.")
    for ours, theirs in (("norm", "norm"), ("norm_before", "pos_drop")):
        wanted = shape.norm_after if ours == "norm" else shape.norm_before
        if wanted:
            converted |= {f"{ours}.{part}": take(f"{theirs}.{part}") for part in ("weight", "bias")}
    return converted


def _block(source: SourceTensors, theirs: str, ours: str) -> dict[str, torch.Tensor]:
    converted = {}
    for name, as_theirs, scale_name in (
        ("norm1", "norm1", ""),
        ("attn.qkv", "attn.qkv", ""),
        ("attn.out_proj", "attn.proj", "ls1.gamma"),
        ("norm2", "norm2", ""),
        ("mlp.linear1", "mlp.fc1", ""),
        ("mlp.linear2", "mlp.fc2", "ls2.gamma"),
    ):
        weight, bias = source.take(f"{theirs}{as_theirs}.weight"), source.take(f"{theirs}{as_theirs}.bias")
        scale = source.take_optional(theirs + scale_name) if scale_name else None
        if scale is not None:  # scale * (W x + b) = (scale * W) x + scale * b
            weight, bias = weight * scale[:, None], bias * scale
        converted[f"{ours}{name}.weight"], converted[f"{ours}{name}.bias"] = weight, bias
    return converted


def _resampled(positions: torch.Tensor, side: int) -> torch.Tensor:
    """Positions [1, m * m, width] for a grid of side * side patches, as DINOv2's interpolate_pos_encoding makes them.

    The 0.1 is theirs ("historical kludge"): it moves the sampling points a little, and the network was trained with it.
    """
    from torch.nn.functional import interpolate

    trained = round(positions.shape[1] ** 0.5)
    if trained == side:
        return positions
    grid = positions.reshape(1, trained, trained, -1).permute(0, 3, 1, 2)
    factor = (side + 0.1) / trained
    grid = interpolate(grid, scale_factor=(factor, factor), mode="bicubic", antialias=False)
    return grid.permute(0, 2, 3, 1).reshape(1, side * side, -1)


@cache
def _network_class() -> type[torch.nn.Module]:
    """MONAI's ViT with what its forward lacks; made on demand, because torch is optional."""
    import torch
    from monai.networks.nets import ViT
    from torch import nn

    class QuickGelu(nn.Module):
        def forward(self, values: torch.Tensor) -> torch.Tensor:
            return values * torch.sigmoid(1.702 * values)

    class PretrainedViT(ViT):
        """MONAI's ViT that ends in its class token; MONAI's own keeps every layer's tokens besides."""

        def __init__(self, shape: VitShape):
            super().__init__(
                in_channels=3,
                img_size=shape.input_size,
                patch_size=shape.patch_size,
                hidden_size=shape.width,
                mlp_dim=4 * shape.width,
                num_layers=shape.depth,
                num_heads=shape.heads,
                classification=True,
                spatial_dims=2,
                qkv_bias=True,
            )
            self.norm_before = nn.LayerNorm(shape.width) if shape.norm_before else nn.Identity()
            self.norm = nn.LayerNorm(shape.width) if shape.norm_after else nn.Identity()
            project = nn.Linear(shape.width, shape.projection, bias=False) if shape.projection else nn.Identity()
            self.classification_head = project
            for block in self.blocks:
                block.norm_cross_attn = nn.Identity()  # unused without cross-attention, yet it would want weights
                block.attn.use_flash_attention = True
                if shape.quick_gelu:
                    block.mlp.fn = QuickGelu()
            for module in self.modules():
                if isinstance(module, nn.LayerNorm):
                    module.eps = shape.epsilon

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            patches = self.patch_embedding(images)
            tokens = torch.cat([self.cls_token.expand(len(patches), -1, -1), patches], dim=1)
            tokens = self.norm_before(tokens)
            for block in self.blocks:
                tokens = block(tokens)
            return self.classification_head(self.norm(tokens[:, 0]))

    return PretrainedViT
