"""The folders stand in an order, and imports go down it only: also those inside functions and for type checking.

docs/ARCHITECTURE.md says what each folder owns. A folder that needs something from above it asks for a Protocol, or is
given a function, or the thing it needs belongs further down.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from engine.commands import PACKAGES

VALUES = ("volume", "recipe", "patients", "roots", "writer_lock", "progress", "readable", "errors")

#: From top to bottom. What stands in one row does not know each other; the values may.
ENGINE = (
    ("__main__",),
    ("commands",),
    ("worker",),
    ("cluster",),
    ("slicer_database", "mapped_index", "united"),
    ("retriever",),
    ("report",),
    ("searching",),
    ("query", "indexing", "slice_index"),
    ("store", "encoders"),
    ("reading", "preprocessing", "phantoms"),
    ("method",),
    VALUES,
    ("__init__",),
)

#: Within encoders/, which is the largest folder.
ENCODERS = (
    ("request",),
    ("choice",),
    ("default", "descriptor", "pretrained"),
    ("radiology_resnet", "architectures", "weights"),
    ("networks", "catalog"),
    ("encode", "unit_rows"),
    ("base",),
)

LIBRARY = (
    ("Panel", "RetrievalLogic", "Samples", "VolumeRetrievalSubjectHierarchyPlugin"),
    ("IndexLogic", "RegionLogic"),
    ("Views",),
    ("Search",),
    ("Scene",),
    ("Database",),
    ("Encoders",),
    ("Processes", "Packages"),
    ("Texts",),
    ("Settings",),
    ("Values",),
)

#: Who may import whom among the packages, from top to bottom.
PACKAGES_IN_ORDER = ("VolumeRetrieval", "VolumeRetrievalLib", "VolumeRetrievalEngine")


@dataclass(frozen=True)
class Import:
    """One import: which file and line, the dotted name of the importing module, and of what it imports."""

    file: Path
    line: int
    importer: tuple[str, ...]
    imported: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.file.relative_to(PACKAGES)}:{self.line} imports {'.'.join(self.imported)}"


def imports_of(file: Path) -> Iterator[Import]:
    """Every import of the extension's own modules in a file, wherever in it."""
    package = file.parent.relative_to(PACKAGES).parts
    importer = file.relative_to(PACKAGES).with_suffix("").parts
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [tuple(alias.name.split(".")) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = (*above, *(node.module.split(".") if node.module else ()))
            # `from . import x` and `from folder import x` may name a module or something in an __init__.py
            names = [(*module, alias.name) for alias in node.names]
        else:
            continue
        yield from (
            Import(file, node.lineno, importer, _module(name)) for name in names if name[0] in PACKAGES_IN_ORDER
        )


def _module(name: tuple[str, ...]) -> tuple[str, ...]:
    """The module that a dotted name is in, with `__init__` for a package."""
    for end in range(len(name), 0, -1):
        path = PACKAGES.joinpath(*name[:end])
        if path.with_suffix(".py").is_file():
            return name[:end]
        if path.is_dir():
            return (*name[:end], "__init__")
    return name


def all_imports() -> list[Import]:
    files = [PACKAGES / "VolumeRetrieval.py"]
    for package in PACKAGES_IN_ORDER[1:]:
        files += sorted((PACKAGES / package).rglob("*.py"))
    return [one for file in files for one in imports_of(file)]


def against_the_order(table: tuple[tuple[str, ...], ...], within: tuple[str, ...], imports: list[Import]) -> list[str]:
    """The imports inside the package `within` that do not go down the table, and the modules it does not know."""
    rank = {name: row for row, names in enumerate(table) for name in names}
    depth = len(within)
    wrong = []
    for one in imports:
        if one.importer[:depth] != within or one.imported[:depth] != within:
            continue
        upper, lower = one.importer[depth], one.imported[depth]
        if unknown := {upper, lower} - rank.keys():
            wrong.append(f"{one}: the table does not know {', '.join(sorted(unknown))}")
        elif upper != lower and not (rank[upper] < rank[lower] or {upper, lower} <= set(VALUES)):
            wrong.append(f"{one}: {upper} does not stand above {lower}")
    return wrong


IMPORTS = all_imports()


@pytest.mark.parametrize(
    ("table", "within"),
    [
        (ENGINE, ("VolumeRetrievalEngine",)),
        (ENCODERS, ("VolumeRetrievalEngine", "encoders")),
        (LIBRARY, ("VolumeRetrievalLib",)),
    ],
    ids=["engine", "encoders", "library"],
)
def test_imports_go_down_the_table(table: tuple[tuple[str, ...], ...], within: tuple[str, ...]) -> None:
    # What a package shows in its __init__.py stands above all of it.
    imports = [one for one in IMPORTS if one.importer != (*within, "__init__")]
    assert against_the_order(table, within, imports) == []


def test_the_packages_know_those_below_them_only() -> None:
    rank = {name: place for place, name in enumerate(PACKAGES_IN_ORDER)}
    assert [str(one) for one in IMPORTS if rank[one.importer[0]] > rank[one.imported[0]]] == []


def test_no_module_imports_itself_by_way_of_others() -> None:
    needs: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
    for one in IMPORTS:
        # What the package itself shows is loaded when it is asked for: nothing is imported by it.
        if one.importer not in (one.imported, ("VolumeRetrievalEngine", "__init__")):
            needs.setdefault(one.importer, set()).add(one.imported)
    done: set[tuple[str, ...]] = set()

    def visit(module: tuple[str, ...], path: tuple[tuple[str, ...], ...]) -> None:
        if module in path:
            circle = [*path[path.index(module) :], module]
            pytest.fail("a circle of imports: " + " > ".join(".".join(one) for one in circle))
        if module not in done:
            for needed in sorted(needs.get(module, ())):
                visit(needed, (*path, module))
            done.add(module)

    for module in sorted(needs):
        visit(module, ())


def test_the_check_names_the_import_that_breaks_the_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.PACKAGES", tmp_path)
    engine = tmp_path / "VolumeRetrievalEngine"
    for folder in ("method", "searching", "shelf"):
        (engine / folder).mkdir(parents=True)
        (engine / folder / "__init__.py").touch()
    (engine / "searching" / "match.py").touch()
    step = engine / "method" / "step.py"
    step.write_text("def late():\n    from ..searching.match import Match\n")
    (wrong,) = against_the_order(ENGINE, ("VolumeRetrievalEngine",), list(imports_of(step)))
    assert wrong == (
        "VolumeRetrievalEngine/method/step.py:2 imports VolumeRetrievalEngine.searching.match: "
        "method does not stand above searching"
    )
    step.write_text("from .. import shelf\n")
    (wrong,) = against_the_order(ENGINE, ("VolumeRetrievalEngine",), list(imports_of(step)))
    assert wrong.endswith("the table does not know shelf")


@pytest.mark.parametrize("package", PACKAGES_IN_ORDER[1:])
def test_every_folder_says_in_a_sentence_what_it_owns(package: str) -> None:
    for folder in sorted({file.parent for file in (PACKAGES / package).rglob("*.py")}):
        text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
        assert text.partition("\n")[0].endswith((".", ":")), folder


def test_no_file_of_the_engine_is_too_long() -> None:
    files = (PACKAGES / "VolumeRetrievalEngine").rglob("*.py")
    assert [str(file) for file in files if len(file.read_text(encoding="utf-8").splitlines()) > 400] == []
