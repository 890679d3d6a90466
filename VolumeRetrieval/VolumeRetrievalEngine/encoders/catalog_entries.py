"""The entries of the catalogue. Every fact was read in the publisher's own files, which `read_from` names."""

from __future__ import annotations

from .catalog_entry import CatalogEntry, License, WeightsSource

_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

_DINOV2_READ = "facebookresearch/dinov2@b8931f7: dinov2/hub/backbones.py, dinov2/data/transforms.py, README.md"

ENTRIES = (
    CatalogEntry(
        name="resnet50-imagenet",
        title="ResNet50, ImageNet",
        architecture="ResNet-50",
        network="resnet50",
        input_size=224,
        mean=_IMAGENET_MEAN,
        std=_IMAGENET_STD,
        embedding="global average pooling, before the classifier",
        dimension=2048,
        source=WeightsSource(
            url="https://download.pytorch.org/models/resnet50-11ad3fa6.pth",
            file_name="resnet50-11ad3fa6.pth",
            hash="sha256-prefix:11ad3fa6",
            size_bytes=0,
            revision="11ad3fa6",
            read_from="torchvision 0.28.0: models/resnet.py, ResNet50_Weights.IMAGENET1K_V2",
        ),
        license=License("BSD 3-Clause", "https://github.com/pytorch/vision/blob/main/LICENSE", True),
        citation="He et al., Deep Residual Learning for Image Recognition, CVPR 2016, arXiv:1512.03385",
        read_from="torchvision 0.28.0: models/resnet.py, transforms/_presets.py",
    ),
    CatalogEntry(
        name="dinov2-vits14",
        title="DINOv2 ViT-S/14",
        architecture="ViT-S/14 with LayerScale",
        network="dinov2-vits14",
        input_size=224,
        mean=_IMAGENET_MEAN,
        std=_IMAGENET_STD,
        embedding="class token after the last LayerNorm",
        dimension=384,
        source=WeightsSource(
            url="https://dl.fbaipublicfiles.com/dinov2/dinov2_vits14/dinov2_vits14_pretrain.pth",
            file_name="dinov2_vits14_pretrain.pth",
            hash="",
            size_bytes=0,
            revision="",
            read_from=_DINOV2_READ,
        ),
        license=License("Apache License 2.0", "https://github.com/facebookresearch/dinov2/blob/main/LICENSE", True),
        citation="Oquab et al., DINOv2: Learning Robust Visual Features without Supervision, 2023, arXiv:2304.07193",
        read_from=_DINOV2_READ,
    ),
)
