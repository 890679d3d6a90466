"""An entry of the catalog as an encoder, with the weights that are installed or a file that the user gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import MissingPackageError, NeededWeightsError, WeightsError
from ..readable import readable_size
from .architectures import network_of
from .catalog import entry
from .catalog.entry import CatalogEntry
from .networks.device import require_torch
from .networks.input_spec import InputSpec
from .networks.monai_network import MonaiNetwork
from .networks.network import Network
from .weights.folder import WeightsFolder
from .weights.records import has_hash


def catalog_encoder(
    name: str, weights: Path | None = None, *, weights_folder: Path | None = None, **settings: Any
) -> Network:
    """The encoder of this entry.

    Args:
        name: of the entry, which is the encoder's in a Recipe too.
        weights: the publisher's file; None takes the installed one (weights/folder.py).
        weights_folder: where installed weights are, its own and those that it needs too; None for the default folder.
        settings: device, precision, batch_size and threads, as for :class:`Network`.

    Raises:
        EncoderError: no such entry.
        WeightsError: the weights are not installed, or are not of this network; the text says how to install them.
        NeededWeightsError: so are those of another entry that this one needs too.
        MissingPackageError: a package that the entry needs is not installed.
    """
    found, folder = entry(name), WeightsFolder(weights_folder)
    require_torch(f"the encoder {name}")
    path = weights if weights is not None else _installed(found, folder)
    if not path.is_file():
        raise WeightsError(f"{path}: no such file; expected {found.source.file_name}, the weights of {name}")
    others = tuple(_beside(path, entry(needed), found, folder) for needed in found.needs)
    kind = Network if "timm" in found.packages else MonaiNetwork
    made = kind(
        _made(found, path, others),
        selector=name,
        name=name,
        spec=input_of(found),
        weights_path=path,
        source=weights,  # an index made with installed weights finds them again wherever they are installed
        **settings,
    )
    if weights is None:
        folder.require_content(found, path, made.weights)
    return made


def installing_folder(folder: Path | str | None = None) -> WeightsFolder:
    """The folder of weights, checking weights without a publisher's hash by making their encoder on the CPU."""
    chosen = WeightsFolder(folder).folder

    def fit(found: CatalogEntry, weights: Path) -> None:
        catalog_encoder(found.name, weights, weights_folder=chosen, device="cpu")

    return WeightsFolder(chosen, fit)


def input_of(found: CatalogEntry) -> InputSpec:
    """Size and normalisation of the entry's input."""
    scale = tuple(1 / std for std in found.std)
    offset = tuple(-mean / std for mean, std in zip(found.mean, found.std, strict=True))
    return InputSpec(found.input_size, scale, offset, name=found.name)


def how_to_install(found: CatalogEntry) -> str:
    """The command that installs the entry's weights, with their size and license."""
    size = f"{readable_size(found.source.size_bytes)}, " if found.source.size_bytes else ""
    file = "" if found.source.url else " --file FILE"
    where = "" if found.source.url else f" (get {found.source.file_name} at {found.source.request_url})"
    return f"weights install {found.name}{file} ({size}{found.license.name}){where}"


def _installed(found: CatalogEntry, folder: WeightsFolder) -> Path:
    path = folder.installed(found)
    if path is None:
        raise WeightsError(
            f"the weights of {found.name} are not installed in {folder.folder}",
            f"{how_to_install(found)}, or give their file (--weights FILE)",
        )
    return path


def _beside(path: Path, needed: CatalogEntry, found: CatalogEntry, folder: WeightsFolder) -> Path:
    """The weights of another entry that this one needs too: next to `path` or installed; their hash counts."""
    candidate = path.parent / needed.source.file_name
    if not candidate.is_file():
        try:
            installed = folder.installed(needed)
        except WeightsError as error:
            raise NeededWeightsError(error.text, error.hint) from error
        if installed is None:
            raise NeededWeightsError(
                f"{path}: {found.name} needs the weights of {needed.name} too, and they are not installed",
                how_to_install(needed),
            )
        return installed
    if needed.source.hash and not has_hash(candidate, needed.source.hash):
        raise NeededWeightsError(f"{candidate}: is not the file of {needed.name}, its hash is not {needed.source.hash}")
    return candidate


def _made(found: CatalogEntry, path: Path, others: tuple[Path, ...]) -> Any:
    try:
        return network_of(found, path, others)
    except ImportError as error:
        package = "einops" if "einops" in str(error) else "monai"  # MONAI's own optional dependency, for transformers
        raise MissingPackageError(package, f"the encoder {found.name}") from error
