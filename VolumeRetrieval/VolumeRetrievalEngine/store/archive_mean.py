"""The archive's mean embedding, for centering (method/centering.py): kept with the store by its writer.

It moves little once there are some dozen volumes, and similarities should not change from one night to the next, so
the kept one stays until the archive has doubled or the mean has moved. In a store of an older version, which keeps
none, it is computed from the same sample whenever the store is opened.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Protocol

import numpy as np

from ..method.centering import mean_of_volumes
from .reader import StoreReader
from .volume_store import VolumeStore

#: Of fewer volumes the mean says more about them than about the encoder.
AT_LEAST = 20
#: Volumes, spread evenly over the archive, whose pooled rows it is the mean of.
_SAMPLE = 256
#: The kept mean is replaced when the archive is this many times as large (or as small), or when it has moved this far
#: (embeddings have length 1).
_GROWTH, _MOVED = 2, 0.1

_META = "mean"


def archive_mean(store: StoreReader) -> np.ndarray | None:
    """float32 [d]: the kept mean, or else that of the volumes there are; None for too few."""
    kept = _kept(store)
    return mean_of_archive(store) if kept is None else kept[1]


def keep_mean(store: VolumeStore) -> None:
    """Bring the kept mean up to date; not a change to the store's volumes.

    Raises:
        StoreError: it cannot be written.
    """
    mean, count = mean_of_archive(store), store.statistics().volumes
    kept = _kept(store)
    if mean is None or (kept is not None and _is_near(kept, count, mean)):
        return
    data = base64.b64encode(mean.astype("<f4").tobytes()).decode("ascii")
    store.set_meta(_META, json.dumps({"volumes": count, "float32": data}))


def _is_near(kept: tuple[int, np.ndarray], count: int, mean: np.ndarray) -> bool:
    known, before = kept
    return known < _GROWTH * count and count < _GROWTH * known and float(np.linalg.norm(mean - before)) < _MOVED


def _kept(store: StoreReader) -> tuple[int, np.ndarray] | None:
    """Of how many volumes the kept mean is, and itself; None where none is kept that can be read."""
    try:
        values = json.loads(store.meta(_META) or "null")
        mean = np.frombuffer(base64.b64decode(values["float32"], validate=True), "<f4").astype(np.float32)
        count = int(values["volumes"])
    except (TypeError, KeyError, ValueError, binascii.Error):
        return None
    return (count, mean) if len(mean) == store.dimension and np.isfinite(mean).all() else None


class PooledRows(Protocol):
    """What the mean is made of."""

    def keys(self) -> np.ndarray:
        """int64 [v], of all volumes, ascending."""
        ...

    def many_pooled(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """float32 [N, d], their pooled rows, and int64 [v + 1] where each volume's begin."""
        ...


def mean_of_archive(store: PooledRows) -> np.ndarray | None:
    """float32 [d]: of a sample of the volumes that there are; None for too few."""
    keys = store.keys()
    if len(keys) < AT_LEAST:
        return None
    chosen = keys[np.linspace(0, len(keys) - 1, min(len(keys), _SAMPLE)).round().astype(np.int64)]
    return mean_of_volumes(*store.many_pooled(chosen))
