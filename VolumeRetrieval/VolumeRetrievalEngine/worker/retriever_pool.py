"""The retrievers that a worker keeps open: one for each encoder that was asked for, and for each set of stores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..encoders.request import EncoderRequest
from ..errors import StoreError
from ..retriever import Retriever
from ..store.folder import StoreFolder
from ..united.answering import AnsweringFolders
from ..united.united_retriever import UnitedRetriever

#: Sets of stores that stay open. Each has its indexes in memory, and whoever edits the list makes another at each step.
SETS_KEPT = 2


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
        self._united: dict[tuple[str, ...], UnitedRetriever] = {}
        self._answering = AnsweringFolders()

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

    def united(self, stores: Sequence[str], encoder: str = "", is_asked_again: bool = False) -> Retriever:
        """The retriever that searches these folders as one archive.

        Args:
            stores: the first one decides on the recipe as soon as it has one; it is the one that an indexing run may
                have changed.
            is_asked_again: about one of the last searches. Then no folder is looked at.

        Raises:
            StoreError: none of them can be searched.
        """
        key = (encoder, *stores)
        known = self._united.pop(key, None)
        if known is not None:
            self._united[key] = known  # as the one used last
        if known is not None and (is_asked_again or not self._has_another_recipe(known, encoder)):
            return known
        request = replace(self._settings, name=encoder)
        made = UnitedRetriever.of(stores, request, index_kind=self._index_kind, answering=self._answering)
        if known is not None:
            known.close()
        self._united[key] = made
        while len(self._united) > SETS_KEPT:
            self._united.pop(next(iter(self._united))).close()
        return made

    def _has_another_recipe(self, known: UnitedRetriever, encoder: str) -> bool:
        """Whether the first store, if it can be reached, is another one by now than decided then."""
        folder = known.folders[0]
        try:
            self._answering.check(folder)
            return StoreFolder(folder).choose(encoder).name != known.path.name
        except (StoreError, OSError):
            return False

    def close(self) -> None:
        for retriever in (*self._open.values(), *self._united.values()):
            retriever.close()
        self._open.clear()
        self._united.clear()
