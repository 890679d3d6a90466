"""A torch network as an encoder: where it runs, in which batches, and unit rows out of it."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import EncoderError, MissingPackageError, WeightsError
from .input_spec import InputSpec

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

#: Slices in one pass. A CPU is fastest while a batch's activations stay in its cache (MobileNetV2 at 224 pixels, one
#: core: twice as many slices per second in fours as in thirty-twos); a GPU wants to be filled.
_BATCH_SIZE_CPU, _BATCH_SIZE_GPU = 4, 64


class Network:
    """A torch module from slices to pooled features; an Encoder.

    Args:
        module: takes float32 [n, 3, size, size], returns [n, d].
        selector, source: name and file that :func:`create_encoder` was asked for.
        weights_path: the file with the weights themselves; `source` may be the JSON that names it.
        device: "cpu", "cuda", "cuda:1", "mps"; None chooses.
        batch_size: slices in one pass at most; halved for good when the memory does not suffice.
        threads: of torch's on the CPU, for the whole process; None leaves them as they are.

    Raises:
        WeightsError: the module does not turn such slices into finite vectors.
    """

    precision = "float32"

    def __init__(
        self,
        module: torch.nn.Module,
        *,
        selector: str,
        name: str,
        spec: InputSpec,
        weights_path: Path,
        source: Path,
        device: str | None = None,
        batch_size: int | None = None,
        threads: int | None = None,
    ):
        torch = require_torch("a network")
        if threads:
            torch.set_num_threads(threads)
        self.selector, self.source, self.name, self.weights_path = selector, source, name, weights_path
        self.weights = sha256_of(weights_path)
        self.input_size, self.normalisation = spec.input_size, spec.normalisation
        self.device, self.device_reason = choose_device(device)
        self.batch_size = batch_size or (_BATCH_SIZE_CPU if self.device == "cpu" else _BATCH_SIZE_GPU)
        self._spec = spec
        # Channels last suits oneDNN and cuDNN (on a CPU MobileNetV2 gains half as much again); it is untried on Metal.
        self._layout = torch.contiguous_format if self.device == "mps" else torch.channels_last
        self._module = module.eval().to(self.device).to(memory_format=self._layout)
        self.dimension = self._probe()
        log.info("encoder %s on %s: %s", name, self.device, self.device_reason)

    def embed(self, slices: np.ndarray) -> np.ndarray:
        """Slices float32 [n, 3, input_size, input_size] in [0, 1] to float32 [n, d] unit rows.

        Raises:
            EncoderError: not even one slice fits into memory, or the network returned NaN.
        """
        features = np.empty((len(slices), self.dimension), dtype=np.float32)
        start = 0
        while start < len(slices):
            batch = slices[start : start + self.batch_size]
            made = self._within_memory(batch)
            if made is None:
                continue
            features[start : start + len(batch)] = made
            start += len(batch)
        return self._unit_rows(features)

    def _within_memory(self, batch: np.ndarray) -> np.ndarray | None:
        """The features of a batch; None where it did not fit, with the batch size halved for the next try."""
        try:
            return self._features(batch)
        except RuntimeError as error:
            if not _is_out_of_memory(error):
                raise
            if len(batch) == 1:
                raise EncoderError(
                    f"{self.name} on {self.device}: one slice of {self.input_size} pixels does not fit into memory; "
                    "close other programs or use another device (cpu)"
                ) from error
        self.batch_size = len(batch) // 2
        log.warning("%s on %s: out of memory, going on with %d slices at once", self.name, self.device, self.batch_size)
        _release_memory(self.device)
        return None

    def _features(self, batch: np.ndarray) -> np.ndarray:
        """One pass through the network, [n, d]."""
        import torch

        images = torch.from_numpy(self._spec.prepare(batch)).to(self.device, memory_format=self._layout)
        # cuDNN would otherwise compute convolutions in TF32, with 10 of the 23 bits that float32 promises.
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            return self._module(images).float().cpu().numpy()

    def _probe(self) -> int:
        """The dimension, after one pass that shows whether the network takes and returns what an encoder must."""
        size = self.input_size
        try:
            made = self._features(np.full((2, 3, size, size), 0.5, np.float32))
        except (RuntimeError, AttributeError, TypeError) as error:
            if isinstance(error, RuntimeError) and _is_out_of_memory(error):
                raise EncoderError(f"{self.name} does not fit into the memory of {self.device}") from error
            raise WeightsError(
                f"{self.weights_path}: the network fails on slices [2, 3, {size}, {size}]; is the input size right? "
                f"({_last_line(error)})"
            ) from error
        if made.ndim != 2 or len(made) != 2 or made.shape[1] == 0:
            raise WeightsError(
                f"{self.weights_path}: the network turns slices [2, 3, {size}, {size}] into an array of shape "
                f"{list(made.shape)}; expected one pooled vector for each slice, [2, d]"
            )
        if not np.isfinite(made).all():
            raise WeightsError(f"{self.weights_path}: the network returns NaN or infinity; are its weights damaged?")
        return int(made.shape[1])

    def _unit_rows(self, features: np.ndarray) -> np.ndarray:
        length = np.linalg.norm(features, axis=1, keepdims=True)
        if not np.isfinite(length).all():
            raise EncoderError(
                f"{self.name} on {self.device} returned NaN or infinity for {np.sum(~np.isfinite(length))} slices"
            )
        return np.where(length > 0, features / np.where(length > 0, length, 1), 1 / np.sqrt(self.dimension)).astype(
            np.float32
        )


def choose_device(asked: str | None = None) -> tuple[str, str]:
    """Where to run, and why: as asked, else CUDA, MPS (Apple), CPU, whichever is there first.

    Raises:
        EncoderError: the device that was asked for is not there.
    """
    torch = require_torch("a network")
    found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if asked:
        kind, _, number = asked.partition(":")
        many = torch.cuda.device_count() if kind == "cuda" else 1
        if not found.get(kind) or (number and not (number.isdigit() and int(number) < many)):
            usable = ", ".join(name for name, there in found.items() if there)
            raise EncoderError(f"device {asked!r} is not available here; available: {usable}")
        return asked, "as asked"
    if found["cuda"]:
        return "cuda", f"CUDA is available ({torch.cuda.get_device_name(0)})"
    if found["mps"]:
        return "mps", "Apple's Metal is available"
    built = "is not built with CUDA" if torch.version.cuda is None else "finds no CUDA device"
    return "cpu", f"this torch {built}, and Apple's Metal is not available"


def require_torch(purpose: str) -> Any:
    """The torch package; MissingPackageError where it is not installed."""
    try:
        import torch
    except ImportError as error:
        raise MissingPackageError("torch", purpose) from error
    return torch


def sha256_of(path: Path) -> str:
    """64 hex digits of a file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _is_out_of_memory(error: RuntimeError) -> bool:
    """CUDA has a type for it; MPS and the CPU only say so."""
    import torch

    said = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or any(
        sign in said for sign in ("out of memory", "can't allocate memory", "not enough memory")
    )


def _release_memory(device: str) -> None:
    import torch

    release: Callable[[], None] | None = {"cuda": torch.cuda.empty_cache, "mps": torch.mps.empty_cache}.get(
        device.partition(":")[0]
    )
    if release is not None:
        release()


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
