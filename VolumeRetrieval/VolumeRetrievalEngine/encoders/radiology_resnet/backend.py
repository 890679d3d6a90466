"""Which of the two back ends can run here, found by trying: a package may be installed and yet not work."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .description import NAME

#: What each back end needs, as pip knows it.
TORCH_PACKAGES = ("torch", "monai", "safetensors")
ONNX_PACKAGES = ("onnxruntime",)


@dataclass(frozen=True)
class Backend:
    """The back end that runs.

    Attributes:
        name: "torch", "onnxruntime", or "" where neither does.
        reason: which one runs, and why none before it; a sentence for the user.
        problem: only why none before it; "" where there is none.
    """

    name: str
    reason: str
    problem: str = ""


def find_backend() -> Backend:
    """The best back end that works here: torch with MONAI, else onnxruntime.

    It imports what it finds, which takes seconds: only for processes that may load networks, never Slicer's own.
    """
    torch_problem = _problem("PyTorch with MONAI", TORCH_PACKAGES, _try_torch)
    if not torch_problem:
        return Backend("torch", f"{NAME} runs by PyTorch and MONAI")
    onnx_problem = _problem("onnxruntime", ONNX_PACKAGES, _try_onnxruntime)
    if not onnx_problem:
        return Backend("onnxruntime", f"{NAME} runs by onnxruntime on the processor; {torch_problem}", torch_problem)
    return Backend(
        "",
        f"{NAME} needs onnxruntime (about 30 MB to download) or PyTorch with MONAI; {onnx_problem}; {torch_problem}",
    )


def _try_torch() -> None:
    torch = importlib.import_module("torch")
    torch.from_numpy(np.zeros(1, np.float32)).numpy()  # fails where torch was built for another numpy
    importlib.import_module("safetensors.torch")
    importlib.import_module("monai.networks.nets")


def _try_onnxruntime() -> None:
    importlib.import_module("onnxruntime").InferenceSession  # noqa: B018 - what is left of a removed package lacks it


def _problem(title: str, packages: tuple[str, ...], trial: Callable[[], None]) -> str:
    """Why a back end does not run, "" if it does."""
    try:
        trial()
    except Exception as error:  # a broken package raises whatever it likes
        name = (getattr(error, "name", None) or "").partition(".")[0]
        if isinstance(error, ModuleNotFoundError) and name in packages:
            return f"{title} is not installed" + (f" (no {name})" if name != title else "")
        said = (str(error).strip() or "no reason given").splitlines()[0]
        return f"{title} is installed but does not work ({type(error).__name__}: {said[:200]})"
    return ""
