"""The encoder of an archive that is indexed for the first time, by what is installed and works."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from engine.archives import write_archive
from engine.bundled_editions import bundle, write_edition
from engine.commands import PACKAGES, Finished, finish, run, start
from VolumeRetrievalEngine.encoders.default import DefaultEncoder, default_encoder
from VolumeRetrievalEngine.encoders.radiology_resnet import backend
from VolumeRetrievalEngine.retriever import Retriever
from VolumeRetrievalEngine.searching.options import SearchOptions

pytest.importorskip("onnxruntime")

#: Runs the command line where the packages named first cannot be imported.
WITHOUT = """
import sys
for name in sys.argv.pop(1).split(","):
    sys.modules[name] = None
from VolumeRetrievalEngine.commands import main
sys.exit(main())
"""

#: A torch that is there and does not start, as after half an installation.
BROKEN = "raise OSError('libtorch_cpu.so: cannot open shared object file')"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("default") / "archive"
    write_archive(folder, range(2))
    return folder


@pytest.fixture(scope="module")
def by_onnxruntime(archive: Path) -> tuple[Path, Finished]:
    """A store that was made where there is no torch, with no encoder named; and what was printed."""
    store = archive.parent / "by-onnxruntime"
    return store, without("torch", "index", archive, "--store", store, "--encoder", "", "--json")


def without(packages: str, *words: object, **environment: str) -> Finished:
    finished = finish(start(packages, *words, program=WITHOUT, env=environment))
    assert finished.code == 0, finished.err
    return finished


def by_score(store: Path, query: str | Path) -> dict[str, float]:
    """Every volume's exact score for a query that is embedded, in this process."""
    with Retriever.open(store) as retriever:
        found = retriever.search(
            retriever.read_again(retriever.find(str(query))),
            options=SearchOptions(top=50, ranking="exhaustive", exclude=frozenset()),
        )
    return {match.path: match.score for match in found.matches}


# The choice


def test_with_torch_and_monai_these_run_the_network():
    pytest.importorskip("torch")
    pytest.importorskip("monai")
    assert default_encoder() == DefaultEncoder(
        "radiology-resnet", "torch", "radiology-resnet runs by PyTorch and MONAI"
    )


@pytest.mark.parametrize(
    ("torch_error", "onnx_error", "expected", "said"),
    [
        (
            ModuleNotFoundError("No module named 'monai'", name="monai"),
            None,
            ("radiology-resnet", "onnxruntime"),
            "runs by onnxruntime on the processor; PyTorch with MONAI is not installed (no monai)",
        ),
        (
            OSError("libtorch_cpu.so: cannot open"),
            None,
            ("radiology-resnet", "onnxruntime"),
            "installed but does not work (OSError: libtorch_cpu.so: cannot open)",
        ),
        (
            ModuleNotFoundError("No module named 'torch'", name="torch"),
            ModuleNotFoundError("No module named 'onnxruntime'", name="onnxruntime"),
            ("descriptor", "numpy"),
            "onnxruntime is not installed",
        ),
        (
            ImportError("DLL load failed"),
            ImportError("DLL load failed while importing onnxruntime_pybind11_state"),
            ("descriptor", "numpy"),
            "onnxruntime is installed but does not work (ImportError: DLL load failed while",
        ),
        (
            ModuleNotFoundError("No module named 'sympy'", name="sympy"),
            None,
            ("radiology-resnet", "onnxruntime"),
            "installed but does not work (ModuleNotFoundError: No module named 'sympy')",
        ),
    ],
)
def test_what_does_not_work_is_passed_over_with_the_reason(monkeypatch, torch_error, onnx_error, expected, said):
    def trial(error: Exception | None) -> None:
        if error is not None:
            raise error

    monkeypatch.setattr(backend, "_try_torch", lambda: trial(torch_error))
    monkeypatch.setattr(backend, "_try_onnxruntime", lambda: trial(onnx_error))
    choice = default_encoder()
    assert (choice.name, choice.backend) == expected
    assert said in choice.reason


# A new folder


def test_without_torch_the_first_index_is_made_by_onnxruntime_and_says_so(by_onnxruntime):
    store, finished = by_onnxruntime
    said = json.loads(finished.out)
    assert said["encoder"] == {
        "name": "radiology-resnet",
        "backend": "onnxruntime",
        "device": "cpu",
        "precision": "float32",
        "reason": "PyTorch with MONAI is not installed (no torch)",
        "device_reason": "",
        "precision_reason": "",
    }
    assert said["store"]["made_on"] == {"cpu (onnxruntime), float32": said["added"]}
    assert "made on: 6 cpu (onnxruntime), float32" in run("info", "--store", store).out
    volume = run("list", "--store", store, "--json").json[0]["id"]
    assert run("info", volume, "--store", store, "--json").json["device"] == "cpu (onnxruntime)"


