"""Swin Transformers as MONAI's, with weights that have Microsoft's or timm's tensor names.

Liu et al., Swin Transformer (ICCV 2021). MONAI's merges patches once more after the last stage and has no weights in
its last LayerNorm: the former is taken out, the latter put in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from ..networks.tensors import SourceTensors

if TYPE_CHECKING:
    import torch

_STAGES = 4


@dataclass(frozen=True)
class SwinShape:
    """Width of the first stage (96 in tiny and small, 128 in base), and the blocks of each stage."""

    width: int
    depths: tuple[int, ...]
    window: int = 7

    @property
    def heads(self) -> tuple[int, ...]:
        """Of each stage; each has 32 channels."""
        return tuple(self.width * 2**stage // 32 for stage in range(_STAGES))


def swin_shape(source: SourceTensors) -> SwinShape:
    """The shape that the tensors' names and sizes tell; WeightsError if they are of no Swin Transformer."""
    names = source.names()
    numbers = [re.fullmatch(r"layers\.(\d)\.blocks\.(\d+)\.norm1\.weight", name) for name in names]
    depths = tuple(sum(found is not None and found[1] == str(stage) for found in numbers) for stage in range(_STAGES))
    return SwinShape(width=source.shape_of("patch_embed.proj.weight")[0], depths=depths)


def swin(shape: SwinShape) -> torch.nn.Module:
    """MONAI's network, from images [n, 3, s, s] to globally averaged features [n, 8 * width]."""
    return _network_class()(shape)


def convert_swin(source: SourceTensors, shape: SwinShape) -> dict[str, torch.Tensor]:
    """Tensors by MONAI's names. The classifier, and what follows from the window's size alone, are left out."""
    source.leave_out(r"head\..+", r".+\.attn_mask", r".+\.relative_position_index")
    # Microsoft merges patches at the end of a stage, timm (since 0.9) at the beginning of the next.
    shift = 0 if "layers.0.downsample.reduction.weight" in source else 1
    converted = {}
    for name in source.names():
        ours = re.sub(r"mlp\.fc(\d)\.", r"mlp.linear\1.", name)
        stage = re.match(r"layers\.(\d)\.", ours)
        if stage:
            earlier = shift if ".downsample." in ours else 0
            ours = f"layers{int(stage[1]) - earlier + 1}.0.{ours[stage.end() :]}"
        converted[ours] = source.take(name)
    return converted


@cache
def _network_class() -> type[torch.nn.Module]:
    from monai.networks.nets.swin_unetr import SwinTransformer
    from torch import nn

    class PretrainedSwin(SwinTransformer):
        def __init__(self, shape: SwinShape):
            super().__init__(
                in_chans=3,
                embed_dim=shape.width,
                window_size=(shape.window, shape.window),
                patch_size=(4, 4),
                depths=shape.depths,
                num_heads=shape.heads,
                patch_norm=True,
                spatial_dims=2,
                downsample="mergingv2",
                use_flash_attention=True,
            )
            self.layers4[0].downsample = None
            self.norm = nn.LayerNorm(8 * shape.width)
            for module in self.modules():  # the index follows from the window's size; publishers do not all save it
                if "relative_position_index" in module._buffers:
                    module._non_persistent_buffers_set.add("relative_position_index")

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            maps = self.patch_embed(images)
            for stage in (self.layers1, self.layers2, self.layers3, self.layers4):
                maps = stage[0](maps.contiguous())
            return self.norm(maps.flatten(2).transpose(1, 2)).mean(dim=1)

    return PretrainedSwin
