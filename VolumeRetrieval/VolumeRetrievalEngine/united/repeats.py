"""Volumes that are in several of the stores: each is one result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..searching.match import Match
from .keys import part_of


def without_repeats(matches: Sequence[Match]) -> tuple[Match, ...]:
    """Each DICOM volume once, ranked anew: of several copies that in the first store, at the place of the best one.

    Ids of other files are made from paths, and are those of other volumes in another archive.
    """
    kept: dict[str | int, Match] = {}
    for match in matches:
        name = match.volume_id if match.series_uid else match.key
        if name not in kept or _part(match) < _part(kept[name]):
            kept[name] = match
    return tuple(replace(match, rank=rank) for rank, match in enumerate(kept.values(), 1))


def _part(match: Match) -> int:
    return int(part_of(np.array([match.key]))[0])
