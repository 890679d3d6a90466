"""The retrievers that a worker keeps open: one for each encoder that was asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..encoders.request import EncoderRequest
from ..retriever import Retriever
from ..store.folder import StoreFolder


class RetrieverPool:
    """Opens retrievers when they are first needed, and keeps them warm.

    Args of the constructor: the folder of stores; the weights, device and batch size of their encoders, where it is not
    the usual (a name in it counts for nothing); and the kind of index.
    """

    def __init__(self, store: Path, settings: EncoderRequest | None = None, index_kind: str = "auto"):
        self._store = store
        self._settings = settings or EncoderRequest()
        self._index_kind = index_kind
        self._open: dict[str, Retriever] = {}

    def get(self, encoder: str = "") -> Retriever:
        """The retriever of this encoder's store, or of the one used last (which an indexing run may have changed).

        Raises:
            StoreError: nothing is indexed yet.
        """
        folder = StoreFolder(self._store).choose(encoder).name
        if folder not in self._open:
            asked = replace(self._settings, name=folder)
            self._open[folder] = Retriever.open(self._store, asked, index_kind=self._index_kind)
        return self._open[folder]

    def close(self) -> None:
        for retriever in self._open.values():
            retriever.close()
        self._open.clear()
