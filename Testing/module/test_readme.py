"""What README and docs/ show and say exists, and the user guide's script for Slicer's Python console runs."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import slicer
from slicer_application.modules import loadModule
from VolumeRetrievalLib.Samples.SampleArchive import importArchive, loadQuery
from VolumeRetrievalLib.Settings import Settings

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
GUIDE = (ROOT / "docs" / "USER_GUIDE.md").read_text(encoding="utf-8")
COARSE = (10.0, 12.0)


def links(path, pattern):
    return sorted(set(re.findall(pattern, path.read_text(encoding="utf-8"))))


def titles(path):
    lines = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL).splitlines()
    texts = [line.lstrip("# ").lower() for line in lines if line.startswith("#")]
    return {re.sub(r"[^\w\- ]", "", one).replace(" ", "-") for one in texts}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_linked_files_and_sections_exist(document):
    for target, anchor in links(document, r"\]\((?!https?:)([^)#]*)#?([^)]*)\)"):
        linked = (document.parent / target) if target else document
        assert linked.is_file(), f"{document.name}: {target}"
        assert not anchor or anchor in titles(linked), f"{document.name}: {target}#{anchor}"


def test_the_readme_is_short_and_says_what_matters_first():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    head = text[: text.index("## First success without Slicer")]
    assert "Not for clinical use" in head and "Resources/Screenshots/in-slicer.png" in head


def test_every_label_that_the_guide_names_is_in_the_panel():
    panel = (ROOT / "VolumeRetrieval" / "Resources" / "UI" / "VolumeRetrieval.ui").read_text(encoding="utf-8")
    library = "".join(one.read_text() for one in (ROOT / "VolumeRetrieval" / "VolumeRetrievalLib").rglob("*.py"))
    labels = set(
        re.findall(r"\*\*([A-Z][^*.]+(?:\.\.\.)?)\*\*", GUIDE[GUIDE.index("## Tutorial") : GUIDE.index("## Panel")])
    )
    labels = {" ".join(one.split()) for one in labels}  # lines may break in them
    for label in labels:
        assert f"<string>{label}</string>" in panel or f'_("{label}")' in library, label
    assert labels >= {"Find similar volumes", "Compare selected", "Close comparison", "Scroll together"}


@pytest.fixture
def console(tmp_path, monkeypatch):
    """A database of phantoms, a volume in the scene, and the module's logic where scripts find it."""
    program = tmp_path / "bin" / "PythonSlicer"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    program.chmod(0o700)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    Settings(encoder="descriptor").save()
    slicer.dicomDatabase.openDatabase(str(tmp_path / "database" / "ctkDICOM.sql"))
    importArchive(4, COARSE, ("chest",))
    loadQuery(COARSE)
    module = loadModule(ROOT / "VolumeRetrieval" / "VolumeRetrieval.py")
    logic = module.VolumeRetrievalLogic()
    monkeypatch.setattr(slicer.util, "getModuleLogic", {"VolumeRetrieval": logic}.__getitem__)
    yield logic
    logic.removeShown()
    logic.cleanUp()


def test_the_methods_that_the_guide_names_exist(console):
    named = set(re.findall(r"\blogic\.(\w+)\(", GUIDE)) | set(re.findall(r"`(\w+)\((?:uids|path|matches|)\)`", GUIDE))
    assert {"installWeights", "removeWeights", "encoders", "defaultEncoder", "removeShown"} <= named
    assert all(callable(getattr(console, name)) for name in named)


def test_the_script_indexes_searches_and_shows(console, capsys):
    (script,) = re.findall(r"```python\n(logic = .*?)```", GUIDE, re.DOTALL)
    exec(compile(script, "USER_GUIDE.md", "exec"), {"slicer": slicer})
    printed = capsys.readouterr().out
    assert "added=4" in printed and "volumes=4" in printed
    assert re.findall(r"^(\d) 0\.\d+ .*\(\d+, \d+, (?:True|False)\)$", printed, re.MULTILINE) == ["1", "2", "3", "4"]
    assert slicer.app.layoutManager().layout > 100
