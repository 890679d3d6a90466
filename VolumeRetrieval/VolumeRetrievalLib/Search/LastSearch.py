"""A search whose result can be shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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

    def found(self, match: Match) -> bool:
        """Whether this is a match of this search, or a copy of one: another search finds the same volume, too, with
        other slices."""
        return isMatch(match) and any(one is match or _facts(one) == _facts(match) for one in self.result.matches)


def isMatch(value: Any) -> bool:
    """Whether it is a match, also one that was found before the module was loaded again."""
    return hasattr(value, "volume_id") and hasattr(value, "key")


def checkMatches(*values: Any) -> None:
    """TypeError if one of these is no match."""
    for value in values:
        if not isMatch(value):
            text = _("{value} is not a match: expected one of a result's matches, such as result.matches[0].")
            raise TypeError(text.format(value=repr(value)))


def _facts(match: Match) -> tuple[object, ...]:
    return match.rank, match.score, match.key, match.volume_id
