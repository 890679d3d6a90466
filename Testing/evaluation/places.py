"""Where in another volume an organ is said to lie, along the stack and in space, beside guesses without a look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from VolumeRetrievalEngine.method.correspondence import correspondence
from VolumeRetrievalEngine.query.body_stack import followed
from VolumeRetrievalEngine.query.oriented_box import OrientedBox
from VolumeRetrievalEngine.query.selection import region_box
from VolumeRetrievalEngine.searching.point_map import PointMap
from VolumeRetrievalEngine.searching.registration import refine

from .metrics import compared_extents
from .questions import Question

#: What is compared, in the order of the tables. The first is what users get.
CONTEXT, PATH, VOTES = "path with context", "path of the region alone", "vote runs"
REFINED, MAPPED = "refined", "path with context, the refined queries"
HEIGHT, MIDDLE, SHUFFLED, BODY = (
    "control: same relative height",
    "control: volume's middle",
    "control: shuffled matrix",
    "control: body's center",
)
WAYS = (CONTEXT, PATH, VOTES, MAPPED, REFINED, HEIGHT, MIDDLE, SHUFFLED, BODY)

#: A place may be relied on where it is so near.
NEAR_MM = 20.0


@dataclass(frozen=True)
class PlaceScore:
    """How one way to place an organ did in one volume.

    Attributes:
        kind, query, patient, organ: what was searched with.
        middle_mm: between the middles of the two extents along the stack; NaN where the way says nothing of it.
        overlap: intersection over union of the two extents.
        first_mm, last_mm: how far the first and the last slice lie off.
        center_mm: between the centers of the two boxes in space.
        certain: whether the place was called certain.
        certainty: what that was decided by; NaN where nothing was.
    """

    kind: str
    query: str
    patient: str
    organ: str
    middle_mm: float
    overlap: float
    first_mm: float
    last_mm: float
    center_mm: float
    certain: bool = False
    certainty: float = float("nan")


#: By way.
PlaceScores = dict[str, list[PlaceScore]]


def evaluate_places(questions: Sequence[Question], refined: int = 0, seed: int = 0) -> PlaceScores:
    """Answer each question in every way.

    Args:
        questions: of one kind.
        refined: at most so many of them are registered as well, evenly spread.
        seed: of the shuffled matrices.
    """
    random = np.random.default_rng(seed)
    count = min(len(questions), refined)
    chosen = set(np.linspace(0, len(questions) - 1, count).round().astype(int).tolist()) if count else set()
    scores: PlaceScores = {}
    for number, question in enumerate(questions):
        one = _Judge(question)
        ways = {
            CONTEXT: one.as_shown(),
            PATH: one.by_path(np.arange(len(one.columns))),
            VOTES: one.by_votes(),
            HEIGHT: one.by_relative_height(),
            MIDDLE: one.by_middle(),
            SHUFFLED: one.by_path(random.permutation(len(one.columns))),
            BODY: one.by_body(),
        }
        if number in chosen:
            ways |= {MAPPED: ways[CONTEXT], REFINED: one.refined()}
        for name, score in ways.items():
            scores.setdefault(name, []).append(score)
    return {way: scores[way] for way in WAYS if way in scores}


class _Judge:
    """One question with what the engine answers, and the truth."""

    def __init__(self, question: Question) -> None:
        database, other, organ = question.database, question.other, question.organ
        self._question = question
        self._match = database.match(question.query, other)
        assert self._match.point_map is not None and question.query.box is not None
        self._map: PointMap = self._match.point_map
        self._box: OrientedBox = question.query.box
        table = database.slices_of(other)
        self.columns = table.position
        self._half = table.spacing / 2
        self._query_mm = question.query.table.position
        rows = table.position[database.rows_of(other, organ)]
        self._true = (float(rows.min()) - self._half, float(rows.max()) + self._half)
        truth = region_box(other.masks[organ].region(), self._map.result.axes)
        assert truth is not None
        self._true_center = truth.center

    def as_shown(self) -> PlaceScore:
        """What a match says."""
        place, box = self._match.place, self._match.box or self._map.box(self._box)
        assert place is not None
        score = self._score((place.start_mm - self._half, place.end_mm + self._half), box)
        return replace(score, certain=place.is_certain, certainty=place.certainty)

    def refined(self) -> PlaceScore:
        """The same with a registration, where that is to be believed."""
        archive, question = self._question.database.archive, self._question
        if self._match.box is None:
            return self._score((np.nan, np.nan), self._map.box(self._box))
        volumes = [archive.volume(question.database.records[one.id].key) for one in (question.case, question.other)]
        found = refine(*volumes, self._map, self._box)
        return replace(self._score((np.nan, np.nan), found.box), certain=found.success)

    def by_path(self, columns: np.ndarray) -> PlaceScore:
        """By the path through S with its columns in this order, of the region's rows alone."""
        similarity = self._match.similarity
        assert similarity is not None
        found = correspondence(similarity[:, columns], self._query_mm, self.columns)
        return self._by(replace(self._map, query_mm=self._query_mm, result_mm=found.path_mm, flipped=found.flipped))

    def by_votes(self) -> PlaceScore:
        one = self._match.ranges[0]
        ends = np.array([one.start_mm, one.end_mm])
        middle = replace(self._map, query_mm=self._middle_of_query(), result_mm=ends.mean(keepdims=True), flipped=False)
        return self._score((ends[0] - self._half, ends[1] + self._half), middle.box(self._box))

    def by_relative_height(self) -> PlaceScore:
        whole = self._map.query.position_mm[[0, -1]]
        return self._by(replace(self._map, query_mm=whole, result_mm=self.columns[[0, -1]], flipped=False))

    def by_middle(self) -> PlaceScore:
        middle = np.array([0.5 * (self.columns[0] + self.columns[-1])])
        return self._by(replace(self._map, query_mm=self._middle_of_query(), result_mm=middle, flipped=False))

    def by_body(self) -> PlaceScore:
        low, high = self._map.result.bounds()
        axes = self._map.result.axes
        return self._score((np.nan, np.nan), OrientedBox.around(np.array([low, high]) @ axes, axes))

    def _by(self, points: PointMap) -> PlaceScore:
        """By a map of heights."""
        rows = followed(self._query_mm, points.query_mm, points.result_mm, -1.0 if points.flipped else 1.0)
        rows = np.clip(rows, self.columns[0], self.columns[-1])
        return self._score((rows.min() - self._half, rows.max() + self._half), points.box(self._box))

    def _middle_of_query(self) -> np.ndarray:
        return np.array([0.5 * (self._query_mm[0] + self._query_mm[-1])])

    def _score(self, extent: tuple[float, float], box: OrientedBox) -> PlaceScore:
        (low, high), (true_low, true_high) = extent, self._true
        middle_mm, overlap = compared_extents(extent, self._true)
        question = self._question
        return PlaceScore(
            kind=question.kind,
            query=question.name,
            patient=question.case.patient,
            organ=question.organ,
            middle_mm=middle_mm,
            overlap=overlap,
            first_mm=abs(low - true_low),
            last_mm=abs(high - true_high),
            center_mm=float(np.linalg.norm(box.center - self._true_center)),
        )
