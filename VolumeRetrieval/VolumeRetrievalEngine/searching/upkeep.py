"""What a writer keeps next to the embeddings for those who search: indexes, the archive's mean, levels of neighbors.

All of it is derived from the store: where it is missing or old, a search makes its own, and only takes longer.
"""

from __future__ import annotations

from ..method.pooling import pool
from ..progress import Cancelled, ProgressCallback, ProgressClock
from ..slice_index.row_map import Level
from ..slice_index.slice_index import SliceIndex
from ..store import VolumeStore
from ..store.archive_mean import keep_mean
from .neighbor_file import update_levels
from .session import keep_kind, kept_kind

_LEVELS: tuple[Level, ...] = ("slices", "pooled")


def update_derived(store: VolumeStore, index_kind: str, progress: ProgressCallback | None = None) -> bool:
    """Bring it up to date with a store that was changed.

    Args:
        store: opened for writing.
        index_kind: that was asked for; "auto" for the one that is kept.
        progress: called where much is built (stage "build", volumes); may raise Cancelled.

    Returns:
        False if it was stopped; the next run makes what is missing, and searches until then make it for themselves.
    """
    keep_mean(store)
    kind = kept_kind(store, index_kind)
    try:
        for level in _LEVELS:
            SliceIndex.open(store.folder, store, level, kind, writable=True, progress=progress)
        update_levels(store, progress)
    except Cancelled:
        return False
    return True


def rebuild_derived(store: VolumeStore, index_kind: str, progress: ProgressCallback | None = None) -> bool:
    """Rebuild pooled rows, and indexes of this kind from now on.

    Args: see :func:`update_derived`; progress also has the stage "pool".

    Returns:
        False if it was stopped; what is not rebuilt is as it was, or made by whoever needs it.
    """
    keep_kind(store, index_kind)
    n_volumes = len(store.keys())
    clock = ProgressClock("pool", n_volumes, float(n_volumes), progress)

    def tell(done: int) -> None:
        clock.count(done - clock.done, float(done - clock.done))
        if done:
            clock.tell("")

    try:
        store.rebuild_pooled(pool, tell)
        for level in _LEVELS:
            SliceIndex.made_anew(store.folder, store, level, kept_kind(store, index_kind), progress)
    except Cancelled:
        return False
    return True
