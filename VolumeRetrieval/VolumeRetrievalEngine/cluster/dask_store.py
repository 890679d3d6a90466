"""Stores that workers of a Dask cluster hold open next to their disks, searched as one archive from here."""

from __future__ import annotations

import logging
import re
import socket
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from .. import __version__
from ..encoders.request import EncoderRequest
from ..errors import ClusterError, StoreLostError
from ..patients import PatientTokens
from ..recipe import Recipe
from ..retriever import Retriever
from ..roots import absolute_path
from ..searching.session import SearchSession
from ..store import VolumeRecord
from ..store.folder import StoreFolder
from ..united.elsewhere import Elsewhere
from ..united.united_retriever import UnitedRetriever, open_stores
from .held_store import Failure, HeldStore, Opened
from .remote_store import Ask, RemoteSession

if TYPE_CHECKING:
    from distributed import Actor, Client, Future

logger = logging.getLogger(__name__)

#: How often waiting for an answer looks whether the worker is still there. An index may take minutes to be made.
_LOOK_SECONDS = 2.0

_SCHEDULER_GONE = "the cluster's scheduler does not answer any more"


@dataclass(frozen=True)
class Place:
    """A folder at a worker: `worker` is its name in the cluster, or its computer's name or address."""

    worker: str
    folder: str

    @classmethod
    def of(cls, text: str) -> Place | None:
        """The place that "WORKER:FOLDER" means; None for a folder of this computer (also C:\\index)."""
        found = re.fullmatch(r"([\w.\-]{2,}|\d):(.+)", text)
        return cls(*found.groups()) if found else None

    def __str__(self) -> str:
        return f"{self.worker}:{self.folder}"


def open_stores_on(
    client: Client, stores: Sequence[str], encoder: EncoderRequest | str = "", *, index_kind: str = "auto"
) -> Retriever:
    """As open_stores, of stores of which some are "WORKER:FOLDER": the worker opens them, and has them open from then
    on. One whose worker is not there, or dies, is left out, and results say so.

    Args:
        client: connected with `direct`, so that answers do not go by way of the scheduler.

    Raises:
        StoreError: none of them can be opened.
    """
    places = {Path(text): place for text in stores if (place := Place.of(text)) is not None}
    if not places:
        return open_stores(stores, encoder, index_kind=index_kind)

    def open_it(name: Path, request: EncoderRequest, kind: str, recipe: Recipe | None) -> Retriever:
        return RemoteRetriever.at(client, places[name], _address(client, places[name]), request, kind, recipe)

    return UnitedRetriever.of(stores, encoder, index_kind=index_kind, elsewhere=dict.fromkeys(places, open_it))


class RemoteRetriever(Elsewhere, Retriever):
    """One store, which a worker holds open: a part of a UnitedRetriever. The encoder is made here, if one is needed."""

    def __init__(self, ask: StoreOnWorker, place: Place, opened: Opened, index_kind: str):
        recipe = Recipe.from_json(opened.recipe)
        folder = _FolderAtWorker(ask, place)
        super().__init__(folder, folder.parent / opened.folder, recipe, opened.request, index_kind)
        self._ask = ask
        self._remote = RemoteSession(ask, self.path, recipe)

    @classmethod
    def at(
        cls,
        client: Client,
        place: Place,
        address: str,
        request: EncoderRequest,
        index_kind: str,
        recipe: Recipe | None = None,
    ) -> RemoteRetriever:
        """Open a store at the worker of this address; the one that has the recipe.

        Raises:
            ClusterError: it cannot run this engine.
            StoreError: the store cannot be opened there, or the worker dies meanwhile.
        """
        held = (place.folder, request, index_kind, "" if recipe is None else recipe.to_json(), __version__)
        ask = StoreOnWorker(client, address, held)
        return cls(ask, place, ask("open"), index_kind)

    def find(self, name: str) -> VolumeRecord:
        """See OpenedStore; looked for at the worker."""
        path = Path(name).expanduser()
        known = self._remote.store
        return known.record(self._ask("named", str(absolute_path(path)) if path.exists() else name))

    def close(self) -> None:
        self._ask.release()

    def _session(self) -> SearchSession:
        return cast(SearchSession, self._remote)


