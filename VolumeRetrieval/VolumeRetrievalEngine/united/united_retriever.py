"""Several stores searched as one archive: each answers with what it has, and one ranking comes out.

The stores lie in folders of their own, on this computer or on shares, each with its own writer. They must be of one
recipe, because embeddings of two recipes are never compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn, TypeVar, cast

import numpy as np

from ..encoders.request import EncoderRequest
from ..errors import StoreError, StoreLostError, UnknownVolumeError, VolumeRetrievalError
from ..progress import ProgressCallback
from ..query.files import indexed_or_found
from ..query.query import Query
from ..query.region import Region
from ..reading import MetadataTable, VolumeSource
from ..recipe import Recipe
from ..retriever import Retriever
from ..searching.match import SearchResult
from ..searching.opened_store import known_record
from ..searching.options import SearchOptions
from ..searching.search import search_store
from ..searching.searched_store import SearchedStore
from ..searching.session import SearchSession
from ..store.folder import StoreFolder
from ..store.reader import StoreReader
from ..store.records import VolumeRecord
from ..store.status import Status
from ..volume import Identity, Volume
from .answering import AnsweringFolders
from .elsewhere import Elsewhere, answers
from .keys import own, part_of
from .query_identities import QueryIdentities
from .repeats import without_repeats
from .store_choice import chosen_store
from .united_session import UnitedSession, not_searched

T = TypeVar("T")

#: Opens the store of a recipe in a folder, or the one that is asked for where the recipe is None.
OpenStore = Callable[[Path, EncoderRequest, str, Recipe | None], Retriever]

#: As many as searches can be asked about (recent_queries.py), and those that are resolved meanwhile.
_QUERIES_KEPT = 8

_ONE_AT_A_TIME = (
    "several stores are open as one, to search: open the one that is meant alone (Retriever.create or open)"
)


def open_stores(
    stores: Sequence[Path | str], encoder: EncoderRequest | str = "", *, index_kind: str = "auto"
) -> Retriever:
    """For searching: open one store (Retriever.open), or several as one archive.

    A store that cannot be opened is left out until it can be, and every result says so in its notes.

    Args:
        stores: folders; the first one that can be opened decides on the recipe. One that is named twice counts once.
        encoder, index_kind: as for Retriever.open.

    Raises:
        StoreError: none of them can be opened.
    """
    answering = AnsweringFolders()
    folders, _ = answering.distinct([Path(one) for one in stores])
    if len(folders) == 1:
        return Retriever.open(folders[0], encoder, index_kind=index_kind)
    return UnitedRetriever.of(list(folders.values()), encoder, index_kind=index_kind, answering=answering)


class UnitedRetriever(Retriever):
    """A Retriever that searches several stores; it does not index.

    Attributes:
        folders: the stores by number, as they were named.
    """

    def __init__(
        self,
        folders: Mapping[int, Path],
        parts: Mapping[int, Retriever],
        lost: Mapping[int, Exception],
        request: EncoderRequest,
        index_kind: str,
        answering: AnsweringFolders,
        elsewhere: Mapping[Path, OpenStore] | None = None,
    ):
        """`parts` are those that could be opened, `lost` says why the others could not; `request` is what was asked
        for; `elsewhere` opens those that are not folders of this computer."""
        first = next(iter(parts.values()))
        super().__init__(first.folder, first.path, first.recipe, first.request, index_kind)
        self.folders = dict(folders)
        self._parts = dict(parts)
        self._lost = dict(lost)
        self._asked = request
        self._answering = answering
        self._elsewhere = dict(elsewhere or {})
        self._united: UnitedSession | None = None
        #: What the last queries are in each store, by id and fingerprint: a table may have said it.
        self._identities: dict[tuple[str, str], QueryIdentities] = {}

    @classmethod
    def of(
        cls,
        stores: Sequence[Path | str],
        encoder: EncoderRequest | str = "",
        *,
        index_kind: str = "auto",
        answering: AnsweringFolders | None = None,
        elsewhere: Mapping[Path, OpenStore] | None = None,
    ) -> UnitedRetriever:
        """See :func:`open_stores`; also a single store is one of several here.

        Args:
            elsewhere: how those of the stores are opened that are not folders of this computer.
        """
        request, answering = EncoderRequest.of(encoder), answering or AnsweringFolders()
        elsewhere = elsewhere or {}
        folders, lost = answering.distinct([Path(one) for one in stores], elsewhere)
        parts: dict[int, Retriever] = {}
        for number, folder in folders.items():
            if number in lost:
                continue
            try:
                first = next(iter(parts.values()), None)
                open_it = elsewhere.get(folder, open_store)
                parts[number] = open_it(folder, request, index_kind, None if first is None else first.recipe)
            except (VolumeRetrievalError, OSError) as error:
                lost[number] = error
        if not parts:
            why = "".join(f"\n  {not_searched(folders[number], error)}" for number, error in lost.items())
            raise StoreError(f"no store can be searched:{why}")
        return cls(folders, parts, lost, request, index_kind, answering, elsewhere)

    def search(
        self,
        query: Volume | Path | str,
        *,
        region: Region | None = None,
        crop: bool = False,
        options: SearchOptions | None = None,
        name: str = "",
        progress: ProgressCallback | None = None,
    ) -> SearchResult:
        """See Retriever. Stores that could not be reached are tried again."""
        self._try_again()
        self._session().refresh(())  # the query is looked up in what is there
        options, search = options or SearchOptions(), super().search
        result = self._despite_losses(
            lambda: search(query, region=region, crop=crop, options=options, name=name, progress=progress)
        )
        return self._with_stores(result, options)

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
        self._session().refresh(())
        return self._despite_losses(lambda: self._resolved(Path(name).expanduser(), volume, metadata, modality))

    def _resolved(self, path: Path, volume: int | None, metadata: MetadataTable | None, modality: str) -> Volume | str:
        if not path.exists():
            return self._found(str(path))
        found = answers(
            self._reached(),
            lambda _, part: indexed_or_found(
                part._session().store, path, part._tokens(), volume=volume, metadata=metadata, modality=modality
            ),
        )
        known = {number: one for number, one in found.items() if isinstance(one, VolumeRecord)}
        query: Volume | str
        if known:
            number, record = next(iter(known.items()))
            identity, query = record.identity, record.volume_id
            # An id means the volume of the first store that has it: another one, or this one before it changed.
            if next(iter(cast(UnitedSession, self._session()).store.finds(query)), number) != number:
                query = self._parts[number].read_again(record)
        else:
            query = next(one for one in found.values() if isinstance(one, VolumeSource)).read()
            identity = query.identity
        self._remember(identity, str(path), {number: self._trusted(number, one) for number, one in found.items()})
        return query

    def find(self, name: str) -> VolumeRecord:
        """See Retriever; the volume of the first store that knows it."""
        return self._despite_losses(lambda: known_record(self._session().store, self._found(name)))

    def search_again(
        self, search_id: str, options: SearchOptions, progress: ProgressCallback | None = None
    ) -> SearchResult:
        """See Retriever."""
        self._tell_whose(self._recent.query(search_id), self._session())
        search = super().search_again
        return self._with_stores(self._despite_losses(lambda: search(search_id, options, progress)), options)

    def status(self) -> Status:
        raise StoreError(_ONE_AT_A_TIME)

    def writing(self) -> NoReturn:
        raise StoreError(_ONE_AT_A_TIME)

    def rebuild(self, progress: ProgressCallback | None = None) -> NoReturn:
        raise StoreError(_ONE_AT_A_TIME)

    def add_outlines(self, progress: ProgressCallback | None = None) -> NoReturn:
        raise StoreError(_ONE_AT_A_TIME)

    def close(self) -> None:
        for part in self._parts.values():
            part.close()
        self._united = None

    def _despite_losses(self, ask: Callable[[], T]) -> T:
        """What is asked, without a store that another process holds open and that is lost meanwhile.

        Of such a store no snapshot is held. Where a volume was removed between two questions, all are asked again.
        """
        is_elsewhere = any(isinstance(part, Elsewhere) for part in self._parts.values())
        while True:
            try:
                return ask()
            except StoreLostError:
                pass
            except UnknownVolumeError:
                if not is_elsewhere:
                    raise
                is_elsewhere = False  # once
            self._session().refresh(())

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
            opened, lost = {}, dict(self._lost)
            for number, part in self._parts.items():
                try:
                    if not isinstance(part, Elsewhere):
                        self._answering.check(self.folders[number])
                    opened[number] = part._session()
                except (StoreError, OSError) as error:
                    lost[number] = error
            if not opened:
                why = "; ".join(not_searched(self.folders[number], error) for number, error in lost.items())
                raise StoreError(f"no store can be searched: {why}")
            self._united = UnitedSession(opened, self.folders, lost, self._answering)
        return cast(SearchSession, self._united)  # it has everything that a search asks of one

    def _try_again(self) -> None:
        """Open what could not be opened, or has been lost, and is there (again)."""
        lost = self._lost if self._united is None else self._united.lost
        self._answering.ask(folder for number in lost if (folder := self.folders[number]) not in self._elsewhere)
        for number in list(lost):
            folder = self.folders[number]
            try:
                if folder not in self._elsewhere:
                    self._answering.check(folder)
                open_it = self._elsewhere.get(folder, open_store)
                part = open_it(folder, self._asked, self._index_kind, self.recipe)
                part._session()
            except (VolumeRetrievalError, OSError) as error:
                lost[number] = error
                continue
            if (before := self._parts.pop(number, None)) is not None:
                before.close()
            self._parts = dict(sorted({**self._parts, number: part}.items()))
            self._lost.pop(number, None)
            self._united = None

    def _once(self, result: SearchResult, options: SearchOptions) -> SearchResult:
        """The result with each volume once, and with as many as were asked for; those of several stores take room."""
        if len(without_repeats(result.matches)) == len(result.matches):
            return result
        query, wider = self._recent.query(result.search_id), replace(options, top=options.top * len(self.folders))
        found = self._despite_losses(
            lambda: search_store(self._session(), query, wider, self.path_of, encoder=result.encoder)
        )
        matches = without_repeats(found.matches)[: options.top]
        same = {name: getattr(result, name) for name in ("search_id", "seconds", "query_thumbnail")}
        return self._recent.keep(replace(found, matches=matches, **same), query)

    def _with_stores(self, result: SearchResult, options: SearchOptions) -> SearchResult:
        """Of each match the store that it is from, and of each store what came of it."""
        result = self._once(result, options)
        session = cast(UnitedSession, self._session())
        named = bool(options.exclude_series)
        strangers = session.without_patient(named) if "patient" in options.exclude else []
        stores = tuple(
            SearchedStore.lost(str(folder), session.lost[number])
            if number in session.lost
            else SearchedStore(str(folder), knows_patient=number not in strangers)
            for number, folder in self.folders.items()
        )
        numbers = part_of(np.array([match.key for match in result.matches], np.int64))
        matches = tuple(
            replace(match, store=str(self.folders[int(number)]))
            for match, number in zip(result.matches, numbers, strict=True)
        )
        return replace(result, matches=matches, stores=stores)

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
        known = self._identities.get(_name(query.identity))
        if known is None:
            known = self._remember(query.identity, query.path)
        cast(UnitedSession, session).store.identities = known

    def _remember(self, query: Identity, path: str, resolved: Mapping[int, Identity] | None = None) -> QueryIdentities:
        """What a query is in each store; the last few queries are remembered."""

        def stores() -> dict[int, StoreReader]:
            return {number: part._session().store for number, part in self._reached().items()}

        made = QueryIdentities(stores, lambda number: self._parts[number].folder.tokens, query, path, resolved)
        self._identities.pop(_name(query), None)
        self._identities[_name(query)] = made
        while len(self._identities) > _QUERIES_KEPT:
            del self._identities[next(iter(self._identities))]
        return made

    def _trusted(self, number: int, found: VolumeRecord | VolumeSource) -> Identity:
        """What a query is in a store, without hashes by a secret that stands in for one that cannot be read."""
        if isinstance(found, VolumeSource):
            try:
                _ = self._parts[number].folder.tokens
            except StoreError:
                return replace(found.identity, patient_token="", study_token="")
        return found.identity

    def _own(self, record: VolumeRecord) -> tuple[Retriever, VolumeRecord]:
        """The store of a volume, and its record there."""
        key = np.array([record.key])
        return self._parts[int(part_of(key)[0])], replace(record, key=int(own(key)[0]))


def _name(query: Identity) -> tuple[str, str]:
    return query.volume_id, query.fingerprint


def open_store(folder: Path, request: EncoderRequest, index_kind: str, recipe: Recipe | None) -> Retriever:
    """The store in a folder that has this recipe; the one that is asked for where it is the first.

    Raises:
        StoreError: there is none, or only others (store_choice.py).
    """
    if recipe is None:
        return Retriever.open(folder, request, index_kind=index_kind)
    # Not noted as the one used last: the folder may be everybody's.
    return Retriever._opened(StoreFolder(folder), chosen_store(folder, request.name, recipe), request, index_kind)
