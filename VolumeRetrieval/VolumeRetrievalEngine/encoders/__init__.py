"""Encoders: slices in, unit vectors out.

`descriptor` needs numpy alone and always works. Networks need torch: `torchscript` runs a file that the user brings,
`monai:NETWORK` a network of MONAI with a file of weights. A further kind of encoder is one more entry in _KINDS.

Example:
    >>> encoder = create_encoder("descriptor")
    >>> stack = preprocess(volume, recipe_for(encoder))
    >>> embeddings = encode(stack, encoder)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec as installed
from pathlib import Path
from typing import Any

from ..errors import EncoderError
from .base import Encoder
from .descriptor import Descriptor
from .encode import encode, prefetched, recipe_for
from .monai_network import NETWORKS, monai_encoder
from .torchscript import torchscript_encoder

__all__ = [
    "Encoder",
    "EncoderChoice",
    "available_encoders",
    "create_encoder",
    "encode",
    "encoder_note",
    "prefetched",
    "recipe_for",
]


@dataclass(frozen=True)
class EncoderChoice:
    """An encoder that can be asked for.

    Attributes:
        name: for :func:`create_encoder`.
        needs_weights: whether a file has to come with it.
        missing: packages that are not installed, () if it can be used.
    """

    name: str
    needs_weights: bool
    missing: tuple[str, ...]


@dataclass(frozen=True)
class _Kind:
    """One kind of encoder: makes one from what follows the colon, the weights and the settings."""

    make: Callable[..., Encoder]
    packages: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    needs_weights: bool = True


def _make_descriptor(variant: str, weights: Path | None, **settings: Any) -> Encoder:
    return Descriptor()


def _make_torchscript(variant: str, weights: Path, **settings: Any) -> Encoder:
    return torchscript_encoder(weights, **settings)


_KINDS: Mapping[str, _Kind] = {
    "descriptor": _Kind(_make_descriptor, needs_weights=False),
    "torchscript": _Kind(_make_torchscript, packages=("torch",)),
    "monai": _Kind(monai_encoder, packages=("torch", "monai"), variants=NETWORKS),
}


def create_encoder(
    name: str,
    *,
    weights: Path | str | None = None,
    device: str | None = None,
    batch_size: int | None = None,
    threads: int | None = None,
) -> Encoder:
    """The encoder of this name.

    Args:
        name: "descriptor", "torchscript" or "monai:NETWORK" (see :func:`available_encoders`).
        weights: the network's file.
        device: "cpu", "cuda", "cuda:1" or "mps"; None takes the best there is. The descriptor has no choice.
        batch_size: slices at once at most; networks halve it when memory does not suffice.
        threads: torch's threads on the CPU; None leaves them as they are.

    Raises:
        EncoderError: no such encoder.
        WeightsError: weights that are missing or do not fit.
        MissingPackageError: a package is not installed.
    """
    kind_name, _, variant = name.partition(":")
    kind = _KINDS.get(kind_name)
    if kind is None or bool(variant) != bool(kind.variants):
        known = ", ".join(choice.name for choice in available_encoders())
        raise EncoderError(f"unknown encoder {name!r}: expected one of {known}")
    if kind.needs_weights and weights is None:
        raise EncoderError(f"the encoder {name} needs a file of weights: --weights FILE")
    if weights is not None and not kind.needs_weights:
        raise EncoderError(f"the encoder {name} takes no weights, but {weights} was given")
    settings = {"device": device, "batch_size": batch_size, "threads": threads}
    return kind.make(variant, None if weights is None else Path(weights), **settings)


def available_encoders() -> tuple[EncoderChoice, ...]:
    """Every encoder that can be asked for, and what each still needs."""
    choices = []
    for kind_name, kind in _KINDS.items():
        missing = tuple(package for package in kind.packages if installed(package) is None)
        names = [f"{kind_name}:{variant}" for variant in kind.variants] or [kind_name]
        choices += [EncoderChoice(name, kind.needs_weights, missing) for name in names]
    return tuple(choices)


def encoder_note(encoder: Encoder) -> dict[str, str]:
    """How to make this encoder again: {"name", "weights"} for :func:`create_encoder`; a local path may be in it."""
    source = getattr(encoder, "source", None)
    return {"name": getattr(encoder, "selector", encoder.name), "weights": str(source.resolve()) if source else ""}
