"""How a result's similarity stands in this archive, in words (method/likeness.py, METHOD.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: From these standings on. They are rates of false alarms: of 100 volumes like those of the archive, 15 are said to
#: have nothing like them, and 30 no close match.
SOME_LIKENESS = 0.15
CLOSE_MATCH = 0.30


@dataclass(frozen=True)
class Likeness:
    """How a result's similarity stands in its archive.

    Attributes:
        standing: the share of the archive's volumes that have no volume of another patient as similar as this result
            is to the query, 0 to 1.

    Example:
        >>> Likeness(0.62).words, Likeness(0.2).words, Likeness(0.01).words
        ('close match', 'some likeness', 'nothing like it')
    """

    standing: float

    @property
    def is_close(self) -> bool:
        return self.standing >= CLOSE_MATCH

    @property
    def is_nothing(self) -> bool:
        return self.standing < SOME_LIKENESS

    @property
    def words(self) -> str:
        """Three words that a person understands."""
        if self.is_close:
            return "close match"
        return "nothing like it" if self.is_nothing else "some likeness"

    def to_dict(self) -> dict[str, Any]:
        return {"standing": round(self.standing, 4), "words": self.words}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Likeness:
        return cls(float(values["standing"]))


def nothing_in_words(likeness: Likeness) -> str:
    """What to say above a list whose best result is nothing like the query."""
    closer = 100 * (1 - likeness.standing)
    return f"Nothing like it here: {closer:.0f}% of the indexed volumes have a more similar neighbor than this query"
