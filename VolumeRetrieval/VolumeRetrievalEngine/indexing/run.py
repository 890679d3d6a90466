"""From discovered volumes to a filled store: what is new is read, embedded and stored, one volume at a time.

Every volume is stored in one transaction as soon as it is embedded: whatever ends the run, finished volumes stay, and
the next run resumes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import EncoderError
from ..progress import Cancelled, ProgressCallback, ProgressClock
from ..reading import Discovery, Roots, Skipped, VolumeSource
from ..reading.dicom.series_splitting import UNDECIDED
from ..store import NewVolume, VolumeRecord, VolumeStore
from ..store.mapping import MAPPED
from ..volume import Attributes, Identity, SourceFiles
from .embedding import VolumeEmbedding
from .no_volumes import NoVolumes

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SeriesCounts:
    """How many series of a DICOM database had which outcome: `unchanged` were settled before, `failed` should have been
    readable and will be tried again, `skipped` are not volumes."""

    indexed: int
    unchanged: int
    skipped: int
    failed: int
    removed: int

    def to_dict(self) -> dict[str, int]:
        """Values for JSON."""
        return dict(self.__dict__)


@dataclass
class IndexingReport:
    """What an indexing run did; it has paths, never patients' names.

    `failed` lists files that should have been readable, or volumes whose files could be read but not indexed. `series`
    counts series if those of a DICOM database were indexed.

    Example:
        >>> report = Retriever.open("index").add(["archive"])
        >>> len(report.added), report.unchanged, report.read_anything
        (0, 4, True)
    """

    added: list[str] = field(default_factory=list)  # volume ids
    replaced: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)  # same voxels, but now more or something else is known of them
    superseded: list[str] = field(default_factory=list)  # removed: their series is now divided in another way
    unchanged: int = 0
    gone: list[str] = field(default_factory=list)  # ids in the store whose files are no longer there
    pruned: int = 0
    skipped: list[Skipped] = field(default_factory=list)
    failed: list[Skipped] = field(default_factory=list)
    slices: int = 0
    seconds: float = 0.0
    cancelled: bool = False
    series: SeriesCounts | None = None

    @property
    def read_anything(self) -> bool:
        """False when something was there to index and nothing could be read."""
        known = self.moved or self.updated or self.unchanged
        return bool(self.added or self.replaced or known or not self.failed)

    def to_dict(self) -> dict[str, Any]:
        """Values for JSON."""
        return {
            "added": len(self.added),
            "replaced": len(self.replaced),
            "moved": len(self.moved),
            "updated": len(self.updated),
            "superseded": len(self.superseded),
            "unchanged": self.unchanged,
            "gone": len(self.gone),
            "pruned": self.pruned,
            "slices": self.slices,
            "seconds": round(self.seconds, 3),
            "cancelled": self.cancelled,
            "skipped": [_left_out(one) for one in self.skipped],
            "failed": [_left_out(one) for one in self.failed],
            "series": None if self.series is None else self.series.to_dict(),
        }


def _left_out(one: Skipped) -> dict[str, str]:
    return {"path": str(one.path), "reason": one.reason, "series_uid": one.series_uid}


def index_volumes(
    discovery: Discovery,
    store: VolumeStore,
    embedding: VolumeEmbedding,
    roots: Roots,
    *,
    progress: ProgressCallback | None = None,
) -> IndexingReport:
    """Bring the store up to date with what was discovered.

    Args:
        discovery: what reading.discover found.
        store: opened writable; its recipe decides the preprocessing.
        embedding: who reads and embeds the volumes, with the recipe's encoder.
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
    no_volumes = NoVolumes.of_store(store)
    todo = _what_to_do(discovery.sources, store, roots, no_volumes, report)
    clock = ProgressClock("index", len(todo), float(sum(max(1, one.n_slices) for one in todo)), progress)

    def tell(source: VolumeSource) -> None:
        clock.tell(str(source.path), source.identity.series_uid)

    try:
        with closing(embedding.embedded(todo, store.recipe, tell)) as outcomes:
            for source, outcome in outcomes:
                if isinstance(outcome, NewVolume):
                    _store(source, outcome, store, report)
                elif outcome.failed:
                    report.failed.append(outcome)
                else:
                    report.skipped.append(outcome)
                    no_volumes.add(source.identity, outcome.reason)
                    known = store.find(source.identity.volume_id)
                    if known is not None and known.precision == MAPPED:  # of an index that took it for a volume
                        store.remove([known.volume_id])
                clock.advance(max(1, source.n_slices), str(source.path), source.identity.series_uid)
        _remove_superseded(discovery, store, roots, report)
    except Cancelled:
        report.cancelled = True
    no_volumes.save(store)
    report.seconds = time.monotonic() - started
    return report


def find_gone(store: VolumeStore, roots: Roots, within: Sequence[Path]) -> list[str]:
    """The ids of stored volumes below these folders whose files are all gone from disk.

    A folder that is not there, or holds nothing at all, tells nothing: it may be a disk that is not mounted.
    """
    folders = {Path(folder).absolute() for folder in within if _holds_something(Path(folder))}
    gone = []
    for record in store.listing():
        first = roots.absolute(SourceFiles(record.root, record.files.paths[:1]))
        below = any(folder in folders for path in first for folder in (path, *path.parents))
        if below and _are_gone(record, roots):
            gone.append(record.volume_id)
    return gone


