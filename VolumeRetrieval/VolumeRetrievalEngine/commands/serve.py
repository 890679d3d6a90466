"""`serve`: a warm search worker for another program, such as Slicer. See worker/PROTOCOL.md."""

from __future__ import annotations

import argparse
import sys

from ..worker.messages import MessageWriter
from ..worker.retriever_pool import RetrieverPool
from ..worker.search_worker import SearchWorker
from .options import add_encoder_options, encoder_request, new_command

_EXAMPLES = """  python -m VolumeRetrievalEngine serve --store /data/index
Requests and answers are lines of JSON on standard input and output; it ends when its standard input is closed.
"""


def add_commands(commands: argparse._SubParsersAction) -> None:
    parser = new_command(commands, "serve", "answer the searches of another program", _EXAMPLES, run)
    parser.add_argument("--index-kind", default="auto", metavar="KIND", help="see `search` (default: by size)")
    add_encoder_options(parser)


def run(options: argparse.Namespace) -> int:
    """Serve until standard input is closed."""
    answers = MessageWriter.on_standard_output()
    retrievers = RetrieverPool(options.store, encoder_request(options), index_kind=options.index_kind)
    SearchWorker(retrievers, sys.stdin.buffer, answers).run()
    return 0
