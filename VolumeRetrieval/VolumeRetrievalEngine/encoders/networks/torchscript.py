"""A network that the user brings as a TorchScript file, with a small JSON that says what it takes."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

from ...errors import WeightsError
from .device import require_torch
from .input_spec import find_spec
from .network import Network

log = logging.getLogger(__name__)


def torchscript_encoder(weights: Path, **settings: Any) -> Network:
    """The encoder in a TorchScript file.

    Args:
        weights: the file, with a JSON of the same name next to it; or the JSON, with an entry "file" (input_spec.py).
        settings: device, precision, batch_size and threads, as for :class:`Network`.

    Raises:
        WeightsError: a file is missing, is no TorchScript, or is no network from slices to vectors.
    """
    torch = require_torch("the encoder torchscript")
    path, spec = find_spec(Path(weights), required=True)
    log.warning("loading %s: a TorchScript file is a program and can run code; use only files that you trust", path)
    try:
        module = torch.jit.load(path, map_location="cpu")
    except (RuntimeError, ValueError, OSError) as error:
        raise WeightsError(f"{path}: cannot be read as a TorchScript file (torch.jit.save writes one)") from error
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", spec.name).strip("-.")
    return Network(
        module,
        selector="torchscript",
        name=f"torchscript-{name}" if name else "torchscript",
        spec=spec,
        weights_path=path,
        source=Path(weights),
        **settings,
    )
