"""The encoder that ships with the engine: a small network of our own, by torch and MONAI or by onnxruntime.

Both give the same embeddings and count as one recipe. MODEL_CARD.md says what it was trained on and what for.
"""

from __future__ import annotations

from pathlib import Path

from ...errors import EncoderError
from ..base import Encoder
from .backend import ONNX_PACKAGES, TORCH_PACKAGES, find_backend
from .description import NAME
from .editions import edition_hashes
from .monai_backend import monai_radiology_resnet
from .onnx_backend import onnx_radiology_resnet

__all__ = ["NAME", "ONNX_PACKAGES", "TORCH_PACKAGES", "edition_hashes", "find_backend", "radiology_resnet_encoder"]


def radiology_resnet_encoder(
    weights: Path | None = None,
    *,
    edition: str = "",
    device: str | None = None,
    precision: str | None = None,
    batch_size: int | None = None,
    threads: int | None = None,
) -> Encoder:
    """The encoder "radiology-resnet", by the best back end that works here.

    Args:
        weights: other weights of the same network (a .safetensors file with its JSON next to it), for torch only.
        edition: of the weights that ship, the ones with this sha256; the current ones for "" or any other.
        device, precision, batch_size, threads: see encoders.create_encoder.

    Raises:
        WeightsError: the weights are missing, damaged, or of another network.
        EncoderError: no back end works here, or not on this device, or not with these weights.
    """
    backend = find_backend()
    if backend.name == "torch":
        return monai_radiology_resnet(
            weights, edition=edition, device=device, precision=precision, batch_size=batch_size, threads=threads
        )
    if not backend.name:
        raise EncoderError(f"{backend.reason}. The encoder 'descriptor' needs no package")
    if weights is not None:
        raise EncoderError(f"{weights}: weights other than those that ship need PyTorch with MONAI; {backend.reason}")
    if device not in (None, "cpu"):
        raise EncoderError(f"device {device!r}: expected cpu; {backend.reason}")
    if precision not in (None, "auto", "float32"):
        raise EncoderError(f"precision {precision!r}: expected float32; {backend.reason}")
    return onnx_radiology_resnet(
        edition=edition, batch_size=batch_size, threads=threads, backend_reason=backend.problem
    )
