"""All figures of one row of the tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .dataset import Case
from .evaluated import Evaluated
from .localization import LocalizationScore, evaluate_organs, evaluate_other_modality
from .places import PlaceScores, evaluate_places
from .whole_volume import ATTRIBUTES, RANKINGS, Table, evaluate_orders, searched_orders

#: Scores of each query, by region.
Localizations = dict[str, list[LocalizationScore]]


@dataclass(frozen=True)
class Extent:
    """How much is evaluated.

    Attributes:
        whole_volume, organs: the rankings, keys of whole_volume.RANKINGS; the first is the one that users get.
        controls: whether rankings that look at no anatomy stand beside them.
    """

    whole_volume: tuple[str, ...] = tuple(RANKINGS)
    organs: tuple[str, ...] = ("two-stage", "exhaustive", "count, K=10")
    controls: bool = True


#: What decides between encoders, and no more.
QUICK = Extent(("two-stage",), ("two-stage",), controls=False)


@dataclass(frozen=True)
class Results:
    """What one encoder, or one cross-validation, reached.

    Attributes:
        name, in_sample: see Evaluated.
        whole_volume: by attribute (whole_volume.ATTRIBUTES), then ranking.
        organs: by ranking.
        other_modality: by direction.
        places: by way of placing an organ.
    """

    name: str
    in_sample: bool
    whole_volume: dict[str, dict[str, Table]]
    organs: dict[str, Localizations]
    other_modality: Localizations
    places: PlaceScores = field(default_factory=dict)


def evaluate(evaluated: Evaluated, cases: Sequence[Case], extent: Extent) -> Results:
    """Ask everything of one row."""
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
        places=evaluate_places(evaluated, cases, extent.organs[0]) if extent.organs else {},
    )
