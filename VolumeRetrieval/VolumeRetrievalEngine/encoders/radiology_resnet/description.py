"""What is known of a file of weights: the JSON next to it, which Training/export.py writes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import WeightsError
from ..networks.input_spec import InputSpec

NAME = "radiology-resnet"

#: Where the weights that ship with the engine lie.
FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Description:
    """The network and the input of one file of weights, or of two with the same values (MONAI and ONNX).

    Attributes:
        path: of the JSON.
        layers, widths: blocks and channels of the four stages.
        dimension: length of an embedding.
        grid: see architecture.py.
        spec: size and normalisation of the input.
        hashes: sha256 by file name.
    """

    path: Path
    layers: tuple[int, ...]
    widths: tuple[int, ...]
    dimension: int
    grid: int
    spec: InputSpec
    hashes: Mapping[str, str]

    @property
    def tensors_path(self) -> Path:
        """The weights of the MONAI network."""
        return self.path.with_suffix(".safetensors")

    @property
    def onnx_path(self) -> Path:
        """The same network for onnxruntime."""
        return self.path.with_suffix(".onnx")

    @property
    def weights(self) -> str:
        """sha256 of the MONAI network's weights: of the recipe, whichever of the two files runs."""
        return self._hash(self.tensors_path)

    def check(self, path: Path) -> None:
        """WeightsError unless this file is the one that was described."""
        try:
            with path.open("rb") as stream:
                found = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise WeightsError(f"{path}: cannot be read ({error.strerror}); {_remedy(path)}") from error
        if found != self._hash(path):
            raise WeightsError(
                f"{path}: damaged or exchanged: its sha256 is {found[:16]}..., {self.path.name} says "
                f"{self._hash(path)[:16]}...; {_remedy(path)}"
            )

    def _hash(self, path: Path) -> str:
        try:
            return self.hashes[path.name]
        except KeyError:
            raise WeightsError(f"{self.path}: expected the sha256 of {path.name} in it") from None


def read_description(weights: Path | None = None) -> Description:
    """The description of the weights that ship with the engine, or of those in another file.

    Args:
        weights: a .safetensors (or .onnx) file of this network, with its JSON next to it, or that JSON.

    Raises:
        WeightsError: there is no such JSON, or it is not one that Training/export.py wrote.
    """
    path = FOLDER / f"{NAME}.json" if weights is None else weights.with_suffix(".json")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return _parsed(path, values)
    except OSError as error:
        raise WeightsError(
            f"{path}: cannot be read ({error.strerror}); expected next to the weights: it says what network they are "
            f"of; {_remedy(path)}"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(
            f"{path}: expected the JSON that the training writes, with layers, widths, dimension, input_size, mean, "
            f"std and sha256 ({type(error).__name__}: {error}); {_remedy(path)}"
        ) from error


def _parsed(path: Path, values: Mapping[str, Any]) -> Description:
    mean, std = ([float(one) for one in values[entry]] for entry in ("mean", "std"))
    if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
        raise ValueError("mean and std are not three numbers each")
    spec = InputSpec(
        input_size=int(values["input_size"]),
        scale=tuple(1 / one for one in std),
        offset=tuple(-one / other for one, other in zip(mean, std, strict=True)),
        name=NAME,
    )
    hashes = {str(name): str(value).lower() for name, value in values["sha256"].items()}
    layers, widths = (tuple(int(one) for one in values[entry]) for entry in ("layers", "widths"))
    grid = int(values.get("grid", 1))  # the first edition had none
    return Description(path, layers, widths, int(values["dimension"]), grid, spec, hashes)


def _remedy(path: Path) -> str:
    ships = path.is_relative_to(FOLDER)
    return "install the extension again" if ships else "copy it again from where it was made"