def _holds_something(path: Path) -> bool:
    try:
        return not path.is_dir() or any(path.iterdir())
    except OSError:
        return False


def _are_gone(record: VolumeRecord, roots: Roots) -> bool:
    """Whether not one of a volume's files is there; what cannot be looked at is taken to be there."""
    for path in record.files.paths:  # one by one: of nearly every volume the first one is there
        try:
            if roots.absolute(SourceFiles(record.root, (path,)))[0].exists():
                return False
        except OSError:
            return False
    return True


def _what_to_do(
    sources: Sequence[VolumeSource], store: VolumeStore, roots: Roots, no_volumes: NoVolumes, report: IndexingReport
) -> list[VolumeSource]:
    """The sources that have to be read; unchanged and moved ones are dealt with here.

    What can be found already, as it was before or by mapped rows, comes last.
    """
    new: list[VolumeSource] = []
    findable: list[VolumeSource] = []
    for source in sources:
        known = store.find(source.identity.volume_id)
        if known is None or known.fingerprint != source.identity.fingerprint:
            if reason := no_volumes.reason(source.identity):
                report.skipped.append(Skipped(source.path, reason, False, source.identity.series_uid))
            elif known is None and (old := _moved_from(source, store, roots)) is not None:
                _keep(old, source, store)
                if old.precision == MAPPED:
                    findable.append(source)
                else:
                    report.moved.append(source.identity.volume_id)
            else:
                (new if known is None else findable).append(source)
        elif known.precision == MAPPED or _modality_changed(source, known):
            findable.append(source)  # the modality decides on the intensities
        elif known.files != source.files:
            _keep(known, source, store)
            report.moved.append(source.identity.volume_id)
        elif _now_known(source, known) != (known.identity, known.attributes):
            _keep(known, source, store)
            report.updated.append(source.identity.volume_id)
        else:
            report.unchanged += 1
    return new + findable


def _keep(known: VolumeRecord, source: VolumeSource, store: VolumeStore) -> None:
    """Keep the embeddings of a stored volume, with what is now known about where and what it is."""
    identity, attributes = _now_known(source, known)
    store.moved(known.volume_id, identity, source.files, attributes)


def _now_known(source: VolumeSource, known: VolumeRecord) -> tuple[Identity, Attributes]:
    """What a source says about itself, and what was known before where it says nothing.

    A nightly run without the metadata table of the first one must not forget what was in the table.
    """
    identity = replace(
        source.identity,
        patient_token=source.identity.patient_token or known.patient_token,
        study_token=source.identity.study_token or known.study_token,
    )
    return identity, known.attributes.updated(**vars(source.attributes))


def _modality_changed(source: VolumeSource, known: VolumeRecord) -> bool:
    return source.attributes.modality not in ("", known.attributes.modality)


def _moved_from(source: VolumeSource, store: VolumeStore, roots: Roots) -> VolumeRecord | None:
    """The record of this very content at a place where it no longer is."""
    candidates = store.find_fingerprint(source.identity.fingerprint)
    return next((record for record in candidates if _are_gone(record, roots)), None)


def _remove_superseded(discovery: Discovery, store: VolumeStore, roots: Roots, report: IndexingReport) -> None:
    """Remove what a series was before it was divided as it is now.

    When slices arrive that nothing tells from those of a volume, it is refused; and where an earlier version divided a
    series in another way, the old volumes would stay next to the new ones that have their slices.
    """
    sources = discovery.sources
    new = {*report.added, *report.replaced}
    refused = [one for one in discovery.skipped if one.reason == UNDECIDED and one.series_uid]
    series = {one.identity.series_uid for one in sources if one.identity.volume_id in new and one.identity.series_uid}
    series |= {one.series_uid for one in refused}
    if not series:
        return
    present = {one.identity.volume_id for one in sources}
    held = [one.files for one in sources if one.identity.series_uid in series]
    held += [roots.source_files([one.path]) for one in refused]
    files = {(one.root, path) for one in held for path in one.paths}
    for record in [record for uid in sorted(series) for record in store.find_series(uid)]:
        if record.volume_id not in present and all((record.files.root, path) in files for path in record.files.paths):
            report.superseded.append(record.volume_id)
    store.remove(report.superseded)


def _store(source: VolumeSource, volume: NewVolume, store: VolumeStore, report: IndexingReport) -> None:
    path, identity = source.path, source.identity

    def fail(reason: str) -> None:
        report.failed.append(Skipped(path, reason, True, identity.series_uid))

    known = store.find(identity.volume_id)
    try:
        store.add(volume)
    except EncoderError as error:
        fail(f"could not be embedded: {error}")
        return
    except (ValueError, TypeError, OverflowError) as error:  # values that the store cannot keep
        logger.debug("could not store %s", path, exc_info=True)
        fail(f"could not be stored ({type(error).__name__}); please report it, with what --verbose prints")
        return
    logger.debug("stored %s, %d slices", path, len(volume.slices))
    (report.added if known is None else report.replaced).append(identity.volume_id)
    report.slices += len(volume.slices)
