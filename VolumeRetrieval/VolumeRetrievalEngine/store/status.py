"""How a store stands, in numbers and in a sentence."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ..readable import readable_size
from ..recipe import PREPROCESSING_VERSION


@dataclass(frozen=True)
class Status:
    """The state of one recipe's store.

    Attributes:
        folder: where it is.
        encoder, recipe: what its embeddings were made with (recipe: canonical JSON).
        volumes, slices, rows: volumes, slices of their full stacks, and embedded slices.
        size_bytes: of the store's files on disk.
        index_kind: of the slice index.
        modalities: volumes by modality ("" for unknown).
        without_outlines: how many volumes were indexed by an older engine that did not find the body's outlines; points
            in them are found less exactly (Retriever.add_outlines).
        mapping: what to tell about volumes whose embeddings were mapped from another encoder's; "" if there are none.
        made_on: volumes by what computed their embeddings, and in which precision: "cpu (onnxruntime), float32".
        preprocessing_version: which version of the preprocessing made its slices (part of the recipe).
        edition: what to tell where a later edition of the encoder ships than the one that made its embeddings; else "".
        problems: stores in the same folder that cannot be opened, and why.

    Example:
        >>> status = Retriever.open("index").status()
        >>> status.volumes, status.modalities
        (4, {'CT': 4})
    """

    folder: str
    encoder: str
    recipe: str
    volumes: int
    slices: int
    rows: int
    dimension: int
    generation: int
    size_bytes: int
    index_kind: str
    modalities: dict[str, int]
    made_on: dict[str, int]
    problems: tuple[str, ...] = ()
    without_outlines: int = 0
    mapping: str = ""
    preprocessing_version: int = PREPROCESSING_VERSION
    edition: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Values for JSON."""
        return asdict(self)

    def in_words(self) -> str:
        """One line for a person."""
        kinds = ", ".join(f"{count} {name or 'unknown'}" for name, count in self.modalities.items())
        lacking = ""
        if self.without_outlines:
            lacking = f"; {self.without_outlines:,} without outlines of the body (rebuild --outlines adds them)"
        earlier = ""
        if self.preprocessing_version < PREPROCESSING_VERSION:
            earlier = (
                f"; slices made by version {self.preprocessing_version} of the preprocessing, now "
                f"{PREPROCESSING_VERSION} (index --renew makes a new index)"
            )
        return (
            f"{self.volumes:,} volumes indexed ({kinds or 'none'}), {self.rows:,} slices embedded with {self.encoder}, "
            f"{readable_size(self.size_bytes)}, index: {self.index_kind}{lacking}{earlier}"
            + "".join(f"; {one}" for one in (self.edition, self.mapping) if one)
        )
