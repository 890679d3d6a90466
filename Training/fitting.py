"""One network from random weights to the last step, with its log."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import normalize
from VolumeRetrievalEngine.encoders.radiology_resnet.architecture import radiology_resnet

from .augmentation import Augmentation, random_views
from .batches import Batches
from .heights import common_heights
from .objectives import Weights, anatomy_loss, modality_loss, regression_loss, teacher_loss
from .slices import SliceSet

#: What the network is given: (value - MEAN) / STD.
MEAN, STD = 0.5, 0.25


@dataclass(frozen=True)
class Settings:
    """Everything that decides what comes out, but the data.

    Attributes:
        layers, widths, dimension: of the network.
        steps, volumes, slices: batches, volumes in each, slices of each volume.
        learning_rate, weight_decay, warm_up: of AdamW with a cosine schedule; warm_up in steps.
        average: of the exponential moving average over weights, which is what is kept.
        components: of the teacher's embedding that a linear head has to tell.
    """

    layers: tuple[int, ...] = (1, 1, 1, 1)
    widths: tuple[int, ...] = (32, 64, 128, 256)
    dimension: int = 256
    size: int = 128
    steps: int = 1500
    volumes: int = 16
    slices: int = 12
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    warm_up: int = 100
    average: float = 0.995
    components: int = 128
    seed: int = 0
    weights: Weights = field(default_factory=Weights)
    augmentation: Augmentation = field(default_factory=Augmentation)


def fit(
    sets: Sequence[SliceSet], settings: Settings, log: Path, report: Callable[[str], None] = print
) -> torch.nn.Module:
    """The network trained on these volumes, in evaluation mode; every 20th step is a line of JSON in `log`."""
    torch.manual_seed(settings.seed)
    batches = Batches(sets, common_heights(sets), settings.volumes, settings.slices, settings.seed)
    centred, components = _teacher(sets, settings.components)
    network = radiology_resnet(settings.layers, settings.widths, settings.dimension)
    network = network.to(memory_format=torch.channels_last)
    head = torch.nn.Linear(settings.dimension, components[0].shape[1])
    optimizer = torch.optim.AdamW(
        _groups([network, head], settings.weight_decay), lr=settings.learning_rate, betas=(0.9, 0.98)
    )
    kept = copy.deepcopy(network)
    started = time.monotonic()
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as lines:
        for step in range(settings.steps):
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * _schedule(step, settings)
            values, neighbours, hounsfield, labels, places = batches.draw()
            images = random_views(values, neighbours, hounsfield, settings.augmentation)
            images = ((images - MEAN) / STD).contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16):
                features = network(images)
            embeddings = normalize(features.float(), dim=1)
            taught = torch.from_numpy(np.stack([centred[number][row] for number, row in places]))
            wanted = torch.from_numpy(np.stack([components[number][row] for number, row in places]))
            losses = {
                "anatomy": anatomy_loss(embeddings, labels, settings.weights),
                "modality": modality_loss(embeddings, labels, settings.weights),
                "teacher": teacher_loss(embeddings, taught, settings.weights),
                "regression": regression_loss(head(embeddings), wanted),
            }
            loss = sum(getattr(settings.weights, name) * value for name, value in losses.items())
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            _average(kept, network, min(settings.average, (1 + step) / (10 + step)))
            if step % 20 == 0 or step == settings.steps - 1:
                told = {name: round(value.item(), 4) for name, value in losses.items()}
                seconds = time.monotonic() - started
                lines.write(
                    json.dumps({"step": step, "seconds": round(seconds, 1), "loss": round(loss.item(), 4), **told})
                )
                lines.write("\n")
                lines.flush()
                if step % 100 == 0 or step == settings.steps - 1:
                    left = seconds / (step + 1) * (settings.steps - step - 1)
                    report(
                        f"step {step + 1} of {settings.steps}, loss {loss.item():.3f} {told}, {left / 60:.0f} min left"
                    )
    return kept.eval()


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


def _teacher(sets: Sequence[SliceSet], components: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The teacher's embeddings around their mean as unit rows [n, t], and their principal components [n, c]."""
    every = np.concatenate([one.teacher for one in sets])
    mean = every.mean(axis=0)
    _, _, directions = np.linalg.svd(
        (every - mean)[np.random.default_rng(0).permutation(len(every))[:4000]], full_matrices=False
    )
    directions = directions[:components].T.astype(np.float32)
    centred = [one.teacher - mean for one in sets]
    return (
        [(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)).astype(np.float32) for rows in centred],
        [(rows @ directions).astype(np.float32) for rows in centred],
    )


def settings_to_json(settings: Settings) -> str:
    return json.dumps(asdict(settings), indent=2)
