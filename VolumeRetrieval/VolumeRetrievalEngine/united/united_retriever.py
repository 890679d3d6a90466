"""Several stores searched as one archive: each answers with what it has, and one ranking comes out.

The stores lie in folders of their own, on this computer or on shares, each with its own writer. They must be of one
recipe, because embeddings of two recipes are never compared.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn, cast

import numpy as np

from ..encoders.request import EncoderRequest
from ..errors import StoreError, VolumeRetrievalError
from ..progress import ProgressCallback
from ..query.files import found_again, indexed_or_found
from ..query.query import Query
from ..query.region import Region
from ..reading import MetadataTable, VolumeSource, find_volume
from ..retriever import Retriever
from ..searching.match import SearchResult
from ..searching.opened_store import known_record
from ..searching.options import SearchOptions
from ..searching.session import SearchSession
from ..store.records import VolumeRecord
from ..store.status import Status
from ..volume import Identity, Volume
from .keys import own, part_of
from .united_session import UnitedSession, not_searched

logger = logging.getLogger(__name__)

_ONE_AT_A_TIME = (
    "several stores are open as one, to search: open the one that is meant alone (Retriever.create or open)"
)


def open_stores(
    stores: Sequence[Path | str], encoder: EncoderRequest | str = "", *, index_kind: str = "auto"
) -> Retriever:
    """For searching: open one store (Retriever.open), or several as one archive.

    A store that cannot be opened is left out, and every result says so in its notes.

    Args:
        stores: folders; the first one that can be opened decides on the recipe. One that is named twice counts once.
        encoder, index_kind: as for Retriever.open.

    Raises:
        StoreError: none of them can be opened.
    """
    folders: dict[Path, Path] = {}
    for one in stores:
        folders.setdefault(Path(one).resolve(), Path(one))
    if len(folders) == 1:
        return Retriever.open(stores[0], encoder, index_kind=index_kind)
    parts: dict[int, Retriever] = {}
    lost = []
    for number, store in enumerate(folders.values()):
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
        #: What the queries that were resolved are in each store, by id: a table may have said it.
        self._resolved: dict[str, dict[int, Identity]] = {}

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
        path = Path(name).expanduser()
        if not path.exists():
            return self._found(str(name))
        found = {
            number: indexed_or_found(
                part._session().store, path, part._tokens(), volume=volume, metadata=metadata, modality=modality
            )
            for number, part in self._reached().items()
        }
        known = next((one.volume_id for one in found.values() if isinstance(one, VolumeRecord)), None)
        query = known or next(one for one in found.values() if isinstance(one, VolumeSource)).read()
        query_id = query if isinstance(query, str) else query.identity.volume_id
        self._resolved[query_id] = {number: one.identity for number, one in found.items()}
        return query

    def find(self, name: str) -> VolumeRecord:
        """See Retriever; the volume of the first store that knows it."""
        return known_record(self._session().store, self._found(name))

    def search_again(self, search_id: str, options: SearchOptions) -> SearchResult:
        """See Retriever."""
        self._tell_whose(self._recent.query(search_id), self._session())
        return super().search_again(search_id, options)

    def status(self) -> Status:
        raise StoreError(_ONE_AT_A_TIME)

    def writing(self) -> NoReturn:
        raise StoreError(_ONE_AT_A_TIME)

    def rebuild(self) -> None:
        raise StoreError(_ONE_AT_A_TIME)

    def add_outlines(self, progress: ProgressCallback | None = None) -> NoReturn:
        raise StoreError(_ONE_AT_A_TIME)

    def close(self) -> None:
        for part in self._parts.values():
            part.close()
        self._united = None

    def _found(self, name: str) -> str:
        """The id that this is, or the beginning of, in the first store that knows it."""
        problems = []
        for part in self._reached().values():
            try:
                return part.find(name).volume_id
            except VolumeRetrievalError as error:
                problems.append(error)
        raise problems[0]

    def _session(self) -> SearchSession:
        if self._united is None:
            opened, lost = {}, list(self._lost)
            for number, part in self._parts.items():
                try:
                    opened[number] = part._session()
                except (StoreError, OSError) as error:
                    lost.append(not_searched(part.folder.parent, error))
            if not opened:
                raise StoreError(f"no store can be searched: {'; '.join(lost)}")
            self._united = UnitedSession(opened, lost)
        return cast(SearchSession, self._united)  # it has everything that a search asks of one

    def _reached(self) -> dict[int, Retriever]:
        """The stores that are searched."""
        self._session()
        assert self._united is not None
        return {number: self._parts[number] for number in self._united.parts}

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
        self._tell_whose(found, session)
        return found

    def _tell_whose(self, query: Query, session: SearchSession) -> None:
        cast(UnitedSession, session).store.identities = self._identities(query)

    def _identities(self, query: Query) -> dict[int, Identity]:
        """What the query is in each store, where that is known: its patient and study have another hash in each."""
        if (resolved := self._resolved.get(query.identity.volume_id)) is not None:
            return resolved
        records = {
            number: record
            for number, part in self._reached().items()
            if (record := part._session().store.find(query.identity.volume_id)) is not None
        }
        known = {}
        for number, part in self._reached().items():
            try:
                known[number] = self._identity_in(part, records.get(number), records, query.path)
            except (VolumeRetrievalError, OSError, ValueError):
                logger.debug("the query's patient is not known in %s", part.path, exc_info=True)
        return known

    def _identity_in(
        self, part: Retriever, record: VolumeRecord | None, records: Mapping[int, VolumeRecord], path: str
    ) -> Identity:
        """What the query is in one store: as it is indexed there, or by its files and this store's secret."""
        if record is not None:
            return record.identity
        for number, other in records.items():
            return found_again(self._parts[number]._session().store, other, part._tokens()).identity
        return find_volume(Path(path), tokens=part._tokens()).identity

    def _own(self, record: VolumeRecord) -> tuple[Retriever, VolumeRecord]:
        """The store of a volume, and its record there."""
        key = np.array([record.key])
        return self._parts[int(part_of(key)[0])], replace(record, key=int(own(key)[0]))
