"""What is installed is what git tracks, all folders deep: CMake's lists for Slicer, setuptools' for pip."""

from __future__ import annotations

import tomllib
from pathlib import PurePosixPath

from module.list_module_files import CMAKE_FILE, ROOT, listedFiles, moduleFiles
from setuptools import find_packages

SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]


def engine_files() -> list[PurePosixPath]:
    """Those of the engine that git tracks, relative to the folder of its package."""
    scripts, others = moduleFiles()
    return [PurePosixPath(one) for one in (*scripts, *others) if one.startswith("VolumeRetrievalEngine/")]


def pip_installs(data: dict[str, list[str]]) -> list[PurePosixPath]:
    """Of the engine's files those that setuptools puts into a wheel, with this table of package data."""
    found = SETUPTOOLS["packages"]["find"]
    (where,) = found["where"]
    packages = set(find_packages(str(ROOT / where), include=found["include"]))
    kept = []
    for file in engine_files():
        package = ".".join(file.parent.parts)
        is_data = any(file.match(pattern) for pattern in data.get(package, ()))
        kept += [file] if package in packages and (file.suffix == ".py" or is_data) else []
    return kept


def test_slicer_installs_every_file() -> None:
    assert listedFiles(CMAKE_FILE.read_text(encoding="utf-8")) == moduleFiles()


def test_a_file_that_cmake_does_not_list_is_noticed() -> None:
    line = "  VolumeRetrievalLib/Panel/Panel.py\n"
    text = CMAKE_FILE.read_text(encoding="utf-8")
    assert line in text
    assert listedFiles(text.replace(line, ""))[0] != moduleFiles()[0]


def test_pip_installs_every_file_of_the_engine() -> None:
    assert pip_installs(SETUPTOOLS["package-data"]) == engine_files()


def test_a_file_that_pip_leaves_out_is_noticed() -> None:
    left_out = {str(one) for one in set(engine_files()) - set(pip_installs({}))}
    assert "VolumeRetrievalEngine/encoders/radiology_resnet/radiology-resnet.onnx" in left_out


def test_no_pattern_of_package_data_is_left_over() -> None:
    for package, patterns in SETUPTOOLS["package-data"].items():
        files = [one for one in engine_files() if ".".join(one.parent.parts) == package]
        for pattern in patterns:
            assert any(one.match(pattern) for one in files), f"{package}: nothing is called {pattern}"
