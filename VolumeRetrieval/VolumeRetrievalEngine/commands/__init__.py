"""The command line: `python -m VolumeRetrievalEngine`. One file for each command, or for two that belong together.

Exit codes: 0 done; 1 it could not be done (the text says why); 2 wrong arguments; 3 `verify` found damage;
130 stopped by Ctrl-C (what was finished is kept).
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from .. import __version__
from ..errors import VolumeRetrievalError
from . import index, listing, maintenance, search, serve

FAILED = 1
INTERRUPTED = 130

_EPILOG = """examples:
  python -m VolumeRetrievalEngine index /data/archive --store /data/index
  python -m VolumeRetrievalEngine search /data/new/series --store /data/index --top 5
  python -m VolumeRetrievalEngine search scan.nii.gz --store /data/index --region mask.nii.gz --report result.html
  python -m VolumeRetrievalEngine list --store /data/index --json
Each command has its own help, e.g.: python -m VolumeRetrievalEngine search --help
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    logging.basicConfig(
        level=logging.DEBUG if options.verbose else logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )
    try:
        return options.run(options)
    except VolumeRetrievalError as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("stopped; everything finished so far is kept", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output (head, less) has gone
        sys.stderr.close()
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m VolumeRetrievalEngine",
        description="Find the volumes that look like this one, and where in them it is.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument("--verbose", action="store_true", help="log what is done, for reporting a problem")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (index, search, listing, maintenance, serve):
        module.add_commands(commands)
    return parser
