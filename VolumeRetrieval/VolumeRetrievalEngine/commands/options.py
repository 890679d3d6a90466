"""Arguments that several commands share."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

from ..encoders.networks.device import PRECISIONS
from ..encoders.request import EncoderRequest
from ..reading.metadata import modality_name

#: Runs a command and returns its exit code.
Run = Callable[[argparse.Namespace], int]

#: DICOM's terms for the modalities that images come from (PS3.3 C.7.3.1.1.1).
_MODALITIES = ("CT", "MR", "PT", "NM", "US", "XA", "RF", "MG", "CR", "DX", "OCT", "OT")


def bare_command(
    commands: argparse._SubParsersAction, name: str, help: str, examples: str, run: Run
) -> argparse.ArgumentParser:
    """A command with what all have in common: help with examples, --json and --verbose."""
    parser = commands.add_parser(
        name,
        help=help,
        description=f"{help[0].upper()}{help[1:]}.",
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print JSON for machines instead of text")
    parser.add_argument(
        "--verbose",
        action="store_true",
        default=argparse.SUPPRESS,  # or it would undo a --verbose before the command
        help="log what is done, for reporting a problem",
    )
    parser.set_defaults(run=run)
    return parser


def new_command(
    commands: argparse._SubParsersAction,
    name: str,
    help: str,
    examples: str,
    run: Run,
    store_default: str = "",
    several_stores: bool = False,
) -> argparse.ArgumentParser:
    """A command with the arguments that every one on an index has.

    --store may be left out where a default is named, and be repeated where there may be several; it is a list then.
    """
    parser = bare_command(commands, name, help, examples, run)
    parser.add_argument(
        "--store",
        type=a_store if several_stores else a_path,
        action="append" if several_stores else "store",
        required=not store_default,
        metavar="DIR",
        help="folder of the index (one for all encoders"
        + (f"; default: {store_default})" if store_default else ")")
        + ("; repeated: several are searched as one archive" if several_stores else ""),
    )
    parser.add_argument(
        "--encoder",
        default="",
        metavar="NAME",
        help="which encoder's index: its name, or the name of its folder in DIR (default: the one used last; in a new "
        "DIR radiology-resnet, or descriptor where neither onnxruntime nor PyTorch is installed)",
    )
    return parser


def add_encoder_options(parser: argparse.ArgumentParser) -> None:
    """Where the encoder's weights are and where it runs."""
    parser.add_argument(
        "--weights",
        type=a_path,
        metavar="FILE",
        help="the network's weights, for an encoder that needs them (default: the file it was indexed with)",
    )
    parser.add_argument("--device", metavar="DEVICE", help="cpu, cuda, cuda:1, mps (default: the best there is)")
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        metavar="PRECISION",
        help=f"{', '.join(PRECISIONS)}: what a network computes in (default: the fastest with the same embeddings)",
    )
    parser.add_argument("--batch-size", type=at_least_one, metavar="N", help="slices at once (default: what fits)")


def encoder_request(options: argparse.Namespace) -> EncoderRequest:
    """What --encoder and :func:`add_encoder_options` say."""
    return EncoderRequest(options.encoder, options.weights, options.device, options.batch_size, options.precision)


def add_reading_options(parser: argparse.ArgumentParser) -> None:
    """What is known about files that do not say it themselves."""
    parser.add_argument(
        "--metadata",
        type=a_path,
        metavar="CSV",
        help="table with the columns path, modality, body_part, patient, study for files without DICOM attributes",
    )
    parser.add_argument(
        "--modality", type=a_modality, default="", metavar="CT|MR|PT|...", help="modality of files that do not say it"
    )


def a_path(text: str) -> Path:
    """A path; "~" is the user's folder also where the shell has not said so (--store=~/index, quotes, Windows)."""
    return Path(os.path.expanduser(text))  # noqa: PTH111 - Path.expanduser raises for an unknown user


def a_store(text: str) -> str:
    """Likewise, of a store that may lie with a worker of a cluster (WORKER:DIR); it keeps its spelling."""
    return os.path.expanduser(text)  # noqa: PTH111 - as a_path


def at_least_one(text: str) -> int:
    """A whole number of 1 or more."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number, 1 or more")
    return number


def a_modality(text: str) -> str:
    """DICOM's term for a modality, also from MRI or PET; the empty text for none."""
    name = modality_name(text)
    if name and name not in _MODALITIES:
        raise argparse.ArgumentTypeError(f"{text!r}: expected one of {', '.join(_MODALITIES)}")
    return name
