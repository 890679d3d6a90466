"""What the network is asked for: which slices of a batch should lie near each other, and how near.

Three terms, each a cross entropy between a wanted distribution over the other slices of the batch and the softmax of
their similarities (InfoNCE, van den Oord 2018, with soft targets; distillation of similarities: CompRess 2020):

anatomy     slices near in the same volume, at the same height of other patients, and faintly of the same kind
modality    CT and MR slices of one patient at one height, each among the slices of the other modality alone
teacher     the neighbours that the teacher sees
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch.nn.functional import log_softmax, normalize


@dataclass(frozen=True)
class Weights:
    """How much each term and each kind of neighbour counts.

    Attributes:
        near_mm, height_mm: standard deviations of nearness within a volume, and of a common height.
        same_height: of slices at one height of two patients, where 1 is the same slice.
        same_kind, same_region: of any two slices of one modality and body part, and of one region of it.
        volume_region: of volumes of one region, beside 1 for those of one kind.
        temperature, teacher_temperature, volume_temperature: of the network's similarities, the teacher's, and the
            network's scores of volumes.
        anatomy, modality, volume, patient, teacher, regression, description: the terms.
    """

    near_mm: float = 6.0
    height_mm: float = 8.0
    same_height: float = 0.7
    same_kind: float = 0.03
    same_region: float = 0.03
    temperature: float = 0.1
    teacher_temperature: float = 0.1
    volume_temperature: float = 0.05
    volume_region: float = 1.0
    anatomy: float = 1.0
    modality: float = 0.3
    volume: float = 0.0
    patient: float = 0.0
    teacher: float = 0.5
    regression: float = 1.0
    description: float = 5.0


@dataclass(frozen=True)
class Labels:
    """What is known of the slices of a batch; each a tensor [n].

    Attributes:
        volume: number of its entry in the batch.
        disguised: whether it is shown in a made-up contrast.
        patient, kind, region, modality: numbers; region -1 where there is none.
        position_mm: along the volume's stack.
        height_mm: common to the kind; NaN where unknown.
    """

    volume: torch.Tensor
    disguised: torch.Tensor
    patient: torch.Tensor
    kind: torch.Tensor
    region: torch.Tensor
    modality: torch.Tensor
    position_mm: torch.Tensor
    height_mm: torch.Tensor

    def to(self, device: str) -> Labels:
        """The same on this device."""
        return Labels(**{one.name: getattr(self, one.name).to(device) for one in fields(self)})


def nearness(labels: Labels, weights: Weights) -> torch.Tensor:
    """How near two slices should lie, float32 [n, n] in [0, 1]; 0 on the diagonal."""
    same_volume = _same(labels.volume)
    within = torch.exp(-0.5 * (_apart(labels.position_mm) / weights.near_mm) ** 2)
    across = weights.same_height * torch.exp(-0.5 * (_apart(labels.height_mm) / weights.height_mm) ** 2)
    across = torch.nan_to_num(across) * _same(labels.kind)
    region = _same(labels.region) & (labels.region >= 0)[:, None]
    faint = weights.same_kind * _same(labels.kind) + weights.same_region * region
    wanted = torch.where(same_volume, within, across) + faint * ~same_volume
    return wanted.fill_diagonal_(0)


def anatomy_loss(embeddings: torch.Tensor, labels: Labels, weights: Weights) -> torch.Tensor:
    """Cross entropy of the batch's similarities against `nearness`, a number.

    What the same patient shows in another volume is neither near nor far here: modality_loss asks for it.
    """
    elsewhere = _same(labels.patient) & ~_same(labels.volume)
    logits = embeddings @ embeddings.T / weights.temperature
    return _soft_cross_entropy(logits, nearness(labels, weights), among=~elsewhere)


def modality_loss(embeddings: torch.Tensor, labels: Labels, weights: Weights) -> torch.Tensor:
    """The same slice of the same patient among all slices of the other modality: 0 where the batch has no such pair."""
    counterpart = _same(labels.patient) & ~_same(labels.volume) & ~_same(labels.modality)
    wanted = counterpart * torch.exp(-0.5 * (_apart(labels.position_mm) / weights.near_mm) ** 2)
    logits = embeddings @ embeddings.T / weights.temperature
    return _soft_cross_entropy(logits, wanted, among=~_same(labels.modality))


def volume_loss(embeddings: torch.Tensor, labels: Labels, weights: Weights) -> torch.Tensor:
    """The score of late interaction (ColBERT), trained as it ranks: volumes of the query's kind above all others.

    Every volume of the batch is a query and a document of as many slices; its own patient's volumes are left out.
    """
    score, first = _late_interaction(embeddings, labels)
    one = Labels(**{field.name: getattr(labels, field.name)[first] for field in fields(labels)})
    region = _same(one.region) & (one.region >= 0)[:, None]
    wanted = _same(one.kind) * 1.0 + weights.volume_region * region
    among = ~_same(one.patient) & ~one.disguised[None] & ~one.disguised[:, None]
    return _soft_cross_entropy(score / weights.volume_temperature, wanted * among, among=among)


def patient_loss(embeddings: torch.Tensor, labels: Labels, weights: Weights) -> torch.Tensor:
    """Likewise the volumes of the same patient above all others of other modalities than the query's."""
    score, first = _late_interaction(embeddings, labels)
    patient, modality = labels.patient[first], labels.modality[first]
    among = ~_same(modality)
    return _soft_cross_entropy(score / weights.volume_temperature, _same(patient) * among * 1.0, among=among)


