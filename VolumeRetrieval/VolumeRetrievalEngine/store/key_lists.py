"""Lists of keys that are kept until the store changes: reading one takes a tenth of a second for 100,000 volumes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


class KeyLists:
    """Remembers lists by what was asked, of one generation of a store. Not for a writer, which may take a generation
    back and use its number for another change."""

    def __init__(self) -> None:
        self._generation = -1
        self._lists: dict[tuple[str, ...], np.ndarray] = {}

    def get(self, generation: int, asked: tuple[str, ...], read: Callable[[], np.ndarray]) -> np.ndarray:
        """int64 [v], not to be written to; `read` is called if it is not known."""
        if generation != self._generation:
            self._generation, self._lists = generation, {}
        if asked not in self._lists:
            self._lists[asked] = read()
            self._lists[asked].setflags(write=False)
        return self._lists[asked]
