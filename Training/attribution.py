"""Whose volumes the weights were learned from: the list that goes with them, as attribution licences ask."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from .volumes import TrainingVolume

_HEADING = """# Volumes that radiology-resnet was trained on

Written by `python -m Training` beside the weights that it describes. Every volume's licence lets derived works be
shared; volumes whose own licence was not stated where they were found were left out, even of public collections.

| volumes | licence | source | ids |
| --- | --- | --- | --- |
"""


def write_attribution(volumes: Sequence[TrainingVolume], path: Path) -> None:
    """One row for each source and licence, with the ids of its volumes as the manifests have them."""
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for one in volumes:
        groups[one.source, one.licence].append(one.id)
    rows = [
        f"| {len(ids)} | {licence} | {source} | {', '.join(sorted(ids))} |\n"
        for (source, licence), ids in sorted(groups.items())
    ]
    path.write_text(_HEADING + "".join(rows), encoding="utf-8")
