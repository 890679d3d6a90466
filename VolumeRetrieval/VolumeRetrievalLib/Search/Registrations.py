"""Registration of matches with their query, by the worker that did the search."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer
from slicer.i18n import tr as _
from VolumeRetrievalEngine.searching.match import Match
from VolumeRetrievalEngine.searching.refinement import Refinement

from ..Database.IndexContents import IndexContents
from ..Processes.EngineErrors import EngineError
from ..Processes.PrivateFolders import PrivateFolders
from ..Processes.SearchWorkerClient import Request, SearchWorkerClient
from ..Scene.LoadedVolumes import LoadedVolumes
from ..Values import Callbacks
from . import QueryVolume
from .LastSearch import LastSearch

#: One has a few numbers; those of searches that can no longer be shown are of no use.
_KEPT = 64


class Registrations:
    """Asks the worker, and keeps what came of it, so that a comparison that is opened again has it."""

    def __init__(
        self,
        client: SearchWorkerClient,
        folders: PrivateFolders,
        loaded: LoadedVolumes,
        contents: Callable[[], IndexContents],
    ):
        self._client = client
        self._folders = folders
        self._loaded = loaded
        self._contents = contents
        self._kept: dict[tuple[str, int], Refinement] = {}

    def known(self, last: LastSearch, match: Match) -> Refinement | None:
        """What came of it, if it was asked for before."""
        return self._kept.get((last.result.search_id, match.key))

    def request(self, last: LastSearch, match: Match, answer: Callbacks) -> Request:
        """Register what was asked for with this match; `answer.finished` gets the refinement, reliable or not.

        Raises:
            ValueError: the query is no longer in the scene, or cannot be written.
        """
        name = (last.result.search_id, match.key)
        folder = self._folders.make()
        params: dict[str, Any] = {**last.worker, "key": match.key}
        try:
            params |= self._query(last, folder)
        except BaseException:
            self._folders.remove(folder)
            raise

        def finished(values: Any) -> None:
            self._folders.remove(folder)
            try:
                found = Refinement.from_dict(values)
            except (KeyError, TypeError, ValueError) as error:
                answer.failed(EngineError(_("The registration's answer cannot be read: {error}").format(error=error)))
                return
            self._kept.pop(name, None)
            self._kept[name] = found
            while len(self._kept) > _KEPT:
                self._kept.pop(next(iter(self._kept)))
            answer.finished(found)

        def failed(error: Exception) -> None:
            self._folders.remove(folder)
            if isinstance(error, EngineError) and error.type == "UnknownSearchError":  # it was started again since
                error = EngineError(_("The search process no longer knows this search: search again."), error.type)
            answer.failed(error)

        def cancelled() -> None:
            self._folders.remove(folder)
            answer.cancelled()

        return self._client.request("refine", params, Callbacks(finished, failed, cancelled, answer.progress))

    def _query(self, last: LastSearch, folder: Any) -> dict[str, Any]:
        """The query's voxels, as parameters, where the engine cannot read them again by itself."""
        if last.files:
            return {"files": list(last.files)}
        if last.volumeID:
            return {}
        node = slicer.mrmlScene.GetNodeByID(last.nodeID)
        if node is None:
            raise ValueError(_("The query volume is no longer in the scene: search again."))
        indexed = self._loaded.indexedVolume(node, self._contents())
        if indexed is not None and indexed.volumeID == last.result.query_id:
            return {}
        return {"volume": QueryVolume.write(node, folder)}
