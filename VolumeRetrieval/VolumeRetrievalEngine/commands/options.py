"""Arguments that several commands share."""

from __future__ import annotations

import argparse
from pathlib import Path


def new_command(
    commands: argparse._SubParsersAction, name: str, help: str, examples: str, run, store_default: str = ""
) -> argparse.ArgumentParser:
    """A command with the arguments that every one of them has; --store may be left out where a default is named."""
    parser = commands.add_parser(
        name,
        help=help,
        description=f"{help[0].upper()}{help[1:]}.",
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--store",
        type=Path,
        required=not store_default,
        metavar="DIR",
        help="folder of the index (one for all encoders" + (f"; default: {store_default})" if store_default else ")"),
    )
    parser.add_argument("--encoder", default="", metavar="NAME", help="which encoder's index (default: the last used)")
    parser.add_argument("--json", action="store_true", help="print JSON for machines instead of text")
    parser.set_defaults(run=run)
    return parser


def add_encoder_options(parser: argparse.ArgumentParser) -> None:
    """Where the encoder's weights are and where it runs."""
    parser.add_argument(
        "--weights", type=Path, metavar="FILE", help="the network's weights (encoders that need a file)"
    )
    parser.add_argument("--device", metavar="DEVICE", help="cpu, cuda, cuda:1, mps (default: the best there is)")
    parser.add_argument("--batch-size", type=int, metavar="N", help="slices at once (default: what fits)")


def add_reading_options(parser: argparse.ArgumentParser) -> None:
    """What is known about files that do not say it themselves."""
    parser.add_argument(
        "--metadata",
        type=Path,
        metavar="CSV",
        help="table with the columns path, modality, body_part, patient, study for files without DICOM attributes",
    )
    parser.add_argument("--modality", default="", metavar="CT|MR|PT", help="modality of files that do not say it")
