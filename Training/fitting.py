"""One network from random weights to the last step, with its log."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import normalize
from VolumeRetrievalEngine.encoders.radiology_resnet.architecture import radiology_resnet

from .augmentation import Augmentation, random_views, to_channels
from .batches import Batch, Batches, Drawing
from .heights import common_heights
from .objectives import (
    Weights,
    anatomy_loss,
    description_loss,
    modality_loss,
    patient_loss,
    regression_loss,
    teacher_loss,
    volume_loss,
)
from .slices import SliceSet
from .teacher import Teacher
from .training_log import TrainingLog

#: What the network is given: (value - MEAN) / STD.
MEAN, STD = 0.5, 0.25

#: Batches whose mean embedding is subtracted in the end.
_CENTRED_OVER = 50
_LARGEST_GRADIENT = 5.0


@dataclass(frozen=True)
class Settings:
    """Everything that decides what comes out, but the data.

    Attributes:
        layers, widths, dimension, grid: of the network.
        steps: batches.
        learning_rate, weight_decay, warm_up: of AdamW with a cosine schedule; warm_up in steps.
        average: of the exponential moving average over weights, which is what is kept.
        components: of the teachers' embeddings that a linear head has to tell.
        described, description_share: so many of the last numbers of an embedding tell what the descriptor sees (its
            principal components), and make up this share of a similarity; 0 none.
        realign: after so many steps, and again after twice as many and so on, heights are found anew by the network
            as it is then; 0 never.
    """

    layers: tuple[int, ...] = (1, 1, 1, 1)
    widths: tuple[int, ...] = (32, 64, 128, 256)
    dimension: int = 256
    grid: int = 1
    size: int = 128
    steps: int = 1500
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    warm_up: int = 100
    average: float = 0.995
    components: int = 128
    described: int = 0
    description_share: float = 0.35
    realign: int = 0
    seed: int = 0
    teachers: Mapping[str, float] = field(default_factory=lambda: {"network": 1.0})
    drawing: Drawing = field(default_factory=Drawing)
    weights: Weights = field(default_factory=Weights)
    augmentation: Augmentation = field(default_factory=Augmentation)


def fit(
    sets: Sequence[SliceSet],
    settings: Settings,
    log: Path,
    report: Callable[[str], None] = print,
    start: torch.nn.Module | None = None,
) -> torch.nn.Module:
    """The network trained on these volumes, in evaluation mode on the CPU; every 20th step is a line of JSON in `log`.

    One seed gives one network on one machine and one thread. Runs on CUDA where it is there, else on the CPU.
    """
    torch.manual_seed(settings.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    heights = common_heights(sets, {one.name: one.teachers["network"] for one in sets})
    batches = Batches(sets, heights, settings.drawing, settings.seed)
    teacher = Teacher(sets, settings.teachers, settings.components)
    described = Teacher(sets, {"descriptor": 1.0}, settings.described) if settings.described else None
    network = start if start is not None else new_network(settings)
    if start is not None and described is not None:
        _turn(network, np.concatenate(list(_embedded(network, sets, "cpu").values())))
    network = network.to(device, memory_format=torch.channels_last)
    head = torch.nn.Linear(settings.dimension, teacher.components).to(device)
    optimizer = torch.optim.AdamW(
        _groups([network, head], settings.weight_decay), lr=settings.learning_rate, betas=(0.9, 0.98)
    )
    kept = copy.deepcopy(network)
    with TrainingLog(log, settings.steps, report) as lines:
        for step in range(settings.steps):
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * _schedule(step, settings)
            losses = _losses(network, head, batches.draw(), teacher, described, settings, device)
            loss = sum(getattr(settings.weights, name) * value for name, value in losses.items())
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), _LARGEST_GRADIENT)
            optimizer.step()
            # The average forgets the random weights of the start sooner than it will forget later ones.
            _average(kept, network, min(settings.average, (1 + step) / (10 + step)))
            lines.add(step, loss, losses)
            if settings.realign and (step + 1) % settings.realign == 0 and step + 1 < settings.steps:
                batches.align(common_heights(sets, _embedded(kept, sets, device)))
    return _centred(kept.eval().cpu(), batches, settings)


def new_network(settings: Settings) -> torch.nn.Module:
    """A network with random weights."""
    return radiology_resnet(settings.layers, settings.widths, settings.dimension, settings.grid)


def _losses(
    network: torch.nn.Module,
    head: torch.nn.Module,
    batch: Batch,
    teacher: Teacher,
    described: Teacher | None,
    settings: Settings,
    device: str,
) -> dict[str, torch.Tensor]:
    """The terms of the loss of one batch, by their names in Weights."""
    images = random_views(batch.values, batch.neighbours, batch.hounsfield, settings.augmentation)
    images = ((images - MEAN) / STD).to(device, memory_format=torch.channels_last)
    with torch.autocast(device, torch.bfloat16):
        features = network(images)
    embeddings = normalize(features.float(), dim=1)
    seen, wanted = (one.to(device) for one in teacher.of(batch.places))
    labels = batch.labels.to(device)
    # The teachers saw the slices as they are.
    taught = ~labels.disguised
    description = embeddings.sum() * 0
    if described is not None:
        _, components = described.of(batch.places)
        target = settings.description_share**0.5 * normalize(components[taught].to(device), dim=1)
        description = description_loss(embeddings[taught], target)
    return {
        "description": description,
        "anatomy": anatomy_loss(embeddings, labels, settings.weights),
        "modality": modality_loss(embeddings, labels, settings.weights),
        "volume": volume_loss(embeddings, labels, settings.weights),
        "patient": patient_loss(embeddings, labels, settings.weights),
        "teacher": teacher_loss(embeddings[taught], seen[taught], settings.weights),
        "regression": regression_loss(head(embeddings[taught]), wanted[taught]),
    }


@torch.no_grad()
def _turn(network: torch.nn.Module, embeddings: np.ndarray) -> None:
    """Turn the space of embeddings so that its last numbers say least: similarities stay as they are."""
    _, directions = np.linalg.eigh(np.cov(embeddings.T))
    turned = torch.from_numpy(directions[:, ::-1].T.astype(np.float32).copy())
    network.fc.weight.copy_(turned @ network.fc.weight)
    network.fc.bias.copy_(turned @ network.fc.bias)


@torch.inference_mode()
def _embedded(network: torch.nn.Module, sets: Sequence[SliceSet], device: str) -> dict[str, np.ndarray]:
    """The embeddings of all slices, unit rows float32 [n, d], by the volume's name."""
    network.eval()
    found = {}
    for one in sets:
        values = torch.from_numpy(one.values).float()
        images = (to_channels(values, torch.full((len(one),), one.hounsfield)) - MEAN) / STD
        features = network(images.to(device, memory_format=torch.channels_last))
        found[one.name] = normalize(features.float(), dim=1).cpu().numpy()
    network.train()
    return found


