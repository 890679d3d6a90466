"""What a network expects of its input, as a small JSON file next to its weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import WeightsError

if TYPE_CHECKING:
    import torch

#: What to write, shown whenever such a file is missing or wrong.
EXAMPLE = """{
  "name": "my-network",
  "input_size": 224,
  "mean": [0.485, 0.456, 0.406],
  "std": [0.229, 0.224, 0.225],
  "channels": "rgb",
  "output": "pooled"
}"""
EXPLANATION = (
    "input_size is the side of the square input in pixels; slices have values in [0, 1] and become (value - mean) / std"
    ' (instead of mean and std: "scale" and "offset" for value * scale + offset, or "value_range": [-1, 1]); "channels"'
    ' is "rgb" or "bgr"; "output" is "pooled", one feature vector for each slice; "file" names the weights if the JSON'
    " does not lie next to them under the same name."
)

_KNOWN = {"name", "file", "input_size", "mean", "std", "scale", "offset", "value_range", "channels", "output"}
_WAYS = ({"mean", "std"}, {"scale", "offset"}, {"value_range"})


@dataclass(frozen=True)
class InputSpec:
    """Size and normalisation of a network's input.

    Attributes:
        input_size: side of the square input in pixels.
        scale, offset: for each channel; a value in [0, 1] becomes value * scale + offset.
        reversed_channels: whether the network's first channel is our last (BGR).
        name: what the network is called; "" for nothing in particular.
    """

    input_size: int = 224
    scale: tuple[float, ...] = (1.0, 1.0, 1.0)
    offset: tuple[float, ...] = (0.0, 0.0, 0.0)
    reversed_channels: bool = False
    name: str = ""

    @property
    def normalisation(self) -> str:
        """Canonical JSON of everything but the size, for the recipe."""
        values = {"bgr": self.reversed_channels, "offset": self.offset, "scale": self.scale}
        return json.dumps(values, sort_keys=True, separators=(",", ":"))

    def prepare(self, slices: np.ndarray) -> np.ndarray:
        """Slices float32 [n, 3, h, w] in [0, 1] to what the network takes, float32 of the same shape."""
        if self.reversed_channels:
            slices = slices[:, ::-1]
        prepared = slices * np.array(self.scale, np.float32)[:, None, None]
        prepared += np.array(self.offset, np.float32)[:, None, None]
        return prepared

    def prepare_tensor(self, slices: torch.Tensor) -> torch.Tensor:
        """The same for a tensor, on the device that it is on."""
        if self.reversed_channels:
            slices = slices.flip(1)
        scale, offset = (slices.new_tensor(values)[:, None, None] for values in (self.scale, self.offset))
        return slices * scale + offset


def find_spec(weights: Path, required: bool) -> tuple[Path, InputSpec]:
    """The weights file and its input: `weights` is the weights file with a JSON of the same name next to it, or a JSON
    that names the weights in "file" (relative to itself).

    Args:
        required: whether the JSON must exist; otherwise 224 pixels, values in [0, 1] as they are.

    Raises:
        WeightsError: a file is missing or the JSON says something else than expected; the text says what to write.
    """
    described = weights if weights.suffix.lower() == ".json" else weights.with_suffix(".json")
    if described.is_file():
        values = _read(described)
        spec = _parsed(values, described)
        weights = described.parent / values["file"] if "file" in values else weights
        if weights == described:
            raise WeightsError(f'{described}: expected an entry "file" that names the network\'s weights')
    elif weights != described and not weights.is_file():
        raise _no_weights(weights)
    elif required:
        raise WeightsError(
            f"{described} is missing: how the network takes its input has to be written there, for example\n"
            f"{EXAMPLE}\n{EXPLANATION}"
        )
    else:
        spec = InputSpec()
    if not weights.is_file():
        raise _no_weights(weights)
    return weights, spec


def _no_weights(path: Path) -> WeightsError:
    return WeightsError(
        f"{path}: no such file; expected the network's weights. If they have moved, say where",
        "--weights FILE",
    )


def _read(path: Path) -> Mapping[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise _wrong(path, f"cannot be read as JSON ({error})") from error
    if not isinstance(values, dict):
        raise _wrong(path, f"holds {values!r:.40}")
    return values


def _parsed(values: Mapping[str, Any], path: Path) -> InputSpec:
    if unknown := sorted(set(values) - _KNOWN):
        raise _wrong(path, f"unknown entries {unknown}")
    size = values.get("input_size")
    if not isinstance(size, int) or not 16 <= size <= 2048:
        raise _wrong(path, f"input_size is {size!r}, expected a whole number from 16 to 2048")
    if values.get("output", "pooled") != "pooled":
        raise _wrong(path, f"output is {values['output']!r}, expected 'pooled'")
    channels = str(values.get("channels", "rgb")).lower()
    if channels not in ("rgb", "bgr"):
        raise _wrong(path, f"channels is {values['channels']!r}, expected 'rgb' or 'bgr'")
    given = [way for way in _WAYS if way & set(values)]
    if len(given) != 1 or not given[0] <= set(values):
        raise _wrong(path, "expected either mean and std, or scale and offset, or value_range")
    scale, offset = _scale_and_offset(values, path)
    return InputSpec(size, scale, offset, channels == "bgr", str(values.get("name", "")))


def _scale_and_offset(values: Mapping[str, Any], path: Path) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if "value_range" in values:
        low, high = _numbers(values, "value_range", 2, path)
        return (float(high - low),) * 3, (float(low),) * 3
    if "scale" in values:
        scale, offset = _numbers(values, "scale", 3, path), _numbers(values, "offset", 3, path)
    else:
        mean, std = _numbers(values, "mean", 3, path), _numbers(values, "std", 3, path)
        if np.any(std <= 0):
            raise _wrong(path, f"std is {values['std']!r}, expected positive numbers")
        scale, offset = 1 / std, -mean / std
    return tuple(scale.tolist()), tuple(offset.tolist())


def _numbers(values: Mapping[str, Any], entry: str, count: int, path: Path) -> np.ndarray:
    """The entry as float64 [count]; one number counts for all channels."""
    try:
        numbers = np.asarray(values[entry], dtype=np.float64).reshape(-1)
        numbers = np.repeat(numbers, count) if numbers.size == 1 and entry != "value_range" else numbers
    except (ValueError, TypeError):
        numbers = np.zeros(0)
    if numbers.size != count or not np.all(np.isfinite(numbers)):
        raise _wrong(path, f"{entry} is {values[entry]!r}, expected {count} numbers")
    return numbers


def _wrong(path: Path, what: str) -> WeightsError:
    return WeightsError(f"{path}: {what}. It should look like\n{EXAMPLE}\n{EXPLANATION}")
