"""How to search: every choice with the default that a user never has to change."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from ..errors import QueryError
from ..method.score_parts import DEFAULT, PAPER, ScoreParts
from ..store.attribute_filter import AttributeFilter

#: How the volumes are ranked. "two-stage" is filtering and late interaction (METHOD.md, stages 1 to 3), "exhaustive"
#: late interaction with every volume; the others are paper A's baselines over a fixed number of rows.
RankingName = Literal["two-stage", "exhaustive", "count", "sum", "maximum"]
RANKINGS: tuple[RankingName, ...] = get_args(RankingName)

#: How stage 1 finds candidates; "auto" is by the number of query slices.
FilterChoice = Literal["auto", "slices", "pooled"]
FILTERS: tuple[FilterChoice, ...] = get_args(FilterChoice)

#: Whose volumes can be left out of the results, in relation to the query.
EXCLUSIONS = ("volume", "series", "study", "patient")


@dataclass(frozen=True)
class SearchOptions:
    """Options of a search.

    Attributes:
        top: how many volumes to return.
        ranking: one of RANKINGS.
        score: what late interaction scores by: "default", "paper" for the paper's plain score, or some of its parts
            joined by "+" (method/score_parts.py). The baselines have scores of their own.
        filter: one of FILTERS, for two-stage ranking.
        distinct: k, how many distinct volumes each query slice must reach (filter "slices").
        rerank: at most this many of the best candidates of filter "pooled" are re-ranked (reranking.py).
        rows: K, the rows that each query slice retrieves for the baselines.
        attributes: which volumes may be returned at all; applied inside the search.
        exclude: which of EXCLUSIONS of the query are left out; by default only its own volume.
        exclude_series: SeriesInstanceUIDs whose volumes are left out, whatever the query is.
        like, unlike: ids of indexed volumes that the user has marked as fitting and as not fitting: volumes like the
            first come up, those like the others go down (method/feedback.py). Not for the baselines.

    Example:
        >>> of_others = frozenset({"patient"})
        >>> options = SearchOptions(top=5, attributes=AttributeFilter.parse(["modality=CT"]), exclude=of_others)
        >>> options.ranking, options.filter
        ('two-stage', 'auto')
        >>> SearchOptions.plain(top=5).score
        'paper'
    """

    top: int = 10
    ranking: RankingName = "two-stage"
    score: str = DEFAULT
    filter: FilterChoice = "auto"
    distinct: int = 20
    rerank: int = 100
    rows: int = 10
    attributes: AttributeFilter = field(default_factory=AttributeFilter)
    exclude: frozenset[str] = frozenset({"volume"})
    exclude_series: frozenset[str] = frozenset()
    like: tuple[str, ...] = ()
    unlike: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, known in (("ranking", RANKINGS), ("filter", FILTERS)):
            if getattr(self, name) not in known:
                raise QueryError(f"{name} {getattr(self, name)!r}: expected one of {', '.join(known)}")
        ScoreParts.parse(self.score)
        for name in ("top", "distinct", "rerank", "rows"):
            if getattr(self, name) < 1:
                raise QueryError(f"{name} {getattr(self, name)!r}: expected 1 or more")
        if unknown := set(self.exclude) - set(EXCLUSIONS):
            raise QueryError(f"exclude {sorted(unknown)}: expected some of {', '.join(EXCLUSIONS)}")
        if both := set(self.like) & set(self.unlike):
            raise QueryError(f"{', '.join(sorted(both))}: marked as like and as unlike: choose one")
        if (self.like or self.unlike) and self.ranking not in ("two-stage", "exhaustive"):
            raise QueryError(f"ranking {self.ranking!r} cannot use marked volumes: choose two-stage or exhaustive")

    @classmethod
    def plain(cls, **options: Any) -> SearchOptions:
        """These options with the plain score of the paper."""
        return cls(score=PAPER, **options)

    @property
    def parts(self) -> ScoreParts:
        """The parts of the score that are asked for; a search leaves out those that do not suit it (scoring.py)."""
        return ScoreParts.parse(self.score)
