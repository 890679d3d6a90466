"""What the score is made of besides late interaction: parts that can be switched off one by one.

Without any it is the score of the paper (METHOD.md, stage 3). Each part is a file of this folder with its source.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from ..errors import QueryError

#: The score of the paper: none of the parts.
PAPER = "paper"
#: The parts that are on by default.
DEFAULT = "default"


@dataclass(frozen=True)
class ScoreParts:
    """Which parts are in a score.

    Attributes:
        centering: the archive's mean embedding is subtracted first (centering.py).
        directions: whole volumes are compared in both directions (directions.py).
        modality: volumes of another modality than the query's count as a little less similar (modality.py).
        neighbors: whole volumes whose own neighbors are not the query's count as less similar (reciprocal.py).
    """

    centering: bool = False
    directions: bool = False
    modality: bool = False
    neighbors: bool = False

    @classmethod
    def parse(cls, text: str) -> ScoreParts:
        """The parts of a text: "paper" for none, "default", or names joined by "+", such as "directions+modality".

        Raises:
            QueryError: for a name that no part has.
        """
        if text == DEFAULT:
            return DEFAULT_PARTS
        names = [] if text == PAPER else text.split("+")
        if unknown := [name for name in names if name not in PARTS]:
            raise QueryError(
                f"score {text!r}: unknown part {unknown[0]!r}; expected {DEFAULT}, {PAPER}, or some of "
                f"{', '.join(PARTS)}, joined by +"
            )
        return cls(**dict.fromkeys(names, True))

    def __str__(self) -> str:
        return "+".join(name for name in PARTS if getattr(self, name)) or PAPER


#: Names of the parts.
PARTS = tuple(field.name for field in fields(ScoreParts))
#: Those whose gain was measured on patients who had no say in choosing them (METHOD.md, stage 3).
DEFAULT_PARTS = ScoreParts(centering=True, directions=True, modality=True, neighbors=True)
