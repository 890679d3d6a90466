"""The encoder of an archive that is indexed for the first time, if none is asked for: the best that runs here."""

from __future__ import annotations

from dataclasses import dataclass

from .radiology_resnet import NAME, find_backend


@dataclass(frozen=True)
class DefaultEncoder:
    """The choice.

    Attributes:
        name: for create_encoder: "radiology-resnet", or "descriptor" where no network runs.
        backend: "torch", "onnxruntime" or "numpy".
        reason: which one runs, and why no better one; a sentence for the user.
    """

    name: str
    backend: str
    reason: str


def default_encoder() -> DefaultEncoder:
    """The best encoder that works here without anything being downloaded.

    It loads torch or onnxruntime to know, which takes seconds: not for Slicer's own process.
    """
    backend = find_backend()
    if backend.name:
        return DefaultEncoder(NAME, backend.name, backend.reason)
    return DefaultEncoder("descriptor", "numpy", f"the descriptor runs, which is less accurate; {backend.reason}")
