"""A store that this process holds open for searches that run elsewhere. Nothing here knows of Dask."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from .. import __version__
from ..encoders.request import EncoderRequest
from ..errors import ClusterError, StoreError, VolumeRetrievalError
from ..method.likeness import NeighborLevels
from ..method.row_search import Hits, RowSearch, VolumeScores
from ..recipe import Recipe
from ..retriever import Retriever
from ..searching.session import SearchSession
from ..slice_index.row_map import Level
from ..store import VolumeStore
from ..store.attribute_filter import AttributeFilter
from ..store.records import VolumeRecord
from ..store.volume_names import ROOTS
from ..united.united_retriever import open_store
from ..volume import SliceTable, SourceFiles

logger = logging.getLogger(__name__)

#: The stores that this process has open, by folder and kind of index. They stay open when a search elsewhere has ended.
_OPEN: dict[tuple[Path, str], Retriever] = {}

#: Keys as they are sent: all, those that were answered to the last question with a filter, or these.
SentKeys = np.ndarray | Literal["last"] | None

#: What is asked of the store's reader as it is.
_READ = ("keys_of_other_modality", "owners", "ids_of_series", "slices", "outlines", "files", "thumbnail", "meta")


@dataclass(frozen=True)
class Opened:
    """What a store turned out to be: its recipe as JSON, the encoder to ask for, and its folder's name."""

    recipe: str
    request: EncoderRequest
    folder: str


@dataclass(frozen=True)
class State:
    """How a store stands.

    Attributes:
        generation, dimension: see StoreReader.
        forgotten_generation: what changes when pooled rows are rebuilt under the same keys.
        roots: as JSON.
        notes: see SearchSession.
        indexes: of each level that was asked for, whether it holds rows, and whether it compares all.
    """

    generation: int
    dimension: int
    forgotten_generation: str
    roots: str
    notes: tuple[str, ...]
    indexes: dict[Level, tuple[bool, bool]]


@dataclass(frozen=True)
class Sent:
    """A volume without its embeddings."""

    record: VolumeRecord
    files: SourceFiles
    slices: SliceTable
    outlines: np.ndarray | None


@dataclass(frozen=True)
class Failure:
    """The answer to a question that failed."""

    error: VolumeRetrievalError


