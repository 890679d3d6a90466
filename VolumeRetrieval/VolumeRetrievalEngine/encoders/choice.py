"""Encoders: slices in, unit vectors out.

`radiology-resnet` ships with its weights and runs by torch and MONAI, or by onnxruntime. `descriptor` needs numpy alone
and always works. Other networks need torch: `torchscript` runs a file that the user brings, `monai:NETWORK` a network
of MONAI with a file of weights. Those of the catalog (catalog/) go by their names. A further kind of encoder is one
more entry in _KINDS.

Example:
    >>> from VolumeRetrievalEngine.encoders.encode import encode, recipe_for
    >>> encoder = create_encoder("descriptor")
    >>> stack = preprocess(read_volume("archive/head-0.nii.gz"), recipe_for(encoder))
    >>> embeddings = encode(stack, encoder)
    >>> embeddings.shape == (len(stack), encoder.dimension), embeddings.dtype
    (True, dtype('float32'))
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec as installed
from pathlib import Path
from typing import Any

from ..errors import EncoderError, WeightsError
from .base import Encoder
from .catalog import CATALOG, CatalogEntry
from .descriptor import Descriptor
from .networks.monai_network import NETWORKS, monai_encoder
from .networks.torchscript import torchscript_encoder
from .pretrained import catalog_encoder
from .radiology_resnet import NAME as RADIOLOGY_RESNET
from .radiology_resnet import ONNX_PACKAGES, TORCH_PACKAGES, edition_hashes, radiology_resnet_encoder
from .weights.folder import WeightsFolder

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AvailableEncoder:
    """An encoder that can be asked for.

    Attributes:
        name: for :func:`create_encoder`.
        needs_weights: whether a file has to come with it.
        missing: packages that are not installed, () if it can be used.
        to_install: entries of the catalog whose weights have to be installed first (`weights install NAME`), in this
            order.
    """

    name: str
    needs_weights: bool
    missing: tuple[str, ...]
    to_install: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Kind:
    """One kind of encoder: makes one from what follows the colon, the weights and the settings.

    `or_packages` do as well as `packages`, where there is a choice. `editions` gives the sha256 of each edition of the
    weights that ship, the current one last; of a kind that has them, `make` takes one of these as `edition`.
    """

    make: Callable[..., Encoder]
    packages: tuple[str, ...] = ()
    or_packages: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    needs_weights: bool = True
    takes_weights: bool = True
    editions: Callable[[], tuple[str, ...]] | None = None


def _make_descriptor(variant: str, weights: Path | None, **settings: Any) -> Encoder:
    return Descriptor()


def _make_torchscript(variant: str, weights: Path, **settings: Any) -> Encoder:
    return torchscript_encoder(weights, **settings)


def _make_radiology_resnet(variant: str, weights: Path | None, **settings: Any) -> Encoder:
    return radiology_resnet_encoder(weights, **settings)


_KINDS: Mapping[str, _Kind] = {
    RADIOLOGY_RESNET: _Kind(
        _make_radiology_resnet,
        packages=TORCH_PACKAGES,
        or_packages=ONNX_PACKAGES,
        needs_weights=False,
        editions=edition_hashes,
    ),
    "descriptor": _Kind(_make_descriptor, needs_weights=False, takes_weights=False),
    "torchscript": _Kind(_make_torchscript, packages=("torch",)),
    "monai": _Kind(monai_encoder, packages=("torch", "monai"), variants=NETWORKS),
}


def create_encoder(
    name: str,
    *,
    weights: Path | str | None = None,
    edition: str = "",
    device: str | None = None,
    precision: str | None = None,
    batch_size: int | None = None,
    threads: int | None = None,
) -> Encoder:
    """The encoder of this name.

    Args:
        name: "radiology-resnet", "descriptor", "torchscript", "monai:NETWORK" or a name of the catalog (see
            :func:`available_encoders`).
        weights: the network's file; None for those that ship with "radiology-resnet", and for installed ones of the
            catalog.
        edition: sha256 of the weights that an index was made with. Of an encoder that ships several editions of its
            weights it is the one with these; without it, or if there is none, the current one.
        device: "cpu", "cuda", "cuda:1" or "mps"; None takes the best there is. The descriptor has no choice.
        precision: "float32", "bfloat16" or "float16"; None or "auto" takes the fastest that gives the same embeddings
            there (cosine 0.999). The descriptor and onnxruntime have no choice.
        batch_size: slices at once at most; networks halve it when memory does not suffice.
        threads: of torch or onnxruntime on the CPU; None leaves them as they are.

    Raises:
        EncoderError: no such encoder.
        WeightsError: weights that are missing or do not fit.
        MissingPackageError: a package is not installed.
    """
    settings: dict[str, Any] = {"device": device, "precision": precision, "batch_size": batch_size, "threads": threads}
    if name in CATALOG:
        return catalog_encoder(name, None if weights is None else Path(weights), **settings)
    kind_name, _, variant = name.partition(":")
    kind = _KINDS.get(kind_name)
    if kind is None or bool(variant) != bool(kind.variants):
        known = ", ".join(choice.name for choice in available_encoders())
        raise EncoderError(f"unknown encoder {name!r}: expected one of {known}")
    if kind.needs_weights and weights is None:
        raise EncoderError(f"the encoder {name} needs a file of weights", "--weights FILE")
    if weights is not None and not kind.takes_weights:
        raise EncoderError(f"the encoder {name} takes no weights, but {weights} was given")
    if kind.editions is not None:
        settings["edition"] = edition
    return kind.make(variant, None if weights is None else Path(weights), **settings)


def weights_editions(name: str) -> tuple[str, ...]:
    """sha256 of each edition of the weights that ship with an encoder, the current one last; () if none ship.

    Raises:
        WeightsError: what describes them is missing or damaged.

    Example:
        >>> weights_editions("descriptor")
        ()
    """
    kind = _KINDS.get(name)
    return () if kind is None or kind.editions is None else kind.editions()


def is_earlier_edition(name: str, weights: str) -> bool:
    """Whether a later edition of an encoder ships than the one whose weights have this sha256."""
    try:
        return weights in weights_editions(name)[:-1]
    except WeightsError as error:  # whoever makes the encoder says so
        log.warning("%s", error)
        return False


def earlier_edition_in_words(name: str, weights: str) -> str:
    """What to tell of an index that was made with these weights of an encoder; "" if no later edition of it ships."""
    if not is_earlier_edition(name, weights):
        return ""
    return f"made with an earlier edition of {name} (index --renew makes a new index with the current one)"


def available_encoders() -> tuple[AvailableEncoder, ...]:
    """Every encoder that can be requested, and what each still needs.

    Example:
        >>> [choice.name for choice in available_encoders()][:2]
        ['radiology-resnet', 'descriptor']
    """
    choices = []
    for kind_name, kind in _KINDS.items():
        missing = _missing(kind.packages)
        if missing and kind.or_packages:
            missing = _missing(kind.or_packages)
        names = [f"{kind_name}:{variant}" for variant in kind.variants] or [kind_name]
        choices += [AvailableEncoder(name, kind.needs_weights, missing) for name in names]
    return (*choices, *_catalogd())


def _catalogd() -> Iterator[AvailableEncoder]:
    folder = WeightsFolder()
    there, problems = set(), []
    for name, entry in CATALOG.items():
        try:
            there |= {name} if folder.is_there(entry) else set()
        except WeightsError as error:
            problems.append(str(error))
    if problems:
        log.warning("%s", problems[0])  # mostly the others say the same of the folder around them
    for name, entry in CATALOG.items():
        absent = tuple(one for one in (*entry.needs, name) if one not in there)
        yield AvailableEncoder(name, False, missing_packages(entry), absent)


def missing_packages(entry: CatalogEntry) -> tuple[str, ...]:
    """What an entry of the catalog needs and is not installed, as pip calls it; imports nothing."""
    return _missing(("torch", "monai", *entry.packages))


def _missing(packages: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(package for package in packages if installed(package) is None)


def encoder_facts(encoder: Encoder) -> dict[str, str]:
    """Which encoder runs, by which library, on what, and why so: values of JSON, some of them ""."""
    return {
        "name": encoder.name,
        "backend": getattr(encoder, "backend", ""),
        "device": encoder.device,
        "precision": encoder.precision,
        "reason": getattr(encoder, "backend_reason", ""),
        "device_reason": getattr(encoder, "device_reason", ""),
        "precision_reason": getattr(encoder, "precision_reason", ""),
    }


def encoder_in_words(encoder: Encoder) -> str:
    """The same on one line: "radiology-resnet by MONAI on cuda, bfloat16 (CUDA is available ...)"."""
    facts = encoder_facts(encoder)
    by = f" by {facts['backend']}" if facts["backend"] else ""
    reasons = [facts[name] for name in ("reason", "device_reason", "precision_reason")]
    # Where the descriptor runs for want of a package, this is what brings a better encoder.
    hint = "pip install onnxruntime" if facts["name"] == "descriptor" and facts["reason"] else ""
    why = "; ".join(one for one in (*reasons, hint) if one and one != "as asked")
    return f"{facts['name']}{by} on {facts['device']}, {facts['precision']}" + (f" ({why})" if why else "")


def encoder_note(encoder: Encoder) -> dict[str, str]:
    """How to make this encoder again: {"name", "weights"} for :func:`create_encoder`; a local path may be in it."""
    source = getattr(encoder, "source", None)
    return {"name": getattr(encoder, "selector", encoder.name), "weights": str(source.resolve()) if source else ""}
