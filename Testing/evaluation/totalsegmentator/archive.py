"""The subjects, indexed by the engine itself into one store; searches return those of the database only."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from VolumeRetrievalEngine.encoders.request import EncoderRequest
from VolumeRetrievalEngine.preprocessing.plane_geometry import PlaneGeometry
from VolumeRetrievalEngine.progress import ProgressCallback, ProgressClock
from VolumeRetrievalEngine.query.region import Region
from VolumeRetrievalEngine.reading import MetadataTable
from VolumeRetrievalEngine.retriever import Retriever
from VolumeRetrievalEngine.searching.match import SearchResult
from VolumeRetrievalEngine.searching.options import SearchOptions
from VolumeRetrievalEngine.store.attribute_filter import AttributeFilter
from VolumeRetrievalEngine.store.records import VolumeRecord
from VolumeRetrievalEngine.volume import SliceTable

from ..errors import EvaluationError
from ..stored import stored_volumes
from .dataset import Dataset, Subject
from .presence import Presence, PresenceCache

#: The role of a subject stands in the store as its body part: it is what the engine can filter by.
_ONLY_DATABASE = AttributeFilter.parse(["body_part=DATABASE"])


@dataclass
class Archive:
    """An indexed data set.

    Attributes:
        left_out: id and reason of subjects that turned out not to be readable.
    """

    retriever: Retriever
    dataset: Dataset
    presence: PresenceCache
    left_out: dict[str, str]

    @cached_property
    def records(self) -> dict[str, VolumeRecord]:
        """The stored volumes by subject."""
        return stored_volumes(self.retriever, _by_image(self.dataset))

    @cached_property
    def _subject_of(self) -> dict[int, str]:
        return {record.key: subject for subject, record in self.records.items()}

    def queries(self) -> list[Subject]:
        """Those of the test split that were indexed."""
        return [one for one in self.dataset.of("QUERY") if one.id in self.records and one.id not in self.left_out]

    def search(self, subject: Subject, region: Region | None = None, **options: object) -> tuple[SearchResult, str]:
        """The result of one search, with the first volume alone, and the subject that this is."""
        options_ = SearchOptions(top=1, attributes=_ONLY_DATABASE, **options)
        result = self.retriever.search(self.records[subject.id].volume_id, region=region, options=options_)
        if not result.matches:
            raise EvaluationError(f"{subject.id}: the search found nothing; no subject of the database is indexed")
        return result, self._subject_of[result.matches[0].key]

    def shown(self, subject: str, level: str) -> Presence:
        """The slice numbers of a subject by class."""
        geometry = PlaneGeometry.from_dict(self.records[subject].geometry)
        return self.presence.of(self.dataset.subjects[subject], geometry)[level]

    def table(self, subject: str) -> SliceTable:
        """The embedded slices of a subject."""
        return self.retriever.slices(self.records[subject])

    def rows(self, subject: str, level: str, name: str) -> np.ndarray:
        """The embedded slices of a subject that show this class, as rows."""
        return np.flatnonzero(np.isin(self.table(subject).index, self.shown(subject, level).get(name, ())))


def build_archive(
    dataset: Dataset,
    store: Path,
    encoder: EncoderRequest,
    presence: PresenceCache,
    jobs: int = 1,
    progress: ProgressCallback | None = None,
) -> Archive:
    """Index what is not indexed yet, and read the masks that have not been read.

    Raises:
        EvaluationError: a split has no subject left.
        VolumeRetrievalError: the encoder cannot be made.
    """
    retriever = Retriever.create(store, encoder)
    images = [one.image for one in dataset.subjects.values()]
    report = retriever.add(images, metadata=_metadata(dataset, store), root="totalsegmentator", progress=progress)
    by_image = _by_image(dataset)
    left_out = {
        by_image.get(_absolute(one.path), str(one.path)): one.reason for one in (*report.failed, *report.skipped)
    }
    archive = Archive(retriever, dataset, presence, left_out)
    left_out.update(_read_masks(archive, jobs, progress))
    for role in ("DATABASE", "QUERY"):
        if not any(one.id in archive.records and one.id not in left_out for one in dataset.of(role)):
            raise EvaluationError(f"{dataset.folder}: no subject is left to be {role}: {left_out}")
    kept = {record.volume_id for name, record in archive.records.items() if name not in left_out}
    # A volume whose masks nobody knows must not be found, nor one that an earlier run with other subjects has left.
    if gone := [one.volume_id for one in retriever.listing() if one.volume_id not in kept]:
        retriever.remove(gone)
        archive.__dict__.pop("records")
    return archive


def _by_image(dataset: Dataset) -> dict[Path, str]:
    return {_absolute(one.image): one.id for one in dataset.subjects.values()}


def _absolute(path: Path | str) -> Path:
    return Path(path).absolute()


def _metadata(dataset: Dataset, store: Path) -> MetadataTable:
    store.mkdir(parents=True, exist_ok=True)
    file = store / "subjects.csv"
    with file.open("w", newline="", encoding="utf-8") as table:
        rows = csv.writer(table)
        rows.writerow(["path", "modality", "body_part", "patient"])
        rows.writerows([_absolute(one.image), "CT", one.role, one.id] for one in dataset.subjects.values())
    return MetadataTable.from_csv(file)


def _read_masks(archive: Archive, jobs: int, progress: ProgressCallback | None) -> dict[str, str]:
    """Subjects whose masks cannot be read, with the reason."""
    tasks = [(archive.dataset.subjects[name], record.geometry) for name, record in archive.records.items()]
    clock = ProgressClock("masks", len(tasks), float(len(tasks)), progress)
    failed = {}
    for name, reason in _filled(archive.presence, tasks, jobs):
        if reason:
            failed[name] = reason
        clock.advance(1.0, name)
    return failed


def _filled(
    presence: PresenceCache, tasks: Sequence[tuple[Subject, dict[str, Any]]], jobs: int
) -> Iterator[tuple[str, str]]:
    """Each subject, once its masks are read, with the reason why they could not be, or ""."""
    if jobs <= 1:
        yield from (_fill(presence.folder, *task) for task in tasks)
        return
    # Spawned: a network's threads may be running in this process.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        running = [pool.submit(_fill, presence.folder, *task) for task in tasks]
        try:
            yield from (one.result() for one in as_completed(running))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _fill(folder: Path, subject: Subject, geometry: dict[str, Any]) -> tuple[str, str]:
    try:
        PresenceCache(folder).of(subject, PlaneGeometry.from_dict(geometry))
        return subject.id, ""
    except EvaluationError as error:
        return subject.id, str(error)
