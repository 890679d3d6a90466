"""One search from end to end: filter by attributes, rank, localize."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..progress import ProgressCallback
from ..query.query import Query
from ..store.attribute_filter import AttributeFilter
from ..store.records import VolumeRecord
from .likeness import Likeness
from .marks import mark_of, ranked_with_marks
from .match import Match, SearchResult
from .matching import localized_match
from .options import SearchOptions
from .ranking import Ranking, levels_needed, rank_volumes
from .result_likeness import likeness_of
from .scoring import Scoring
from .session import SearchSession


class Stopwatch:
    """Seconds by what they were spent on."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """What went before, since the last lap, was this."""
        now = time.perf_counter()
        self.seconds[name] = round(now - self._last, 6)
        self._last = now


@dataclass(frozen=True)
class Ranked:
    """The first half of a search.

    Attributes:
        ranking: every volume that was compared, best first.
        allowed: int64, the keys that were searched, ascending.
        keep: what let them pass.
        scoring: what they were ranked by.
    """

    ranking: Ranking
    allowed: np.ndarray
    keep: AttributeFilter
    scoring: Scoring


def ranked(session: SearchSession, query: Query, options: SearchOptions, clock: Stopwatch | None = None) -> Ranked:
    """Filter and rank, without a look at where the query lies; the session has to be up to date with its store."""
    clock = clock or Stopwatch()
    keep = options.attributes.excluding(query.identity, **dict.fromkeys(options.exclude, True))
    keep = keep.without_series(options.exclude_series)
    allowed = session.store.keys(keep)
    clock.lap("filter")
    scoring = Scoring.of(session, query, options.parts, options.attributes)
    ranking = rank_volumes(session, query, allowed, options, scoring)
    if options.like or options.unlike:
        ranking = ranked_with_marks(session, query, ranking, allowed, options, scoring)
    clock.lap("rank")
    return Ranked(ranking, allowed, keep, ranking.scoring)


def search_store(
    session: SearchSession,
    query: Query,
    options: SearchOptions,
    path_of: Callable[[VolumeRecord], str],
    clock: Stopwatch | None = None,
    encoder: str = "",
    progress: ProgressCallback | None = None,
) -> SearchResult:
    """Search everything that is in the store now, including what another process has just added.

    Args:
        path_of: where a volume's files are, to show.
        clock: goes on counting, if the query's own time was measured.
        encoder: what made the query's embeddings, to show.
        progress: called while an index is built that is not there; may raise Cancelled.
    """
    clock = clock or Stopwatch()
    levels = levels_needed(options, len(query.embeddings))
    session.refresh(levels, progress)
    with session.store.snapshot():
        session.refresh(levels)
        found = ranked(session, query, options, clock)
        ranking, allowed, scoring = found.ranking, found.allowed, found.scoring
        likeness = likeness_of(session, query, ranking.keys, options.top)
        clock.lap("likeness")
        matches = _matches(session, query, ranking, likeness, options, path_of)
        clock.lap("localize")
        is_empty = len(allowed) == 0 and len(session.store.keys()) == 0
    return SearchResult(
        matches=matches,
        query_id=query.identity.volume_id,
        query_path=query.path,
        query_plane=query.plane,
        query_table=query.table,
        n_volumes=len(allowed),
        n_candidates=len(ranking.keys),
        ranking=options.ranking,
        score=str(scoring.parts) if options.ranking in ("two-stage", "exhaustive") else "",
        filter=ranking.filter,
        seconds=clock.seconds,
        notes=_notes(query, allowed, found.keep, is_empty)
        + _notes_of_exclusion(session, found.keep, options)
        + _notes_of_maps(matches)
        + session.notes(),
        encoder=encoder,
        like=options.like,
        unlike=options.unlike,
        query_box=query.box,
        search_id=uuid.uuid4().hex,
        query_thumbnail=query.thumbnail,
    )


def _matches(
    session: SearchSession,
    query: Query,
    ranking: Ranking,
    likeness: list[Likeness | None],
    options: SearchOptions,
    path_of: Callable[[VolumeRecord], str],
) -> tuple[Match, ...]:
    store, keys = session.store, ranking.keys[: options.top]
    return tuple(
        localized_match(
            rank=place + 1,
            record=one.record,
            path=path_of(one.record),
            query=query,
            embeddings=one.embeddings,
            table=one.slices,
            score=float(ranking.scores[place]),
            first_stage=float(ranking.first_stage[place]),
            outlines=one.outlines,
            likeness=likeness[place],
            mark=mark_of(one.record.volume_id, options),
        )
        for place, one in enumerate(store.volumes(keys))
    )


def _notes_of_maps(matches: tuple[Match, ...]) -> tuple[str, ...]:
    maps = [one.point_map for one in matches if one.point_map is not None]
    lacking = sum(not one.result.is_body for one in maps)
    if not lacking:
        return ()
    return (
        f"{lacking} of {len(maps)} results have no outline of the body (indexed by an older version, or nothing but "
        "air): places in plane are less exact there; `rebuild --outlines` adds what can be added",
    )


def _notes_of_exclusion(session: SearchSession, keep: AttributeFilter, options: SearchOptions) -> tuple[str, ...]:
    if "patient" not in options.exclude:
        return ()
    return session.notes_of_patient(keep, are_series_named=bool(options.exclude_series))


def _notes(query: Query, allowed: np.ndarray, keep: AttributeFilter, is_empty: bool) -> tuple[str, ...]:
    """What the user should know about how the result came about."""
    notes = []
    if is_empty:
        notes.append("no volume is indexed: index a folder first")
    elif len(allowed) == 0:
        notes.append(f"no volume passes the filter ({keep})" if keep.conditions else "there is no other volume to find")
    if query.stored:
        notes.append("the query is indexed already: its stored embeddings were used")
    return tuple(notes)
