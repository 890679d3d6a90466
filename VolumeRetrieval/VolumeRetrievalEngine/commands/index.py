"""`index`: bring the store up to date with files and folders. The nightly command, and the job that Slicer starts."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..cluster.connection import connected
from ..cluster.dask_embedding import OnCluster
from ..encoders.choice import encoder_facts, encoder_in_words
from ..encoders.networks.device import available_cores
from ..errors import QueryError, UnreadableFileError, VolumeRetrievalError
from ..indexing.embedding import VolumeEmbedding
from ..indexing.run import IndexingReport
from ..mapped_index import map_index
from ..progress import ProgressCallback
from ..reading import MetadataTable, Skipped
from ..recipe import PLANES
from ..retriever import Retriever
from ..slicer_database.database_file import read_series
from ..slicer_database.index_series import index_series
from ..slicer_database.series_list import SeriesList
from ..worker.messages import MessageWriter
from .console import ProgressLine, print_json, print_line, readable_duration
from .exit_codes import DONE, FAILED, INTERRUPTED
from .interruption import be_polite, stoppable, use_cores
from .options import a_path, add_encoder_options, add_reading_options, at_least_one, encoder_request, new_command

#: Files left out for one reason that are listed one by one; of more, the number and the first.
_LISTED = 10

_EXAMPLES = """  python -m VolumeRetrievalEngine index /data/archive --store /data/index
  python -m VolumeRetrievalEngine index scans/ --store idx --exclude '*/labels/*' --metadata scans/manifest.csv
  python -m VolumeRetrievalEngine index scans/ --store idx --encoder torchscript --weights network.pt
  python -m VolumeRetrievalEngine index --slicer-database ~/Documents/SlicerDICOMDatabase
  python -m VolumeRetrievalEngine index /data/archive --store /data/index --cluster tcp://head:8786
