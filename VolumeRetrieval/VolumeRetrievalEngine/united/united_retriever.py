"""Several stores searched as one archive: each answers with what it has, and one ranking comes out.

The stores lie in folders of their own, on this computer or on shares, each with its own writer. They must be of one
recipe, because embeddings of two recipes are never compared.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np

from ..encoders.request import EncoderRequest
from ..errors import StoreError, VolumeRetrievalError
from ..progress import ProgressCallback
from ..query.query import Query
from ..query.region import Region
from ..reading import MetadataTable, find_volume
from ..retriever import Retriever
from ..searching.session import SearchSession
from ..store.records import VolumeRecord
from ..volume import Identity, Volume
from .keys import own, part_of
from .united_session import UnitedSession, not_searched

logger = logging.getLogger(__name__)


def open_stores(
    stores: Sequence[Path | str], encoder: EncoderRequest | str = "", *, index_kind: str = "auto"
) -> Retriever:
    """For searching: open one store (Retriever.open), or several as one archive.

    A store that cannot be opened is left out, and every result says so in its notes.

    Args:
        stores: folders; the first one that can be opened decides on the recipe.
        encoder, index_kind: as for Retriever.open.

    Raises:
        StoreError: none of them can be opened.
    """
    if len(stores) == 1:
        return Retriever.open(stores[0], encoder, index_kind=index_kind)
    parts: dict[int, Retriever] = {}
    lost = []
    for number, store in enumerate(dict.fromkeys(Path(one) for one in stores)):
        try:
            part = Retriever.open(store, encoder, index_kind=index_kind)
            first = next(iter(parts.values()), part)
            if part.recipe != first.recipe:
                raise StoreError(
                    f"made with {part.recipe.encoder}, the first one with {first.recipe.encoder}, or other settings; "
                    "name the encoder that all of them have"
                )
            parts[number] = part
        except (VolumeRetrievalError, OSError) as error:
            lost.append(not_searched(store, error))
    if not parts:
        raise StoreError("no store can be searched:" + "".join(f"\n  {one}" for one in lost))
    return UnitedRetriever(parts, lost)


class UnitedRetriever(Retriever):
    """A Retriever that searches several stores; it does not index."""

    def __init__(self, parts: dict[int, Retriever], lost: Sequence[str] = ()):
        first = next(iter(parts.values()))
        super().__init__(first.folder, first.path, first.recipe, first.request, "auto")
        self._parts = parts
        self._lost = tuple(lost)
        self._united: UnitedSession | None = None

    def path_of(self, record: VolumeRecord) -> str:
        part, own_record = self._own(record)
        return part.path_of(own_record)

    def read_again(self, record: VolumeRecord) -> Volume:
        part, own_record = self._own(record)
        return part.read_again(own_record)

    def resolve_query(
        self,
        name: Path | str,
        *,
        volume: int | None = None,
        metadata: MetadataTable | None = None,
        modality: str = "",
    ) -> Volume | str:
        """See Retriever; a file is the volume of the first store that has it."""
        if not Path(name).expanduser().exists():
            return self._found(str(name))
        for part in self._parts.values():
            known = part.resolve_query(name, volume=volume, metadata=metadata, modality=modality)
            if isinstance(known, str):
                return known
        return known

    def close(self) -> None:
        for part in self._parts.values():
            part.close()
        self._united = None

    def _found(self, name: str) -> str:
        """The id that this is, or the beginning of, in the first store that knows it."""
        problems = []
        for part in self._parts.values():
            try:
                return part.find(name).volume_id
            except VolumeRetrievalError as error:
                problems.append(error)
        raise problems[0]

    def _session(self) -> SearchSession:
        if self._united is None:
            self._united = UnitedSession({number: part._session() for number, part in self._parts.items()}, self._lost)
        return cast(SearchSession, self._united)  # it has everything that a search asks of one

    def _query(
        self,
        session: SearchSession,
        query: Volume | Path | str,
        region: Region | None,
        crop: bool,
        name: str,
        progress: ProgressCallback | None,
    ) -> Query:
        found = super()._query(session, query, region, crop, name, progress)
        assert self._united is not None
        self._united.store.identities = self._identities(found)
        return found

    def _identities(self, query: Query) -> dict[int, Identity]:
        """What the query is in each store, where that is known: its patient and study have another hash in each."""
        known = {}
        for number, part in self._parts.items():
            try:
                record = part._session().store.find(query.identity.volume_id)
                if record is not None:
                    known[number] = record.identity
                else:
                    known[number] = find_volume(Path(query.path), tokens=part._tokens()).identity
            except (VolumeRetrievalError, OSError, ValueError):
                logger.debug("the query's patient is not known in %s", part.path, exc_info=True)
        return known

    def _own(self, record: VolumeRecord) -> tuple[Retriever, VolumeRecord]:
        """The store of a volume, and its record there."""
        key = np.array([record.key])
        return self._parts[int(part_of(key)[0])], replace(record, key=int(own(key)[0]))
