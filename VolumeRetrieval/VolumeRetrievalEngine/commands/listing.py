"""`list` and `info`: what is in the store."""

from __future__ import annotations

import argparse

from ..readable import readable_size
from ..retriever import Retriever
from ..store.attribute_filter import AttributeFilter
from ..store.records import VolumeRecord
from .console import print_json, print_line, print_table
from .exit_codes import DONE
from .options import new_command

_LIST_EXAMPLES = """  python -m VolumeRetrievalEngine list --store /data/index
  python -m VolumeRetrievalEngine list --store /data/index --filter modality=MR --json
"""
_INFO_EXAMPLES = """  python -m VolumeRetrievalEngine info --store /data/index
  python -m VolumeRetrievalEngine info 3f2a9c01 --store /data/index
"""


def add_commands(commands: argparse._SubParsersAction) -> None:
    parser = new_command(commands, "list", "list the indexed volumes", _LIST_EXAMPLES, run_list)
    parser.add_argument(
        "--filter",
        action="append",
        default=[],
        metavar="CONDITION",
        help="only volumes like this, e.g. modality=CT (see search --help)",
    )
    parser = new_command(commands, "info", "describe the store, or one volume in it", _INFO_EXAMPLES, run_info)
    parser.add_argument(
        "volume", nargs="?", metavar="VOLUME", help="id (or its beginning) or path of an indexed volume"
    )


def run_list(options: argparse.Namespace) -> int:
    """One line, or JSON object, for each volume."""
    retriever = Retriever.open(options.store, options.encoder)
    records = retriever.listing(AttributeFilter.parse(options.filter))
    if options.json:
        print_json([retriever.describe(record) for record in records])
        return 0
    print_table(
        ("id", "modality", "body part", "date", "plane", "slices", "volume"),
        [_row(retriever, record) for record in records],
        right=(5,),
    )
    return DONE


def run_info(options: argparse.Namespace) -> int:
    """What the store or the volume is, line by line."""
    retriever = Retriever.open(options.store, options.encoder)
    if options.volume:
        record = retriever.find(options.volume)
        values = {
            **retriever.describe(record),
            "embedded_slices": record.n_rows,
            "device": record.device,
            "precision": record.precision,
            "indexed_at": record.indexed_at,
            "notes": list(record.notes),
        }
    else:
        values = retriever.status().to_dict()
    if options.json:
        print_json(values)
        return 0
    for name, value in values.items():
        if value not in ("", [], ()):
            print_line(f"{name.replace('_', ' ')}: {_in_words(name, value)}")
    return DONE


def _in_words(name: str, value: object) -> str:
    if name == "size_bytes":
        return readable_size(float(str(value)))
    if isinstance(value, dict):
        return ", ".join(f"{count} {kind or 'unknown'}" for kind, count in value.items())
    return "; ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _row(retriever: Retriever, record: VolumeRecord) -> tuple[object, ...]:
    attributes = record.attributes
    return (
        record.volume_id[:8],
        attributes.modality + ("?" if attributes.modality_from == "inferred" else ""),
        attributes.body_part,
        attributes.study_date,
        record.plane,
        record.n_slices,
        retriever.path_of(record),
    )
