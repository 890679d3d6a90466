"""radiology-resnet by onnxruntime: small wheels, also where there is no current torch. On the CPU."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import EncoderError, MissingPackageError, WeightsError
from ..networks.device import available_cores, concurrent_calls
from ..networks.input_spec import InputSpec
from ..unit_rows import unit_rows
from .description import NAME, Description, read_description
from .editions import read_edition

if TYPE_CHECKING:
    import onnxruntime

log = logging.getLogger(__name__)

#: Slices in one pass; see monai_backend.py.
_BATCH_SIZE = 8


class OnnxRadiologyResNet:
    """The shipped network, by onnxruntime; an Encoder.

    Args:
        described: the weights.
        batch_size: slices in one pass; None for what is fastest.
        backend_reason: why no better back end runs, to show.
        threads: of onnxruntime; None for OMP_NUM_THREADS, as torch takes it, else the cores that this process may use.

    Raises:
        WeightsError: the file is missing, damaged, or not of this network.
        MissingPackageError: onnxruntime is not installed.
    """

    name = selector = NAME
    backend = "onnxruntime"
    device, precision = "cpu", "float32"

    def __init__(
        self,
        described: Description,
        *,
        batch_size: int | None = None,
        threads: int | None = None,
        backend_reason: str = "",
    ):
        described.check(described.onnx_path)
        self.backend_reason = backend_reason
        self.weights = described.weights
        self.weights_path = described.onnx_path
        self.input_size, self.normalisation = described.spec.input_size, described.spec.normalisation
        self.dimension = described.dimension
        self.batch_size = batch_size or _BATCH_SIZE
        self._spec: InputSpec = described.spec
        self._session = _session(described.onnx_path, threads or _usual_threads())
        self._input = self._session.get_inputs()[0].name
        self._probe()

    def embed(self, slices: np.ndarray) -> np.ndarray:
        """Slices float32 [n, 3, input_size, input_size] in [0, 1] to float32 [n, d] unit rows.

        Raises:
            EncoderError: onnxruntime failed, or the network returned NaN.
        """
        features = np.empty((len(slices), self.dimension), dtype=np.float32)
        for start in range(0, len(slices), self.batch_size):
            batch = slices[start : start + self.batch_size]
            features[start : start + len(batch)] = self._features(batch)
        return unit_rows(features, self.name)

    def _features(self, batch: np.ndarray) -> np.ndarray:
        """One pass through the network, [n, d]."""
        try:
            return self._session.run(None, {self._input: self._spec.prepare(batch)})[0]
        except Exception as error:  # onnxruntime's errors have no base of their own
            raise EncoderError(f"{self.name}: onnxruntime failed on {len(batch)} slices ({_short(error)})") from error

    def _probe(self) -> None:
        """One pass that shows whether the network is the one that was described."""
        size = self.input_size
        try:
            made = self._features(np.full((2, 3, size, size), 0.5, np.float32))
        except EncoderError as error:
            raise WeightsError(f"{self.weights_path}: {error}") from error
        if made.shape != (2, self.dimension) or not np.isfinite(made).all():
            raise WeightsError(
                f"{self.weights_path}: the network turns slices [2, 3, {size}, {size}] into an array of shape "
                f"{list(made.shape)}; expected finite numbers [2, {self.dimension}]"
            )


def onnx_radiology_resnet(weights: Path | None = None, *, edition: str = "", **settings: Any) -> OnnxRadiologyResNet:
    """The encoder by onnxruntime.

    Args:
        weights: the JSON of a file of weights of this network; None for those that ship.
        edition: of those that ship, the ones with this sha256 (editions.py); "" for the current ones.
        settings: batch_size, threads and backend_reason, as for :class:`OnnxRadiologyResNet`.
    """
    described = read_edition(edition) if weights is None else read_description(weights)
    return OnnxRadiologyResNet(described, **settings)


def _session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingPackageError("onnxruntime", f"the encoder {NAME} without torch") from error
    onnxruntime.disable_telemetry_events()  # its Windows builds would report to the system's event log
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only: its warnings are about its own optimisations
    # A thread that waits for the next batch would otherwise keep its core busy, which makes the next images.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no base of their own
        raise WeightsError(f"{path}: onnxruntime {onnxruntime.__version__} cannot load it ({_short(error)})") from error
    log.info("encoder %s by onnxruntime %s, %d threads", NAME, onnxruntime.__version__, threads)
    return session


def _usual_threads() -> int:
    if concurrent_calls() > 1:
        return 1
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdecimal() and int(asked) > 0:
        return int(asked)
    return available_cores()


def _short(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
