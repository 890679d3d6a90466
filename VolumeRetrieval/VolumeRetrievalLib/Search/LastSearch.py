"""The search whose result can be shown."""

from __future__ import annotations

from dataclasses import dataclass

from slicer.i18n import tr as _
from VolumeRetrievalEngine.searching.match import Match, SearchResult


@dataclass(frozen=True)
class LastSearch:
    """Its query is a node, or a volume of the index, or the files of a series. `storeName` says which store was
    searched."""

    result: SearchResult
    storeName: str = ""
    nodeID: str = ""
    volumeID: str = ""
    files: tuple[str, ...] = ()

    def check(self, match: Match) -> None:
        """ValueError unless this is a match of this search."""
        if all((one.key, one.volume_id) != (match.key, match.volume_id) for one in self.result.matches):
            raise ValueError(_("This is not a result of the last search: search again."))
