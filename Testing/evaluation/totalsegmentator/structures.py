"""The structures of the data set, by version, and the coarse classes they are put into.

structures.csv has a row for each. The names are those of TotalSegmentator's class map (Apache-2.0;
totalsegmentator/map_to_binary.py, "total_v1" with 104 and "total" with 117 classes). The coarse classes are ours:
sides, numbers, lobes, chambers and the parts of gluteus are joined, and smaller vessels and cysts belong to none. For
v1 that makes 29, as many as paper A has (arXiv 2405.09334, section 2.3), whose own table we could not read.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

#: How finely structures are told apart, with the heading of each in the report.
LEVELS = {"fine": "every structure", "coarse": "coarse classes"}

_TABLE = Path(__file__).parent / "structures.csv"


@lru_cache(maxsize=1)
def _rows() -> tuple[dict[str, str], ...]:
    with _TABLE.open(newline="", encoding="utf-8") as table:
        return tuple(csv.DictReader(table))


def structures_of(version: str) -> frozenset[str]:
    """The names of "v1" or "v2"."""
    return frozenset(row["structure"] for row in _rows() if row[version] == "1")


def version_of(names: Iterable[str]) -> str:
    """Which version has masks of these names: "v1", "v2", or "" if the names belong to neither or to both."""
    known = set(names)
    only = {
        version: len(known & (structures_of(version) - structures_of(other)))
        for version, other in (("v1", "v2"), ("v2", "v1"))
    }
    found = [version for version, count in only.items() if count]
    return found[0] if len(found) == 1 else ""


def classes_of(structure: str) -> dict[str, str]:
    """What a structure is called at each level; a level that it belongs to no class of is left out."""
    row = next((row for row in _rows() if row["structure"] == structure), None)
    coarse = row["coarse"] if row else ""
    return {"fine": structure, **({"coarse": coarse} if coarse else {})}
