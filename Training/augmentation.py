"""The same slice as another scanner, protocol, window or pose would show it: random views for training."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn.functional import avg_pool2d, grid_sample, interpolate
from VolumeRetrievalEngine.preprocessing.intensity import CT_WINDOWS

from .slices import GREY_STEPS

#: Of the three windows in HU above air: where each begins, and how wide it is.
_STARTS = torch.tensor([low + 1000.0 for low, _ in CT_WINDOWS])
_WIDTHS = torch.tensor([high - low for low, high in CT_WINDOWS])


@dataclass(frozen=True)
class Augmentation:
    """How far views stray.

    Attributes:
        degrees: rotation in plane.
        zoom, stretch: of the field of view, and of one axis against the other, as a share of 1.
        shift: of the field of view, as a share of its side.
        window: of start and width of the CT windows, as a share of the width.
        gamma: exponent of grey values that have no unit, between 1 / (1 + gamma) and 1 + gamma.
        bias_field: smooth gain over an MR slice, as a share of 1.
        noise: standard deviation in windowed values.
        blurred, thick, mirrored, erased: probability that a slice is blurred (kernel), averaged with its neighbour
            (slice thickness), mirrored, or lacks a rectangle (field of view, metal, table).
        flat: probability that a slice's inside is leveled: its outline, which no modality and no dose changes, remains.
    """

    degrees: float = 10.0
    zoom: float = 0.15
    stretch: float = 0.1
    shift: float = 0.06
    window: float = 0.1
    gamma: float = 0.5
    bias_field: float = 0.3
    noise: float = 0.04
    blurred: float = 0.3
    thick: float = 0.3
    mirrored: float = 0.25
    erased: float = 0.2
    flat: float = 0.0


def to_channels(values: torch.Tensor, hounsfield: torch.Tensor) -> torch.Tensor:
    """Slices float32 [n, h, w] as slices.py keeps them to what the encoder sees, [n, 3, h, w] in [0, 1].

    Args:
        hounsfield: bool [n], which ones are CT.
    """
    grey = (values / GREY_STEPS).clamp_(0, 1)
    images = grey[:, None].repeat(1, 3, 1, 1)
    images[hounsfield] = _windows(values[hounsfield], _STARTS[None], _WIDTHS[None])
    return images


def random_views(
    values: torch.Tensor, neighbours: torch.Tensor, hounsfield: torch.Tensor, how: Augmentation
) -> torch.Tensor:
    """One random view of each slice: float32 [n, 3, h, w] in [0, 1].

    Args:
        values, neighbours: float32 [n, h, w]: the slices, and for each one a slice beside it.
        hounsfield: bool [n].
    """
    count, shape = len(values), values.shape[1:]
    weight = torch.rand(count, 1, 1) * 0.5 * _chance(count, how.thick)
    values = _moved(torch.lerp(values, neighbours, weight), how)
    _blur(values, how)
    _level(values, hounsfield, how)
    # One noise for all channels: it is the scanner's, and the windows show the same voxels.
    noise = torch.randn(count, *shape) * (how.noise * torch.rand(count, 1, 1))
    images = torch.empty(count, 3, *shape)
    ct, grey = torch.nonzero(hounsfield)[:, 0], torch.nonzero(~hounsfield)[:, 0]
    starts = _STARTS + _WIDTHS * _spread(len(ct), 3) * how.window
    widths = _WIDTHS * (1 + _spread(len(ct), 3) * how.window)
    images[ct] = _windows(values[ct], starts, widths) + noise[ct, None]
    images[grey] = (_regained((values[grey] / GREY_STEPS).clamp_(0, 1), how) + noise[grey])[:, None]
    return _erased(images.clamp_(0, 1), how)


def _windows(values: torch.Tensor, starts: torch.Tensor, widths: torch.Tensor) -> torch.Tensor:
    """CT slices [n, h, w] in three windows each: [n, 3, h, w] in [0, 1]."""
    return ((values[:, None] - starts[:, :, None, None]) / widths[:, :, None, None]).clamp_(0, 1)


def _blur(values: torch.Tensor, how: Augmentation) -> None:
    """Some of the slices, in place."""
    chosen = torch.nonzero(torch.rand(len(values)) < how.blurred)[:, 0]
    some = values[chosen]
    blurred = avg_pool2d(some[:, None], 3, stride=1, padding=1, count_include_pad=False)[:, 0]
    values[chosen] = torch.lerp(some, blurred, torch.rand(len(chosen), 1, 1))


def _level(values: torch.Tensor, hounsfield: torch.Tensor, how: Augmentation) -> None:
    """The inside of some of the slices, in place: nearer to its mean."""
    chosen = torch.nonzero(torch.rand(len(values)) < how.flat)[:, 0]
    some = values[chosen]
    # Half way from air to water; a tenth of the grey range, as preprocessing tells a body from what is around it.
    inside = some > torch.where(hounsfield[chosen], 500.0, 0.1 * GREY_STEPS)[:, None, None]
    mean = (some * inside).sum((1, 2)) / inside.sum((1, 2)).clamp_min(1)
    share = 0.4 + 0.6 * torch.rand(len(chosen), 1, 1)
    values[chosen] = torch.where(inside, torch.lerp(some, mean[:, None, None].expand_as(some), share), some)


def _moved(values: torch.Tensor, how: Augmentation) -> torch.Tensor:
    """Rotated, zoomed, stretched, shifted and mirrored; outside is air."""
    count = len(values)
    angle = _spread(count) * torch.pi / 180 * how.degrees
    scale = torch.exp(_spread(count) * how.zoom)
    stretch = torch.exp(_spread(count) * how.stretch / 2)
    mirror = 1 - 2 * _chance(count, how.mirrored)[:, 0, 0]
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    shift = 2 * how.shift * _spread(count, 2)
    theta = torch.stack(
        [
            torch.stack([cos * stretch * mirror, -sin * stretch, shift[:, 0]], 1),
            torch.stack([sin / stretch * mirror, cos / stretch, shift[:, 1]], 1),
        ],
        1,
    )
    # affine_grid() makes this by one matrix product for each slice, which takes longer than sampling.
    down, across = (torch.arange(side) * (2 / side) + (1 / side - 1) for side in values.shape[1:])
    rows = [
        theta[:, n, 0, None, None] * across + theta[:, n, 1, None, None] * down[:, None] + theta[:, n, 2, None, None]
        for n in (0, 1)
    ]
    return grid_sample(values[:, None], torch.stack(rows, -1), align_corners=False)[:, 0]


def _regained(grey: torch.Tensor, how: Augmentation) -> torch.Tensor:
    """Another contrast of a slice without units [n, h, w]: gamma, and the smooth gain of a coil."""
    count = len(grey)
    gamma = torch.exp(_spread(count, 1, 1) * torch.log1p(torch.tensor(how.gamma)))
    field = interpolate(_spread(count, 1, 3, 3), size=grey.shape[1:], mode="bicubic", align_corners=True)[:, 0]
    return grey.clamp_min_(1e-4).pow_(gamma).mul_(field.mul_(how.bias_field).add_(1))


def _erased(images: torch.Tensor, how: Augmentation) -> torch.Tensor:
    side = images.shape[-1]
    for number in torch.nonzero(torch.rand(len(images)) < how.erased)[:, 0].tolist():
        height, width = (int(side * share) for share in (0.1 + 0.25 * torch.rand(2)).tolist())
        top, left = (int((side - extent) * torch.rand(1)) for extent in (height, width))
        images[number, :, top : top + height, left : left + width] = 0
    return images


def _spread(*shape: int) -> torch.Tensor:
    """Uniform in [-1, 1]."""
    return 2 * torch.rand(*shape) - 1


def _chance(count: int, probability: float) -> torch.Tensor:
    """float32 [count, 1, 1]: 1 with this probability."""
    return (torch.rand(count, 1, 1) < probability).float()
