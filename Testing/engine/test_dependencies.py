"""Dependencies point one way: the engine knows neither Slicer nor Qt, and importing it is light."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine.commands import PACKAGES, finish, start

ENGINE = PACKAGES / "VolumeRetrievalEngine"

#: Slicer, its toolkits, and the parts of this extension that stand on the engine.
FORBIDDEN = {"slicer", "qt", "ctk", "vtk", "vtkmodules", "PythonQt", "mrml", "VolumeRetrieval", "VolumeRetrievalLib"}
FORBIDDEN |= {"DICOMLib", "vtkSegmentationCore", "PySide6", "PyQt5"}

#: What Slicer ships, beside the standard library: these may be imported when a module is.
FLOOR = {"numpy", "scipy", "SimpleITK", "pydicom"}


def modules() -> list[Path]:
    return sorted(ENGINE.rglob("*.py"))


def imported(tree: ast.AST) -> Iterator[tuple[ast.stmt, str]]:
    """Every absolute import anywhere in a module, by the package's name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node, (node.module or "").partition(".")[0]
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in (
            "import_module",
            "__import__",
        ):
            yield from (
                (node, str(one.value).partition(".")[0]) for one in node.args[:1] if isinstance(one, ast.Constant)
            )


def at_import(tree: ast.Module) -> Iterator[str]:
    """The packages that are imported as soon as the module is: not those inside functions."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from (name for _, name in imported(node))
        waiting += ast.iter_child_nodes(node)


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(ENGINE).as_posix())
def test_no_module_of_the_engine_imports_slicer_or_a_toolkit(path: Path) -> None:
    names = {name for _, name in imported(ast.parse(path.read_text(encoding="utf-8")))}
    assert names.isdisjoint(FORBIDDEN)


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(ENGINE).as_posix())
def test_no_module_imports_at_once_what_slicer_does_not_ship(path: Path) -> None:
    names = set(at_import(ast.parse(path.read_text(encoding="utf-8"))))
    assert names - FLOOR - set(sys.stdlib_module_names) - {"VolumeRetrievalEngine"} == set()


def test_the_check_finds_what_it_looks_for() -> None:
    code = "import os\nfrom slicer.util import x\ndef f():\n    import torch\nimportlib.import_module('vtk.util')\n"
    tree = ast.parse(code)
    assert {name for _, name in imported(tree)} == {"os", "slicer", "torch", "vtk"}
    assert set(at_import(tree)) == {"os", "slicer"}
    assert len(modules()) > 60


def loaded_by(statement: str) -> set[str]:
    """The top-level packages in memory after a statement, in a process of its own."""
    listing = "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    program = f"{statement}\nimport json, sys\n{listing}"
    finished = finish(start(program=program))
    assert finished.code == 0, finished.err
    return set(json.loads(finished.out))


HEAVY = {"torch", "faiss", "monai", "highdicom", "matplotlib", "rich", "safetensors", "onnxruntime"}


def test_importing_the_package_loads_nothing_at_all() -> None:
    """Slicer does it at every start."""
    extra = loaded_by("import VolumeRetrievalEngine") - loaded_by("import __future__")
    assert extra == {"VolumeRetrievalEngine"}


@pytest.mark.parametrize(
    "module", ["retriever", "commands", "searching.match", "store", "query.region", "volume", "encoders.default"]
)
def test_importing_a_module_loads_neither_torch_nor_faiss(module: str) -> None:
    assert loaded_by(f"import VolumeRetrievalEngine.{module}").isdisjoint(HEAVY)


def test_looking_at_a_store_loads_neither_torch_nor_monai(tmp_path: Path) -> None:
    """What the panel shows at the start must not cost seconds."""
    statement = (
        "from VolumeRetrievalEngine.retriever import Retriever\n"
        f"retriever = Retriever.create({str(tmp_path / 'store')!r}, 'descriptor')\n"
        "retriever.listing()"
    )
    assert loaded_by(statement).isdisjoint(HEAVY)
