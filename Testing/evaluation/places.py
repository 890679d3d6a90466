"""Where in another patient an organ is said to lie, along the stack and in space, beside guesses without a look."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from VolumeRetrievalEngine.method.correspondence import correspondence
from VolumeRetrievalEngine.query.body_stack import followed
from VolumeRetrievalEngine.query.oriented_box import OrientedBox
from VolumeRetrievalEngine.query.region import MaskRegion
from VolumeRetrievalEngine.query.selection import region_box
from VolumeRetrievalEngine.searching.match import Match, SearchResult
from VolumeRetrievalEngine.searching.point_map import PointMap

from .database import Database
from .dataset import Case
from .evaluated import Evaluated
from .whole_volume import RANKINGS

#: What is compared, in the order of the tables. The first is what users get.
CONTEXT, PATH, VOTES, REFINED = "path with context", "path of the region alone", "vote runs", "refined"
HEIGHT, MIDDLE, SHUFFLED, BODY = (
    "control: same relative height",
    "control: volume's middle",
    "control: shuffled matrix",
    "control: body's centre",
)

#: A place may be relied on where it is so near.
NEAR_MM = 20.0

#: At most so many queries are registered as well, evenly spread; of the cross-validated row alone, because what a
#: registration reaches hardly depends on the encoder.
_REFINED_QUERIES = 60


@dataclass(frozen=True)
class PlaceScore:
    """How one way to place an organ did in one volume.

    Attributes:
        query, patient, organ: what was searched with.
        middle_mm: between the middles of the two extents along the stack; NaN where the way says nothing of it.
        overlap: intersection over union of the two extents.
        first_mm, last_mm: how far the first and the last slice lie off.
        center_mm: between the centers of the two boxes in space.
        certain: whether the place was called certain.
    """

    query: str
    patient: str
    organ: str
    middle_mm: float
    overlap: float
    first_mm: float
    last_mm: float
    center_mm: float
    certain: bool


#: By way.
PlaceScores = dict[str, list[PlaceScore]]


def evaluate_places(
    evaluated: Evaluated, cases: Sequence[Case], ranking: str = "two-stage", seed: int = 0
) -> PlaceScores:
    """Each head-and-neck organ of each patient is looked for in the best ranked volume of another patient that has it.

    Args:
        ranking: a key of whole_volume.RANKINGS.
        seed: of the shuffled matrices.
    """
    random = np.random.default_rng(seed)
    scores: PlaceScores = {}
    judged = list(_judged_matches(evaluated, cases, RANKINGS[ranking]))
    count = min(len(judged), _REFINED_QUERIES) if evaluated.fold_of is not None else 0
    chosen = set(np.linspace(0, len(judged) - 1, count).round().astype(int).tolist())
    for number, (database, case, other, organ, result, match) in enumerate(judged):
        one = _Judge(database, case, other, organ, result, match)
        ways = {
            CONTEXT: one.as_shown(),
            PATH: one.by(one.path_of(np.arange(match.n_rows))),
            VOTES: one.by_votes(),
            HEIGHT: one.by_relative_height(),
            MIDDLE: one.by_middle(),
            SHUFFLED: one.by(one.path_of(random.permutation(match.n_rows))),
            BODY: one.by_body(),
        }
        if number in chosen:
            ways[REFINED] = one.refined()
        for name, score in ways.items():
            scores.setdefault(name, []).append(score)
    return scores


def _judged_matches(
    evaluated: Evaluated, cases: Sequence[Case], options: Mapping[str, object]
) -> Iterator[tuple[Database, Case, Case, str, SearchResult, Match]]:
    """(database, case, other, organ, result, match) for each organ query with somebody to find it in."""
    headnecks = [case for case in cases if case.body_part == "HEADNECK" and case.labels]
    for case in headnecks:
        database = evaluated.database_for(case)
        for organ, mask in sorted(case.labels.items()):
            others = [other for other in headnecks if other.patient != case.patient and organ in other.labels]
            if organ.startswith("PTV") or not others:
                continue
            result = database.search(case, MaskRegion.from_file(mask), **options)
            ranked = database.of_other_patients(case, result)
            found = next(((other, place) for other, place in ranked if organ in other.labels), None)
            if found is not None:
                yield database, case, found[0], organ, result, result.matches[found[1]]


class _Judge:
    """One query and the volume that it is judged in."""

    def __init__(
        self, database: Database, case: Case, other: Case, organ: str, result: SearchResult, match: Match
    ) -> None:
        assert match.point_map is not None and match.place is not None and result.query_box is not None
        self._database, self._case, self._organ = database, case, organ
        self._result, self._match, self._map = result, match, match.point_map
        self._box = result.query_box
        table = database.slices_of(other)
        self._candidate_mm, self._half = table.position, table.spacing / 2
        self._query_mm = result.query_table.position
        rows = table.position[database.rows_of(other, organ)]
        self._true = (float(rows.min()) - self._half, float(rows.max()) + self._half)
        truth = region_box(MaskRegion.from_file(other.labels[organ]), self._map.result.axes)
        assert truth is not None
        self._true_center = truth.center

    def as_shown(self) -> PlaceScore:
        """What a match says."""
        place, box = self._match.place, self._match.box or self._map.box(self._box)
        return self._score((place.start_mm - self._half, place.end_mm + self._half), box, place.is_certain)

    def refined(self) -> PlaceScore:
        """The same with a registration, where that is to be believed."""
        found = self._database.retriever.refine(self._result, self._match) if self._match.box else None
        box = self._map.box(self._box) if found is None else found.box
        return self._score((np.nan, np.nan), box, found is not None and found.success)

    def path_of(self, columns: np.ndarray) -> PointMap:
        """By the path through S with its columns in this order, of the region's rows alone."""
        found = correspondence(self._match.similarity[:, columns], self._query_mm, self._candidate_mm)
        return replace(self._map, query_mm=self._query_mm, result_mm=found.path_mm, flipped=found.flipped)

    def by(self, points: PointMap) -> PlaceScore:
        """By a map of heights."""
        rows = followed(self._query_mm, points.query_mm, points.result_mm, -1.0 if points.flipped else 1.0)
        rows = np.clip(rows, self._candidate_mm[0], self._candidate_mm[-1])
        return self._score((rows.min() - self._half, rows.max() + self._half), points.box(self._box))

    def by_votes(self) -> PlaceScore:
        one = self._match.ranges[0]
        ends = np.array([one.start_mm, one.end_mm])
        middle = replace(self._map, query_mm=self._middle_of_query(), result_mm=ends.mean(keepdims=True), flipped=False)
        return self._score((ends[0] - self._half, ends[1] + self._half), middle.box(self._box))

    def by_relative_height(self) -> PlaceScore:
        whole = self._map.query.position_mm[[0, -1]]
        return self.by(replace(self._map, query_mm=whole, result_mm=self._candidate_mm[[0, -1]], flipped=False))

    def by_middle(self) -> PlaceScore:
        middle = np.array([0.5 * (self._candidate_mm[0] + self._candidate_mm[-1])])
        return self.by(replace(self._map, query_mm=self._middle_of_query(), result_mm=middle, flipped=False))

    def by_body(self) -> PlaceScore:
        low, high = self._map.result.bounds()
        axes = self._map.result.axes
        return self._score((np.nan, np.nan), OrientedBox.around(np.array([low, high]) @ axes, axes))

    def _middle_of_query(self) -> np.ndarray:
        return np.array([0.5 * (self._query_mm[0] + self._query_mm[-1])])

    def _score(self, extent: tuple[float, float], box: OrientedBox, certain: bool = False) -> PlaceScore:
        (low, high), (true_low, true_high) = extent, self._true
        common = max(0.0, min(high, true_high) - max(low, true_low))
        return PlaceScore(
            query=f"{self._case.id} {self._organ}",
            patient=self._case.patient,
            organ=self._organ,
            middle_mm=abs(low + high - true_low - true_high) / 2,
            overlap=common / (max(high, true_high) - min(low, true_low)),
            first_mm=abs(low - true_low),
            last_mm=abs(high - true_high),
            center_mm=float(np.linalg.norm(box.center - self._true_center)),
            certain=certain,
        )
