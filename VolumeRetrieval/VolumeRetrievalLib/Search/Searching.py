"""Starts searches: what is searched with goes to the worker, and what comes back is made ready to be shown."""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _
from VolumeRetrievalEngine.query.stack_geometry import StackGeometry
from VolumeRetrievalEngine.searching.match import Match, SearchResult

from ..Database import OtherIndex
from ..Database.DatabaseIndex import DatabaseIndex
from ..Processes.EngineErrors import EngineError
from ..Processes.PrivateFolders import PrivateFolders
from ..Processes.SearchParameters import searchOptions, serveArguments
from ..Processes.SearchWorkerClient import Request, SearchWorkerClient
from ..Scene.LoadedVolumes import LoadedVolumes, seriesUID
from ..Settings import Settings
from ..Values import ROI, SEGMENT, SLICES, Callbacks, SceneRegion, SearchCriteria
from . import QueryRegion, QueryStack, QueryVolume
from .LastSearch import LastSearch, checkMatches

#: Searches whose results can still be shown.
_REMEMBERED = 8


class Searching:
    """Keeps the worker warm between searches, and remembers which query the last ones were for."""

    def __init__(
        self,
        index: DatabaseIndex,
        loaded: LoadedVolumes,
        folders: PrivateFolders,
        client: SearchWorkerClient,
        others: Callable[[Sequence[str] | None], list[str]] = lambda stores: [],
        loadSettings: Callable[[], Settings] = Settings.load,
    ):
        """`others` says which index folders are searched together with the database's (IndexFolders.others)."""
        self._index = index
        self._loaded = loaded
        self._folders = folders
        self._client = client
        self._others = others
        self._loadSettings = loadSettings
        # The panel lists what it has found while a script searches for something else.
        self._done: deque[LastSearch] = deque(maxlen=_REMEMBERED)

    def searchOf(self, match: Match) -> LastSearch:
        """The search, one of the last few, that has found this match; ValueError if there is none, TypeError if it is
        no match."""
        checkMatches(match)
        if not self._done:
            raise ValueError(_("There are no search results yet: search first."))
        found = self._find(match)
        if found is None:
            raise ValueError(_("This is not a result of the last searches: search again."))
        return found

    def searchToShow(self, matches: Sequence[Match]) -> LastSearch | None:
        """The search that has found the first of these that is known; else the last one, None without any."""
        found = (self._find(match) for match in matches)
        return next((one for one in found if one is not None), self._done[0] if self._done else None)

    def _find(self, match: Match) -> LastSearch | None:
        return next((one for one in self._done if one.found(match)), None)

    def isElsewhere(self, match: Match) -> bool:
        """Whether a match is from another index than the open database's."""
        return not self._index.directory or OtherIndex.isElsewhere(match, self._index.folder)

    def picture(self, match: Match) -> bytes:
        """The JPEG of the best slice of a match of another index, which came with it; b"" if there is none."""
        found = self._find(match)
        return found.pictures.get(match.key, b"") if found is not None else b""

    def start(
        self,
        query: Any,
        region: SceneRegion | None,
        criteria: SearchCriteria,
        answer: Callbacks,
        stores: Sequence[str] | None = None,
    ) -> Request:
        """Search with a volume node or a SeriesInstanceUID; `stores` as RetrievalLogic.search() takes them.

        Whether the stored embeddings of a node can be used depends on its voxels being as they were indexed
        (LoadedVolumes.indexedVolume). That its own series is left out does not: it is asked of the node itself, however
        and whenever it was loaded.

        Raises:
            ValueError, TypeError, RuntimeError: the query or the region cannot be used; nothing is sent then.
        """
        if region is not None and not isinstance(region, SceneRegion):
            text = _("{region} is not a region: expected a SceneRegion of VolumeRetrievalLib.Values.")
            raise TypeError(text.format(region=repr(region)))
        settings = self._loadSettings()
        others = self._others(stores)
        searched = (str(self._index.folder), *others) if others else ()
        folder = self._folders.make()
        try:
            params, source = self._query(query, folder, searched)
            params["region"] = self._region(query, region, folder)
            params["options"] = self._options(query, criteria, settings)
            params["encoder"] = self._index.storeName
            if searched:
                params |= {"stores": list(searched), "pictures": True}
            self._client.configure(serveArguments(self._index.folder, settings))
        except BaseException:
            self._folders.remove(folder)
            raise

        def finished(values: dict[str, Any]) -> None:
            self._folders.remove(folder)
            remember = partial(LastSearch, storeName=params["encoder"], stores=searched, **source)
            self._finish(values, remember, answer)

        def failed(error: Exception) -> None:
            self._folders.remove(folder)
            answer.failed(error)

        def cancelled() -> None:
            self._folders.remove(folder)
            answer.cancelled()

        return self._client.request("search", params, Callbacks(finished, failed, cancelled, answer.progress))

    def again(
        self, result: SearchResult, query: Any, region: SceneRegion | None, criteria: SearchCriteria, answer: Callbacks
    ) -> Request:
        """Search with the query of a result again, which the worker still has; else as :meth:`start`.

        Raises: as :meth:`start`.
        """
        last = next((one for one in self._done if one.result.search_id == result.search_id), None)
        if last is None:
            return self.start(query, region, criteria, answer)

        def failed(error: Exception) -> None:
            if getattr(error, "type", "") != "UnknownSearchError":  # the worker was started again since
                answer.failed(error)
                return
            try:
                self.start(query, region, criteria, answer)
            except (ValueError, TypeError, RuntimeError) as problem:
                answer.failed(problem)

        params = {**last.worker, "options": self._options(query, criteria, self._loadSettings())}
        callbacks = Callbacks(
            lambda values: self._finish(values, partial(replace, last), answer),
            failed,
            answer.cancelled,
            answer.progress,
        )
        return self._client.request("search_again", params, callbacks)

    def _finish(self, values: dict[str, Any], remember: Callable[..., LastSearch], answer: Callbacks) -> None:
        """`remember` gets the result and its pictures."""
        try:
            encoded = values.pop("pictures", {})
            pictures = {int(key): base64.b64decode(one) for key, one in encoded.items()}
            result = SearchResult.from_dict(values)
        except (KeyError, TypeError, ValueError) as error:
            answer.failed(EngineError(_("The answer of the search cannot be read: {error}").format(error=error)))
            return
        self._done.appendleft(remember(result=result, pictures=pictures))
        answer.finished(result)

    def _options(self, query: Any, criteria: SearchCriteria, settings: Settings) -> dict[str, Any]:
        options = searchOptions(criteria, settings)
        return {**options, "exclude_series": self._leftOut(query, criteria)}

    def _region(self, query: Any, region: SceneRegion | None, folder: Path) -> dict[str, Any] | None:
        kind = getattr(region, "kind", "")
        if isinstance(query, str) and kind in (ROI, SEGMENT):
            raise ValueError(
                _("A series that is not loaded is searched whole or by slices: load it to use an ROI or a segment.")
            )
        stack = self.stackOf(query) if kind == SLICES else None
        return QueryRegion.message(region, stack, folder)

    def stackOf(self, query: Any) -> StackGeometry | None:
        """The stack that slice numbers of this query count (QueryStack.stackOf)."""
        return QueryStack.stackOf(query, self._index, self._loaded)

    def _query(self, query: Any, folder: Path, searched: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The query as parameters of a search in these index folders, and as LastSearch remembers it."""
        if isinstance(query, str):
            return self._seriesQuery(query, searched)
        QueryVolume.check(query)
        indexed = self._loaded.indexedVolume(query, self._index.contents)
        if indexed is not None:
            params: dict[str, Any] = {"query": indexed.volumeID}
        else:
            params = {"volume": QueryVolume.write(query, folder)}
        return {**params, "name": query.GetName()}, {"nodeID": query.GetID()}

    def _seriesQuery(self, uid: str, searched: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
        if not uid.strip():
            raise ValueError(_("There is no query: load a volume, or name a series by its SeriesInstanceUID."))
        volumes = self._index.contents.volumesOfSeries(str(uid))
        if volumes:
            volumeID = getattr(uid, "volumeID", "") or volumes[0].volumeID  # an IndexedVolume says which
            return {"query": volumeID}, {"volumeID": volumeID}
        match = self._matchElsewhere(uid)
        if match is not None and match.store in searched:
            return {"query": match.volume_id}, {"volumeID": match.volume_id, "match": match}
        files = tuple(self._index.series.files(uid))
        if not files and match is not None:  # its index is no longer searched
            files = tuple(str(one) for one in match.file_paths)
            return {"files": list(files)}, {"match": match, "files": files}
        if not files:
            raise ValueError(_("The DICOM database has no files of the series {uid}.").format(uid=uid))
        return {"files": list(files)}, {"files": files}

    def _matchElsewhere(self, uid: str) -> Match | None:
        """The match of the last searches that an IndexedVolume is, where it is from another index."""
        volumeID = getattr(uid, "volumeID", "")
        matches = (match for last in self._done for match in last.result.matches)
        return next((one for one in matches if one.volume_id == volumeID and self.isElsewhere(one)), None)

    def _leftOut(self, query: Any, criteria: SearchCriteria) -> list[str]:
        """The series that are not to be found: those that have gone from the database, the query's own, and those of
        its patient if these are not wanted."""
        own = str(query) if isinstance(query, str) else seriesUID(query)
        patient = self._index.series.ofSamePatient(own) if criteria.excludeSamePatient else []
        return sorted({*self._index.removed(), *patient, own} - {""})
