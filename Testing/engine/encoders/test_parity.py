"""Our networks against the reference implementations, with the same random weights, of which every tensor counts."""

from __future__ import annotations

import json
import re
import zipfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from engine.reference_networks import images, randomised, reference_packages
from VolumeRetrievalEngine.encoders.architectures import (
    BIOMEDCLIP,
    DINO_VITB8,
    DINO_VITB16,
    DINOV2_VITB14,
    DINOV2_VITL14,
    DINOV2_VITS14,
    network_of,
)
from VolumeRetrievalEngine.encoders.architectures.dinov3 import convert_dinov3, dinov3_vits16
from VolumeRetrievalEngine.encoders.architectures.dreamsim import BRANCHES, convert_dreamsim, dreamsim
from VolumeRetrievalEngine.encoders.architectures.efficientnet import efficientnet_b0
from VolumeRetrievalEngine.encoders.architectures.resnet import convert_resnet, resnet50
from VolumeRetrievalEngine.encoders.architectures.vit import VitShape, convert_vit, vit
from VolumeRetrievalEngine.encoders.catalog import CATALOG, entry
from VolumeRetrievalEngine.encoders.choice import create_encoder
from VolumeRetrievalEngine.encoders.networks.tensors import SourceTensors, fit
from VolumeRetrievalEngine.errors import WeightsError

torch = pytest.importorskip("torch")
pytest.importorskip("monai")
pytest.importorskip("einops")
timm, torchvision = reference_packages()

TOLERANCE = 1e-4


def shallow(shape: VitShape) -> VitShape:
    """With one block, which is as wide as twelve."""
    return replace(shape, depth=1)


#: The networks of the catalog as they are made, before any weights are in them.
UNFILLED = {
    "resnet50": resnet50,
    "efficientnet-b0": partial(efficientnet_b0, 224),
    "dino-vitb16": partial(vit, shallow(DINO_VITB16)),
    "dino-vitb8": partial(vit, shallow(DINO_VITB8)),
    "dinov2-vits14": partial(vit, shallow(DINOV2_VITS14)),
    "dinov2-vitb14": partial(vit, shallow(DINOV2_VITB14)),
    "dinov2-vitl14": partial(vit, shallow(DINOV2_VITL14)),
    "dreamsim": partial(dreamsim, tuple(shallow(branch) for branch in BRANCHES)),
    "biomedclip": partial(vit, shallow(BIOMEDCLIP)),
    "dinov3-vits16": partial(dinov3_vits16, 224, depth=1),
}
NOWHERE = Path("weights.pth")


@pytest.fixture(autouse=True)
def one_seed():
    torch.manual_seed(0)


def saved(folder: Path, tensors: dict[str, torch.Tensor], name: str = "weights.pth") -> Path:
    path = folder / name
    torch.save(tensors, path)
    return path


def largest_difference(ours: torch.nn.Module, reference: torch.nn.Module, size: int) -> float:
    """Of two slices' features, relative to the reference's largest."""
    given = images(2, size)
    with torch.inference_mode():
        expected, found = reference.eval()(given), ours.eval()(given)
    assert found.shape == expected.shape
    return float((found - expected).abs().max() / expected.abs().max())


def converted_vit(shape: VitShape, tensors: dict[str, torch.Tensor], prefix: str = "") -> torch.nn.Module:
    """Our network of these tensors, every one of which has to be used."""
    source = SourceTensors(tensors, NOWHERE)
    network = vit(shape)
    converted = convert_vit(source, shape, prefix)
    if shape.projection:
        converted["classification_head.weight"] = source.take("projection")
    source.finish()
    fit(network, converted, NOWHERE)
    return network


# Whole encoders at their real size: preparation of the slices, features, unit rows


def embedded_alike(name: str, path: Path, reference: torch.nn.Module) -> None:
    """The encoder's rows are the reference's features of the same slices, normalized as the catalog says."""
    found, size = entry(name), entry(name).input_size
    encoder = create_encoder(name, weights=path, device="cpu", batch_size=2)
    slices = np.random.default_rng(5).random((2, 3, size, size), dtype=np.float32)
    mean, std = (torch.tensor(values)[:, None, None] for values in (found.mean, found.std))
    with torch.inference_mode():
        features = reference((torch.from_numpy(slices) - mean) / std).numpy()
    expected = features / np.linalg.norm(features, axis=1, keepdims=True)
    assert np.abs(encoder.embed(slices) - expected).max() < TOLERANCE
    assert (encoder.name, encoder.dimension) == (name, found.dimension)


