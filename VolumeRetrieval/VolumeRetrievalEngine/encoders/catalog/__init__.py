"""The catalog of pretrained encoders: which there are, and what is known of each.

Example:
    >>> entry("dinov2-vits14").license.name
    'Apache License 2.0'
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ...errors import EncoderError
from .entries import ENTRIES
from .entry import CatalogEntry, License, WeightsSource

__all__ = ["CATALOG", "CatalogEntry", "License", "WeightsSource", "entry"]

#: Every entry by its name.
CATALOG: Mapping[str, CatalogEntry] = MappingProxyType({one.name: one for one in ENTRIES})


def entry(name: str) -> CatalogEntry:
    """The entry of this name; EncoderError with the known names for any other."""
    found = CATALOG.get(name)
    if found is None:
        raise EncoderError(f"no encoder {name!r} in the catalog: expected one of {', '.join(CATALOG)}")
    return found
