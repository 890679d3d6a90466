"""What the catalogue says of a pretrained encoder: the network, its weights, and the terms they come with."""

from __future__ import annotations

import re
from dataclasses import dataclass

#: "sha256:" or "md5:" with every digit, or "sha256-prefix:" with the first ones, which torch.hub reads from a name.
_HASH = re.compile(r"sha256:[0-9a-f]{64}|md5:[0-9a-f]{32}|sha256-prefix:[0-9a-f]{8,63}")


@dataclass(frozen=True)
class License:
    """The terms of the weights.

    Attributes:
        name: as the publisher calls it.
        url: address of its text.
        commercial: whether commercial use is allowed; None where the publisher leaves it open.
    """

    name: str
    url: str
    commercial: bool | None


@dataclass(frozen=True)
class WeightsSource:
    """Where the weights are had from. What the publisher's own files do not say is "" or 0, never guessed.

    Attributes:
        url: of the file; "" where programs cannot download it: it is handed out on request, or lies behind a page.
        file_name: what the file is called.
        hash: "sha256:DIGITS", "md5:DIGITS", or "sha256-prefix:DIGITS" for the first digits of the sha256, which some
            publishers put into the file's name; "" where none is stated.
        size_bytes: of the file; 0 where it is not stated.
        revision: what the address is pinned to (a commit, a release, a name with a hash); "" for nothing.
        read_from: where address and hash were read.
        request_url: the page where the weights can be asked for, "" if that is not needed.
    """

    url: str
    file_name: str
    hash: str
    size_bytes: int
    revision: str
    read_from: str
    request_url: str = ""

    def __post_init__(self) -> None:
        if self.hash and not _HASH.fullmatch(self.hash):
            raise ValueError(f"{self.file_name}: {self.hash!r} is no hash of a known form")


@dataclass(frozen=True)
class CatalogEntry:
    """A pretrained slice encoder.

    Attributes:
        name: for create_encoder, on the command line, and of the encoder in a Recipe.
        title: for people.
        architecture: the network, in words.
        network: which of architectures.NETWORKS it is.
        input_size: side of the square input in pixels.
        mean, std: for each channel; a value in [0, 1] becomes (value - mean) / std.
        embedding: where in the network the embedding is taken from.
        dimension: its length.
        source: of the weights.
        license: of the weights.
        citation: the publication.
        read_from: where the facts above were read.
        parity: the reference implementation that a test compares with, "" for none.
        note: what is missing or to be known before use, "" for nothing.
        packages: needed beyond torch, MONAI and safetensors, as pip calls them.
    """

    name: str
    title: str
    architecture: str
    network: str
    input_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    embedding: str
    dimension: int
    source: WeightsSource
    license: License
    citation: str
    read_from: str
    parity: str = ""
    note: str = ""
    packages: tuple[str, ...] = ()

    @property
    def verified(self) -> bool:
        """Whether address and hash of the weights were read from the publisher's own files."""
        return bool(self.source.url and self.source.hash)

    @property
    def cautions(self) -> tuple[str, ...]:
        """What a user should know before using it, a sentence each; () for an entry with nothing missing."""
        found = []
        if self.source.request_url:
            found.append(f"The weights are handed out on request: {self.source.request_url}")
        elif not self.source.url:
            found.append("Unverified: the publisher states no address to download from.")
        if not self.source.hash:
            found.append("Unverified: the publisher states no hash, so a damaged or exchanged file is not noticed.")
        if not self.parity:
            found.append("Not compared with a reference implementation.")
        if self.note:
            found.append(self.note)
        return tuple(found)
