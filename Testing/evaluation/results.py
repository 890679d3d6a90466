"""All figures of one row of the tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .certainty import CertaintyScores, evaluate_certainty
from .dataset import Case
from .evaluated import Evaluated
from .localization import LocalizationScore, evaluate_organs, evaluate_other_modality
from .marks import MARKED, MarkScore, evaluate_marks
from .places import PlaceScores, evaluate_places
from .questions import (
    CT_TO_MR,
    HEAD_AND_NECK,
    KINDS,
    MR_TO_CT,
    TRUNK,
    Question,
    head_and_neck_organs,
    lesions,
    organs_of_the_trunk,
)
from .score_parts import evaluate_candidates, evaluate_scores
from .unusualness import SLICES, StandingScore, evaluate_unusualness
from .whole_volume import ATTRIBUTES, RANKINGS, Table, evaluate_orders, searched_orders

#: At most so many questions of each kind are registered as well.
_REFINED_QUERIES = {HEAD_AND_NECK: 60, TRUNK: 20, CT_TO_MR: 20, MR_TO_CT: 20}

#: Scores of each query, by region.
Localizations = dict[str, list[LocalizationScore]]


@dataclass(frozen=True)
class Extent:
    """How much is evaluated.

    Attributes:
        whole_volume, organs: the rankings, keys of whole_volume.RANKINGS; the first is the one that users get.
        controls: whether rankings that look at no anatomy stand beside them.
        trunk: whether places of the trunk's organs are looked at, for which further volumes are indexed.
        scores: whether the score's parts, the number of candidates, marks and likeness are looked at.
    """

    whole_volume: tuple[str, ...] = tuple(RANKINGS)
    organs: tuple[str, ...] = ("two-stage", "exhaustive", "count, K=10")
    controls: bool = True
    trunk: bool = True
    scores: bool = True


#: What decides between encoders, and no more.
QUICK = Extent(("two-stage",), ("two-stage",), controls=False, trunk=False, scores=False)


@dataclass(frozen=True)
class Results:
    """What one encoder, or one cross-validation, reached.

    Attributes:
        name, in_sample: see Evaluated.
        whole_volume: by attribute (whole_volume.ATTRIBUTES), then ranking.
        organs: by ranking.
        other_modality: by direction.
        places: by kind of question, then way of placing an organ.
        certainty: of the places, by reading.
        scores, candidates: whole volumes by body part, by score and by the number of candidates.
        marks: by how many results were marked.
        likeness: standings in the archive with and without the body part, by how much was searched with.
    """

    name: str
    in_sample: bool
    whole_volume: dict[str, dict[str, Table]]
    organs: dict[str, Localizations]
    other_modality: Localizations
    places: dict[str, PlaceScores] = field(default_factory=dict)
    certainty: CertaintyScores = field(default_factory=dict)
    scores: dict[str, Table] = field(default_factory=dict)
    candidates: dict[str, Table] = field(default_factory=dict)
    marks: dict[int, list[MarkScore]] = field(default_factory=dict)
    likeness: dict[str, list[StandingScore]] = field(default_factory=dict)


def evaluate(
    evaluated: Evaluated, cases: Sequence[Case], extent: Extent, trunk: tuple[Evaluated, Sequence[Case]] | None = None
) -> Results:
    """Ask everything of one row.

    Args:
        trunk: the same row over volumes with masks of the trunk's organs, and these volumes.
    """
    questions = _questions(evaluated, cases, extent, trunk)
    # What a registration reaches hardly depends on the encoder: of the cross-validated row alone.
    refined = _REFINED_QUERIES if evaluated.fold_of is not None else {}
    orders = {ranking: searched_orders(evaluated, cases, ranking) for ranking in extent.whole_volume}
    return Results(
        name=evaluated.name,
        in_sample=evaluated.in_sample,
        whole_volume={
            attribute: {ranking: evaluate_orders(cases, attribute, one) for ranking, one in orders.items()}
            for attribute in ATTRIBUTES
        },
        organs={ranking: evaluate_organs(evaluated, cases, ranking) for ranking in extent.organs},
        other_modality={
            "CT finds MR": evaluate_other_modality(evaluated, cases, "CT"),
            "MR finds CT": evaluate_other_modality(evaluated, cases, "MR"),
        },
        places={kind: evaluate_places(several, refined.get(kind, 0)) for kind, several in questions.items()},
        certainty=evaluate_certainty(questions.get(HEAD_AND_NECK, ())),
        scores=evaluate_scores(evaluated, cases) if extent.scores else {},
        candidates=evaluate_candidates(evaluated, cases) if extent.scores else {},
        marks={number: evaluate_marks(evaluated, cases, number) for number in MARKED} if extent.scores else {},
        likeness={
            name: evaluate_unusualness(evaluated, cases, slices) for name, slices in SLICES.items() if extent.scores
        },
    )


def _questions(
    evaluated: Evaluated, cases: Sequence[Case], extent: Extent, trunk: tuple[Evaluated, Sequence[Case]] | None
) -> dict[str, list[Question]]:
    """By kind; none where nothing is asked of places."""
    if not extent.organs:
        return {}
    asked = [*head_and_neck_organs(evaluated, cases, extent.organs[0]), *lesions(evaluated, cases)]
    if trunk is not None:
        asked += organs_of_the_trunk(*trunk)
    return {kind: several for kind in KINDS if (several := [one for one in asked if one.kind == kind])}
