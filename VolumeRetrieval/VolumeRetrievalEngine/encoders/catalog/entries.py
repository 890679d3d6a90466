"""The entries of the catalog. Every fact was read in the publisher's own files, which `read_from` names.

Where a publisher states no hash, the one that several independent projects recorded of the same file is given, and the
entry says whose it is. The networks are in architectures/; `parity` names what their tests compare them with.
"""

from __future__ import annotations

from .entry import CatalogEntry, License, WeightsSource

_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_CLIP_MEAN, _CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_NO_MEAN, _NO_STD = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
_HALF = (0.5, 0.5, 0.5)

_APACHE, _MIT = "Apache License 2.0", "MIT License"
#: Whose record of a hash it is where the publisher states none.
_OTHERS = "several public projects on GitHub, which agree"

_CLASS_TOKEN = "the class token after the last LayerNorm"
_POOLED = "the globally averaged features before the classifier"

_TORCHVISION_RESNET = "torchvision 0.28.0, models/resnet.py: ResNet50_Weights"
_DINO = "facebookresearch/dino@7c446df: hubconf.py, README.md, eval_knn.py, LICENSE"
_DINOV2 = "facebookresearch/dinov2@b8931f7: dinov2/hub/backbones.py, dinov2/data/transforms.py, MODEL_CARD.md, LICENSE"
_DINOV3 = "facebookresearch/dinov3@6876159: dinov3/hub/backbones.py, README.md, MODEL_CARD.md, LICENSE.md"
_DREAMSIM = "ssundaram21/dreamsim@db4d16c: dreamsim/config.py, model.py, feature_extraction/, LICENSE"
_BIOMEDCLIP = "huggingface.co/microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224"
_RADIMAGENET = "BMEII-AI/RadImageNet: README.md, pytorch_example.ipynb, LICENSE"
_FRACTALDB = "hirokatsukataoka16/FractalDB-Pretrained-ResNet-PyTorch@1b8fb9f: README.md, pretraining/main.py, LICENSE"
_EFFICIENTNET = "MONAI 1.6.1, networks/nets/efficientnet.py; lukemelas/EfficientNet-PyTorch@7e8b0d3: README.md, LICENSE"


def _resnet50_imagenet(name: str, version: int, digits: str, n_bytes: int) -> CatalogEntry:
    file_name = f"resnet50-{digits}.pth"
    return CatalogEntry(
        name=name,
        title=f"ResNet50, ImageNet (torchvision's weights {version})",
        architecture="ResNet-50",
        network="resnet50",
        input_size=224,
        mean=_IMAGENET_MEAN,
        std=_IMAGENET_STD,
        embedding=_POOLED,
        dimension=2048,
        source=WeightsSource(
            url=f"https://download.pytorch.org/models/{file_name}",
            file_name=file_name,
            hash=f"sha256-prefix:{digits}",
            size_bytes=n_bytes,
            revision=digits,
            read_from=f"{_TORCHVISION_RESNET}.IMAGENET1K_V{version}",
        ),
        license=License(
            "none stated for the weights (torchvision: BSD 3-Clause License)",
            "https://github.com/pytorch/vision#pre-trained-model-license",
            None,
        ),
        citation="He et al., Deep Residual Learning for Image Recognition, CVPR 2016, arXiv:1512.03385",
        read_from=f"{_TORCHVISION_RESNET}; pytorch/vision@0a12c07: README.md",
        parity="torchvision's resnet50",
        note="torchvision's README says that terms of the training data (ImageNet) may hold for its weights too, and "
        "leaves it to the user to find out.",
    )


