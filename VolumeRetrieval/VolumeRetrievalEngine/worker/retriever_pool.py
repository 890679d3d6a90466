"""The retrievers that a worker keeps open: one for each encoder that was asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..retriever import Retriever
from ..store.folder import StoreFolder


class RetrieverPool:
    """Opens retrievers when they are first needed, and keeps them warm.

    Args of the constructor: the folder of stores, and what Retriever.open takes (weights, device ...).
    """

    def __init__(self, store: Path, **settings: Any):
        self._store = store
        self._settings = settings
        self._open: dict[str, Retriever] = {}

    def get(self, encoder: str = "") -> Retriever:
        """The retriever of this encoder's store, or of the one used last (which an indexing run may have changed).

        Raises:
            StoreError: nothing is indexed yet.
        """
        folder = StoreFolder(self._store).choose(encoder).name
        if folder not in self._open:
            self._open[folder] = Retriever.open(self._store, folder, **self._settings)
        return self._open[folder]

    def close(self) -> None:
        for retriever in self._open.values():
            retriever.close()
        self._open.clear()
