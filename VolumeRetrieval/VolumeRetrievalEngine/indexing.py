"""From discovered volumes to a filled store: what is new is read, embedded and stored, one volume at a time.

Every volume is stored in one transaction as soon as it is embedded: whatever ends the run, finished volumes stay, and
the next run goes on from there.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .encoders.base import Encoder
from .pooling import pool
from .preprocessing import chain
from .progress import Cancelled, ProgressCallback, ProgressClock
from .read_ahead import PreparedVolume, ReadAhead
from .reading import Discovery, Roots, Skipped, VolumeSource
from .store import NewVolume, VolumeStore

logger = logging.getLogger(__name__)


@dataclass
class IndexingReport:
    """What an indexing run did. Paths, never names; `failed` are volumes that should have been readable."""

    added: list[str] = field(default_factory=list)  # volume ids
    replaced: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    unchanged: int = 0
    gone: list[str] = field(default_factory=list)  # ids in the store whose files are no longer there
    pruned: int = 0
    skipped: list[Skipped] = field(default_factory=list)
    failed: list[Skipped] = field(default_factory=list)
    slices: int = 0
    seconds: float = 0.0
    cancelled: bool = False

    @property
    def read_anything(self) -> bool:
        """False when something was there to index and nothing could be read."""
        return bool(self.added or self.replaced or self.moved or self.unchanged or not self.failed)

    def to_dict(self) -> dict[str, Any]:
        return {
            "added": len(self.added),
            "replaced": len(self.replaced),
            "moved": len(self.moved),
            "unchanged": self.unchanged,
            "gone": len(self.gone),
            "pruned": self.pruned,
            "slices": self.slices,
            "seconds": round(self.seconds, 3),
            "cancelled": self.cancelled,
            "skipped": [{"path": str(one.path), "reason": one.reason} for one in self.skipped],
            "failed": [{"path": str(one.path), "reason": one.reason} for one in self.failed],
        }


def index_volumes(
    discovery: Discovery,
    store: VolumeStore,
    encoder: Encoder,
    roots: Roots,
    *,
    progress: ProgressCallback | None = None,
) -> IndexingReport:
    """Bring the store up to date with what was discovered.

    Args:
        discovery: what reading.discover found.
        store: opened writable; its recipe decides the preprocessing.
        encoder: the recipe's encoder.
        roots: where the store's named roots lie now (to tell a moved volume from a copy).
        progress: called before and after every volume; may raise Cancelled to stop.

    Raises:
        StoreError: when the store cannot take more (disk full, lock lost). Everything finished before is kept.
    """
    report = IndexingReport(
        skipped=[one for one in discovery.skipped if not one.failed],
        failed=[one for one in discovery.skipped if one.failed],
    )
    started = time.monotonic()
    todo = _what_to_do(discovery.sources, store, roots, report)
    clock = ProgressClock("index", len(todo), float(sum(max(1, one.size_bytes) for one in todo)), progress)
    try:
        with ReadAhead(todo, store.recipe, getattr(encoder, "compose", chain)) as volumes:
            for item, source in zip(volumes, todo, strict=True):
                clock.tell(str(source.path))
                if isinstance(item, Skipped):
                    (report.failed if item.failed else report.skipped).append(item)
                else:
                    _embed_and_store(item, store, encoder, report)
                clock.advance(max(1, source.size_bytes), str(source.path))
    except Cancelled:
        report.cancelled = True
    report.seconds = time.monotonic() - started
    return report


def find_gone(store: VolumeStore, roots: Roots, within: Sequence[Path]) -> list[str]:
    """The ids of stored volumes below these folders whose files are all gone from disk."""
    folders = [Path(folder).absolute() for folder in within]
    gone = []
    for record in store.listing():
        paths = roots.absolute(record.files)
        below = any(path.is_relative_to(folder) for path in paths[:1] for folder in folders)
        if below and not any(path.exists() for path in paths):
            gone.append(record.volume_id)
    return gone


def _what_to_do(
    sources: Sequence[VolumeSource], store: VolumeStore, roots: Roots, report: IndexingReport
) -> list[VolumeSource]:
    """The sources that have to be read; unchanged and moved ones are dealt with here."""
    todo = []
    for source in sources:
        known = store.find(source.identity.volume_id)
        if known is not None and known.fingerprint == source.identity.fingerprint:
            if known.files != source.files:
                store.moved(known.volume_id, source.identity, source.files)
                report.moved.append(source.identity.volume_id)
            else:
                report.unchanged += 1
            continue
        if known is None and (old := _moved_from(source, store, roots)) is not None:
            store.moved(old, source.identity, source.files)
            report.moved.append(source.identity.volume_id)
            continue
        todo.append(source)
    return todo


def _moved_from(source: VolumeSource, store: VolumeStore, roots: Roots) -> str | None:
    """The id under which this very content is known at a place where it no longer is."""
    for record in store.find_fingerprint(source.identity.fingerprint):
        if not any(path.exists() for path in roots.absolute(record.files)):
            return record.volume_id
    return None


def _embed_and_store(prepared: PreparedVolume, store: VolumeStore, encoder: Encoder, report: IndexingReport) -> None:
    source, stack = prepared.source, prepared.stack
    try:
        embeddings = np.concatenate([encoder.embed(images) for images in prepared.batches])
    except Exception as error:  # one volume that cannot be embedded must not end the archive's run
        logger.exception("could not embed %s", source.path)
        report.failed.append(Skipped(source.path, f"could not be embedded: {error}", failed=True))
        return
    pooled, first = pool(embeddings, stack.table.position)
    known = store.find(source.identity.volume_id)
    store.add(
        NewVolume(
            identity=source.identity,
            files=source.files,
            attributes=prepared.attributes,
            geometry=stack.geometry.to_dict(),
            plane=stack.plane,
            n_slices=stack.n_slices,
            slices=stack.table,
            embeddings=embeddings,
            pooled=pooled,
            pooled_first=first,
            thumbnails=prepared.thumbnails,
            device=encoder.device,
            precision=encoder.precision,
            notes=prepared.notes,
        )
    )
    (report.added if known is None else report.replaced).append(source.identity.volume_id)
    report.slices += len(embeddings)
