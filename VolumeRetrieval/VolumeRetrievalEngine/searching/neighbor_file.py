"""What the archive's volumes reach as neighbors, kept next to its indexes (method/likeness.py).

Derived from the store, like the indexes: whatever happens to the file, it is made again. Whoever indexes writes it;
a search that finds none, or an old one, makes its own where that takes no time.
"""

from __future__ import annotations

import contextlib
import logging
import os
import zipfile
from dataclasses import asdict

import numpy as np

from ..method.likeness import AT_LEAST, NeighborLevels, neighbor_levels
from ..progress import ProgressCallback, ProgressClock
from ..store.reader import StoreReader

logger = logging.getLogger(__name__)

#: Next to the store.
LEVELS_FILE = "neighbors.npz"
_VERSION = 1
#: Levels are made again when the number of volumes has changed by more than this share.
_MAY_CHANGE = 0.1
#: A search makes levels of at most so many volumes: half a second.
MADE_WHILE_SEARCHING = 2000


def levels_of(store: StoreReader, progress: ProgressCallback | None = None) -> NeighborLevels | None:
    """Make the levels of a store; None where it holds too few volumes.

    Args:
        progress: called between blocks of volumes (stage "build"); may raise Cancelled.
    """
    owners = store.owners()
    clock = ProgressClock("build", len(owners), float(len(owners)), progress)

    def read(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if 0 < clock.done < clock.total and clock.total > MADE_WHILE_SEARCHING:
            clock.tell("how similar volumes are to each other")
        clock.count(len(keys), len(keys))
        return store.many_pooled(keys)

    keys = np.fromiter(owners, np.int64, len(owners))
    return neighbor_levels(keys, [owner or key for key, owner in owners.items()], read)


def update_levels(store: StoreReader, progress: ProgressCallback | None = None) -> None:
    """Bring the file up to date, where that is due; see :func:`levels_of`."""
    n_volumes = len(store.keys())
    if n_volumes < AT_LEAST:
        return
    if not is_current(read_levels(store), n_volumes) and (levels := levels_of(store, progress)) is not None:
        write_levels(store, levels)


def is_current(levels: NeighborLevels | None, n_volumes: int) -> bool:
    """Whether levels still fit a store with so many volumes."""
    return levels is not None and abs(n_volumes - levels.n_volumes) <= _MAY_CHANGE * levels.n_volumes


def read_levels(store: StoreReader) -> NeighborLevels | None:
    """The levels in the store's file; None if there is none that is whole and belongs to this store."""
    try:
        with np.load(store.folder / LEVELS_FILE, allow_pickle=False) as table:
            if str(table["store_id"]) != store.store_id or int(table["version"]) != _VERSION:
                return None
            names = NeighborLevels.__dataclass_fields__
            return NeighborLevels(**{**{name: table[name] for name in names}, "n_volumes": int(table["n_volumes"])})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        logger.warning("%s cannot be read and is made again (%s)", store.folder / LEVELS_FILE, error)
        return None


def write_levels(store: StoreReader, levels: NeighborLevels) -> None:
    """Replace the file; a line in the log if that is impossible."""
    path = store.folder / LEVELS_FILE
    temporary = path.with_name(f"{LEVELS_FILE}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            np.savez(file, version=_VERSION, store_id=store.store_id, **asdict(levels))
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        logger.warning("%s was not saved and will be made again when needed (%s)", path, error)
