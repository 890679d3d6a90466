"""`search`: which volumes look like this one, or like this region of it, and where."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from ..cluster.connection import connected
from ..cluster.dask_store import open_stores_on
from ..errors import EmptyRegionError, NotAVolumeError, QueryError, UnreadableFileError
from ..method.score_parts import DEFAULT, PAPER, PARTS
from ..query.region import SingleSlice, SliceRange, parse_region
from ..reading import MetadataTable
from ..retriever import Retriever
from ..searching.likeness import nothing_in_words
from ..searching.match import Match, SearchResult
from ..searching.options import EXCLUSIONS, FILTERS, RANKINGS, SearchOptions
from ..searching.place_notes import box_in_words
from ..slice_index.faiss_index import KINDS_HELP
from ..store.attribute_filter import AttributeFilter
from ..united.united_retriever import open_stores
from ..volume import Volume
from .console import ProgressLine, print_json, print_line, print_table
from .exit_codes import DONE
from .options import a_path, add_encoder_options, add_reading_options, at_least_one, encoder_request, new_command

#: The first volumes whose box is printed, too; --json has them all.
_BOXES_SHOWN = 3

_EXAMPLES = """  python -m VolumeRetrievalEngine search /data/new/series --store /data/index
  python -m VolumeRetrievalEngine search scan.nii.gz --store idx --region tumor.nii.gz --crop
  python -m VolumeRetrievalEngine search scan.nii.gz --store idx --region slices=41-63 --filter modality=CT
  python -m VolumeRetrievalEngine search scan.nii.gz --store idx --region box=-40,-60,-120,40,20,-60
  python -m VolumeRetrievalEngine search 3f2a9c01 --store idx --exclude-same patient --report result.html
  python -m VolumeRetrievalEngine search scan.nii.gz --store idx --region tumor.nii.gz --refine
  python -m VolumeRetrievalEngine search scan.nii.gz --store idx --like 3f2a9c01 --unlike 77b0e4d2
  python -m VolumeRetrievalEngine search scan.nii.gz --store /data/index --store /mnt/other-hospital/index
  python -m VolumeRetrievalEngine search scan.nii.gz --cluster tcp://head:8786 --store node1:/data/index --store idx
