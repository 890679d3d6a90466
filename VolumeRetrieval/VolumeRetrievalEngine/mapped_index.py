"""An index for another encoder, or another edition of it, made from one that is there: a few volumes are embedded, the
others are mapped.

The new index can be searched at once. Its mapped volumes are marked, and an indexing run embeds them as it comes to
them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from .errors import EncoderError, StoreError
from .indexing.embedding import InThisProcess
from .method.pooling import pool
from .method.space_map import SpaceMap, fit
from .patients import PatientTokens
from .progress import Cancelled, ProgressCallback, ProgressClock
from .query.files import read_again
from .reading import VolumeSource
from .retriever import Retriever
from .store import NewVolume, VolumeRecord, VolumeStore
from .store.mapping import MAPPED, Mapping, keep_mapping
from .store.volume_names import add_roots, path_of, roots_of
from .volume import Volume

#: Volumes that are embedded by both encoders. Our choice; docs/METHOD.md has what it costs and gives.
VOLUMES = 50


@dataclass(frozen=True)
class MappingReport:
    """What a mapping did.

    Attributes:
        source: the folder name of the index that was mapped from.
        mapped, embedded: how many volumes.
        cosine: of mapped and embedded rows, on volumes that were held out; see SpaceMap.
        reason: why nothing was mapped, or "".
    """

    source: str
    mapped: int = 0
    embedded: int = 0
    cosine: float = 0.0
    reason: str = ""
    cancelled: bool = False

    def in_words(self) -> str:
        """A sentence for the user."""
        if self.reason:
            return f"nothing was mapped from {self.source}: {self.reason}"
        state = "stopped" if self.cancelled else f"cosine {self.cosine:.2f} with their own embeddings"
        return f"{self.mapped:,} volumes mapped from {self.source}, by {self.embedded:,} embedded by both ({state})"


def map_index(
    retriever: Retriever, old: str, progress: ProgressCallback | None = None, volumes: int | None = None
) -> MappingReport:
    """Fill the retriever's store from another store in the same folder.

    Args:
        retriever: made for indexing, with the new encoder.
        old: the encoder, or the name of the folder, of the index that is there.
        progress: stages "embed" and "map", counted in volumes; may raise Cancelled. What is finished stays.
        volumes: how many are embedded by both; VOLUMES by default.

    Raises:
        StoreError: there is no such index, or it is the retriever's own.
        EncoderError: so few volumes could be read again that no map can be fitted.
    """
    wanted = VOLUMES if volumes is None else volumes
    path = retriever.folder.choose(old, rather_than=(retriever.path,))
    if path == retriever.path:
        raise StoreError(
            f"{path.name}: is the index of this encoder already; name another one to map from, or the encoder to map "
            "to (--encoder)"
        )
    with VolumeStore.open(path) as source, retriever.writing() as store:
        missing = [one for one in source.listing() if store.find(one.volume_id) is None]
        if len(missing) <= wanted:
            return MappingReport(path.name, reason=f"{len(missing)} volumes are embedded in the time that a map takes")
        _copy_roots(source, store)
        try:
            both = _embedded_by_both(source, store, retriever, missing, wanted, progress)
            space = _fitted(source, store, both)
            keep_mapping(store, Mapping(path.name, space.cosine))
            rest = [one for one in missing if store.find(one.volume_id) is None]
            mapped = _map(source, store, rest, space, path.name, progress)
            report = MappingReport(path.name, mapped, len(both), space.cosine)
        except Cancelled:
            report = MappingReport(path.name, cancelled=True)
        is_updated = retriever.update_indexes(store, progress)
    return report if is_updated else replace(report, cancelled=True)


def _embedded_by_both(
    source: VolumeStore,
    store: VolumeStore,
    retriever: Retriever,
    missing: Sequence[VolumeRecord],
    wanted: int,
    progress: ProgressCallback | None,
) -> list[str]:
    """Ids of so many volumes that both stores hold as embedded; some are embedded now."""
    known = [one for one in source.listing() if _is_embedded(store.find(one.volume_id), one)]
    both = [one.volume_id for one in islice(spread(known), wanted)]  # of no more: the fit has all their rows in memory
    todo = wanted - len(both)
    clock = ProgressClock("embed", todo, float(todo), progress)
    tokens = retriever.folder.tokens
    chosen = iter(spread(missing))
    embedding = InThisProcess(retriever.encoder())
    while len(both) < wanted and (record := next(chosen, None)) is not None:
        clock.tell(path_of(roots_of(source), record))
        one = _Stored.of(source, record, tokens)
        ((_, outcome),) = embedding.embedded([one], retriever.recipe, lambda _: None)
        if isinstance(outcome, NewVolume):  # what cannot be read now is left to the indexing run, which reports it
            store.add(outcome)
            both.append(record.volume_id)
            clock.advance(1.0)
    return both


def _is_embedded(known: VolumeRecord | None, record: VolumeRecord) -> bool:
    return known is not None and known.precision != MAPPED and known.fingerprint == record.fingerprint


def spread(records: Sequence[VolumeRecord], seed: int = 0) -> Iterator[VolumeRecord]:
    """The records in an order that comes to every kind of volume early: one of each modality and body part in turn."""
    kinds: dict[tuple[str, str], list[VolumeRecord]] = defaultdict(list)
    for place in np.random.default_rng(seed).permutation(len(records)):
        record = records[place]
        kinds[record.attributes.modality, record.attributes.body_part].append(record)
    waiting = [kinds[kind] for kind in sorted(kinds)]
    while waiting:
        yield from [kind.pop() for kind in waiting]
        waiting = [kind for kind in waiting if kind]


def _fitted(source: VolumeStore, store: VolumeStore, both: Sequence[str]) -> SpaceMap:
    old, new = [], []
    for volume_id in both:
        before, after = source.find(volume_id), store.find(volume_id)
        assert before is not None and after is not None
        if before.plane != after.plane:
            continue
        _, i, j = np.intersect1d(
            source.slices(before.key).index, store.slices(after.key).index, assume_unique=True, return_indices=True
        )
        if len(i):
            old.append(source.embeddings(before.key)[i])
            new.append(store.embeddings(after.key)[j])
    if len(old) < 2:
        raise EncoderError(
            f"{len(old)} volumes could be read again and compared: a map from {source.folder.name} needs more; index "
            "without --from"
        )
    return fit(old, new)


def _map(
    source: VolumeStore,
    store: VolumeStore,
    records: Sequence[VolumeRecord],
    space: SpaceMap,
    name: str,
    progress: ProgressCallback | None,
) -> int:
    clock = ProgressClock("map", len(records), float(len(records)), progress)
    mapped = 0
    for record in records:
        table, outlines = source.slices(record.key), source.outlines(record.key)
        # Slices without body: an older engine embedded them, a newer one leaves them out.
        kept = np.arange(len(table)) if outlines is None else np.flatnonzero(np.isfinite(outlines).all(axis=1))
        if len(kept):
            table = table.take(kept)
            rows = space(source.embeddings(record.key)[kept])
            pooled, first = pool(rows, table.position)
            store.add(
                NewVolume(
                    identity=record.identity,
                    files=record.files,
                    attributes=record.attributes,
                    geometry=record.geometry,
                    plane=record.plane,
                    n_slices=record.n_slices,
                    slices=table,
                    embeddings=rows,
                    pooled=pooled,
                    pooled_first=first,
                    thumbnails=[source.thumbnail(record.key, int(row)) for row in kept],
                    outlines=None if outlines is None else outlines[kept],
                    device=f"from {name}",
                    precision=MAPPED,
                    notes=record.notes,
                )
            )
            mapped += 1
        clock.advance(1.0, record.label, record.series_uid)
    return mapped


def _copy_roots(source: VolumeStore, store: VolumeStore) -> None:
    """Paths in the new store mean what they mean in the old one."""
    for root in roots_of(source):
        add_roots(store, [root.path], root.name)


@dataclass(frozen=True, repr=False)
class _Stored(VolumeSource):
    """An indexed volume, to be read from where its files are now."""

    store: VolumeStore
    record: VolumeRecord
    tokens: PatientTokens

    @classmethod
    def of(cls, store: VolumeStore, record: VolumeRecord, tokens: PatientTokens) -> _Stored:
        path = Path(path_of(roots_of(store), record))
        known = (record.identity, record.files, record.attributes, record.notes)
        return cls(*known, 0, path, record.n_slices, store, record, tokens)

    def read(self) -> Volume:
        return read_again(self.store, self.record, self.tokens)
