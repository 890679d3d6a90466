"""A search whose result can be shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from slicer.i18n import tr as _
from VolumeRetrievalEngine.searching.match import Match, SearchResult


@dataclass(frozen=True)
class LastSearch:
    """Its query is a node, or a volume of the index, or the files of a series. `storeName` says which store was
    searched; `stores` the folders that were searched as one, of which the first is the open database's, empty where
    there was only this one. `match` is the query where it was a match of another index, `pictures` are the best slices
    of matches as JPEG, by their key."""

    result: SearchResult
    storeName: str = ""
    nodeID: str = ""
    volumeID: str = ""
    files: tuple[str, ...] = ()
    match: Match | None = None
    stores: tuple[str, ...] = ()
    pictures: Mapping[int, bytes] = field(default_factory=dict, compare=False)

    @property
    def worker(self) -> dict[str, Any]:
        """What says to the search worker which search is meant, and where."""
        named: dict[str, Any] = {"search": self.result.search_id, "encoder": self.storeName}
        return {**named, "stores": list(self.stores), "pictures": True} if self.stores else named

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