Run it again whenever files may have changed: what is unchanged costs nothing, and a run that was stopped goes on.
It runs at low priority and leaves one processor core free (--full-speed, --threads). Ctrl-C stops it after the volume
in work. A file that cannot be read is listed at the end, and the others are indexed all the same.
"""


def add_commands(commands: argparse._SubParsersAction) -> None:
    parser = new_command(
        commands,
        "index",
        "index the volumes in files and folders",
        _EXAMPLES,
        run,
        store_default="VolumeRetrieval in the folder of the DICOM database",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "paths",
        nargs="*",
        default=[],
        type=a_path,
        metavar="PATH",
        help="files, or folders with any mix of DICOM and images",
    )
    what.add_argument(
        "--slicer-database", type=a_path, metavar="DIR", help="every series of the DICOM database of 3D Slicer in DIR"
    )
    what.add_argument(
        "--files", type=a_path, metavar="LIST.json", help="the files of the series in this list, as Slicer writes it"
    )
    add_encoder_options(parser)
    add_reading_options(parser)
    parser.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="PATTERN",
        help="leave out files and folders whose path is like this, e.g. '*/labels/*' (* ? [seq]; may be repeated)",
    )
    parser.add_argument(
        "--root", default="", metavar="NAME", help="name of the folder in the index (default: its own name)"
    )
    parser.add_argument(
        "--from",
        dest="map_from",
        default="",
        metavar="OLD",
        help="make a new index of --encoder that can be searched at once: map the index OLD (its encoder, or the name "
        "of its folder) into it, and embed the volumes afterwards; implies --renew",
    )
    parser.add_argument("--prune", action="store_true", help="remove volumes whose files are gone from these folders")
    parser.add_argument("--plane", choices=PLANES, help="plane of the slices (default: auto)")
    parser.add_argument(
        "--slice-step", type=float, metavar="MM", help="thin slices nearer than this (default: 3; 0: none)"
    )
    parser.add_argument("--no-crop", action="store_true", help="keep air and table around the body")
    parser.add_argument(
        "--renew",
        action="store_true",
        help="where an earlier version made the slices of this encoder's index, or an earlier edition of the encoder "
        "its embeddings: make a new one next to it",
    )
    parser.add_argument(
        "--threads", type=at_least_one, metavar="N", help="processor cores to use (default: all but one)"
    )
    parser.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="read and embed on a Dask cluster: its scheduler's address, local:N for N processes of this computer, or "
        "a JSON file that describes jobs of a batch system (docs/CLUSTER.md)",
    )
    parser.add_argument(
        "--json-progress",
        action="store_true",
        help="for programs: progress and result as lines of JSON; stops when standard input is closed",
    )
    parser.add_argument("--full-speed", action="store_true", help="normal priority and every core")


def run(options: argparse.Namespace) -> int:
    """Index, say what happened; 0 even with single failures, 1 if nothing at all could be read."""
    cores = available_cores()
    if not options.cluster or options.threads:  # local:N already says how many cores, and each process keeps to one
        use_cores(options.threads or (cores if options.full_speed else max(1, cores - 1)), asked=bool(options.threads))
    if not options.full_speed:
        be_polite()
    return _run_for_program(options) if options.json_progress else _run_for_person(options)


def _run_for_person(options: argparse.Namespace) -> int:
    with ProgressLine() as line, stoppable(line) as progress:
        report, retriever = _index(options, progress)
    if options.json:
        print_json(_result(report, retriever))
    else:
        _print_report(report)
        print_line(retriever.status().in_words(), lines=True)
        print_line(f"encoder: {encoder_in_words(retriever.encoder())}")
    return _exit_code(report)


def _run_for_program(options: argparse.Namespace) -> int:
    """As worker/PROTOCOL.md says."""
    messages = MessageWriter.on_standard_output()
    messages.hello()
    try:
        with stoppable(messages.progress, sys.stdin.fileno()) as progress:
            report, retriever = _index(options, progress)
        messages.result(_result(report, retriever))
    except BrokenPipeError:
        raise
    except Exception as error:
        messages.error(error)
        if not isinstance(error, VolumeRetrievalError):
            raise
        return FAILED
    return _exit_code(report)


def _result(report: IndexingReport, retriever: Retriever) -> dict[str, object]:
    return {
        **report.to_dict(),
        "store": retriever.status().to_dict(),
        "encoder": encoder_facts(retriever.encoder()),
    }


def _index(options: argparse.Namespace, progress: ProgressCallback) -> tuple[IndexingReport, Retriever]:
    listed = _listed_series(options)
    if listed is not None:
        store = _required(options.store or listed.default_store)
        retriever = _retriever(options, store, progress)
        with _embedding(options, retriever) as embedding:
            return index_series(retriever, listed, progress, embedding), retriever
    for path in options.paths:
        if not path.exists():
            raise UnreadableFileError(path, "there is no such file or folder")
    metadata = MetadataTable.from_csv(options.metadata) if options.metadata else None
    retriever = _retriever(options, _required(options.store), progress)
    with _embedding(options, retriever) as embedding:
        report = retriever.add(
            options.paths,
            exclude=options.exclude,
            metadata=metadata,
            modality=options.modality,
            root=options.root,
            prune=options.prune,
            embedding=embedding,
            progress=progress,
        )
    return report, retriever


@contextmanager
def _embedding(options: argparse.Namespace, retriever: Retriever) -> Iterator[VolumeEmbedding | None]:
    """Who reads and embeds: the workers of --cluster, or (None) this process."""
    if not options.cluster:
        yield None
        return
    with connected(options.cluster) as client:
        print(f"cluster: {client.scheduler_info()['address']}, dashboard {client.dashboard_link}", file=sys.stderr)
        yield OnCluster(client, retriever.request)


def _listed_series(options: argparse.Namespace) -> SeriesList | None:
    if options.slicer_database:
        return read_series(options.slicer_database)
    return SeriesList.from_file(options.files) if options.files else None


def _required(store: Path | None) -> Path:
    if store is None:
        raise QueryError("index: expected --store DIR, the folder of the index")
    return store


def _retriever(options: argparse.Namespace, store: Path, progress: ProgressCallback) -> Retriever:
    renew = options.renew or bool(options.map_from)
    retriever = Retriever.create(store, encoder_request(options), renew=renew, **_recipe_values(options))
    if options.map_from:  # stopped here, the run stops at its own first step, too
        report = map_index(retriever, options.map_from, progress)
        print_line(report.in_words(), error=True)
    return retriever


def _exit_code(report: IndexingReport) -> int:
    if report.cancelled:
        return INTERRUPTED
    return DONE if report.read_anything else FAILED


def _recipe_values(options: argparse.Namespace) -> dict[str, Any]:
    """What was asked for explicitly; the rest is the last used recipe's, or the default."""
    asked = {"plane": options.plane, "slice_step_mm": options.slice_step, "crop": False if options.no_crop else None}
    return {name: value for name, value in asked.items() if value is not None}


def _print_report(report: IndexingReport) -> None:
    counts = {
        "added": len(report.added),
        "replaced": len(report.replaced),
        "moved": len(report.moved),
        "with new attributes": len(report.updated),
        "unchanged": report.unchanged,
        "removed": report.pruned + len(report.superseded),
        "skipped": len(report.skipped),
        "failed": len(report.failed),
    }
    always = ("added", "unchanged", "failed")
    what = ", ".join(f"{count} {name}" for name, count in counts.items() if count or name in always)
    state = "stopped" if report.cancelled else "done"
    print(f"{state}: {what}; {report.slices} slices embedded in {readable_duration(report.seconds)}")
    if report.series is not None:
        print("series: " + ", ".join(f"{count} {name}" for name, count in report.series.to_dict().items()))
    _print_skipped(report.skipped)
    for one in report.failed:
        print_line(f"  failed: {one.path}: {one.reason}", error=True)
    if report.gone and not report.pruned:
        print(f"{len(report.gone)} indexed volumes are no longer on disk: --prune removes them")
    if report.cancelled:
        print("run the same command again to go on")


def _print_skipped(skipped: list[Skipped]) -> None:
    """What is rightly no volume: few one by one, many (the text files of an archive, say) by their reason."""
    by_reason: dict[str, list[Path]] = {}
    for one in skipped:
        by_reason.setdefault(one.reason, []).append(one.path)
    for reason, paths in by_reason.items():
        if len(paths) > _LISTED:
            print_line(f"  skipped: {len(paths)} files, {paths[0]} the first: {reason} (--json lists all)")
            continue
        for path in paths:
            print_line(f"  skipped: {path}: {reason}")
