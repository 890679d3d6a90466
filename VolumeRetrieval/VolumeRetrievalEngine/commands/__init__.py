"""The command line: `python -m VolumeRetrievalEngine`. One file for each command, or for two that belong together.

Results go to stdout; progress, failures and errors to stderr.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from .. import __version__
from ..errors import VolumeRetrievalError
from ..readable import printable
from . import encoders, index, listing, maintenance, search, serve, stores, weights
from .console import print_line
from .exit_codes import FAILED, INTERRUPTED
from .interruption import termination_as_interrupt

_EPILOG = """examples:
  python -m VolumeRetrievalEngine index /data/archive --store /data/index
  python -m VolumeRetrievalEngine search /data/new/series --store /data/index --top 5
  python -m VolumeRetrievalEngine search scan.nii.gz --store /data/index --region mask.nii.gz --report result.html
  python -m VolumeRetrievalEngine list --store /data/index --json
  python -m VolumeRetrievalEngine weights install dinov2-vits14
Each command has its own help, e.g.: python -m VolumeRetrievalEngine search --help

exit codes:
  0 done (index: also with failures, which are listed); 1 it could not be done, the last line says why;
  2 wrong arguments; 3 verify found damage; 130 stopped by Ctrl-C or SIGTERM, what was finished is kept
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    _print_any_path()
    options = _parser().parse_args(arguments)
    _log(options.verbose)
    try:
        with termination_as_interrupt():
            code = options.run(options)
            sys.stdout.flush()
        return code
    except VolumeRetrievalError as error:
        print_line(f"error: {error}", lines=True, error=True)
        return FAILED
    except KeyboardInterrupt:
        print("stopped; everything finished so far is kept", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output (head, less) has gone; the interpreter must not try it again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        print_line(f"error: {error.filename or 'the system'}: {error.strerror or error}", error=True)
        return FAILED


def _print_any_path() -> None:
    """A file name that the terminal's encoding does not know is printed with escapes, and ends no command."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


class _PrintableFormatter(logging.Formatter):
    """Log lines hold paths, which may hold what a terminal obeys."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record), lines=True)


def _log(verbose: bool) -> None:
    """Our own modules tell what they do when asked to. Other packages do not: they may quote what is in a file."""
    handler = logging.StreamHandler()
    handler.setFormatter(_PrintableFormatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger(__package__.partition(".")[0]).setLevel(logging.DEBUG if verbose else logging.WARNING)


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
    for module in (index, search, listing, stores, maintenance, serve, encoders, weights):
        module.add_commands(commands)
    return parser
