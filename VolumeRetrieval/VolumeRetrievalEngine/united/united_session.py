"""The warm state of searching several stores as one: a session for each, and what they answer together."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np

from ..errors import StoreError
from ..method.likeness import NeighborLevels
from ..searching.neighbor_file import MADE_WHILE_SEARCHING, levels_of
from ..searching.session import SearchSession
from ..slice_index.row_map import Level
from ..store.archive_mean import mean_of_archive
from ..store.reader import StoreReader
from .keys import moved
from .united_index import UnitedIndex
from .united_reader import UnitedReader

logger = logging.getLogger(__name__)


class UnitedSession:
    """See :class:`~..searching.session.SearchSession`, of which it has everything that a search asks.

    A store that can no longer be reached is left out from then on, and each result says so; the others answer.

    Attributes:
        parts: the sessions of the stores, by number.
        store: all stores as one.
        lost: what is to be said of stores that are not searched.
    """

    def __init__(self, parts: Mapping[int, SearchSession], lost: Sequence[str] = ()):
        self.parts = dict(parts)
        self.lost = list(lost)
        self.store = UnitedReader({number: part.store for number, part in self.parts.items()})
        self._mean: tuple[tuple[int, ...], np.ndarray | None] | None = None
        self._levels: tuple[tuple[int, ...], NeighborLevels | None] | None = None

    @property
    def slices(self) -> UnitedIndex:
        return UnitedIndex({number: part.slices for number, part in self.parts.items()})

    @property
    def pooled(self) -> UnitedIndex:
        return UnitedIndex({number: part.pooled for number, part in self.parts.items()})

    def refresh(self, levels: Sequence[Level] = ("slices", "pooled")) -> None:
        """See SearchSession.

        Raises:
            StoreError: no store can be reached any more.
        """
        for number, part in list(self.parts.items()):
            try:
                part.refresh(levels)
            except (StoreError, OSError) as error:
                self._lose(number, error)

    def opened(self, level: Level) -> UnitedIndex | None:
        """The index of a level, if that of every part is open."""
        found = {number: index for number, part in self.parts.items() if (index := part.opened(level)) is not None}
        return UnitedIndex(found) if len(found) == len(self.parts) else None

    def mean(self) -> np.ndarray | None:
        """The mean embedding of the whole, float32 [d]; None for a small archive."""
        generation = self.store.generation
        if self._mean is None or self._mean[0] != generation:
            self._mean = generation, mean_of_archive(self.store)
        return self._mean[1]

    def neighbor_levels(self) -> NeighborLevels | None:
        """What the volumes of the whole reach as neighbors; of an archive that is large, those of its largest part."""
        generation = self.store.generation
        if self._levels is None or self._levels[0] != generation:
            counts = {number: len(part.store.keys()) for number, part in self.parts.items()}
            if sum(counts.values()) <= MADE_WHILE_SEARCHING:
                levels = levels_of(cast(StoreReader, self.store))
            else:
                largest = max(counts, key=lambda number: counts[number])
                levels = self.parts[largest].neighbor_levels()
                if levels is not None:
                    levels = replace(levels, ordinary_keys=moved(levels.ordinary_keys, largest))
            self._levels = generation, levels
        return self._levels[1]

    def notes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*self.lost, *(note for part in self.parts.values() for note in part.notes())]))

    def close(self) -> None:
        for part in self.parts.values():
            part.close()

    def _lose(self, number: int, error: Exception) -> None:
        if len(self.parts) == 1:
            raise error
        logger.debug("a store is left out", exc_info=error)
        part = self.parts.pop(number)
        del self.store.parts[number]
        self._mean = self._levels = None
        self.lost.append(not_searched(part.store.folder, error))


def not_searched(store: Path, error: Exception) -> str:
    """What to say of a store that is left out."""
    return f"{store} is not searched: {error}"
