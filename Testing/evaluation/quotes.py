"""Figures that other documents quote: blocks between two comments, which `make evaluate` writes anew.

    <!-- make evaluate: NAME -->
    ...
    <!-- end -->

The results have the same blocks at their end; a test compares them, so that no document quotes what was not printed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from .errors import EvaluationError

_ROOT = Path(__file__).resolve().parents[2]
#: The documents that have blocks.
DOCUMENTS = tuple(
    _ROOT / name
    for name in (
        "README.md",
        "docs/METHOD.md",
        "docs/ENCODERS.md",
        "VolumeRetrieval/VolumeRetrievalEngine/encoders/radiology_resnet/MODEL_CARD.md",
    )
)
_BLOCK = re.compile(r"<!-- make evaluate: ([a-z-]+) -->\n(.*?)\n?<!-- end -->", re.DOTALL)


def blocks_in(text: str) -> dict[str, str]:
    """The blocks of a document, by name."""
    return {match[1]: match[2] for match in _BLOCK.finditer(text)}


def with_blocks(text: str, blocks: Mapping[str, str], name: str) -> str:
    """The document with its blocks as they are now.

    Args:
        name: of the document, for the error.

    Raises:
        EvaluationError: it has a block that nothing writes.
    """
    if unknown := set(blocks_in(text)) - set(blocks):
        raise EvaluationError(f"{name}: has a block {sorted(unknown)[0]!r}; expected some of {', '.join(blocks)}")
    return _BLOCK.sub(lambda match: as_block(match[1], blocks[match[1]]), text)


def as_block(name: str, text: str) -> str:
    """A block."""
    return f"<!-- make evaluate: {name} -->\n{text}{chr(10) if text else ''}<!-- end -->"


def section(blocks: Mapping[str, str]) -> str:
    """All blocks, for the end of the results."""
    parts = [as_block(name, text) for name, text in blocks.items()]
    return "\n\n".join(["## Quoted in other documents", *parts]) + "\n" if parts else ""


def update_documents(blocks: Mapping[str, str]) -> None:
    """Write the blocks into every document that quotes them."""
    for file in DOCUMENTS:
        before = file.read_text(encoding="utf-8")
        if (after := with_blocks(before, blocks, file.name)) != before:
            file.write_text(after, encoding="utf-8")
