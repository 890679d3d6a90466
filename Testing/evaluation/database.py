"""The evaluated archive: shared/data indexed by the engine itself, with each volume tied to its case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from VolumeRetrievalEngine.encoders.request import EncoderRequest
from VolumeRetrievalEngine.preprocessing.plane_geometry import PlaneGeometry
from VolumeRetrievalEngine.query.region import MaskRegion
from VolumeRetrievalEngine.query.selection import select_rows
from VolumeRetrievalEngine.reading import MetadataTable
from VolumeRetrievalEngine.retriever import Retriever
from VolumeRetrievalEngine.searching.match import SearchResult
from VolumeRetrievalEngine.searching.options import SearchOptions
from VolumeRetrievalEngine.store.records import VolumeRecord
from VolumeRetrievalEngine.volume import SliceTable

from .dataset import Case
from .errors import EvaluationError

#: Every volume is ranked, so that average precision sees all of them.
_ALL = 100_000


@dataclass
class Database:
    """An indexed archive with ground truth.

    Attributes:
        retriever: the engine, opened for searching.
        cases: by key of the store.
        seen_patients: whom the encoder was trained on; none of them may query, because a network knows again what it
            has seen.
    """

    retriever: Retriever
    cases: dict[int, Case]
    seen_patients: frozenset[str] = frozenset()

    @cached_property
    def records(self) -> dict[str, VolumeRecord]:
        """The stored volumes by case id."""
        return {self.cases[record.key].id: record for record in self.retriever.listing() if record.key in self.cases}

    def search(self, case: Case, region: MaskRegion | None = None, **options: object) -> SearchResult:
        """Search with a stored volume, or with a region of it; its own patient's volumes are judged, not excluded
        here (see `of_other_patients`), except the query itself.

        Raises:
            EvaluationError: the encoder was trained on this patient.
        """
        if case.patient in self.seen_patients:
            raise EvaluationError(
                f"{case.id}: the network {self.retriever.recipe.weights[:16]} was trained on its patient "
                f"{case.patient}; only the network of a fold that holds this patient out may be searched with it"
            )
        return self.retriever.search(
            self.records[case.id].volume_id, region=region, options=SearchOptions(top=_ALL, **options)
        )

    def of_other_patients(self, case: Case, result: SearchResult) -> list[tuple[Case, int]]:
        """The ranking without the volumes of the query's patient: (case, position in the result's matches)."""
        ranked = [(self.cases[match.key], place) for place, match in enumerate(result.matches)]
        return [(other, place) for other, place in ranked if other.patient != case.patient]

    def rows_of(self, case: Case, organ: str) -> np.ndarray:
        """Rows of the stored slices that contain this organ, by its mask."""
        record = self.records[case.id]
        geometry = PlaneGeometry.from_dict(record.geometry)
        return select_rows(MaskRegion.from_file(case.labels[organ]), geometry, self.retriever.slices(record))

    def slices_of(self, case: Case) -> SliceTable:
        """The stored slices of a case."""
        return self.retriever.slices(self.records[case.id])

    def positions_of(self, case: Case) -> np.ndarray:
        """float64 [n], mm of the stored slices along the stack."""
        return self.slices_of(case).position


def build_database(
    cases: Sequence[Case],
    data: Path,
    store: Path,
    encoder: str,
    weights: Path | None = None,
    seen_patients: frozenset[str] = frozenset(),
) -> Database:
    """Index the archive (what is indexed already costs nothing) and tie its volumes to the cases.

    Raises:
        RuntimeError: if any case could not be indexed: a table over fewer volumes would be another table.
    """
    retriever = Retriever.create(store, EncoderRequest(encoder, weights))
    report = retriever.add(
        [data], exclude=["*/labels/*"], metadata=MetadataTable.from_csv(data / "manifest.csv"), progress=None
    )
    if retriever.status().without_outlines:  # a store that was kept from before there were any
        retriever.add_outlines()
    by_path = {case.path: case for case in cases}
    tied = {}
    for record in retriever.listing():
        path = Path(retriever.path_of(record))
        if (case := by_path.get(path)) is not None:
            tied[record.key] = case
    missing = {case.id for case in cases} - {case.id for case in tied.values()}
    if missing:
        reasons = [f"{one.path}: {one.reason}" for one in (*report.failed, *report.skipped)]
        raise RuntimeError(f"not indexed: {sorted(missing)}; {reasons}")
    return Database(retriever, tied, seen_patients)