class HeldStore:
    """Answers the questions of one search process about one store, one after another.

    Each answer is of one generation. Between two questions the store may change: a snapshot that outlives a question
    would keep its writer waiting whenever a search process or the network dies. Keys are never used again, so that what
    can happen is that a volume is gone (UnknownVolumeError).

    Args:
        folder: as for Retriever.open, on this computer; "~" is its user's.
        request, index_kind: likewise.
        recipe: as JSON, of the store that is meant among several in the folder; empty for the one that is asked for.
        version: of the engine that asks.
    """

    def __init__(self, folder: str, request: EncoderRequest, index_kind: str, recipe: str, version: str):
        self._folder = Path(folder)
        self._request = request
        self._kind = index_kind
        self._recipe = recipe
        self._version = version
        self._opened: Retriever | None = None
        self._held: Retriever | None = None
        self._last_keys = np.zeros(0, np.int64)

    def ask(self, question: str, *values: Any) -> Any:
        """The answer to a question, one of the methods below, or a Failure."""
        try:
            if question in _READ:
                return getattr(self._session.store, question)(*values)
            return self._questions[question](*values)
        except (VolumeRetrievalError, OSError) as error:
            # Errors whose class takes other arguments than a text do not survive the way.
            as_it_is = type(error).__init__ is VolumeRetrievalError.__init__
            return Failure(error if as_it_is else StoreError(str(error)))  # type: ignore[arg-type]
        except Exception as error:
            logger.exception("%s: the question %r failed", self._folder, question)
            return Failure(StoreError(f"{type(error).__name__} in the process that holds it; see its log"))

    @property
    def _questions(self) -> dict[str, Callable[..., Any]]:
        return {
            "open": self._open,
            "state": self._state,
            "keys": self._keys,
            "records": self._records,
            "volumes": self._volumes,
            "named": self._named,
            "packed": lambda table, keys: self._session.store.packed(table, keys),
            "search": self._search,
            "count": lambda level, keys: self._index(level).count_allowed(self._meant(keys)),
            "index": lambda level, *question: self._compared(self._index(level), *question),
            "rows": lambda level, *question: self._compared(self._session.rows(level), *question),
            "neighbor_levels": self._neighbor_levels,
            "secret": self._secret,
            "token": lambda issuer, value: self._retriever.folder.tokens.token(issuer, value),
        }

    @property
    def _retriever(self) -> Retriever:
        if self._held is None:
            if self._version != __version__:
                raise ClusterError(
                    f"the worker has version {__version__} of the engine, the head {self._version}: install the same"
                )
            recipe = Recipe.from_json(self._recipe) if self._recipe else None
            self._opened = open_store(self._folder.expanduser(), self._request, self._kind, recipe)
            self._held = _held(self._opened, self._kind)
        return self._held

    @property
    def _session(self) -> SearchSession:
        return self._retriever._session()

    def _open(self) -> Opened:
        held = self._retriever
        assert self._opened is not None
        return Opened(held.recipe.to_json(), self._opened.request, held.path.name)

    def _state(self, levels: Sequence[Level]) -> State:
        session = self._session
        session.refresh(levels)
        store = session.store
        with store.snapshot():
            session.refresh(levels)
            return State(
                store.generation,
                store.dimension,
                store.meta("forgotten_generation") or "",
                store.meta(ROOTS) or "",
                session.notes(),
                {level: ((one := self._index(level)).holds_rows, one.compares_all) for level in levels},
            )

    def _keys(self, keep: AttributeFilter | None) -> np.ndarray:
        keys = self._session.store.keys(keep)
        if keep is not None:
            self._last_keys = keys
        return keys

    def _records(self, how: str, value: Any) -> list[VolumeRecord]:
        store = self._session.store
        reads: dict[str, Callable[[Any], Iterable[VolumeRecord | None]]] = {
            "id": lambda volume_id: [store.find(volume_id)],
            "keys": store.records,
            "series": store.find_series,
            "filter": store.listing,
        }
        return [_sendable(one) for one in reads[how](value) if one is not None]

    def _volumes(self, keys: Sequence[int]) -> tuple[np.ndarray, np.ndarray, list[Sent]]:
        store = self._session.store
        with store.snapshot():
            sent = [
                Sent(_sendable(one), one.files, store.slices(one.key), store.outlines(one.key))
                for one in store.records(keys)
            ]
            return *store.packed("embeddings", keys), sent

    def _named(self, name: str) -> VolumeRecord:
        return _sendable(self._retriever.find(name))

    def _search(self, level: Level, queries: np.ndarray, k: int, keys: SentKeys) -> Hits:
        return self._index(level).search(queries, k, self._meant(keys))

    def _compared(
        self, rows: VolumeScores, how: str, query: np.ndarray, keys: SentKeys, mean: np.ndarray | None
    ) -> tuple[np.ndarray | None, np.ndarray]:
        """Scores, directions or maxima; without the keys where they are those that were asked for."""
        wanted = self._meant(keys)
        found, values = getattr(rows, how)(query, wanted, mean)
        return (None if wanted is not None and np.array_equal(found, wanted) else found), values

    def _secret(self) -> None:
        """Whether the store's secret can be read; StoreError if not. It is not sent."""
        _ = self._retriever.folder.tokens

    def _neighbor_levels(self) -> NeighborLevels | None:
        return self._session.neighbor_levels()

    def _index(self, level: Level) -> RowSearch:
        return self._session.slices if level == "slices" else self._session.pooled

    def _meant(self, keys: SentKeys) -> np.ndarray | None:
        return self._last_keys if isinstance(keys, str) else keys


def _held(opened: Retriever, kind: str) -> Retriever:
    """The store as this process has it open; opened again where another one was put in its place."""
    key = opened.path, kind
    held = _OPEN.get(key)
    with VolumeStore.open(opened.path) as store:
        is_current = held is not None and held._session().store.store_id == store.store_id
    if held is None or not is_current:
        if held is not None:
            held.close()
        _OPEN[key] = held = opened
    return held


def _sendable(record: VolumeRecord) -> VolumeRecord:
    return replace(record, _read_files=_not_here)


def _not_here(key: int) -> SourceFiles:
    raise StoreError(f"the files of volume {key} are read where its store is open")
