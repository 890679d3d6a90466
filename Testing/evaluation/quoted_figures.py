"""What other documents quote of the results: few figures of the rows that matter to users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from VolumeRetrievalEngine.encoders.catalog import CATALOG

from .halves import HALVES
from .localization import LocalizationScore
from .markdown import markdown
from .metrics import QueryScore, mean
from .place_tables import CERTAINTY_HEAD, certainty_cells, others
from .places import CONTEXT, WAYS, PlaceScore
from .questions import HEAD_AND_NECK
from .results import Results
from .score_parts import PLAIN
from .score_tables import difference, precisions
from .selection import FOLDS, REFERENCES
from .tables import interval, pooled
from .unusualness import SLICES, auroc
from .whole_volume import RANKINGS, Table

#: The rows that are quoted, by what they are asked for with, and their names.
NAMES = {FOLDS: "radiology-resnet (5-fold)", REFERENCES[0]: "descriptor", REFERENCES[1]: "MobileNetV2, ImageNet"}

_FIRST = next(iter(RANKINGS))


def quoted_figures(rows: Mapping[str, Results], controls: Mapping[str, Mapping[str, Table]]) -> dict[str, str]:
    """The blocks by name; none unless every quoted row is there.

    Args:
        rows: by what they are asked for with.
        controls: by attribute, then name.
    """
    if not set(NAMES) <= set(rows) or not controls:
        return {}
    chosen = {name: rows[asked] for asked, name in NAMES.items()}
    blocks = {
        "how-good": _how_good(chosen, controls["body_part"]),
        "model-card": _model_card(chosen),
        "encoders": _encoders(rows),
        "places": _places(chosen[NAMES[FOLDS]]),
        "certainty": _certainty(chosen[NAMES[FOLDS]]),
        "score": _score(chosen),
        "marks": _marks(chosen),
        "likeness": _likeness(chosen),
    }
    return {name: text for name, text in blocks.items() if text}


def _how_good(rows: Mapping[str, Results], controls: Mapping[str, Table]) -> str:
    lines = [[name, *_both(one.whole_volume["body_part"][_FIRST])] for name, one in rows.items()]
    lines += [[name, *_both(table)] for name, table in controls.items()]
    return markdown(["encoder", "mAP", "without head and neck"], lines)


def _model_card(rows: Mapping[str, Results]) -> str:
    tables = [one.whole_volume["body_part"][_FIRST] for one in rows.values()]
    regions = [one.whole_volume["region"][_FIRST] for one in rows.values()]
    shown = [one.places[HEAD_AND_NECK][CONTEXT] for one in rows.values()]
    lines = [
        ["whole volumes by body part, mAP (95 % interval)", *(_map(table) for table in tables)],
        ["without head and neck", *(_map(table, harder=True) for table in tables)],
        *(
            [
                f"{' '.join(group)}, {len({score.patient for score in scores})} patients",
                *(_of(table[group]) for table in tables),
            ]
            for group, scores in tables[0].items()
        ),
        ["whole volumes by region, mAP", *(_map(table) for table in regions)],
        ["head-and-neck organs: middles, mean (median) mm", *(_distance(scores, "middle_mm") for scores in shown)],
        ["head-and-neck organs: IoU of the extents", *(f"{_values(scores, 'overlap').mean():.2f}" for scores in shown)],
        ["head-and-neck organs: centers in space, mm", *(_distance(scores, "center_mm") for scores in shown)],
        ["head-and-neck organs: organ in the first volume", *(_found(one) for one in rows.values())],
    ]
    for direction in next(iter(rows.values())).other_modality:
        found = [f"{_values(one.other_modality[direction], 'found').mean():.2f}" for one in rows.values()]
        lines.append([f"{direction} of the same patient: the right patient first", *found])
    return markdown(["", *rows], lines)


def _encoders(rows: Mapping[str, Results]) -> str:
    """Every row, and every entry of the catalog that was not measured."""
    lines = []
    for asked, one in rows.items():
        if one.in_sample:
            continue
        places = one.places.get(HEAD_AND_NECK, {}).get(CONTEXT, [])
        distance = _distance(places, "middle_mm") if places else ""
        lines.append([f"**{NAMES.get(asked, asked)}**", *_both(one.whole_volume["body_part"][_FIRST]), distance])
    absent = [f"`{name}`" for name in CATALOG if name not in rows]
    table = markdown(["encoder", "mAP", "without head and neck", "organs' middles, mean (median) mm"], lines)
    return f"{table}\n\nNot measured here: {', '.join(absent)}." if absent else table


def _places(one: Results) -> str:
    ways = one.places[HEAD_AND_NECK]
    lines = []
    for way in (way for way in WAYS if way in ways):
        overlap = _values(ways[way], "overlap")
        has_range = not np.isnan(overlap).all()
        middles = _distance(ways[way], "middle_mm") if has_range else ""
        extent = f"{overlap.mean():.2f}" if has_range else ""
        lines.append([way, len(ways[way]), middles, extent, _distance(ways[way], "center_mm")])
    return markdown(["place by", "queries", "middles, mm", "IoU of the extents", "centers in space, mm"], lines)


def _certainty(one: Results) -> str:
    """Of the patients on whom the threshold was not chosen."""
    lines = [[reading, *certainty_cells(others(scores))] for reading, scores in one.certainty.items()]
    return markdown(["followed", *CERTAINTY_HEAD], lines)


def _score(rows: Mapping[str, Results]) -> str:
    lines = []
    for name, one in rows.items():
        plain = precisions(pooled(one.scores[PLAIN], harder=True))
        for score, table in one.scores.items():
            ours = precisions(pooled(table, harder=True))
            gains = ["" if score == PLAIN else difference(ours, plain, half) for half in (None, *HALVES)]
            lines.append([name, score, f"{mean(pooled(table, harder=True), 'average_precision'):.3f}", *gains])
    return markdown(["encoder", "score", "mAP without head and neck", "minus the paper's", *HALVES], lines)


def _marks(rows: Mapping[str, Results]) -> str:
    lines = []
    for name, one in rows.items():
        for count, scores in one.marks.items():
            before, after = (np.mean([getattr(score, when) for score in scores]) for when in ("before", "after"))
            lines.append([name, count, f"{before:.2f}", f"{after:.2f}"])
    return markdown(["encoder", "marked", "residual mAP before", "after"], lines) if lines else ""


def _likeness(rows: Mapping[str, Results]) -> str:
    lines = [
        [name, *(f"{auroc(scores):.2f}" for scores in one.likeness.values())]
        for name, one in rows.items()
        if one.likeness
    ]
    return markdown(["encoder", *SLICES], lines) if lines else ""


def _both(table: Table) -> list[str]:
    return [_map(table), _map(table, harder=True)]


def _map(table: Table, harder: bool = False) -> str:
    return f"{mean(pooled(table, harder), 'average_precision'):.2f} ({interval(table, harder)})"


def _of(scores: Sequence[QueryScore]) -> str:
    return f"{mean(scores, 'average_precision'):.2f}"


def _found(one: Results) -> str:
    scores = [score for several in one.organs[_FIRST].values() for score in several]
    return f"{_values(scores, 'found').mean():.2f}"


def _distance(scores: Sequence[PlaceScore], name: str) -> str:
    values = _values(scores, name)
    return f"{values.mean():.1f} ({np.median(values):.1f})"


def _values(scores: Sequence[PlaceScore] | Sequence[LocalizationScore], name: str) -> np.ndarray:
    return np.array([getattr(score, name) for score in scores])
