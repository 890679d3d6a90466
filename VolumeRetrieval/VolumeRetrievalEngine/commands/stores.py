"""`stores`: how several indexes stand, and whether they can be searched as one archive.

With --json it prints two lines of JSON, messages of worker/PROTOCOL.md.

    {"type": "hello", "protocol": 2, "version": "0.1.0", "pid": 4711}
    {"type": "result", "result": {"stores": [{"asked", "folder", "volumes", "encoder", "problem", "problem_type",
                                              "problem_fields", "modalities", "body_parts"}, ...]}}
"""

from __future__ import annotations

import argparse

from ..united.store_state import states
from ..worker.messages import MessageWriter
from .console import print_table
from .exit_codes import DONE
from .options import a_path, bare_command

_EXAMPLES = """  python -m VolumeRetrievalEngine stores /data/index /mnt/radiology/index
The first one that has an index decides on the encoder and its settings; `search --store A --store B` searches them.
"""


def add_commands(commands: argparse._SubParsersAction) -> None:
    parser = bare_command(commands, "stores", "say which indexes can be searched as one archive", _EXAMPLES, run)
    parser.add_argument("folders", type=a_path, nargs="+", metavar="DIR", help="folder of an index, or one around it")
    parser.add_argument(
        "--encoder", default="", metavar="NAME", help="which encoder's index of the first one (default: the last used)"
    )


def run(options: argparse.Namespace) -> int:
    """Look at each, and print it."""
    if options.json:
        messages = MessageWriter.on_standard_output()
        messages.hello()
        messages.result({"stores": [one.to_dict() for one in states(options.folders, options.encoder)]})
        return DONE
    found = states(options.folders, options.encoder)
    rows = [(one.folder, one.encoder, f"{one.volumes:,}", one.problem or "can be searched") for one in found]
    print_table(("index", "encoder", "volumes", "state"), rows, right=(2,))
    return DONE