@torch.inference_mode()
def _centred(network: torch.nn.Module, batches: Batches, settings: Settings) -> torch.nn.Module:
    """The network with its mean embedding subtracted, every kind of volume counting as training draws it.

    What all slices have in common takes part in every similarity and tells none from another.
    """
    drawn = []
    for _ in range(_CENTRED_OVER):
        batch = batches.draw()
        images = ((to_channels(batch.values, batch.hounsfield) - MEAN) / STD)[~batch.labels.disguised]
        drawn.append(network(images.contiguous(memory_format=torch.channels_last)).mean(0))
    network.fc.bias -= torch.stack(drawn).mean(0)
    return network


def _schedule(step: int, settings: Settings) -> float:
    if step < settings.warm_up:
        return (step + 1) / settings.warm_up
    return 0.5 * (1 + math.cos(math.pi * (step - settings.warm_up) / max(1, settings.steps - settings.warm_up)))


def _groups(modules: Sequence[torch.nn.Module], decay: float) -> list[dict[str, object]]:
    """Weight decay for matrices and kernels, none for biases and batch normalisation."""
    parameters = [parameter for module in modules for parameter in module.parameters()]
    return [
        {"params": [parameter for parameter in parameters if parameter.ndim > 1], "weight_decay": decay},
        {"params": [parameter for parameter in parameters if parameter.ndim <= 1], "weight_decay": 0.0},
    ]


@torch.no_grad()
def _average(kept: torch.nn.Module, network: torch.nn.Module, share: float) -> None:
    state = network.state_dict()
    for name, tensor in kept.state_dict().items():
        if tensor.dtype.is_floating_point:
            tensor.lerp_(state[name], 1 - share)
        else:
            tensor.copy_(state[name])