def _dino(name: str, title: str, patch_size: int, file_name: str, hash: str, n_bytes: int) -> CatalogEntry:
    folder = file_name.removesuffix(".pth")
    return CatalogEntry(
        name=name,
        title=title,
        architecture=f"ViT-B/{patch_size}",
        network=name,
        input_size=224,
        mean=_IMAGENET_MEAN,
        std=_IMAGENET_STD,
        embedding=_CLASS_TOKEN,
        dimension=768,
        source=WeightsSource(
            url=f"https://dl.fbaipublicfiles.com/dino/{folder}/{file_name}",
            file_name=file_name,
            hash=hash,
            size_bytes=n_bytes,
            revision="",
            read_from=_DINO,
            hash_recorded_by=_OTHERS if hash else "",
        ),
        license=License(_APACHE, "https://github.com/facebookresearch/dino/blob/main/LICENSE", True),
        citation="Caron et al., Emerging Properties in Self-Supervised ViTs (DINO), ICCV 2021, arXiv:2104.14294",
        read_from=_DINO,
        parity=f"timm's VisionTransformer with patches of {patch_size} pixels, at reduced depth",
        packages=("einops",),
    )


def _dinov2(letter: str, title: str, architecture: str, dimension: int, sha256: str, n_bytes: int) -> CatalogEntry:
    network = f"dinov2_vit{letter}14"
    return CatalogEntry(
        name=f"dinov2-vit{letter}14",
        title=title,
        architecture=f"{architecture} with LayerScale",
        network=f"dinov2-vit{letter}14",
        input_size=224,
        mean=_IMAGENET_MEAN,
        std=_IMAGENET_STD,
        embedding=_CLASS_TOKEN,
        dimension=dimension,
        source=WeightsSource(
            url=f"https://dl.fbaipublicfiles.com/dinov2/{network}/{network}_pretrain.pth",
            file_name=f"{network}_pretrain.pth",
            hash=f"sha256:{sha256}",
            size_bytes=n_bytes,
            revision="",
            read_from=_DINOV2,
            hash_recorded_by=f"refiners and {_OTHERS}",
        ),
        license=License(_APACHE, "https://github.com/facebookresearch/dinov2/blob/main/LICENSE", True),
        citation="Oquab et al., DINOv2: Learning Robust Visual Features without Supervision, 2023, arXiv:2304.07193",
        read_from=_DINOV2,
        parity="timm's vit_small_patch14_dinov2, and DINOv2's own resampling of positions",
        packages=("einops",),
    )