def torchvision_resnet50() -> tuple[torch.nn.Module, dict[str, torch.Tensor]]:
    """Without its classifier, and all of its tensors."""
    network = randomised(torchvision.models.resnet50())
    tensors = dict(network.state_dict())
    network.fc = torch.nn.Identity()
    return network, tensors


def test_resnet50_is_torchvisions(tmp_path):
    reference, tensors = torchvision_resnet50()
    embedded_alike("resnet50-imagenet", saved(tmp_path, tensors), reference)
    numbers = {name: str(number) for number, (name, _) in enumerate(reference.named_children())}
    unnamed = {f"backbone.{numbers[name.partition('.')[0]]}.{name.partition('.')[2]}": t for name, t in tensors.items()}
    without_head = {name: tensor for name, tensor in unnamed.items() if not name.startswith("backbone.9.")}
    assert len(without_head) == len(tensors) - 2
    named, renamed = (convert_resnet(SourceTensors(one, NOWHERE)) for one in (tensors, without_head))
    assert named.keys() == renamed.keys()
    assert all(renamed[name] is tensor for name, tensor in named.items())


def test_efficientnet_b0_is_the_one_that_pads_as_tensorflow_does(tmp_path):
    reference = randomised(timm.create_model("tf_efficientnet_b0", num_classes=0))
    tensors = {_efficientnet_pytorch_name(name): tensor for name, tensor in reference.state_dict().items()}
    tensors |= {"_fc.weight": torch.zeros(1000, 1280), "_fc.bias": torch.zeros(1000)}
    embedded_alike("efficientnet-b0-imagenet", saved(tmp_path, tensors), reference)


def _efficientnet_pytorch_name(name: str) -> str:
    """EfficientNet-PyTorch's name of a tensor of timm's; B0 has 1, 2, 2, 3, 3, 4 and 1 blocks."""
    stem = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1"}
    parts = name.split(".")
    if parts[0] != "blocks":
        return ".".join([stem[parts[0]], *parts[1:]])
    number = sum((1, 2, 2, 3, 3, 4, 1)[: int(parts[1])]) + int(parts[2])
    layers = {"conv_pw": "_expand_conv", "bn1": "_bn0", "conv_dw": "_depthwise_conv", "bn2": "_bn1"}
    layers |= {"conv_pwl": "_project_conv", "bn3": "_bn2"}
    if parts[1] == "0":  # its first stage does not expand
        layers = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
    squeeze = {"conv_reduce": "_se_reduce", "conv_expand": "_se_expand"}
    rest = [squeeze[parts[4]], *parts[5:]] if parts[3] == "se" else [layers[parts[3]], *parts[4:]]
    return ".".join(["_blocks", str(number), *rest])


def test_dino_at_its_real_size_with_one_of_its_blocks():
    reference = randomised(timm.create_model("vit_base_patch16_224", depth=1, num_classes=0))
    assert largest_difference(converted_vit(shallow(DINO_VITB16), reference.state_dict()), reference, 224) < TOLERANCE


def test_dinov2_with_its_positions_resampled_as_its_authors_do(tmp_path):
    reference = randomised(timm.create_model("vit_small_patch14_dinov2", num_classes=0, img_size=224))
    trained = 0.02 * torch.randn(1, 1 + 37 * 37, 384)
    tensors = {**reference.state_dict(), "pos_embed": trained, "mask_token": torch.zeros(1, 384)}
    grid = trained[:, 1:].reshape(1, 37, 37, 384).permute(0, 3, 1, 2)
    grid = torch.nn.functional.interpolate(grid, scale_factor=(16.1 / 37, 16.1 / 37), mode="bicubic")
    resampled = grid.permute(0, 2, 3, 1).view(1, 256, 384)
    reference.pos_embed.data = torch.cat([trained[:, :1], resampled], dim=1)
    embedded_alike("dinov2-vits14", saved(tmp_path, tensors), reference)


def test_dinov3_is_timms_with_its_own_conversion():
    """At two of its twelve blocks; our network is timm's, so that the conversion is what there is to test."""
    from timm.models.eva import checkpoint_filter_fn

    reference = timm.create_model(
        "vit_small_patch16_dinov3_qkvb", num_classes=0, global_pool="token", img_size=224, depth=2
    )
    tensors = dinov3_tensors(randomised(reference))
    reference.load_state_dict(checkpoint_filter_fn(dict(tensors), reference))
    source, ours = SourceTensors(tensors, NOWHERE), dinov3_vits16(224, depth=2)
    fit(ours, convert_dinov3(source), NOWHERE)
    source.finish()
    assert largest_difference(ours, reference, 224) < TOLERANCE


