"""A torch network as an encoder: where it runs, in which batches, and unit rows out of it."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...errors import EncoderError, WeightsError
from ..unit_rows import unit_rows
from .batch_size import fastest_batch_size
from .device import (
    BFLOAT16,
    FLOAT16,
    FLOAT32,
    autocast,
    choose_device,
    choose_precision,
    concurrent_calls,
    forget_peak_memory,
    free_memory,
    is_out_of_memory,
    last_line,
    peak_memory,
    release_memory,
    require_torch,
    wait_for,
)
from .input_spec import InputSpec

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

#: Slices in one pass on a CPU, which is fastest while a batch's activations stay in its cache (MobileNetV2 at 224
#: pixels, one core: twice as many slices per second in fours as in thirty-twos). A GPU wants to be filled: how many
#: that takes is measured.
_BATCH_SIZE_CPU = 4
#: Another precision is used only if embeddings have at least this cosine with those in float32.
_AGREEMENT = 0.999


class Network:
    """A torch module from slices to pooled features; an Encoder.

    Args:
        module: takes float32 [n, 3, size, size], returns [n, d].
        selector, source: name and file that :func:`create_encoder` was asked for.
        weights_path: the file with the weights themselves; `source` may be the JSON that names it.
        device: "cpu", "cuda", "cuda:1", "mps"; None chooses.
        precision: one of device.PRECISIONS; None or "auto" chooses. Where embeddings in another precision than float32
            do not agree with those in it (cosine 0.999 on trial slices), it is float32, with a warning.
        batch_size: slices in one pass at most; None finds how many are fastest. Halved for good when the memory does
            not suffice.
        threads: of torch's on the CPU, for the whole process; None leaves them as they are.

    Attributes:
        device_reason, precision_reason: why there and why so, for people.

    Raises:
        WeightsError: the module does not turn such slices into finite vectors.
        EncoderError: the device is not there, or there is no such precision.
    """

    precision, precision_reason = FLOAT32, ""

    def __init__(
        self,
        module: torch.nn.Module,
        *,
        selector: str,
        name: str,
        spec: InputSpec,
        weights_path: Path,
        source: Path | None,
        device: str | None = None,
        precision: str | None = None,
        batch_size: int | None = None,
        threads: int | None = None,
    ):
        torch = require_torch("a network")
        if threads or concurrent_calls() > 1:
            torch.set_num_threads(threads or 1)
        self.selector, self.source, self.name, self.weights_path = selector, source, name, weights_path
        self.weights = sha256_of(weights_path)
        self.input_size, self.normalisation = spec.input_size, spec.normalisation
        self.device, self.device_reason = choose_device(device)
        wanted, reason = choose_precision(precision, self.device)
        self._spec = spec
        # Channels last suits oneDNN and cuDNN (on a CPU MobileNetV2 gains half as much again); it is untried on Metal.
        self._layout = torch.contiguous_format if self.device.startswith("mps") else torch.channels_last
        self._module = module.eval().to(self.device).to(memory_format=self._layout)
        self.batch_size = batch_size or _BATCH_SIZE_CPU
        self.dimension = self._probe()
        self._use_precision(wanted, reason, chosen=precision in (None, "auto"))
        if not batch_size and not self._on_cpu:
            self.batch_size = self._fastest_batch_size()
        log.info(
            "encoder %s on %s (%s) in %s (%s), %d slices at once",
            *(name, self.device, self.device_reason, self.precision, self.precision_reason, self.batch_size),
        )

    def embed(self, slices: np.ndarray) -> np.ndarray:
        """Slices float32 [n, 3, input_size, input_size] in [0, 1] to float32 [n, d] unit rows.

        Raises:
            EncoderError: not even one slice fits into memory, or the network returned NaN.
        """
        import torch

        parts: list[torch.Tensor] = []
        start = 0
        while start < len(slices):
            batch = slices[start : start + self.batch_size]
            made = self._within_memory(batch)
            if made is None:
                continue
            parts.append(made)
            start += len(batch)
        # One copy at the end: a graphics card computes on while the next batch is handed over.
        features = torch.cat(parts).cpu().numpy() if parts else np.empty((0, self.dimension), np.float32)
        if self.precision != FLOAT32 and not np.isfinite(features).all():
            self._give_up_precision(f"not {self.precision}: values went past what it can hold")
            return self.embed(slices)
        return unit_rows(features, f"{self.name} on {self.device}")

    def _within_memory(self, batch: np.ndarray) -> torch.Tensor | None:
        """The features of a batch; None where it did not fit, with the batch size halved for the next try."""
        try:
            return self._features(batch)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            if len(batch) == 1:
                raise EncoderError(
                    f"{self.name} on {self.device}: one slice of {self.input_size} pixels does not fit into memory; "
                    "close other programs or use another device (cpu)"
                ) from error
        self.batch_size = len(batch) // 2
        log.warning("%s on %s: out of memory, going on with %d slices at once", self.name, self.device, self.batch_size)
        release_memory(self.device)
        return None

    def _features(self, batch: np.ndarray) -> torch.Tensor:
        """One pass through the network, float32 [n, d] on its device, which may still be computing it."""
        return self.forward(self.prepare(batch))

    def prepare(self, batch: np.ndarray) -> torch.Tensor:
        """Slices float32 [n, 3, s, s] in [0, 1] as the network takes them, on its device."""
        import torch

        if self._on_cpu:
            return torch.from_numpy(self._spec.prepare(batch)).to(memory_format=self._layout)
        images = torch.from_numpy(np.ascontiguousarray(batch))
        if self.device.startswith("cuda"):
            images = images.pin_memory()  # only from such memory does a copy run alongside the computing
        return self._spec.prepare_tensor(images.to(self.device, non_blocking=True)).contiguous(
            memory_format=self._layout
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The network alone, on what :meth:`prepare` made: float32 [n, d] on its device, not of unit length."""
        import torch

        reduced = contextlib.nullcontext() if self.precision == FLOAT32 else autocast(self.device, self.precision)
        # cuDNN would otherwise compute convolutions in TF32, with 10 of the 23 bits that float32 promises.
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False), reduced:
            return self._module(images).float()

    @property
    def _on_cpu(self) -> bool:
        return self.device.startswith("cpu")

    def _use_precision(self, wanted: str, reason: str, chosen: bool) -> None:
        """Compute in another precision from now on, if that gives the same embeddings.

        Args:
            chosen: by us, so that float16, with three more bits, may stand in for bfloat16.
        """
        self.precision_reason = reason
        if wanted == FLOAT32:
            return
        exact = self._trial()
        problems: list[str] = []
        for precision in (wanted, FLOAT16) if chosen and wanted == BFLOAT16 else (wanted,):
            problem = self._problem_of(precision, exact)
            if not problem:
                self.precision = precision
                self.precision_reason = "; ".join((*problems, reason))
                return
            problems.append(f"not {precision}: {problem}")
        self._give_up_precision("; ".join(problems))

    def _problem_of(self, precision: str, exact: np.ndarray) -> str:
        """Why embeddings of the trial slices are not those in float32 (`exact`), "" if they are."""
        self.precision = precision
        try:
            cosine = _least_cosine(exact, self._trial())
        except RuntimeError as error:
            return last_line(error)
        finally:
            self.precision = FLOAT32
        # "not >=", because it may be not a number.
        return f"embeddings have a cosine of {cosine:.4f} with those in float32" if not cosine >= _AGREEMENT else ""

    def _trial(self) -> np.ndarray:
        return self._features(_trial_slices(self.input_size)).cpu().numpy()

    def _give_up_precision(self, problem: str) -> None:
        self.precision_reason = problem
        log.warning("%s on %s: computing in float32, %s", self.name, self.device, self.precision_reason)
        self.precision = FLOAT32

    def _fastest_batch_size(self) -> int:
        free = free_memory(self.device)
        found = fastest_batch_size(self._seconds, lambda: peak_memory(self.device), free)
        release_memory(self.device)
        return found

    def _seconds(self, size: int) -> float | None:
        """What a pass of so many slices takes; None if it does not fit into the memory."""
        trial = np.zeros((size, 3, self.input_size, self.input_size), np.float32)
        try:
            forget_peak_memory(self.device)
            images = self.prepare(trial)
            self.forward(images)  # chooses its algorithms
            wait_for(self.device)
            started = time.perf_counter()
            self.forward(images)
            self.forward(images)
            wait_for(self.device)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            release_memory(self.device)
            return None
        return (time.perf_counter() - started) / 2

    def _probe(self) -> int:
        """The dimension, after one pass that shows whether the network takes and returns what an encoder must."""
        size = self.input_size
        try:
            made = self._features(np.full((2, 3, size, size), 0.5, np.float32)).cpu().numpy()
        except (RuntimeError, AttributeError, TypeError) as error:
            if isinstance(error, RuntimeError) and is_out_of_memory(error):
                raise EncoderError(f"{self.name} does not fit into the memory of {self.device}") from error
            raise WeightsError(
                f"{self.weights_path}: the network fails on slices [2, 3, {size}, {size}]; is the input size right? "
                f"({last_line(error)})"
            ) from error
        if made.ndim != 2 or len(made) != 2 or made.shape[1] == 0:
            raise WeightsError(
                f"{self.weights_path}: the network turns slices [2, 3, {size}, {size}] into an array of shape "
                f"{list(made.shape)}; expected one pooled vector for each slice, [2, d]"
            )
        if not np.isfinite(made).all():
            raise WeightsError(f"{self.weights_path}: the network returns NaN or infinity; are its weights damaged?")
        return int(made.shape[1])


def _trial_slices(size: int) -> np.ndarray:
    """Float32 [4, 3, size, size] in [0, 1]: patterns from coarse to fine, the same ones always."""
    random = np.random.default_rng(0)
    trial = np.empty((4, 3, size, size), np.float32)
    for number, cells in enumerate((2, 5, 16, size)):
        coarse = random.uniform(size=(3, cells, cells))
        place = np.arange(size) * cells // size
        trial[number] = coarse[:, place[:, None], place]
    return trial


def _least_cosine(ours: np.ndarray, theirs: np.ndarray) -> float:
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    return float((np.sum(ours * theirs, axis=1) / np.where(lengths > 0, lengths, 1)).min())


def sha256_of(path: Path) -> str:
    """64 hex digits of a file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
