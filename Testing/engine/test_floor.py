"""With numpy, scipy, SimpleITK, pydicom and Pillow alone, as in Slicer's Python, everything but the networks works."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from engine.commands import finish, run, start, write_blobs

OPTIONAL = (
    "faiss",
    "torch",
    "monai",
    "onnxruntime",
    "onnx",
    "highdicom",
    "safetensors",
    "rich",
    "matplotlib",
    "pylibjpeg",
    "gdcm",
    "nibabel",
)
OPTIONAL += ("requests", "urllib3", "platformdirs")

#: Runs the command line, or what is given instead, where none of these packages can be imported.
FLOOR = f"""
import importlib.abc, sys
blocked = {(*OPTIONAL, "threadpoolctl", "sklearn", "pandas", "psutil", "tqdm")!r}
class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
"""
COMMAND = FLOOR + "from VolumeRetrievalEngine.__main__ import main\nsys.exit(main())\n"

IMPORT_EVERYTHING = (
    FLOOR
    + """
import importlib, pkgutil
import VolumeRetrievalEngine
names = [one.name for one in pkgutil.walk_packages(VolumeRetrievalEngine.__path__, "VolumeRetrievalEngine.")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
print(len(names))
"""
)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("floor") / "archive"
    write_blobs(folder, 9, shape=(20, 24, 24))
    return folder


def on_the_floor(*words: object) -> object:
    """What a command prints as JSON where nothing optional is installed."""
    finished = finish(start(*words, "--json", program=COMMAND))
    assert finished.code == 0, finished.err
    return json.loads(finished.out)


def test_every_module_can_be_imported() -> None:
    finished = finish(start(program=IMPORT_EVERYTHING))
    assert finished.code == 0, finished.err
    assert int(finished.out) > 60


def test_an_archive_is_indexed_and_searched_with_the_same_ranking_and_scores(archive: Path, tmp_path: Path) -> None:
    bare, full = tmp_path / "bare", tmp_path / "full"
    assert on_the_floor("index", archive, "--store", bare)["added"] == 9
    assert on_the_floor("info", "--store", bare)["index_kind"] == "numpy"
    assert run("index", archive, "--store", full).code == 0

    query = archive / "volume-004.nii"
    for words in ([], ["--candidates", "pooled"], ["--exhaustive"], ["--ranking", "sum"], ["--region", "slices=4-9"]):
        without = on_the_floor("search", query, "--store", bare, *words)
        with_faiss = run("search", query, "--store", full, "--json", *words).json
        assert [one["path"] for one in without] == [one["path"] for one in with_faiss], words
        assert len(without) == 8 or words == ["--ranking", "sum"]
        for one, other in zip(without, with_faiss, strict=True):
            assert one["score"] == pytest.approx(other["score"], abs=1e-5)
            spans = [[(each["first_slice"], each["last_slice"]) for each in match["ranges"]] for match in (one, other)]
            assert spans[0] == spans[1]


def test_stores_made_with_and_without_faiss_can_be_searched_by_either(archive: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    run("index", archive, "--store", store)
    query = archive / "volume-002.nii"
    expected = [one["id"] for one in run("search", query, "--store", store, "--json").json]
    assert [one["id"] for one in on_the_floor("search", query, "--store", store)] == expected
    (archive.parent / "more").mkdir(exist_ok=True)
    write_blobs(archive.parent / "more", 10, shape=(20, 24, 24))
    assert on_the_floor("index", archive.parent / "more", "--store", store)["added"] == 10
    assert len(run("search", query, "--store", store, "--json", "--exhaustive", "--top", 50).json) == 18


def test_what_is_missing_is_a_sentence(archive: Path, tmp_path: Path) -> None:
    weights = tmp_path / "network.pt"
    weights.write_bytes(b"")
    weights.with_suffix(".json").write_text('{"name": "n", "input_size": 32, "mean": [0], "std": [1]}')
    store = tmp_path / "store"
    for words, package in (
        (["index", archive, "--encoder", "torchscript", "--weights", weights], "torch"),
        (["index", archive, "--encoder", "monai:resnet18", "--weights", weights], "torch"),
    ):
        finished = finish(start(*words, "--store", store, program=COMMAND))
        assert finished.code == 1
        assert f"needs the Python package '{package}'" in finished.err
        assert "pip install" in finished.err
        assert "Traceback" not in finished.err
        assert not store.exists()
    assert on_the_floor("index", archive, "--store", store)["added"] == 9
    finished = finish(start("rebuild", "--store", store, "--index-kind", "hnsw", program=COMMAND))
    assert finished.code == 1
    assert "'faiss" in finished.err


def test_a_report_is_written_without_any_of_them(archive: Path, tmp_path: Path) -> None:
    store, report = tmp_path / "store", tmp_path / "report.html"
    on_the_floor("index", archive, "--store", store)
    on_the_floor("search", archive / "volume-000.nii", "--store", store, "--report", report)
    assert "<html" in report.read_text(encoding="utf-8").lower()


def test_the_blocker_blocks() -> None:
    """Or the tests above would prove nothing where the packages are installed."""
    for name in OPTIONAL[:3]:
        program = FLOOR + f"try:\n    import {name}\nexcept ModuleNotFoundError:\n    print('absent')\n"
        assert finish(start(program=program)).out == "absent\n"
    assert sys.meta_path  # this process is left as it was