def dinov3_tensors(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """A state dict as Meta's with this network's values, and some in what is left out."""
    tensors = {"mask_token": torch.randn(1, 384), "rope_embed.periods": torch.randn(16)}
    state = network.state_dict()
    for name, tensor in state.items():
        block = name.rpartition("attn.")[0] + "attn."
        if name.endswith("q_bias"):
            tensors[f"{block}qkv.bias"] = torch.cat([tensor, torch.randn(384), state[f"{block}v_bias"]])
            tensors[f"{block}qkv.bias_mask"] = torch.cat([torch.ones(384), torch.zeros(384), torch.ones(384)])
        elif not name.endswith("v_bias"):
            renamed = re.sub(r"gamma_(\d)", r"ls\1.gamma", name).replace("reg_token", "storage_tokens")
            tensors[renamed] = tensor
    return tensors


def test_swin_is_microsofts_whichever_names_its_tensors_have(tmp_path):
    small = {"embed_dim": 32, "depths": (2, 2, 2, 1), "num_heads": (1, 2, 4, 8)}
    reference = randomised(timm.create_model("swin_tiny_patch4_window7_224", num_classes=0, **small))
    tensors = {**reference.state_dict(), "head.fc.weight": torch.zeros(165, 256), "head.fc.bias": torch.zeros(165)}
    found = entry("swin-radimagenet")
    ours = network_of(found, saved(tmp_path, tensors))
    assert largest_difference(ours, reference, 224) < TOLERANCE
    microsofts = {
        re.sub(r"layers\.(\d)\.downsample", lambda at: f"layers.{int(at[1]) - 1}.downsample", name): tensor
        for name, tensor in tensors.items()
    }
    microsofts["layers.0.blocks.1.attn_mask"] = torch.zeros(64, 49, 49)
    microsofts["layers.0.blocks.1.attn.relative_position_index"] = torch.zeros(49, 49)
    assert "layers.0.downsample.reduction.weight" in microsofts
    same = network_of(found, saved(tmp_path, microsofts, "microsoft.pth"))
    given = images(1, 224)
    with torch.inference_mode():
        assert torch.equal(ours.eval()(given), same.eval()(given))


@pytest.mark.parametrize("name", [name for name, one in CATALOG.items() if one.dimension])
def test_the_catalog_says_the_dimension_that_the_network_has(name):
    """Without any values, which would take gigabytes."""
    found = entry(name)
    with torch.device("meta"), torch.inference_mode():
        features = UNFILLED[found.network]().eval()(torch.zeros(2, 3, found.input_size, found.input_size))
    assert features.shape == (2, found.dimension)


# Parts of the vision transformers, at reduced size


@pytest.mark.parametrize("patch_size", [8, 16])
def test_layer_scale_and_positions_are_folded_for_every_patch_size(patch_size):
    shape = replace(DINO_VITB8, patch_size=patch_size, width=96, heads=3, depth=2, input_size=64)
    reference = randomised(
        timm.models.vision_transformer.VisionTransformer(
            img_size=64, patch_size=patch_size, embed_dim=96, depth=2, num_heads=3, init_values=1e-5, num_classes=0
        )
    )
    assert "blocks.0.ls1.gamma" in reference.state_dict()
    assert largest_difference(converted_vit(shape, reference.state_dict()), reference, 64) < TOLERANCE


def clip_tower(quick_gelu: bool, width: int = 96, projection: int = 24) -> torch.nn.Module:
    """CLIP's image tower as timm has it: a LayerNorm before the blocks, and a projection without bias."""
    from timm.layers import get_act_layer

    return randomised(
        timm.models.vision_transformer.VisionTransformer(
            img_size=64,
            patch_size=16,
            embed_dim=width,
            depth=2,
            num_heads=3,
            pre_norm=True,
            num_classes=projection,
            act_layer=get_act_layer("quick_gelu") if quick_gelu else None,
            norm_layer=partial(torch.nn.LayerNorm, eps=1e-5),
        ),
        seed=3 + quick_gelu,
    )


def dreamsim_tower(reference: torch.nn.Module) -> dict[str, torch.Tensor]:
    """CLIP's tensors by the names that DreamSim's archive has: DINO's, with the first LayerNorm as pos_drop."""
    tensors = {re.sub(r"^norm_pre\.", "pos_drop.", name): t for name, t in reference.state_dict().items()}
    reference.head.bias.data.zero_()  # timm's head has a bias, CLIP's projection has none
    del tensors["head.bias"]
    tensors["proj"] = tensors.pop("head.weight").T.contiguous()
    tensors.setdefault("patch_embed.proj.bias", torch.zeros(reference.embed_dim))  # CLIP's convolution has none
    return tensors


CLIP_SHAPE = VitShape(16, width=96, depth=2, heads=3, input_size=64, epsilon=1e-5, norm_before=True, projection=24)


@pytest.mark.parametrize("quick_gelu", [True, False])
def test_clips_image_tower_with_either_activation(quick_gelu):
    reference = clip_tower(quick_gelu)
    tensors = dreamsim_tower(reference)
    tensors["projection"] = tensors.pop("proj").T
    shape = replace(CLIP_SHAPE, quick_gelu=quick_gelu)
    assert largest_difference(converted_vit(shape, tensors), reference, 64) < TOLERANCE
    other = replace(shape, quick_gelu=not quick_gelu)
    assert largest_difference(converted_vit(other, tensors), reference, 64) > TOLERANCE


def test_biomedclips_image_tower_leaves_the_texts_out(tmp_path, monkeypatch):
    """open_clip's TimmModel: timm's trunk, and a linear layer without bias as its head."""
    from VolumeRetrievalEngine.encoders import architectures

    monkeypatch.setattr(architectures, "BIOMEDCLIP", shallow(BIOMEDCLIP))
    trunk = randomised(timm.create_model("vit_base_patch16_224", depth=1, num_classes=0))
    head = torch.nn.Linear(768, 512, bias=False)
    tensors = {f"visual.trunk.{name}": tensor for name, tensor in trunk.state_dict().items()}
    tensors |= {"visual.head.proj.weight": head.weight.data, "logit_scale": torch.ones(())}
    tensors |= {"text.transformer.embeddings.position_ids": torch.arange(9), "text.proj.0.weight": torch.ones(3, 3)}
    ours = network_of(entry("biomedclip"), saved(tmp_path, tensors))
    assert largest_difference(ours, torch.nn.Sequential(trunk, head), 224) < TOLERANCE


# DreamSim's ensemble


@pytest.fixture
def small_dreamsim(tmp_path):
    """(archive, DINO's file, branches, reference): three small towers with low-rank updates, as peft adds them."""
    small = {"width": 96, "depth": 2, "heads": 3, "input_size": 64}
    branches = tuple(replace(one, **small, projection=24 if one.projection else 0) for one in BRANCHES)
    dino = randomised(
        timm.models.vision_transformer.VisionTransformer(
            img_size=64, patch_size=16, embed_dim=96, depth=2, num_heads=3, num_classes=0
        )
    )
    towers = [dino, clip_tower(quick_gelu=True), clip_tower(quick_gelu=False)]
    files = [dict(dino.state_dict()), dreamsim_tower(towers[1]), dreamsim_tower(towers[2])]
    files = [{name: tensor.clone() for name, tensor in one.items()} for one in files]
    updates = {}
    for number, tower in enumerate(towers):
        for block in range(2):
            low, high = 0.2 * torch.randn(4, 96), 0.2 * torch.randn(288, 4)
            layer = f"base_model.model.extractor_list.{number}.model.blocks.{block}.attn.qkv"
            updates |= {f"{layer}.lora_A.weight": low, f"{layer}.lora_B.weight": high}
            tower.blocks[block].attn.qkv.weight.data += 0.5 / 4 * high @ low
    archive = dreamsim_archive(tmp_path, files, updates, {"r": 4, "lora_alpha": 0.5, "bias": "none"})
    return archive, saved(tmp_path, files[0], "dino_vitbase16_pretrain.pth"), branches, towers


def dreamsim_archive(folder: Path, files: list, updates: dict, settings: dict) -> Path:
    from safetensors.torch import save

    path = folder / "dreamsim_ensemble_checkpoint.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, tensors in zip(("clip", "open_clip"), files[1:], strict=True):
            part = saved(folder, {"state_dict": tensors}, f"{name}.part")
            archive.write(part, f"{name}_vitb16_pretrain.pth.tar")
        archive.writestr("dino_vitb16_pretrain.pth", b"the head, which nothing is made of")
        archive.writestr("ensemble_lora/adapter_config.json", json.dumps(settings))
        archive.writestr("ensemble_lora/adapter_model.safetensors", save(updates))
    return path


def test_dreamsim_joins_its_towers_with_their_updates_and_removes_the_mean(small_dreamsim):
    archive, dino, branches, towers = small_dreamsim
    ours = dreamsim(branches)
    fit(ours, convert_dreamsim(archive, dino, branches), archive)
    towers[0].norm = torch.nn.Identity()  # its class token is taken before the last LayerNorm

    class Joined(torch.nn.Module):
        def forward(self, given: torch.Tensor) -> torch.Tensor:
            imagenet = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[:, :, None, None]
            clip = torch.tensor([[0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]])
            clip = clip[:, :, None, None]
            parts = [
                tower((given - mean) / std) for tower, (mean, std) in zip(towers, (imagenet, clip, clip), strict=True)
            ]
            joined = torch.cat(parts, dim=1)
            return (joined.T - torch.mean(joined, dim=1)).T

    assert largest_difference(ours, Joined(), 64) < TOLERANCE


def test_dreamsims_archive_without_its_parts_or_with_other_updates_is_refused(small_dreamsim, tmp_path):
    archive, dino, branches, _ = small_dreamsim
    with zipfile.ZipFile(archive) as whole:
        parts = {name: whole.read(name) for name in whole.namelist()}

    def rewritten(**changes: bytes | None) -> Path:
        path = tmp_path / f"other-{len(list(tmp_path.iterdir()))}.zip"
        with zipfile.ZipFile(path, "w") as other:
            for name, content in parts.items():
                content = changes.get(Path(name).stem, content)
                if content is not None:
                    other.writestr(name, content)
        return path

    for path, said in (
        (rewritten(adapter_config=None), "adapter_config.json"),
        (rewritten(adapter_model=None), "adapter_model"),
        (rewritten(adapter_config=json.dumps({"r": 4, "lora_alpha": 1, "use_dora": True}).encode()), "not known here"),
        (rewritten(adapter_config=b"no JSON"), "cannot be read"),
        (saved(tmp_path, {"a": torch.zeros(1)}, "weights.zip"), "lacks"),
        (dino.with_name("nothing.zip"), "cannot be read"),
    ):
        with pytest.raises(WeightsError, match=said):
            convert_dreamsim(path, dino, branches)


def test_dreamsims_archive_with_a_damaged_part_is_refused_by_name(small_dreamsim, tmp_path):
    archive, dino, branches, _ = small_dreamsim
    packed = tmp_path / "packed.zip"
    with zipfile.ZipFile(archive) as whole, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as other:
        for name in whole.namelist():
            other.writestr(name, whole.read(name))
        place = other.getinfo("clip_vitb16_pretrain.pth.tar").header_offset + 1000
    content = bytearray(packed.read_bytes())
    content[place : place + 400] = bytes(400)
    packed.write_bytes(content)
    with pytest.raises(WeightsError, match=r"packed\.zip: cannot be read as DreamSim's archive"):
        convert_dreamsim(packed, dino, branches)


# What does not fit


@pytest.mark.parametrize("name", ["resnet50-imagenet", "efficientnet-b0-imagenet", "dino-vitb16", "swin-radimagenet"])
def test_weights_of_another_network_are_refused(tmp_path, name):
    tensors = clip_tower(quick_gelu=False).state_dict()
    with pytest.raises(WeightsError, match="not of this network"):
        network_of(entry(name), saved(tmp_path, tensors))


@pytest.mark.parametrize("shape", [(1, 11, 384), (5,)])
def test_positions_of_another_kind_of_network_are_refused_by_name(tmp_path, shape):
    path = saved(tmp_path, {"pos_embed": torch.zeros(shape), "cls_token": torch.zeros(1, 1, 384)})
    with pytest.raises(WeightsError, match="not of this network") as raised:
        network_of(entry("dino-vitb8"), path)
    assert str(path) in str(raised.value)


def test_a_tensor_that_nothing_is_made_of_is_named():
    shape = replace(DINOV2_VITS14, width=96, heads=3, depth=1, input_size=56)
    tensors = timm.models.vision_transformer.VisionTransformer(
        img_size=56, patch_size=14, embed_dim=96, depth=1, num_heads=3, num_classes=0
    ).state_dict()
    with pytest.raises(WeightsError, match=r"unexpected \(1\): register_tokens"):
        converted_vit(shape, {**tensors, "register_tokens": torch.zeros(1, 4, 96)})
    del tensors["blocks.0.mlp.fc2.bias"]
    with pytest.raises(WeightsError, match=r"no tensor 'blocks.0.mlp.fc2.bias'"):
        converted_vit(shape, tensors)
