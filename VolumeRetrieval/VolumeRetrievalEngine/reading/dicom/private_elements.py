"""Elements that makers define for themselves, wherever in its group a maker's block lies (PS3.5 7.8.1)."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.dataset import Dataset

from .values import text

#: Another maker's block may come first, so a block may lie one place later than usual.
_LATER = 2


@dataclass(frozen=True)
class PrivateElement:
    """An element of a private block, such as (0019,xx0C) of "SIEMENS MR HEADER".

    Attributes:
        usual: its tag where the block lies where it usually does.
        creator: the text that reserves the block.
    """

    usual: int
    creator: str

    @property
    def elements(self) -> tuple[int, ...]:
        """All tags that finding it may need: those of the creators, and of the element in each of the blocks."""
        return tuple(tag for shift in range(_LATER) for tag in (self._reserved(shift), self.usual + (shift << 8)))

    def tag(self, data_set: Dataset) -> int:
        """Its tag in this data set; the usual one if no block is reserved, as after some de-identifiers."""
        for shift in range(1, _LATER):
            if text(data_set, self._reserved(shift)).upper() == self.creator.upper():
                return self.usual + (shift << 8)
        return self.usual

    def _reserved(self, shift: int) -> int:
        return (self.usual & 0xFFFF0000) | ((self.usual >> 8 & 0xFF) + shift)