def test_a_torch_that_does_not_start_is_named_beside_what_runs_instead(archive, tmp_path):
    (tmp_path / "broken" / "torch").mkdir(parents=True)
    (tmp_path / "broken" / "torch" / "__init__.py").write_text(BROKEN)
    finished = without(
        "nothing",
        *("index", archive / "chest-0.nii.gz", "--store", tmp_path / "store", "--encoder", ""),
        PYTHONPATH=f"{tmp_path / 'broken'}:{PACKAGES}",
    )
    assert (
        "encoder: radiology-resnet by onnxruntime on cpu, float32 (PyTorch with MONAI is installed but does not work "
        "(OSError: libtorch_cpu.so: cannot open shared object file))\n" in finished.out
    )


def test_without_either_the_descriptor_indexes_and_says_what_would_be_better(archive, tmp_path):
    words = ("index", archive / "chest-0.nii.gz", "--store", tmp_path / "store", "--encoder", "")
    finished = without("torch,onnxruntime", *words)
    assert "encoder: descriptor on cpu, float32 (" in finished.out
    assert "pip install onnxruntime" in finished.out
    assert [path.name.rpartition("-")[0] for path in (tmp_path / "store").glob("*-*/")] == ["descriptor"]


# One recipe


def test_an_index_made_by_either_library_is_searched_with_the_other(archive, by_onnxruntime, tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("monai")
    store, _ = by_onnxruntime
    made = run("index", archive, "--store", tmp_path / "store", "--encoder", "", "--json").json
    assert made["encoder"]["backend"] == "MONAI"
    (folder,) = store.glob("radiology-resnet-*")
    assert made["store"]["folder"] == str(tmp_path / "store" / folder.name)

    for query in sorted(archive.iterdir()):
        one, other = (by_score(one, query) for one in (store, tmp_path / "store"))
        assert list(one) == list(other)
        assert list(one.values()) == pytest.approx(list(other.values()), abs=1e-3)
        assert one[str(query)] > 0.999  # the query is embedded by MONAI, the index by onnxruntime


def test_an_index_made_by_monai_is_searched_with_onnxruntime(archive, tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("monai")
    store, query = tmp_path / "store", archive / "abdomen-0.nii.gz"
    run("index", archive, "--store", store, "--encoder", "")
    options = ("--store", store, "--exhaustive", "--region", "box=-100,-100,-400,100,100,-300", "--crop")
    with_torch = run("search", query, *options)
    with_onnx = without("torch", "search", query, *options)
    assert "encoder: radiology-resnet by MONAI on " in with_torch.out
    assert "encoder: radiology-resnet by onnxruntime on cpu, float32 (" in with_onnx.out
    found = [[line.split()[-1] for line in one.out.splitlines()[2:7]] for one in (with_torch, with_onnx)]
    assert found[0] == found[1]
    assert len(found[0]) == 5


# What was there before


def test_an_index_made_before_goes_on_with_what_it_was_made_with(archive, tmp_path):
    words = ("--store", tmp_path / "store")
    assert run("index", archive / "head-0.nii.gz", *words, "--encoder", "descriptor").code == 0
    more = run("index", archive / "head-1.nii.gz", *words)
    assert "2 slices" not in more.out and "embedded with descriptor" in more.out
    assert run("info", *words, "--json").json["encoder"] == "descriptor"
    found = run("search", archive / "head-0.nii.gz", *words)
    assert "encoder: descriptor\n" in found.out
    assert "head-1" in found.out


def test_an_index_made_before_is_gone_on_with_also_where_it_is_not_known_which_was_used_last(archive, tmp_path):
    store = tmp_path / "store"
    run("index", archive / "head-0.nii.gz", "--store", store, "--encoder", "descriptor")
    (store / "last-used.json").unlink()
    assert Retriever.create(store).recipe.encoder == "descriptor"


def test_the_new_encoder_gets_an_index_beside_the_old_one(archive, tmp_path):
    store = tmp_path / "store"
    run("index", archive / "head-0.nii.gz", "--store", store, "--encoder", "descriptor")
    run("index", archive / "head-0.nii.gz", "--store", store, "--encoder", "radiology-resnet")
    assert run("info", "--store", store, "--json").json["encoder"] == "radiology-resnet"
    assert run("info", "--store", store, "--encoder", "descriptor", "--json").json["volumes"] == 1


def test_an_index_made_with_weights_that_no_longer_ship_stays_usable_and_says_how_to_go_on(
    archive, tmp_path, monkeypatch
):
    store, query = tmp_path / "store", archive / "head-0.nii.gz"
    write_edition(tmp_path / "unknown", seed=1)  # no edition that ships
    bundle(monkeypatch, tmp_path / "unknown")
    earlier = run("index", query, "--store", store, "--encoder", "radiology-resnet", "--json").json["store"]["folder"]
    write_edition(tmp_path / "update", seed=2)
    bundle(monkeypatch, tmp_path / "update")

    refused = run("index", archive / "head-1.nii.gz", "--store", store)
    assert refused.code == 1
    assert "index again with this one (--encoder radiology-resnet)" in refused.err
    assert run("search", query, "--store", store).code == 0

    later = run("index", query, "--store", store, "--encoder", "radiology-resnet", "--json").json["store"]["folder"]
    assert later != earlier
    for folder in (later, earlier):
        assert run("info", "--store", store, "--encoder", Path(folder).name, "--json").json["volumes"] == 1
