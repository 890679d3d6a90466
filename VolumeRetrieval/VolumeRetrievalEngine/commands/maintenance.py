"""`remove`, `verify` and `rebuild`: keeping a store in order."""

from __future__ import annotations

import argparse

from ..retriever import Retriever
from ..slice_index.faiss_index import KINDS_HELP
from ..store.folder import StoreFolder
from .console import ProgressLine, print_json, print_line
from .exit_codes import DAMAGED, DONE, INTERRUPTED
from .interruption import stoppable
from .options import new_command

_REMOVE_EXAMPLES = """  python -m VolumeRetrievalEngine remove 3f2a9c01 --store /data/index
  python -m VolumeRetrievalEngine remove /data/archive/old_series --store /data/index
"""
_VERIFY_EXAMPLES = """  python -m VolumeRetrievalEngine verify --store /data/index
  python -m VolumeRetrievalEngine verify --store /data/index --encoder descriptor
Every store in the folder is checked, or those of one encoder. Exit code 0: no damage (also where there is no store
yet); 3: damage, with what to do about each. The search indexes are not checked: they are rebuilt when they are lost.
"""
_STOPPING = "\nstopping (Ctrl-C again: at once)\n"
_REBUILD_EXAMPLES = """  python -m VolumeRetrievalEngine rebuild --store /data/index
  python -m VolumeRetrievalEngine rebuild --store /data/index --index-kind hnsw
  python -m VolumeRetrievalEngine rebuild --store /data/index --outlines
Volumes indexed by an older version have no outlines of the body until --outlines reads them again.
"""


def add_commands(commands: argparse._SubParsersAction) -> None:
    parser = new_command(
        commands, "remove", "remove volumes from the store (never their files)", _REMOVE_EXAMPLES, run_remove
    )
    parser.add_argument(
        "volumes", nargs="+", metavar="VOLUME", help="id (or its beginning), path, or folder of volumes"
    )
    new_command(commands, "verify", "check every byte of the store", _VERIFY_EXAMPLES, run_verify)
    parser = new_command(
        commands, "rebuild", "rebuild what is derived: pooled rows and search index", _REBUILD_EXAMPLES, run_rebuild
    )
    parser.add_argument(
        "--index-kind", default="auto", metavar="KIND", help=f"by default chosen by size; else one of {KINDS_HELP}"
    )
    parser.add_argument(
        "--outlines",
        action="store_true",
        help="also read the volumes that were indexed without outlines of the body, and add these; embeds nothing",
    )


def run_remove(options: argparse.Namespace) -> int:
    """Remove, and say how many volumes that were."""
    removed = Retriever.open(options.store, options.encoder).remove(options.volumes)
    if options.json:
        print_json({"removed": removed})
    else:
        print(f"removed {len(removed)} volume{'' if len(removed) == 1 else 's'}")
    return DONE


def run_verify(options: argparse.Namespace) -> int:
    """Fails on damage; a store that is empty or not there has none."""
    problems = StoreFolder(options.store).verify(options.encoder)
    if options.json:
        print_json({"problems": problems})
    else:
        for problem in problems:
            print_line(problem)
        print(f"{len(problems)} problem{'' if len(problems) == 1 else 's'}" if problems else "no problems")
    return DAMAGED if problems else DONE


def run_rebuild(options: argparse.Namespace) -> int:
    """Rebuild from the embeddings, which are the truth."""
    retriever = Retriever.open(options.store, options.encoder, index_kind=options.index_kind)
    report = None
    with ProgressLine() as line, stoppable(line, said=_STOPPING) as progress:
        is_rebuilt = retriever.rebuild(progress)
        if is_rebuilt and options.outlines:
            report = retriever.add_outlines(progress)
    if not is_rebuilt:
        print_line("stopped: run the same command again", error=True)
        return INTERRUPTED
    if options.json:
        print_json({**retriever.status().to_dict(), **({} if report is None else {"outlines": report.to_dict()})})
    else:
        for path, reason in () if report is None else report.failed:
            print_line(f"no outlines: {path}: {reason}")
        print_line(retriever.status().in_words(), lines=True)
    return INTERRUPTED if report is not None and report.cancelled else DONE
