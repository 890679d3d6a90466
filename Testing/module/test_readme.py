"""What the README shows and says exists, and its script for Slicer's Python console runs."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import slicer
from slicer_application.application import loadModule
from VolumeRetrievalLib.Samples.SampleArchive import importArchive, loadQuery
from VolumeRetrievalLib.Settings import Settings

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
COARSE = (10.0, 12.0)


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(((?!https?:|#)[^)]+)\)", TEXT))))
def test_linked_files_exist(target):
    assert (ROOT / target).is_file()


@pytest.mark.parametrize("anchor", sorted(set(re.findall(r"\]\(#([^)]+)\)", TEXT))))
def test_linked_sections_exist(anchor):
    titles = [line.lstrip("# ").lower().replace(" ", "-") for line in TEXT.splitlines() if line.startswith("#")]
    assert anchor in titles


def test_sections_come_in_the_order_that_slicer_users_know():
    found = re.findall(r"^## (.+)$", TEXT, re.MULTILINE)
    order = ["Installation", "Tutorial", "Panel reference", "Scripting", "Headless use", "Troubleshooting", "Privacy"]
    assert [one for one in found if one in order] == order
    assert "Not for clinical use" in TEXT


def test_every_label_that_the_panel_reference_names_is_in_the_panel():
    panel = (ROOT / "VolumeRetrieval" / "Resources" / "UI" / "VolumeRetrieval.ui").read_text(encoding="utf-8")
    library = "".join(one.read_text() for one in (ROOT / "VolumeRetrieval" / "VolumeRetrievalLib").rglob("*.py"))
    for label in (
        "Update index",
        "Search",
        "Compare the best",
        "Remove from scene",
        "Install small...",
        "Install all...",
        "From folder...",
    ):
        assert f"**{label}**" in TEXT and f"<string>{label}</string>" in panel
    assert "**Find similar volumes**" in TEXT and '_("Find similar volumes")' in library


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


def test_the_methods_that_the_readme_names_exist(console):
    named = set(re.findall(r"\blogic\.(\w+)\(", TEXT)) | set(re.findall(r"`(\w+)\((?:uids|path|matches|)\)`", TEXT))
    assert {"installWeights", "removeWeights", "encoders", "defaultEncoder", "removeShown"} <= named
    assert all(callable(getattr(console, name)) for name in named)


def test_the_script_indexes_searches_and_shows(console, capsys):
    (script,) = re.findall(r"```python\n(logic = .*?)```", TEXT, re.DOTALL)
    exec(compile(script, "README.md", "exec"), {"slicer": slicer})
    printed = capsys.readouterr().out
    assert "added=4" in printed and "volumes=4" in printed
    assert re.findall(r"^(\d) 0\.\d+ .*\[\(\d+, \d+\)", printed, re.MULTILINE) == ["1", "2", "3", "4"]
    assert slicer.app.layoutManager().layout > 100