Slices are counted from 0, here, in --region and in --json, toward superior, anterior or right; the HTML report counts
them from 1. The query is a file, the folder of a series, or the id (or its beginning) of an indexed volume, see `list`.
"""


def add_commands(commands: argparse._SubParsersAction) -> None:
    parser = new_command(
        commands, "search", "find the volumes that look like this one", _EXAMPLES, run, several_stores=True
    )
    parser.add_argument("query", metavar="QUERY", help="file, folder of one series, or id of an indexed volume")
    parser.add_argument("--volume", type=int, metavar="N", help="which, if the query holds several (they are listed)")
    parser.add_argument(
        "--region",
        metavar="REGION",
        help="part of the query: slices=FIRST-LAST or slice=N (counted from 0 in the index's plane, toward superior, "
        "anterior or right), box=R0,A0,S0,R1,A1,S1 (RAS mm), or a mask's file, with ',label=3' behind it for one of "
        "its labels",
    )
    parser.add_argument("--crop", action="store_true", help="cut the slices down to the region in plane too")
    parser.add_argument("--top", type=at_least_one, default=10, metavar="N", help="how many volumes (default: 10)")
    parser.add_argument(
        "--filter",
        action="append",
        default=[],
        metavar="CONDITION",
        help="only volumes like this, e.g. modality=CT, study_date>=2020, series_description~lung; all have to hold",
    )
    parser.add_argument(  # not --exclude: of `index`, that is a pattern of paths
        "--exclude-same",
        action="append",
        default=[],
        choices=EXCLUSIONS,
        help="leave out what shares this with the query (its own volume is always left out; may be repeated)",
    )
    for flag, word in (("--like", "fits"), ("--unlike", "does not fit")):
        parser.add_argument(
            flag,
            action="append",
            default=[],
            metavar="ID",
            help=f"an indexed volume that {word}, by its id (or its beginning) or path: the ranking follows what is "
            "marked (may be repeated)",
        )
    parser.add_argument("--exhaustive", action="store_true", help="score every volume exactly, without filtering first")
    parser.add_argument("--ranking", choices=RANKINGS, default="two-stage", help="how to score (default: two-stage)")
    parser.add_argument(
        "--score",
        default=DEFAULT,
        metavar="PARTS",
        help=f"what the similarity is made of: {DEFAULT}, {PAPER} (the paper's plain score), or some of "
        f"{', '.join(PARTS)}, joined by +",
    )
    parser.add_argument(
        "--candidates",
        choices=FILTERS,
        default="auto",
        help="how two-stage ranking finds its candidates (default: auto, by the number of query slices)",
    )
    parser.add_argument(
        "--distinct",
        type=at_least_one,
        default=20,
        metavar="K",
        help="candidates by slices: volumes that each query slice must reach (default: 20)",
    )
    parser.add_argument(
        "--rerank",
        type=at_least_one,
        default=100,
        metavar="N",
        help="candidates by pooled: how many are scored exactly (default: 100)",
    )
    parser.add_argument(
        "--index-kind",
        default="auto",
        metavar="KIND",
        help=f"by default chosen by size; else numpy (exact, without FAISS) or one of {KINDS_HELP}",
    )
    parser.add_argument(
        "--refine",
        type=at_least_one,
        nargs="?",
        const=3,
        metavar="N",
        help="register the region of the query with the first N volumes (default: 3): places and boxes become more "
        "exact, in some seconds for each",
    )
    parser.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="a Dask cluster whose workers hold indexes open: its scheduler's address, or as for `index`; --store is "
        "then also WORKER:DIR, by the worker's name or that of its computer (docs/CLUSTER.md)",
    )
    parser.add_argument("--report", type=a_path, metavar="HTML", help="also write a report with pictures")
    add_encoder_options(parser)
    add_reading_options(parser)


def run(options: argparse.Namespace) -> int:
    """Search and print the ranking."""
    with _opened(options) as retriever:
        return _search(options, retriever)


@contextmanager
def _opened(options: argparse.Namespace) -> Iterator[Retriever]:
    how = {"encoder": encoder_request(options), "index_kind": options.index_kind}
    if not options.cluster:
        with open_stores(options.store, **how) as retriever:
            yield retriever
        return
    with connected(options.cluster, direct=True) as client, open_stores_on(client, options.store, **how) as retriever:
        yield retriever


def _search(options: argparse.Namespace, retriever: Retriever) -> int:
    query = retriever.resolve_query(
        options.query,
        volume=options.volume,
        metadata=MetadataTable.from_csv(options.metadata) if options.metadata else None,
        modality=options.modality,
    )
    region = parse_region(str(a_path(options.region))) if options.region else None
    try:
        with ProgressLine() as line:
            result = retriever.search(
                query,
                region=region,
                crop=options.crop,
                name=options.query if a_path(options.query).exists() else "",
                options=_search_options(options, retriever),
                progress=lambda step: line(step) if step.stage == "build" else None,
            )
    except EmptyRegionError as error:
        if isinstance(region, (SliceRange, SingleSlice)):  # what was typed counts from 0, the text from 1
            raise EmptyRegionError(f"--region {options.region}, which counts from 0: {error}") from error
        raise
    if options.refine:
        result = _refined(retriever, result, query if isinstance(query, Volume) else None, options.refine)
    if options.json:
        print_json([match.summary() for match in result.matches])
        for note in result.notes:  # a store that was not searched must not go unnoticed
            print_line(f"note: {note}", error=True)
    else:
        _print_result(result)
    if options.report:
        retriever.write_report(result, options.report)
        if not options.json:
            print_line(f"report: {options.report}")
    return DONE


def _refined(retriever: Retriever, result: SearchResult, query: Volume | None, count: int) -> SearchResult:
    """The result with the first matches registered; where that cannot be done, the match stays as it is."""
    matches = list(result.matches)
    for place, match in enumerate(matches[:count]):
        try:
            matches[place] = replace(match, refinement=retriever.refine(result, match, query))
        except (QueryError, UnreadableFileError, NotAVolumeError) as error:
            result = replace(result, notes=(*result.notes, f"volume {match.rank} was not refined: {error}"))
    return replace(result, matches=tuple(matches))


def _search_options(options: argparse.Namespace, retriever: Retriever) -> SearchOptions:
    return SearchOptions(
        top=options.top,
        ranking="exhaustive" if options.exhaustive else options.ranking,
        score=options.score,
        filter=options.candidates,
        distinct=options.distinct,
        rerank=options.rerank,
        attributes=AttributeFilter.parse(options.filter),
        exclude=frozenset({"volume", *options.exclude_same}),
        like=tuple(retriever.find(name).volume_id for name in options.like),
        unlike=tuple(retriever.find(name).volume_id for name in options.unlike),
    )


def _print_result(result: SearchResult) -> None:
    slices = result.query_table.index
    print_line(
        f"query: {result.query_path} ({len(slices)} {result.query_plane} slices, {slices[0]}-{slices[-1]} from 0); "
        f"{result.n_volumes} volumes searched, {result.n_candidates} candidates"
    )
    columns: tuple[str, ...] = (
        "rank",
        "score",
        "likeness",
        "modality",
        "body part",
        "slices, from 0",
        "extent",
        "volume",
    )
    rows = [_row(match) for match in result.matches]
    if result.stores:
        columns = (*columns, "index")
        rows = [(*row, match.store) for row, match in zip(rows, result.matches, strict=True)]
    print_table(columns, rows, right=(0, 1))
    if result.likeness is not None and result.likeness.is_nothing:
        print(nothing_in_words(result.likeness))
    for match in result.matches[:_BOXES_SHOWN]:
        if match.box is not None:
            print_line(f"box in {match.rank}: {box_in_words(match)}")
    took = ", ".join(f"{name} {1000 * seconds:.0f} ms" for name, seconds in result.seconds.items())
    print_line(f"encoder: {result.encoder}")
    score = f" (score: {result.score})" if result.score else ""
    print_line(f"ranking: {result.ranking}{score}, candidates by: {result.filter}; {took}")
    for note in result.notes:
        print_line(f"note: {note}")


def _row(match: Match) -> tuple[object, ...]:
    one = match.place
    matched = extent = ""
    if one is not None:
        numbers = f"{one.first_slice}-{one.last_slice}" if one.first_slice < one.last_slice else f"{one.first_slice}"
        matched = f"{numbers} of {match.n_slices}" + ("" if one.is_certain else " (uncertain)")
        extent = f"{one.extent_mm:.0f} mm"
    attributes = match.attributes
    known = (attributes.modality, attributes.body_part, matched, extent, match.path)
    return match.rank, f"{match.score:.4f}", _likeness(match), *known


def _likeness(match: Match) -> str:
    """ "close match, marked as like"."""
    words = [] if match.likeness is None else [match.likeness.words]
    return ", ".join([*words, f"marked as {match.mark}"] if match.mark else words)
