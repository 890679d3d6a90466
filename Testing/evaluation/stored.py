"""Which stored volume is which file of a data set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from VolumeRetrievalEngine.retriever import Retriever
from VolumeRetrievalEngine.store.records import VolumeRecord


def stored_volumes(retriever: Retriever, names: Mapping[Path, str]) -> dict[str, VolumeRecord]:
    """The stored volumes of these files, by name; the store's other volumes are left out.

    Args:
        names: by absolute path.
    """
    tied = ((names.get(Path(retriever.path_of(record)).absolute()), record) for record in retriever.listing())
    return {name: record for name, record in tied if name is not None}
