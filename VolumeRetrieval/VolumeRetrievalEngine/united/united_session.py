"""The warm state of searching several stores as one: a session for each, and what they answer together."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np

from ..errors import NoStoreError, StoreError
from ..method.likeness import NeighborLevels
from ..method.row_search import VolumeScores
from ..progress import ProgressCallback
from ..searching.neighbor_file import MADE_WHILE_SEARCHING, levels_of
from ..searching.session import PATIENT_UNKNOWN, SearchSession
from ..slice_index.row_map import Level
from ..store.archive_mean import mean_of_archive
from ..store.attribute_filter import AttributeFilter
from ..store.reader import StoreReader
from ..store.schema import STORE_FILE
from .answering import AnsweringFolders
from .elsewhere import Elsewhere, answers
from .keys import moved
from .united_index import UnitedIndex, UnitedScores
from .united_reader import UnitedReader

logger = logging.getLogger(__name__)


class UnitedSession:
    """See :class:`~..searching.session.SearchSession`, of which it has everything that a search asks.

    A store that can no longer be reached is left out from then on, and each result says so; the others answer.

    Attributes:
        parts: the sessions of the stores, by number.
        folders: what each store is called, by number.
        store: all stores as one.
        lost: why the others are not searched, by number.
    """

    def __init__(
        self,
        parts: Mapping[int, SearchSession],
        folders: Mapping[int, Path],
        lost: Mapping[int, Exception] | None = None,
        answering: AnsweringFolders | None = None,
    ):
        """`answering` knows of folders on shares that hang."""
        self.parts = dict(parts)
        self.folders = dict(folders)
        self.lost = dict(lost or {})
        self.store = UnitedReader({number: part.store for number, part in self.parts.items()})
        self._answering = answering or AnsweringFolders()
        self._mean: tuple[tuple[int, ...], np.ndarray | None] | None = None
        self._levels: tuple[tuple[int, ...], NeighborLevels | None] | None = None

    @property
    def slices(self) -> UnitedIndex:
        return UnitedIndex({number: part.slices for number, part in self.parts.items()})

    @property
    def pooled(self) -> UnitedIndex:
        return UnitedIndex({number: part.pooled for number, part in self.parts.items()})

    def refresh(self, levels: Sequence[Level] = ("slices", "pooled"), progress: ProgressCallback | None = None) -> None:
        """See SearchSession.

        Raises:
            StoreError: no store can be reached any more.
        """
        self._answering.ask(
            self.folders[number] for number, part in self.parts.items() if not isinstance(part, Elsewhere)
        )
        errors = answers(self.parts, lambda number, part: self._refreshed(number, part, levels, progress))
        for number, error in errors.items():
            if error is not None:
                self._lose(number, error)

    def rows(self, level: Level) -> UnitedScores[VolumeScores]:
        """What compares whole volumes: of each part its open index, or its store."""
        return UnitedScores({number: part.rows(level) for number, part in self.parts.items()})

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
        """See SearchSession."""
        lost = [not_searched(self.folders[number], error) for number, error in sorted(self.lost.items())]
        return tuple(dict.fromkeys([*lost, *(note for part in self.parts.values() for note in part.notes())]))

    def notes_of_patient(self, keep: AttributeFilter, are_series_named: bool) -> tuple[str, ...]:
        """See SearchSession; of each store where the patient is not known."""
        unknown = self.without_patient(are_series_named)
        if len(unknown) == len(self.folders) and not keep.not_patient_token:
            return (PATIENT_UNKNOWN,)
        return tuple(
            f"the patient of the query is not known in {self.folders[number]}: volumes of the same patient there "
            "cannot be told"
            for number in unknown
        )

    def without_patient(self, are_series_named: bool) -> list[int]:
        """The stores in which the query's patient is not known. Whoever names the patient's series knows the archive of
        the first store."""
        return [
            number
            for number in sorted(self.parts)
            if not self.store.identities.of(number).patient_token and not (are_series_named and number == 0)
        ]

    def close(self) -> None:
        for part in self.parts.values():
            part.close()

    def _refreshed(
        self, number: int, part: SearchSession, levels: Sequence[Level], progress: ProgressCallback | None
    ) -> StoreError | OSError | None:
        """What went wrong, if anything."""
        try:
            if isinstance(part, Elsewhere):
                part.refresh(levels)
            else:
                self._answering.check(self.folders[number])
                if not (part.store.folder / STORE_FILE).exists():  # what is open can be read on, as it once was
                    raise NoStoreError(f"no store at {self.folders[number]}", folder=str(self.folders[number]))
                part.refresh(levels, progress)
        except (StoreError, OSError) as error:
            return error
        return None

    def _lose(self, number: int, error: Exception) -> None:
        if len(self.parts) == 1:
            raise error
        logger.debug("a store is left out", exc_info=error)
        del self.parts[number], self.store.parts[number]  # not closed: that can hang, too
        self._mean = self._levels = None
        self.lost[number] = error


def not_searched(store: Path | str, error: Exception) -> str:
    """What to say of a store that is left out."""
    return f"{store} is not searched: {error}"
