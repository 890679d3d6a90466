"""Tensors out of a weights file, never by running what is in it, and into a network, every one of them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ...errors import MissingPackageError, WeightsError

if TYPE_CHECKING:
    import torch

#: Tensor names shown of each kind in an error.
_SHOWN = 6

#: Batch normalisation counts its updates; the count changes nothing in inference and is not always saved.
_COUNTER = "num_batches_tracked"


class SourceTensors:
    """The tensors of a publisher's file, each of which has to be used once or left out by name.

    Args:
        tensors: by the publisher's names.
        path: of the file, for errors.
    """

    def __init__(self, tensors: Mapping[str, torch.Tensor], path: Path):
        self.path = path
        self._remaining = dict(tensors)

    def __contains__(self, name: str) -> bool:
        return name in self._remaining

    def take(self, name: str) -> torch.Tensor:
        """The tensor of this name, which counts as used; WeightsError if the file has none."""
        tensor = self._remaining.pop(name, None)
        if tensor is None:
            raise WeightsError(f"{self.path}: the weights are not of this network, there is no tensor {name!r} in it")
        return tensor

    def take_optional(self, name: str) -> torch.Tensor | None:
        """The tensor of this name, None if the file has none."""
        return self._remaining.pop(name, None)

    def shape_of(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor, which does not count as used by this; WeightsError if the file has none."""
        tensor = self.take(name)
        self._remaining[name] = tensor
        return tuple(tensor.shape)

    def leave_out(self, *patterns: str) -> None:
        """Count the tensors whose whole name matches one of these regular expressions as not needed."""
        for name in list(self._remaining):
            if any(re.fullmatch(pattern, name) for pattern in patterns):
                del self._remaining[name]

    def names(self) -> tuple[str, ...]:
        """Those that are neither used nor left out."""
        return tuple(self._remaining)

    def finish(self) -> None:
        """WeightsError with the names of the tensors that nothing was made of."""
        if self._remaining:
            raise WeightsError(
                f"{self.path}: the weights are not of this network. Tensors {_told('unexpected', self.names())}"
            )


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors in a file by name, without a wrapping checkpoint and DataParallel's prefix.

    Raises:
        WeightsError: the file holds something else, or is damaged.
        MissingPackageError: a .safetensors file, and safetensors is not installed.
    """
    if path.suffix.lower() == ".safetensors":
        return _safetensors(path, path)
    return _unwrapped(_torch_file(path, path), path)


def tensors_in(stream: IO[bytes], name: str, path: Path) -> dict[str, torch.Tensor]:
    """As :func:`read_tensors`, for a file `name` inside the archive `path`; the stream has to be seekable."""
    if name.lower().endswith(".safetensors"):
        return _safetensors(stream, path)
    return _unwrapped(_torch_file(stream, path), path)


def fit(
    module: torch.nn.Module, tensors: Mapping[str, torch.Tensor], path: Path, left_out: tuple[str, ...] = ()
) -> None:
    """Put the tensors into the module; every one must fit, but for those that begin with a name that is left out.

    Raises:
        WeightsError: tensors that are missing, unexpected or of the wrong shape, with their names.
    """
    expected = module.state_dict()
    given = {name: tensor for name, tensor in tensors.items() if not name.startswith(left_out)}
    missing = [name for name in expected if name not in given and not name.endswith(_COUNTER)]
    unexpected = [name for name in given if name not in expected]
    misshaped = [
        f"{name} {list(given[name].shape)} instead of {list(tensor.shape)}"
        for name, tensor in expected.items()
        if name in given and given[name].shape != tensor.shape
    ]
    kinds = (("missing", missing), ("unexpected", unexpected), ("of the wrong shape", misshaped))
    if any(names for _, names in kinds):
        told = "; ".join(_told(kind, names) for kind, names in kinds if names)
        raise WeightsError(f"{path}: the weights are not of this network. Tensors {told}")
    module.load_state_dict({name: tensor for name, tensor in given.items() if name in expected}, strict=False)


def _safetensors(file: Path | IO[bytes], path: Path) -> dict[str, torch.Tensor]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load, load_file
    except ImportError as error:
        raise MissingPackageError("safetensors", f"reading {path}") from error
    try:
        return load_file(file) if isinstance(file, Path) else load(file.read())
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: cannot be read as safetensors ({error})") from error


def _torch_file(file: Path | IO[bytes], path: Path) -> Any:
    import torch

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*TorchScript archive")  # it is refused in our words
            return torch.load(file, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # a damaged file makes torch fail in any way: IndexError, struct.error, AssertionError
        raise WeightsError(
            f"{path}: cannot be read as a file of tensors only; expected a state dict as torch.save or safetensors "
            "writes it, not a pickled network, nor a TorchScript file (which is an encoder by itself: torchscript)"
        ) from error


def _unwrapped(state: Any, path: Path) -> dict[str, torch.Tensor]:
    import torch

    for wrapper in ("state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(wrapper), dict):
            state = state[wrapper]
    named = isinstance(state, dict) and all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in state.items()
    )
    if not named or not state:
        raise WeightsError(f"{path}: holds no state dict (tensors by name)")
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}


def _told(kind: str, names: Iterable[str]) -> str:
    listed = list(names)
    rest = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return f"{kind} ({len(listed)}): {', '.join(listed[:_SHOWN])}{rest}"
