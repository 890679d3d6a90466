"""A store in memory, with as much of VolumeStore's behavior as an index sees."""

from __future__ import annotations

import uuid

import numpy as np
from VolumeRetrievalEngine.errors import UnknownVolumeError
from VolumeRetrievalEngine.method.pooling import pool
from VolumeRetrievalEngine.store.records import Changes


class MemoryStore:
    """Volumes by key; keys are never used again, removals leave tombstones, every change is a generation."""

    def __init__(self) -> None:
        self.generation = 0
        self.reads = 0  # volumes whose rows were asked for
        self._volumes: dict[int, tuple[int, np.ndarray, np.ndarray]] = {}
        self._tombstones: dict[int, int] = {}
        self.store_id = uuid.uuid4().hex
        self._next_key = 1
        self.forgets_tombstones_before = 0

    def add(self, embeddings: np.ndarray, spacing_mm: float = 3.0) -> int:
        pooled, _first = pool(embeddings, spacing_mm * np.arange(len(embeddings)))
        self.generation += 1
        key = self._next_key
        self._next_key += 1
        self._volumes[key] = (self.generation, embeddings, pooled)
        return key

    def remove(self, *keys: int) -> None:
        self.generation += 1
        for key in keys:
            del self._volumes[key]
            self._tombstones[key] = self.generation

    @property
    def keys(self) -> list[int]:
        return list(self._volumes)

    def embeddings(self, key: int) -> np.ndarray:
        return self._volumes[key][1]

    def changes_since(self, generation: int) -> Changes:
        rebuild = generation > self.generation or 0 < generation < self.forgets_tombstones_before
        since = 0 if rebuild else generation
        added = [(k, len(rows), len(pooled)) for k, (g, rows, pooled) in self._volumes.items() if g > since]
        removed = [] if rebuild else [key for key, at in self._tombstones.items() if at > since]
        return Changes(added, removed, self.generation, rebuild)

    def many_embeddings(self, keys: list[int]) -> tuple[np.ndarray, np.ndarray]:
        return self._many(keys, 1)

    def many_pooled(self, keys: list[int]) -> tuple[np.ndarray, np.ndarray]:
        return self._many(keys, 2)

    def _many(self, keys: list[int], column: int) -> tuple[np.ndarray, np.ndarray]:
        self.reads += len(keys)
        if unknown := [key for key in keys if key not in self._volumes]:
            raise UnknownVolumeError(f"no volumes {unknown}")
        rows = [self._volumes[key][column] for key in keys]
        return np.concatenate(rows), np.concatenate(([0], np.cumsum([len(one) for one in rows]))).astype(np.int64)


def stack(rng: np.random.Generator, n: int, dimension: int = 32, cosine: float = 0.95) -> np.ndarray:
    """float32 [n, d] unit rows of which neighbors have about this cosine, as adjacent slices do."""
    rows = np.empty((n, dimension))
    rows[0] = rng.standard_normal(dimension)
    for i in range(1, n):
        step = rng.standard_normal(dimension) * np.linalg.norm(rows[0]) / np.sqrt(dimension)
        rows[i] = cosine * rows[i - 1] + np.sqrt(1 - cosine**2) * step
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def variant(rng: np.random.Generator, rows: np.ndarray, cosine: float = 0.95) -> np.ndarray:
    """A follow-up: the same slices, each at about this cosine."""
    noise = rng.standard_normal(rows.shape) / np.sqrt(rows.shape[1])
    moved = cosine * rows + np.sqrt(1 - cosine**2) * noise
    return (moved / np.linalg.norm(moved, axis=1, keepdims=True)).astype(np.float32)


def archive(seed: int = 0, volumes: int = 60, dimension: int = 32) -> MemoryStore:
    """A store of stacks of 10 to 40 slices."""
    rng = np.random.default_rng(seed)
    store = MemoryStore()
    for n in rng.integers(10, 41, volumes):
        store.add(stack(rng, int(n), dimension))
    return store
