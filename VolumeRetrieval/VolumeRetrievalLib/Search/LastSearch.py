"""A search whose result can be shown."""

from __future__ import annotations

from dataclasses import dataclass

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

    def found(self, match: Match) -> bool:
        """Whether this is a match of this search, or a copy of one: another search finds the same volume, too, with
        other slices."""
        return any(one is match or _facts(one) == _facts(match) for one in self.result.matches)


def _facts(match: Match) -> tuple[object, ...]:
    return match.rank, match.score, match.key, match.volume_id
