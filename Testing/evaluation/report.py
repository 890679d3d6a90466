"""The evaluation's results as a Markdown page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path

from .differences import Figure, average_precision, difference_rows, localization
from .localization import LocalizationScore
from .markdown import markdown
from .place_tables import certainty_section, places_section
from .results import Extent, Localizations, Results
from .score_tables import candidates_section, likeness_section, marks_section, parts_section
from .tables import localization_table, organ_table, whole_volume_table
from .whole_volume import ATTRIBUTES, Table

#: What the figures show and what they do not, beside the figures.
_READING = (Path(__file__).parent / "READING.md").read_text(encoding="utf-8")
_DIFFERENCES = (
    "Means of the differences, query by query, with the 95 % interval of a bootstrap over patients; bold where the "
    "interval leaves out zero. More is better, but for mm. In-sample rows are left out."
)
_ORGAN_CELL = "Each cell: organ in top-1 / localization-ratio (slices shuffled) / distance in mm (slices shuffled)."


def page(
    heading: str,
    results: Sequence[Results],
    controls: Mapping[str, Mapping[str, Table]],
    references: Sequence[str],
    earlier: Results | None = None,
) -> str:
    """Everything.

    Args:
        results: of each encoder, all to the same extent.
        controls: by attribute, then name: what rankings reach that look at no anatomy.
        references: names of encoders that the others are compared with, where they are among the results.
        earlier: the first edition of the encoder that ships, which the others are compared with as well; what was
            asked of it may be less.
    """
    sections = [heading]
    for attribute in ATTRIBUTES:
        sections.append(f"## Whole volumes, by modality and {attribute.replace('_', ' ')}\n")
        sections.append("Each cell: recall@1 / precision@5 / mean average precision (mAP).\n")
        for ranking in results[0].whole_volume[attribute]:
            tables = {_row(one): one.whole_volume[attribute][ranking] for one in results}
            sections.append(f"### {ranking}\n\n{whole_volume_table({**tables, **controls.get(attribute, {})})}\n")
    sections += [_scores(results), _organs(results), _places(results), _other_modality(results)]
    found = [one for name in references for one in results if one.name == name]
    sections += [_compared(results, reference) for reference in (*found, *([earlier] if earlier else []))]
    return "\n".join([*sections, _READING])


def extent_of(results: Results) -> Extent:
    """The rankings that were evaluated."""
    return Extent(tuple(results.whole_volume[ATTRIBUTES[0]]), tuple(results.organs))


def _row(results: Results) -> str:
    return f"{results.name} (in-sample)" if results.in_sample else results.name


def _organs(results: Sequence[Results]) -> str:
    parts = ["## Regions: head-and-neck organs, in another patient\n"]
    rankings = list(results[0].organs)
    scores = {(_row(one), ranking): _all(one.organs[ranking]) for ranking in rankings for one in results}
    parts.append(localization_table(["method", "ranking"], scores))
    parts.append(f"\n{_ORGAN_CELL}\n")
    for ranking in rankings:
        if ranking != "exhaustive":  # as two-stage, organ by organ, in an archive of this size
            parts.append(f"### {ranking}\n\n{organ_table({_row(one): one.organs[ranking] for one in results})}\n")
    return "\n".join(parts)


def _scores(results: Sequence[Results]) -> str:
    """The parts of the score, and what is built on it."""
    return "\n".join(
        section
        for section in (
            parts_section([(_row(one), one.scores) for one in results]),
            candidates_section([(_row(one), one.candidates) for one in results]),
            marks_section([(_row(one), one.marks) for one in results]),
            likeness_section([(_row(one), one.likeness) for one in results]),
        )
        if section
    )


def _places(results: Sequence[Results]) -> str:
    places = places_section([(_row(one), one.places) for one in results])
    return "\n".join([places, certainty_section([(_row(one), one.certainty) for one in results])])


def _other_modality(results: Sequence[Results]) -> str:
    scores = {(_row(one), direction): several for one in results for direction, several in one.other_modality.items()}
    table = localization_table(["method", "direction"], scores)
    return f"## The other modality: the tumor of a sarcoma patient, in the same patient\n\n{table}\n"


def _compared(results: Sequence[Results], reference: Results) -> str:
    extent = extent_of(reference)
    parts = [f"## Difference to {reference.name}\n\n{_DIFFERENCES}\n"]
    for attribute in ATTRIBUTES:
        first = extent.whole_volume[0]
        groups = [None, *reference.whole_volume[attribute][first]]
        figures = [average_precision(attribute, first, group) for group in groups]
        title = f"mAP of whole volumes by {attribute.replace('_', ' ')}"
        parts.append(_table(f"{title}, {first}", results, reference, figures))
        if len(extent.whole_volume) > 1:
            by_ranking = [average_precision(attribute, ranking) for ranking in extent.whole_volume]
            named = [Figure(name, one.values) for name, one in zip(extent.whole_volume, by_ranking, strict=True)]
            parts.append(_table(f"{title}, all groups, by ranking", results, reference, named))
    for ranking in extent.organs:
        parts.append(_table(f"Head-and-neck organs, {ranking}", results, reference, _organ_figures(ranking)))
        if ranking == extent.organs[0]:
            for name, attribute in (("localization-ratio", "ratio"), ("distance, mm", "distance_mm")):
                by_organ = [_one_organ(ranking, organ, attribute) for organ in sorted(reference.organs[ranking])]
                parts.append(_table(f"Each organ, {ranking}: {name}", results, reference, by_organ))
    parts.append(_table("The other modality", results, reference, _other_modality_figures(reference)))
    return "\n".join(parts)


def _table(title: str, results: Sequence[Results], reference: Results, figures: Sequence[Figure]) -> str:
    head = [f"minus {reference.name}", *(figure.name for figure in figures)]
    return f"### {title}\n\n{markdown(head, difference_rows(results, reference, figures))}\n"


def _organ_figures(ranking: str) -> list[Figure]:
    def chosen(results: Results) -> Iterable[LocalizationScore]:
        return _all(results.organs[ranking])

    return [
        localization("organ in top-1", chosen, "found"),
        localization("localization-ratio", chosen, "ratio"),
        localization("distance, mm", chosen, "distance_mm"),
    ]


def _one_organ(ranking: str, organ: str, attribute: str) -> Figure:
    return localization(organ, lambda results: results.organs[ranking].get(organ, ()), attribute)


def _other_modality_figures(reference: Results) -> list[Figure]:
    return [
        localization(f"{direction}: {name}", lambda results, key=direction: results.other_modality[key], attribute)
        for direction in reference.other_modality
        for name, attribute in (("in top-1", "found"), ("ratio", "ratio"), ("mm", "distance_mm"))
    ]


def _all(scores: Localizations) -> list[LocalizationScore]:
    return list(chain.from_iterable(scores.values()))