def _late_interaction(embeddings: torch.Tensor, labels: Labels) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean over a volume's slices of the greatest similarity in another volume, float32 [v, v] (query, candidate);
    and the first slice of each volume, int64 [v]."""
    count = int(labels.volume.max()) + 1
    similarity = (embeddings @ embeddings.T).unflatten(1, (count, -1)).amax(2)
    slices = len(embeddings) // count
    return similarity.unflatten(0, (count, -1)).mean(1), torch.arange(count, device=embeddings.device) * slices


def teacher_loss(embeddings: torch.Tensor, teacher: torch.Tensor, weights: Weights) -> torch.Tensor:
    """The teacher's neighbours: `teacher` float32 [n, t], unit rows around 0."""
    wanted = (teacher @ teacher.T / weights.teacher_temperature).exp().fill_diagonal_(0)
    return _soft_cross_entropy(embeddings @ embeddings.T / weights.temperature, wanted)


def regression_loss(predicted: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """1 - cosine between what a linear head makes of the embedding and the teacher's principal components."""
    return (1 - (normalize(predicted, dim=1) * normalize(teacher, dim=1)).sum(1)).mean()


def description_loss(embeddings: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Squared distance of the last numbers of each embedding from `wanted` float32 [n, c], mean over slices.

    Embeddings are of unit length, so that the length of `wanted` says how much of a similarity is its.
    """
    return (embeddings[:, -wanted.shape[1] :] - wanted).square().sum(1).mean()


def _soft_cross_entropy(logits: torch.Tensor, wanted: torch.Tensor, among: torch.Tensor | None = None) -> torch.Tensor:
    """Mean over rows that want anything; no slice is compared with itself, nor with those not `among`."""
    others = ~torch.eye(len(logits), dtype=torch.bool, device=logits.device)
    logits = logits.masked_fill(~(others if among is None else others & among), -1e4)
    mass = wanted.sum(1)
    asked = mass > 1e-3
    if not asked.any():
        return logits.sum() * 0
    target = wanted[asked] / mass[asked, None]
    return -(target * log_softmax(logits[asked], dim=1)).sum(1).mean()


def _same(values: torch.Tensor) -> torch.Tensor:
    return values[:, None] == values[None]


def _apart(values: torch.Tensor) -> torch.Tensor:
    return values[:, None] - values[None]
