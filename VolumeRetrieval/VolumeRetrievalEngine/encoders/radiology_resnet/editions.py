"""The editions of the weights that ship: a new index is made with the current one, an older index goes on with its own.

An index knows its edition by the sha256 of the weights, which is part of its recipe. To ship another edition, move the
files of the current one to a folder of their own, and name that below.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .description import NAME, Description, read_description

#: Folders of the editions that shipped before, the latest first.
EARLIER = (Path(__file__).resolve().parent / "first_edition",)


def edition_hashes() -> tuple[str, ...]:
    """sha256 of the MONAI network's weights of each edition, the oldest first and the current one last.

    Raises:
        WeightsError: what describes one of them is missing or damaged.
    """
    latest_first = dict.fromkeys(one.weights for one in _described())
    return tuple(reversed(latest_first))


def read_edition(weights: str = "") -> Description:
    """The description of the edition whose weights have this sha256; of the current one for "" or any other.

    Raises:
        WeightsError: what describes an edition is missing or damaged.
    """
    found = (one for one in _described() if weights in ("", one.weights))
    return next(found, None) or read_description()


def _described() -> Iterator[Description]:
    """The latest first, each read when it is asked for."""
    yield read_description()
    for folder in EARLIER:
        yield read_description(folder / f"{NAME}.json")
