"""Similarity matrices of the last search, which the search worker sends on request for the match that is looked at."""

from __future__ import annotations

from typing import Any

import numpy as np
from slicer.i18n import tr as _
from VolumeRetrievalEngine.searching.match import Match
from VolumeRetrievalEngine.worker.matrices import decode_matrix

from ..Processes.EngineErrors import EngineError
from ..Processes.SearchWorkerClient import Request, SearchWorkerClient
from ..Values import Callbacks
from .LastSearch import LastSearch

#: Going back and forth between a few results asks once for each; a matrix has up to a megabyte.
_KEPT = 8


class Similarities:
    """Asks the worker that did the search, and keeps the last few matrices."""

    def __init__(self, client: SearchWorkerClient):
        self._client = client
        self._kept: dict[tuple[str, int], np.ndarray] = {}

    def known(self, last: LastSearch, match: Match) -> np.ndarray | None:
        """The matrix, float32 [n_q, n_rows], if it was asked for before."""
        return self._kept.get((last.result.search_id, match.key))

    def request(self, last: LastSearch, match: Match, answer: Callbacks) -> Request:
        """Ask for the matrix; `answer.finished` gets it."""
        name = (last.result.search_id, match.key)

        def finished(values: Any) -> None:
            try:
                matrix = decode_matrix(values)
            except ValueError as error:
                answer.failed(EngineError(str(error)))
                return
            self._kept.pop(name, None)
            self._kept[name] = matrix
            while len(self._kept) > _KEPT:
                self._kept.pop(next(iter(self._kept)))
            answer.finished(matrix)

        def failed(error: Exception) -> None:
            if (
                isinstance(error, EngineError) and error.type == "UnknownSearchError"
            ):  # the worker was started again since
                error = EngineError(_("The search process no longer knows this search: search again."), error.type)
            answer.failed(error)

        params = {**last.worker, "key": match.key}
        return self._client.request("similarity", params, Callbacks(finished, failed, answer.cancelled))
