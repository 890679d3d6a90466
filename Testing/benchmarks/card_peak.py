"""How much of a graphics card a network uses: its arithmetic per second, beside that of a large matrix product."""

from __future__ import annotations

import time
from functools import lru_cache

import torch
from torch.utils.flop_counter import FlopCounterMode
from VolumeRetrievalEngine.encoders.networks.device import wait_for
from VolumeRetrievalEngine.encoders.networks.network import Network

#: Side of the matrices: large enough for every card to be full.
_SIDE, _REPEATS = 8192, 10


def operations_per_slice(network: Network, images: torch.Tensor) -> float:
    """Additions and multiplications of the convolutions and matrix products for one slice."""
    counter = FlopCounterMode(display=False)
    with counter:
        network.forward(images)
    return counter.get_total_flops() / len(images)


@lru_cache
def peak(device: str, precision: str) -> float:
    """Operations per second that this card reaches in a product of large matrices in this precision.

    What is printed on its box is more, and reached by nothing.
    """
    left, right = (torch.randn(_SIDE, _SIDE, device=device, dtype=getattr(torch, precision)) for _ in range(2))
    left @ right
    wait_for(device)
    started = time.perf_counter()
    for _ in range(_REPEATS):
        left @ right
    wait_for(device)
    return 2 * _SIDE**3 * _REPEATS / (time.perf_counter() - started)