class _FolderAtWorker(StoreFolder):
    """A folder whose secret stays where it is."""

    def __init__(self, ask: Ask, place: Place):
        super().__init__(str(place))
        self._ask = ask

    @property
    def tokens(self) -> PatientTokens:
        self._ask("secret")
        return _TokensOfWorker(self._ask)


class _TokensOfWorker(PatientTokens):
    """Tokens made by the worker: the store's secret stays where it is."""

    def __init__(self, ask: Ask):
        self._ask = ask

    def token(self, issuer: str, value: str) -> str:
        return self._ask("token", issuer, value) if value.strip() else ""


class StoreOnWorker:
    """Asks a HeldStore that is an actor of a worker. `held` are the arguments of HeldStore.

    Once the worker is lost, every question raises StoreLostError. Calls may come from any thread, one at a time.
    """

    def __init__(self, client: Client, address: str, held: tuple[Any, ...]):
        self._client = client
        self._address = address
        self._held = held
        self._made: Future | None = None  # as long as it is kept, the worker keeps the actor
        self._actor: Actor | None = None
        self._lost = ""

    def __call__(self, question: str, *values: Any) -> Any:
        """The answer.

        Raises:
            StoreLostError: the worker is gone. VolumeRetrievalError: it could not answer.
        """
        if self._lost:
            raise StoreLostError(self._lost)
        try:
            with self._client.as_current():
                answer = self._waited(self._there().ask(question, *values))
        except Exception as error:  # Dask has no common base for what it raises
            logger.debug("no answer to %r from %s", question, self._address, exc_info=True)
            reason = type(error).__name__ if not str(error) else f"{type(error).__name__}: {error}"
            self._lost = f"the worker {self._address} that held it open does not answer any more ({reason})"
            self.release()
            raise StoreLostError(self._lost) from error
        if isinstance(answer, Failure):
            raise answer.error
        return answer

    def release(self) -> None:
        """The worker's HeldStore is forgotten; the store stays open there."""
        self._actor = self._made = None

    def _there(self) -> Actor:
        """The actor, made when it is first needed."""
        if self._actor is None:
            self._made = self._client.submit(
                HeldStore, *self._held, workers=[self._address], allow_other_workers=False, actor=True, pure=False
            )
            self._actor = self._waited(self._made)
        return self._actor

    def _waited(self, answer: Any) -> Any:
        """The result of a future; looks from time to time whether its worker is still there."""
        while True:
            try:
                return answer.result(timeout=_LOOK_SECONDS)
            except TimeoutError:
                if self._client.status != "running":
                    raise ClusterError(_SCHEDULER_GONE) from None
                if self._address not in self._client.nthreads():
                    raise ClusterError("it has left the cluster") from None


def _address(client: Client, place: Place) -> str:
    """Of the worker that a place means; of several on one computer, always the same for a folder.

    Raises:
        ClusterError: there is none, or the scheduler is gone.
    """
    if client.status != "running":  # asked all the same, Dask waits for its coming back
        raise ClusterError(_SCHEDULER_GONE)
    try:
        names: dict[str, tuple[str, ...]] = client.run(_names_of, on_error="ignore")
    except Exception as error:  # Dask has no common base for what it raises
        raise ClusterError(f"{_SCHEDULER_GONE} ({type(error).__name__})") from error
    meant = sorted(address for address, known in names.items() if place.worker in known)
    if not meant:
        known = ", ".join(sorted({name for one in names.values() for name in one}))
        raise ClusterError(
            f"the cluster has no worker of this name, or on a computer of this name; it knows: {known or 'none'}"
        )
    return meant[zlib.crc32(place.folder.encode()) % len(meant)]


def _names_of(dask_worker: Any) -> tuple[str, ...]:
    """Runs on a worker: what it may be called by."""
    host = socket.gethostname()
    return tuple(dict.fromkeys([str(dask_worker.name), host, host.partition(".")[0], dask_worker.ip]))
