"""Everything that one subject of the test split asks (paper A, section 2.4; docs/METHOD.md says what it leaves open).

slice-wise     each slice finds its nearest slice: does that show what the slice shows?
volume-based   the whole volume finds a volume: does that hold what the query holds?
region-based   the slices that show a structure find a volume: does that hold the structure?
localized      as region-based: do the slices that contribute most show the structure? And our own measures: how far the
               matched range lies from it, and how much the two overlap.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from VolumeRetrievalEngine.progress import ProgressCallback, ProgressClock
from VolumeRetrievalEngine.query.region import SingleSlice, SliceRange
from VolumeRetrievalEngine.searching.match import SearchResult

from ..localization_ratio import hit_localization_ratio, localization_ratio
from ..metrics import compared_extents
from .archive import Archive
from .dataset import Subject
from .structures import LEVELS

#: The rankings that are compared, as options of a search: paper A's aggregation by counts of the nearest slice (K = 1),
#: its re-ranking, and this.
COUNT, RERANKED = "count", "re-ranked"
RANKINGS: dict[str, dict[str, object]] = {COUNT: {"ranking": "count", "rows": 1}, RERANKED: {"ranking": "two-stage"}}


def ask_everything(archive: Archive, folder: Path, progress: ProgressCallback | None = None) -> list[dict[str, Any]]:
    """The answers of every query subject; those that are in `folder` from an earlier run are read from there.

    Args:
        folder: of this encoder's answers, and of this database; a file for each subject, whole or not there.
        progress: may raise Cancelled; what is finished stays.
    """
    queries = archive.queries()
    clock = ProgressClock("queries", len(queries), float(len(queries)), progress)
    folder.mkdir(parents=True, exist_ok=True)
    answers = []
    for subject in queries:
        file = folder / f"{subject.id}.json"
        clock.tell(subject.id)
        if not file.is_file():
            part = file.with_suffix(".part")
            part.write_text(json.dumps(answers_of(archive, subject)), encoding="utf-8")
            part.replace(file)
        answers.append(json.loads(file.read_text(encoding="utf-8")))
        clock.advance(1.0, subject.id)
    return answers


def answers_of(archive: Archive, subject: Subject) -> dict[str, Any]:
    """What one subject gets: by mode, level, (ranking,) and class; values for JSON."""
    nearest = _nearest_slices(archive, subject)
    whole = {ranking: archive.search(subject, **options)[1] for ranking, options in RANKINGS.items()}
    by_level = {}
    for level in LEVELS:
        shown = archive.shown(subject.id, level)
        by_level[level] = {
            "slices": {name: _right_slices(archive, level, name, numbers, nearest) for name, numbers in shown.items()},
            "volume": {
                ranking: {name: int(name in archive.shown(found, level)) for name in shown}
                for ranking, found in whole.items()
            },
            "region": {
                ranking: {
                    name: answer
                    for name, numbers in shown.items()
                    if (answer := _region(archive, subject, level, name, numbers, ranking, nearest)) is not None
                }
                for ranking in RANKINGS
            },
        }
    return {"subject": subject.id, **by_level}


def _nearest_slices(archive: Archive, subject: Subject) -> dict[int, tuple[str, int, float]]:
    """For each embedded slice, by number, the nearest one of the database: subject, slice number, similarity."""
    nearest = {}
    for number in archive.table(subject.id).index.tolist():
        result, found = archive.search(subject, SingleSlice(number), ranking="maximum", rows=1)
        similarity = result.matches[0].similarity[0]
        row = int(similarity.argmax())
        nearest[number] = found, int(archive.table(found).index[row]), float(similarity[row])
    return nearest


def _right_slices(
    archive: Archive, level: str, name: str, numbers: np.ndarray, nearest: dict[int, tuple[str, int, float]]
) -> list[int]:
    """Of the query's slices that show a class: how many found one that shows it, and how many there are."""
    asked = [nearest[number] for number in numbers.tolist() if number in nearest]
    right = sum(found_slice in archive.shown(found, level).get(name, ()) for found, found_slice, _ in asked)
    return [right, len(asked)]


def _region(
    archive: Archive,
    subject: Subject,
    level: str,
    name: str,
    numbers: np.ndarray,
    ranking: str,
    nearest: dict[int, tuple[str, int, float]],
) -> dict[str, float] | None:
    """One region query; None where no embedded slice shows the class."""
    region = SliceRange(int(numbers[0]), int(numbers[-1]))
    if not len(archive.rows(subject.id, level, name)):
        return None
    result, found = archive.search(subject, region, **RANKINGS[ranking])
    rows = archive.rows(found, level, name)
    answer: dict[str, float] = {"found": float(name in archive.shown(found, level))}
    if not len(rows):
        return {**answer, "localized": 0.0, "ratio": 0.0}
    if ranking == COUNT:
        hits = list(_hits(archive, found, region, nearest))
        # A ranking by counts retrieves what was hit, but two equally near slices can be told apart by rounding alone.
        ratio = hit_localization_ratio(*zip(*hits, strict=True), rows) if hits else 0.0
        return {**answer, "localized": float(ratio > 0), "ratio": ratio}
    ratio = localization_ratio(result.matches[0].similarity, rows)
    return {**answer, "localized": float(ratio > 0), "ratio": ratio, **_extent(archive, result, found, rows)}


def _hits(
    archive: Archive, found: str, region: SliceRange, nearest: dict[int, tuple[str, int, float]]
) -> Iterator[tuple[int, float]]:
    """Rows of the retrieved subject that the region's slices hit, with their similarity."""
    row_of = {number: row for row, number in enumerate(archive.table(found).index.tolist())}
    for number, (hit_subject, hit_slice, similarity) in nearest.items():
        if hit_subject == found and region.first <= number <= region.last:
            yield row_of[hit_slice], similarity


def _extent(archive: Archive, result: SearchResult, found: str, rows: np.ndarray) -> dict[str, float]:
    """Distance of the middles (mm) and overlap (IoU) of the matched range and of the slices that show the class."""
    table, place = archive.table(found), result.matches[0].place
    if place is None:
        return {}
    half = table.spacing / 2
    true = float(table.position[rows[0]]) - half, float(table.position[rows[-1]]) + half
    middle_mm, overlap = compared_extents((place.start_mm - half, place.end_mm + half), true)
    return {"middle_mm": middle_mm, "overlap": overlap}
