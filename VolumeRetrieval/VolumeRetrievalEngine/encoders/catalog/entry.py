"""What the catalog says of a pretrained encoder: the network, its weights, and the terms they come with."""

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
    """Where the weights come from. What the publisher's own files do not say is "" or 0, never guessed.

    Attributes:
        url: of the file; "" where programs cannot download it: it is handed out on request, or lies behind a page.
        file_name: what the file is called.
        hash: "sha256:DIGITS", "md5:DIGITS", or "sha256-prefix:DIGITS" for the first digits of the sha256, which some
            publishers put into the file's name; "" where none is known.
        size_bytes: of the file, exactly; 0 where it is not known.
        revision: what the address is pinned to (a commit, a release, a name with a hash); "" for nothing.
        read_from: where address and hash were read.
        request_url: the page where a person gets the file, asks for it or signs in; "" if that is not needed.
        hash_recorded_by: where the publisher states no hash, the independent projects that recorded the one above; ""
            where the publisher states it.
    """

    url: str
    file_name: str
    hash: str
    size_bytes: int
    revision: str
    read_from: str
    request_url: str = ""
    hash_recorded_by: str = ""

    def __post_init__(self) -> None:
        if self.hash and not _HASH.fullmatch(self.hash):
            raise ValueError(f"{self.file_name}: {self.hash!r} is no hash of a known form")


@dataclass(frozen=True)
class CatalogEntry:
    """A pretrained slice encoder.

    Attributes:
        name: for create_encoder, on the command line, and of the encoder in a Recipe.
        title: for people.
        architecture: a description of the network.
        network: which of architectures.NETWORKS it is.
        input_size: side of the square input in pixels.
        mean, std: for each channel; a value in [0, 1] becomes (value - mean) / std.
        embedding: where in the network the embedding is taken from.
        dimension: its length; 0 where it depends on the file.
        source: of the weights.
        license: of the weights.
        citation: the publication.
        read_from: where the facts above were read.
        parity: the reference implementation that a test compares the network with, "" for none.
        note: what is missing or to be known before use, "" for nothing.
        packages: needed beyond torch and MONAI, as pip calls them.
        needs: other entries whose weights are needed too.
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
    needs: tuple[str, ...] = ()

    @property
    def verified(self) -> bool:
        """Whether the publisher's own files say where the weights come from, and their hash."""
        source = self.source
        return bool((source.url or source.request_url) and source.hash and not source.hash_recorded_by)

    @property
    def cautions(self) -> tuple[str, ...]:
        """What a user should know before using it, a sentence each; () for an entry with nothing missing."""
        found, source = [], self.source
        if not source.url:
            found.append(f"Programs cannot download the weights; a person gets them at {source.request_url}")
        if not source.hash:
            found.append("Unverified: the publisher states no hash, a damaged or exchanged file can go unnoticed.")
        elif source.hash_recorded_by:
            found.append(
                f"Unverified: the publisher states no hash; the file is compared with the one that others recorded "
                f"({source.hash_recorded_by})."
            )
        if not self.parity:
            found.append("The network is not compared with a reference implementation.")
        if self.note:
            found.append(self.note)
        return tuple(found)
