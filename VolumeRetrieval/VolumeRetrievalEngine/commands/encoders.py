"""`encoders`: which there are, what each still needs here, and which one is taken where none is asked for.

With --json it prints two lines of JSON, messages of worker/PROTOCOL.md, because finding out can take seconds: torch is
loaded.

    {"type": "hello", "protocol": 1, "version": "0.1.0", "pid": 4711}
    {"type": "result", "result": {"default": {"name", "backend", "reason"},
                                  "encoders": [{"name", "needs_weights", "missing", "to_install"}, ...]}}
"""

from __future__ import annotations

import argparse
from dataclasses import asdict

from ..encoders.choice import AvailableEncoder, available_encoders
from ..encoders.default import default_encoder
from ..worker.messages import MessageWriter
from .console import print_table
from .exit_codes import DONE
from .options import bare_command


def add_commands(commands: argparse._SubParsersAction) -> None:
    help = "list the encoders, and say which one is the default here"
    bare_command(commands, "encoders", help, "  python -m VolumeRetrievalEngine encoders\n", run)


def run(options: argparse.Namespace) -> int:
    """Look what works, and print it."""
    if options.json:
        messages = MessageWriter.on_standard_output()
        messages.hello()
        known = [asdict(one) for one in available_encoders()]
        messages.result({"default": asdict(default_encoder()), "encoders": known})
        return DONE
    rows = [(one.name, _also_needed(one), ", ".join(one.missing)) for one in available_encoders()]
    print_table(("encoder", "also needs", "packages missing"), rows)
    print(f"default here: {default_encoder().reason}")
    return DONE


def _also_needed(one: AvailableEncoder) -> str:
    if one.needs_weights:
        return "--weights FILE"
    return "; ".join(f"weights install {name}" for name in one.to_install)
