"""Volumes whose embeddings were mapped from another encoder's, and not made by this one (mapped_index.py)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from .reader import StoreReader
from .volume_store import VolumeStore

#: What stands for the precision of a mapped volume, instead of what its encoder computed in.
MAPPED = "mapped"

_META = "mapping"


@dataclass(frozen=True)
class Mapping:
    """How a store's mapped volumes were made.

    Attributes:
        source: the folder name of the store that they were mapped from.
        cosine: mean cosine similarity of mapped and embedded rows, on volumes that were held out.
    """

    source: str
    cosine: float

    def in_words(self, count: int) -> str:
        """A sentence for the user about so many volumes."""
        return (
            f"{count:,} volumes are mapped from {self.source}, less exactly (cosine {self.cosine:.2f} with their own "
            "embeddings); indexing embeds them as it comes to them"
        )


def mapping_of(store: StoreReader) -> Mapping | None:
    """How the store's mapped volumes were made; None if it never had any."""
    try:
        values = json.loads(store.meta(_META) or "null")
        return None if values is None else Mapping(str(values["source"]), float(values["cosine"]))
    except (ValueError, TypeError, KeyError):
        return None


def keep_mapping(store: VolumeStore, mapping: Mapping) -> None:
    """Remember it."""
    store.set_meta(_META, json.dumps(asdict(mapping)))


def mapped_in_words(store: StoreReader) -> str:
    """What to tell about the mapped volumes of a store; "" if there are none."""
    mapping = mapping_of(store)
    count = store.count_of_precision(MAPPED) if mapping is not None else 0
    return mapping.in_words(count) if mapping is not None and count else ""
