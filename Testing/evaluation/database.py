"""The evaluated archive: shared/data indexed by the engine itself, with each volume tied to its case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from VolumeRetrievalEngine.encoders.request import EncoderRequest
from VolumeRetrievalEngine.preprocessing.plane_geometry import PlaneGeometry
from VolumeRetrievalEngine.query.query import Query
from VolumeRetrievalEngine.query.selection import select_rows
from VolumeRetrievalEngine.reading import MetadataTable
from VolumeRetrievalEngine.retriever import Retriever
from VolumeRetrievalEngine.searching.match import Match
from VolumeRetrievalEngine.searching.options import SearchOptions
from VolumeRetrievalEngine.store.records import VolumeRecord
from VolumeRetrievalEngine.volume import SliceTable

from .archive import Archive, Order
from .dataset import Case, read_cases
from .errors import EvaluationError


@dataclass
class Database:
    """An indexed archive with ground truth.

    Attributes:
        archive: the engine's.
        cases: by key of the store.
        seen_patients: whom the encoder was trained on; none of them may query, because a network knows again what it
            has seen.
    """

    archive: Archive
    cases: dict[int, Case]
    seen_patients: frozenset[str] = frozenset()
    _queries: dict[tuple[str, str], Query] = field(default_factory=dict, repr=False)
    _rows: dict[tuple[str, str], np.ndarray] = field(default_factory=dict, repr=False)

    @cached_property
    def records(self) -> dict[str, VolumeRecord]:
        """The stored volumes by case id."""
        return {self.cases[record.key].id: record for record in self.archive.listing() if record.key in self.cases}

    def query(self, case: Case, organ: str = "") -> Query:
        """A stored volume, or an organ of it by its mask, to search with.

        Raises:
            EvaluationError: the encoder was trained on this patient.
        """
        if case.patient in self.seen_patients:
            raise EvaluationError(
                f"{case.id}: the network {self.archive.recipe.weights[:16]} was trained on its patient "
                f"{case.patient}; only the network of a fold that holds this patient out may be searched with it"
            )
        if (case.id, organ) not in self._queries:
            region = case.masks[organ].region() if organ else None
            self._queries[case.id, organ] = self.archive.query(self.records[case.id], region)
        return self._queries[case.id, organ]

    def order(self, query: Query, **options: object) -> Order:
        """Every volume but the query's own; its patient's others are judged, not excluded (see `of_other_patients`)."""
        return self.archive.order(query, SearchOptions(**options))

    def of_other_patients(self, case: Case, order: Order) -> list[Case]:
        """The order without the volumes of the query's patient."""
        ranked = [self.cases[key] for key in order.keys.tolist() if key in self.cases]
        return [other for other in ranked if other.patient != case.patient]

    def similarity(self, query: Query, other: Case) -> np.ndarray:
        """S with this volume."""
        return self.archive.similarity(query, self.records[other.id].key)

    def match(self, query: Query, other: Case) -> Match:
        """Where the query lies in this volume."""
        return self.archive.match(query, self.records[other.id].key)

    def rows_of(self, case: Case, organ: str) -> np.ndarray:
        """Rows of the stored slices that contain this organ, by its mask."""
        if (case.id, organ) not in self._rows:
            record = self.records[case.id]
            geometry = PlaneGeometry.from_dict(record.geometry)
            self._rows[case.id, organ] = select_rows(case.masks[organ].region(), geometry, self.archive.slices(record))
        return self._rows[case.id, organ]

    def slices_of(self, case: Case) -> SliceTable:
        """The stored slices of a case."""
        return self.archive.slices(self.records[case.id])


def build_database(
    cases: Sequence[Case],
    store: Path,
    encoder: str,
    weights: Path | None = None,
    seen_patients: frozenset[str] = frozenset(),
) -> Database:
    """Index the cases (what is indexed already costs nothing) and tie the volumes to them.

    Raises:
        RuntimeError: if any case could not be indexed: a table over fewer volumes would be another table.
    """
    retriever = Retriever.create(store, EncoderRequest(encoder, weights), renew=True)
    chosen = {case.path for case in cases}
    problems = []
    for folder in sorted({case.folder for case in cases}):
        others = [str(case.path) for case in read_cases(folder) if case.path not in chosen]
        metadata = MetadataTable.from_csv(folder / "manifest.csv")
        report = retriever.add([folder], exclude=["*/labels/*", *others], metadata=metadata)
        problems += [f"{one.path}: {one.reason}" for one in (*report.failed, *report.skipped)]
    if retriever.status().without_outlines:  # a store that was kept from before there were any
        retriever.add_outlines()
    archive, by_path = Archive(retriever), {case.path: case for case in cases}
    paths = {record.key: archive.path_of(record) for record in archive.listing()}
    tied = {key: by_path[path] for key, path in paths.items() if path in by_path}
    if missing := {case.id for case in cases} - {case.id for case in tied.values()}:
        raise RuntimeError(f"not indexed: {sorted(missing)}; {problems}")
    return Database(archive, tied, seen_patients)
