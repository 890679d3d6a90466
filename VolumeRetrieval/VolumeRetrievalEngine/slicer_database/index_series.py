"""Indexing the series of a DICOM database: those that are new or changed are read, those that are gone are removed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from ..indexing.embedding import VolumeEmbedding
from ..indexing.run import IndexingReport, SeriesCounts, find_gone
from ..progress import ProgressCallback
from ..retriever import Retriever
from ..roots import absolute_path
from ..store import VolumeStore
from ..store.volume_names import add_roots, roots_of
from .series_list import ListedSeries, SeriesList
from .series_register import SeriesRegister


def index_series(
    retriever: Retriever,
    listed: SeriesList,
    progress: ProgressCallback | None = None,
    embedding: VolumeEmbedding | None = None,
) -> IndexingReport:
    """Bring the store up to date with the series of a list.

    A series that was dealt with and has not changed is not looked at; one that failed is tried again. Of a run that is
    stopped nothing is remembered but its volumes: the next run finds these unchanged.

    Args:
        retriever: made for indexing.
        progress: see progress.py; may raise Cancelled.
        embedding: who reads and embeds the volumes; None for this process.

    Returns:
        What was done; `pruned` counts the volumes of removed series, too, and `series` the series. Of a run that is
        stopped before the last series, `series` is None.
    """
    with retriever.writing() as store:
        report = _index_into(store, retriever, listed, progress, embedding)
        report.cancelled |= not retriever.update_indexes(store, progress)
    return report


def _index_into(
    store: VolumeStore,
    retriever: Retriever,
    listed: SeriesList,
    progress: ProgressCallback | None,
    embedding: VolumeEmbedding | None,
) -> IndexingReport:
    for root in listed.roots():
        add_roots(store, [root.path], root.name)
    register = SeriesRegister.of_store(store)
    todo = [one for one in listed.series if not register.is_settled(one.uid, one.stamp)]
    files = {one.uid: [Path(file) for file in one.files] for one in todo}
    roots = add_roots(store, [file for each in files.values() for file in each])
    report = retriever.index_into(store, files, roots=roots, embedding=embedding, progress=progress)
    if report.cancelled:
        return report
    report.gone = find_gone(store, roots, [file for each in files.values() for file in each])
    gone = set(listed.removed)
    if listed.complete:
        gone |= set(register.seen) - {one.uid for one in listed.series}
    report.pruned = store.remove(_ids_of_series(store, sorted(gone)) + _without_their_files(store, todo))
    register.note(todo, report, store)
    register.forget(gone)
    register.save(store)
    report.series = _counts(register, listed, todo, gone)
    return report


def _counts(
    register: SeriesRegister, listed: SeriesList, todo: Sequence[ListedSeries], gone: Collection[str]
) -> SeriesCounts:
    became = [register.seen[one.uid] for one in todo]
    failed = sum(one.failed for one in became)
    skipped = sum(bool(one.reason) for one in became) - failed
    return SeriesCounts(
        indexed=len(todo) - failed - skipped,
        unchanged=len(listed.series) - len(todo),
        skipped=skipped,
        failed=failed,
        removed=len(gone),
    )


def _ids_of_series(store: VolumeStore, uids: Sequence[str]) -> list[str]:
    return [record.volume_id for uid in uids for record in store.find_series(uid)]


def _without_their_files(store: VolumeStore, series: Sequence[ListedSeries]) -> list[str]:
    """Volumes of these series with files that the series no longer has: it was divided otherwise, or has shrunk."""
    roots = roots_of(store)
    found = []
    for one in series:
        records = store.find_series(one.uid)
        files = {absolute_path(file) for file in one.files} if records else set()
        found += [record.volume_id for record in records if not files.issuperset(roots.absolute(record.files))]
    return found
