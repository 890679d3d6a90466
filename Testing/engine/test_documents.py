"""What comments and documents cite is in the repository, and can be found from the README."""

from __future__ import annotations

import re
import subprocess

import pytest
import VolumeRetrievalEngine
from engine.commands import PACKAGES

ROOT = PACKAGES.parent
TRACKED = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
DOCUMENTS = [one for one in TRACKED if one.endswith(".md")]
SOURCES = [one for one in TRACKED if one.endswith((".py", ".md", ".toml", ".txt", "Makefile"))]


def links(document: str) -> set[str]:
    """The files that a document links to, relative to the repository."""
    path = ROOT / document
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text(encoding="utf-8"))
    return {(path.parent / one).resolve().relative_to(ROOT.resolve()).as_posix() for one in targets}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_document_links_to_files_that_are_there(document: str) -> None:
    assert sorted(one for one in links(document) if not (ROOT / one).exists()) == []


def test_every_document_that_is_cited_is_in_the_repository() -> None:
    names = {one.rpartition("/")[2] for one in DOCUMENTS} | {"LICENSE.md"}  # of other publishers' repositories
    for source in SOURCES:
        text = (ROOT / source).read_text(encoding="utf-8")
        cited = set(re.findall(r"(?<![\w%{}/-])([A-Z][A-Z_]+\.md)\b", re.sub(r"https?://\S+", "", text)))
        assert cited <= names, f"{source}: {sorted(cited - names)}"


def test_every_document_in_docs_can_be_reached_from_the_readme() -> None:
    reached, waiting = set(), ["README.md"]
    while waiting:
        document = waiting.pop()
        if document not in reached:
            reached.add(document)
            waiting += [one for one in links(document) if one.endswith(".md")]
    assert {one for one in DOCUMENTS if one.startswith("docs/")} <= reached


def test_the_citation_names_this_version_and_address() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    address = re.search(r'EXTENSION_HOMEPAGE "(.*)"', (ROOT / "CMakeLists.txt").read_text(encoding="utf-8"))
    assert address is not None
    assert f"\nversion: {VolumeRetrievalEngine.__version__}\n" in citation
    assert f"\nrepository-code: {address[1]}\n" in citation
