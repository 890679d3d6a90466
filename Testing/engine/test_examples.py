"""The examples in docstrings run, in a folder with a small archive of phantoms and an index of it."""

from __future__ import annotations

import doctest
import inspect
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import VolumeRetrievalEngine
from engine.archives import a_scan, write_scan
from engine.commands import PACKAGES
from VolumeRetrievalEngine.patients import PatientTokens
from VolumeRetrievalEngine.preprocessing import preprocess

ENGINE = PACKAGES / "VolumeRetrievalEngine"
MODULES = sorted(
    ".".join(file.relative_to(PACKAGES).with_suffix("").parts).removesuffix(".__init__")
    for file in ENGINE.rglob("*.py")
    if ">>>" in file.read_text(encoding="utf-8")
)

#: What examples may use without saying where it comes from: the public names, and these.
KNOWN = {"np": np, "Path": Path, "PatientTokens": PatientTokens, "preprocess": preprocess}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """archive/ with four scans of two phantoms, and index/ made of it."""
    folder = tmp_path_factory.mktemp("examples")
    for seed, view in ((0, "chest"), (1, "chest"), (0, "abdomen"), (0, "head")):
        write_scan(folder / "archive" / f"{view}-{seed}.nii.gz", a_scan(seed, view))
    with VolumeRetrievalEngine.Retriever.create(folder / "index", "descriptor") as retriever:
        assert len(retriever.add([folder / "archive"], modality="CT").added) == 4
    return folder


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    module: ModuleType = __import__(name, fromlist=["_"])
    public = {one: getattr(VolumeRetrievalEngine, one) for one in VolumeRetrievalEngine.__all__}
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    found = doctest.testmod(module, extraglobs={**KNOWN, **public}, optionflags=flags)
    assert (found.failed, found.attempted > 0) == (0, True)


PUBLIC = [name for name in VolumeRetrievalEngine.__all__ if name != "__version__"]


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_explained_with_an_example(name: str) -> None:
    text = inspect.getdoc(getattr(VolumeRetrievalEngine, name)) or ""
    assert ">>>" in text, f"{name} has no example"
    assert getattr(VolumeRetrievalEngine, name).__name__ == name


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_method_says_what_it_does(name: str) -> None:
    found = getattr(VolumeRetrievalEngine, name)
    for method, value in vars(found).items() if inspect.isclass(found) else ():
        if not method.startswith("_") and callable(getattr(value, "__func__", getattr(value, "fget", value))):
            assert inspect.getdoc(getattr(found, method)), f"{name}.{method}"


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'VolumeRetrievalEngine' has no attribute 'Retreiver'"):
        VolumeRetrievalEngine.Retreiver  # noqa: B018
    assert set(VolumeRetrievalEngine.__all__) <= set(dir(VolumeRetrievalEngine))


def test_type_checkers_see_the_same_names() -> None:
    text = (ENGINE / "__init__.py").read_text(encoding="utf-8")
    block = text[text.index("if TYPE_CHECKING:") : text.index("def __getattr__")]
    lines = [line.partition(" import ")[2] for line in block.splitlines() if " import " in line]
    listed = {name.strip() for line in lines for name in line.split(",")}
    assert listed == set(PUBLIC) == set(VolumeRetrievalEngine._DEFINED_IN)
