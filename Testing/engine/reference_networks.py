"""timm and torchvision, which our networks are compared with, and weights that are random in every tensor."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

torch = pytest.importorskip("torch")

#: Kept for good: the operators vanish with it.
_OPERATORS: list[Any] = []


def reference_packages() -> tuple[ModuleType, ModuleType]:
    """(timm, torchvision); the test is skipped where they are not installed.

    PyPI's torchvision is built for PyPI's torch, which has CUDA on Linux. Beside a torch for the CPU its library is not
    loaded, and importing it fails because it describes two operators that nobody has defined. They are for detection,
    and no test needs them: it is enough to say that they exist.
    """
    try:
        import torchvision
    except ImportError:
        pytest.skip("needs torchvision")
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _OPERATORS.append(library)
        import torchvision
    return pytest.importorskip("timm"), torchvision


def randomised(module: torch.nn.Module, seed: int = 1) -> torch.nn.Module:
    """The module with random values in what starts as zeros or ones too: no tensor can be mistaken for another."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        if parameter.ndim < 2 or not parameter.any():
            parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    for name, buffer in module.named_buffers():
        if name.endswith("running_mean"):
            buffer.copy_(0.1 * torch.randn(buffer.shape, generator=generator))
        if name.endswith("running_var"):
            buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator))
    return module.eval()


def images(count: int, size: int, seed: int = 2) -> torch.Tensor:
    """float32 [count, 3, size, size], standard normal."""
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(seed))