ENTRIES = (
    _dinov2(
        "s",
        "DINOv2 ViT-S/14",
        "ViT-S/14",
        384,
        "b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9",
        88_283_115,
    ),
    _dinov2(
        "b",
        "DINOv2 ViT-B/14",
        "ViT-B/14",
        768,
        "0b8b82f85de91b424aded121c7e1dcc2b7bc6d0adeea651bf73a13307fad8c73",
        346_378_731,
    ),
    _dinov2(
        "l",
        "DINOv2 ViT-L/14",
        "ViT-L/14",
        1024,
        "d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428",
        1_217_586_395,
    ),
    _dino(
        "dino-vitb16",
        "DINO (version 1) ViT-B/16",
        16,
        "dino_vitbase16_pretrain.pth",
        "sha256:bf34ad0f424b9029b593e8dc3ed553bf26e88bcba0d32bf3e62a6209cb64c85e",
        343_242_485,
    ),
    _dino("dino-vitb8", "DINO (version 1) ViT-B/8", 8, "dino_vitbase8_pretrain.pth", "", 0),
    CatalogEntry(
        name="dreamsim",
        title="DreamSim, ensemble of DINO, CLIP and OpenCLIP",
        architecture="three ViT-B/16, with low-rank updates folded in",
        network="dreamsim",
        input_size=224,
        mean=_NO_MEAN,  # each of the three normalizes for itself
        std=_NO_STD,
        embedding="DINO's class token before the last LayerNorm and both CLIP embeddings, joined, minus their mean",
        dimension=1792,
        source=WeightsSource(
            url="https://github.com/ssundaram21/dreamsim/releases/download/v0.2.0-checkpoints/"
            "dreamsim_ensemble_checkpoint.zip",
            file_name="dreamsim_ensemble_checkpoint.zip",
            hash="",
            size_bytes=0,
            revision="v0.2.0-checkpoints",
            read_from=_DREAMSIM,
        ),
        license=License(_MIT, "https://github.com/ssundaram21/dreamsim/blob/main/LICENSE", True),
        citation="Fu, Tamir, Sundaram et al., DreamSim, NeurIPS 2023, arXiv:2306.09344",
        read_from=_DREAMSIM,
        parity="timm's vision transformers with the updates added as peft does, at reduced size",
        note="It needs the weights of dino-vitb16 too. How its archive is laid out was read in the authors' code; the "
        "archive itself was not tried.",
        packages=("einops", "safetensors"),
        needs=("dino-vitb16",),
    ),
    CatalogEntry(
        name="swin-radimagenet",
        title="Swin Transformer, RadImageNet",
        architecture="Swin Transformer, window 7 (tiny, small or base: as the file is)",
        network="swin",
        input_size=224,
        mean=_HALF,
        std=_HALF,
        embedding="the last stage's features after LayerNorm, averaged",
        dimension=0,
        source=WeightsSource(
            url="",
            file_name="RadImageNet-Swin.pt",
            hash="",
            size_bytes=0,
            revision="",
            read_from=_RADIMAGENET,
            request_url="https://www.radimagenet.com/",
        ),
        license=License("as agreed with RadImageNet on request", "https://www.radimagenet.com/", None),
        citation="Mei et al., RadImageNet, Radiology: Artificial Intelligence 2022, doi:10.1148/ryai.210315",
        read_from=_RADIMAGENET,
        parity="timm's swin_tiny_patch4_window7_224, at reduced width",
        note="RadImageNet publishes neither the variant nor the input of its Swin Transformer: the variant is taken "
        "from the file (Microsoft's or timm's tensor names), the input from RadImageNet's other PyTorch weights.",
        packages=("einops",),
    ),
    CatalogEntry(
        name="resnet50-radimagenet",
        title="ResNet50, RadImageNet",
        architecture="ResNet-50",
        network="resnet50",
        input_size=224,
        mean=_HALF,
        std=_HALF,
        embedding=_POOLED,
        dimension=2048,
        source=WeightsSource(
            url="",
            file_name="ResNet50.pt",
            hash="sha256:08629f7e7bd3e29b8ee9522ca3f65ce4d010a7ddf74f0ea3c7e3f3d0bbab0734",
            size_bytes=0,
            revision="",
            read_from=_RADIMAGENET,
            request_url="https://drive.google.com/file/d/1RHt2GnuOYlc_gcoTETtBDSW73mFyRAtR/view",
            hash_recorded_by=_OTHERS,
        ),
        license=License(
            "none stated for the weights (the repository that links to them: MIT License)",
            "https://github.com/BMEII-AI/RadImageNet/blob/main/LICENSE",
            None,
        ),
        citation="Mei et al., RadImageNet, Radiology: Artificial Intelligence 2022, doi:10.1148/ryai.210315",
        read_from=_RADIMAGENET,
        parity="torchvision's resnet50",
        note="The page gives RadImageNet_pytorch.zip: unpack it and install ResNet50.pt out of it.",
    ),
    CatalogEntry(
        name="resnet50-fractaldb",
        title="ResNet50, FractalDB-1k",
        architecture="ResNet-50",
        network="resnet50",
        input_size=224,
        mean=(0.2, 0.2, 0.2),
        std=_HALF,
        embedding=_POOLED,
        dimension=2048,
        source=WeightsSource(
            url="",
            file_name="FractalDB-1000_resnet50_epoch90.pth",
            hash="",
            size_bytes=0,
            revision="",
            read_from=_FRACTALDB,
            request_url="https://drive.google.com/drive/folders/1tTD-cKKEgBjacCi4ZJ6bRYOv6FsjtGt_",
        ),
        license=License(
            "none stated for the weights (the repository that links to them: MIT License)",
            "https://github.com/hirokatsukataoka16/FractalDB-Pretrained-ResNet-PyTorch/blob/main/LICENSE",
            None,
        ),
        citation="Kataoka et al., Pre-training without Natural Images, IJCV 2022, doi:10.1007/s11263-021-01555-8",
        read_from=_FRACTALDB,
        parity="torchvision's resnet50",
    ),
    _resnet50_imagenet("resnet50-imagenet", 2, "11ad3fa6", 102_540_417),
    _resnet50_imagenet("resnet50-imagenet-v1", 1, "0676ba61", 102_530_333),
    CatalogEntry(
        name="efficientnet-b0-imagenet",
        title="EfficientNet-B0, ImageNet: small and fast",
        architecture="EfficientNet-B0",
        network="efficientnet-b0",
        input_size=224,
        mean=_IMAGENET_MEAN,
        std=_IMAGENET_STD,
        embedding=_POOLED,
        dimension=1280,
        source=WeightsSource(
            url="https://github.com/lukemelas/EfficientNet-PyTorch/releases/download/1.0/efficientnet-b0-355c32eb.pth",
            file_name="efficientnet-b0-355c32eb.pth",
            hash="sha256-prefix:355c32eb",
            size_bytes=0,
            revision="355c32eb",
            read_from=_EFFICIENTNET,
        ),
        license=License(_APACHE, "https://github.com/lukemelas/EfficientNet-PyTorch/blob/master/LICENSE", True),
        citation="Tan & Le, EfficientNet, ICML 2019, arXiv:1905.11946",
        read_from=_EFFICIENTNET,
        parity="timm's tf_efficientnet_b0",
    ),
    CatalogEntry(
        name="biomedclip",
        title="BiomedCLIP, image tower (figures of biomedical papers)",
        architecture="ViT-B/16 and a linear projection",
        network="biomedclip",
        input_size=224,
        mean=_CLIP_MEAN,
        std=_CLIP_STD,
        embedding="the class token after the last LayerNorm, projected into the space of images and texts",
        dimension=512,
        source=WeightsSource(
            url="https://huggingface.co/microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224/resolve/"
            "9f341de24bfb00180f1b847274256e9b65a3a32e/open_clip_pytorch_model.bin",
            file_name="open_clip_pytorch_model.bin",
            hash="sha256:52cc993c5c5ff962bd0c60931874bc001e7e9b41666a385530f4a036294576be",
            size_bytes=783_705_670,
            revision="9f341de24bfb00180f1b847274256e9b65a3a32e",
            read_from=f"{_BIOMEDCLIP}: blob/main/open_clip_pytorch_model.bin (Git LFS details), tree/main",
        ),
        license=License(
            _MIT,
            "https://huggingface.co/microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224/blob/main/LICENSE.md",
            True,
        ),
        citation="Zhang et al., A Multimodal Biomedical Foundation Model, NEJM AI 2025, arXiv:2303.00915",
        read_from=f"{_BIOMEDCLIP}: README.md, open_clip_config.json (in a copy); open_clip@89fb801: timm_model.py",
        parity="timm's vit_base_patch16_224 with a linear layer, as in open_clip's TimmModel, at reduced depth",
        note="Its model card says that it is meant for research, and that deployed use is out of scope.",
        packages=("einops",),
    ),
    CatalogEntry(
        name="dinov3-vits16",
        title="DINOv3 ViT-S/16",
        architecture="ViT-S/16 with rotary positions, LayerScale and four register tokens",
        network="dinov3-vits16",
        input_size=224,
        mean=_IMAGENET_MEAN,
        std=_IMAGENET_STD,
        embedding=_CLASS_TOKEN,
        dimension=384,
        source=WeightsSource(
            url="",
            file_name="dinov3_vits16_pretrain_lvd1689m-08c60483.pth",
            hash="sha256-prefix:08c60483",
            size_bytes=0,
            revision="08c60483",
            read_from=_DINOV3,
            request_url="https://ai.meta.com/resources/models-and-libraries/dinov3-downloads/",
        ),
        license=License("DINOv3 License", "https://ai.meta.com/resources/models-and-libraries/dinov3-license/", True),
        citation="Siméoni et al., DINOv3, 2025, arXiv:2508.10104",
        read_from=_DINOV3,
        parity="timm's own conversion of DINOv3's weights, at reduced depth",
        note="Meta gives addresses to those who accept its license, which has conditions: no military use, no weapons, "
        "no reverse engineering; whoever passes the weights on passes on the license; papers must acknowledge them.",
        packages=("timm",),
    ),
)
