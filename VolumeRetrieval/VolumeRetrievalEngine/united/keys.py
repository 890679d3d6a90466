"""The keys of volumes of several stores: those of one store, moved so that no two stores share one."""

from __future__ import annotations

import numpy as np

#: A store gives its keys one by one: this many it never reaches.
_KEYS = 1 << 40


def moved(keys: np.ndarray, part: int) -> np.ndarray:
    """The keys of a part (from 0) as keys of the whole: int64 [v]; -1, for nothing found, stays."""
    keys = np.asarray(keys, np.int64)
    return np.where(keys < 0, keys, keys + part * _KEYS)


def part_of(keys: np.ndarray) -> np.ndarray:
    """int64 [v]: the number of each key's part."""
    return np.asarray(keys, np.int64) // _KEYS


def own(keys: np.ndarray) -> np.ndarray:
    """int64 [v]: each key as its part's store knows it."""
    return np.asarray(keys, np.int64) % _KEYS


def of_part(keys: np.ndarray | None, part: int) -> np.ndarray | None:
    """Those of the keys that are of a part, as its store knows them; None (all) stays None."""
    if keys is None:
        return None
    keys = np.asarray(keys, np.int64)
    return own(keys[part_of(keys) == part])
