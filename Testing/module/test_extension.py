"""The extension's files: what CMake packages, what the Extensions Index will check."""

from __future__ import annotations

import ast
import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from list_module_files import ROOT

MODULE = ROOT / "VolumeRetrieval"
EXTENSION = (ROOT / "CMakeLists.txt").read_text()
ENTRY = json.loads((ROOT / "VolumeRetrieval.json").read_text())


def meta(name):
    return re.search(rf'set\(EXTENSION_{name} "([^"]*)"\)', EXTENSION).group(1)


def test_the_extension_is_described_the_same_in_cmake_and_in_the_index_entry():
    assert re.search(r"^project\((\w+)\)", EXTENSION, re.MULTILINE).group(1) == "VolumeRetrieval"
    assert meta("DEPENDS").split() == ENTRY["build_dependencies"] == ["PyTorch"]
    assert ENTRY["scm_url"] == meta("HOMEPAGE") + ".git"
    assert meta("HOMEPAGE").rpartition("/")[2] == "SlicerVolumeRetrieval"  # the index wants Slicer + name
    assert "## NEXT_MODULE" in EXTENSION  # the Extension Wizard looks for it


# Slicer, Schemas/slicer-extension-catalog-entry-schema-v1.0.1.json: the properties, and that there are no others.
_TYPES = {
    "$schema": str,
    "build_dependencies": list,
    "build_subdirectory": str,
    "category": str,
    "enabled": bool,
    "scm_revision": str,
    "scm_type": str,
    "scm_url": str,
    "tier": int,
}


def test_the_index_entry_follows_its_schema():
    assert set(ENTRY) <= set(_TYPES)
    assert {"$schema", "category", "scm_url"} <= set(ENTRY)
    for name, value in ENTRY.items():
        assert type(value) is _TYPES[name]
    assert all(type(one) is str for one in ENTRY["build_dependencies"])
    assert ENTRY["$schema"].endswith("slicer-extension-catalog-entry-schema-v1.0.1.json#")
    assert ENTRY["category"] == "Informatics" and 1 <= ENTRY["tier"] <= 5
    text = (ROOT / "VolumeRetrieval.json").read_text()
    assert list(ENTRY) == sorted(ENTRY) and text.endswith("}\n") and "\r" not in text


def test_pictures_that_the_index_shows_are_in_the_repository():
    base = meta("HOMEPAGE").replace("https://github.com/", "https://raw.githubusercontent.com/") + "/main/"
    for address in [meta("ICONURL"), *meta("SCREENSHOTURLS").split()]:
        assert address.startswith(base)
        assert (ROOT / address.removeprefix(base)).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_the_icon_has_the_usual_size():
    header = (ROOT / "Resources" / "VolumeRetrieval.png").read_bytes()
    assert (int.from_bytes(header[16:20], "big"), int.from_bytes(header[20:24], "big")) == (128, 128)


def test_requirements_are_lower_bounds_and_leave_torch_to_its_extension():
    lines = (MODULE / "Resources" / "requirements.txt").read_text().splitlines()
    requirements = [one for one in lines if one and not one.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+>=[0-9.]+", one) for one in requirements)
    assert not any(
        one.startswith(("torch", "rich", "matplotlib", "timm", "numpy", "SimpleITK")) for one in requirements
    )


def test_the_module_file_imports_nothing_that_may_be_missing():
    tree = ast.parse((MODULE / "VolumeRetrieval.py").read_text())
    names = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            names |= {one.name.partition(".")[0] for one in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module.partition(".")[0])
    # What the library imports with it: test_loading_the_module_imports_nothing_that_takes_long.
    assert names <= {"pathlib", "qt", "sys", "tempfile", "typing", "slicer", "vtk", "VolumeRetrievalLib"}
    classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    assert classes == [
        "VolumeRetrieval",
        *(f"VolumeRetrieval{one}" for one in ("ParameterNode", "Widget", "Logic", "Test")),
    ]


@pytest.mark.parametrize("path", sorted((MODULE / "VolumeRetrievalLib").rglob("*.py")), ids=lambda path: path.name)
def test_user_visible_texts_are_no_formatted_strings(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "_":
            assert isinstance(node.args[0], ast.Constant), f"{path.name}:{node.lineno}"


def test_the_ui_file_names_known_parameters_only():
    widgets = ElementTree.parse(MODULE / "Resources" / "UI" / "VolumeRetrieval.ui").iter("property")
    names = {one.find("string").text for one in widgets if one.get("name") == "SlicerParameterName"}
    source = (MODULE / "VolumeRetrieval.py").read_text()
    body = source[source.index("class VolumeRetrievalParameterNode") : source.index("class VolumeRetrievalWidget")]
    # The widget keeps what is chosen in combo boxes whose values come from the index.
    assert names | {"modality", "bodyPart"} == set(re.findall(r"^    (\w+): ", body, re.MULTILINE))


def test_only_the_cmake_file_and_the_index_entry_name_the_owner():
    owner = meta("HOMEPAGE").split("/")[3]
    for path in MODULE.rglob("*"):
        if path.is_file() and path.suffix in (".py", ".ui", ".txt", ".json"):
            assert f"github.com/{owner}/" not in path.read_text(encoding="utf-8"), path


def test_no_file_of_the_library_is_too_long():
    for path in (MODULE / "VolumeRetrievalLib").rglob("*.py"):
        assert len(Path(path).read_text().splitlines()) <= 400, path.name
