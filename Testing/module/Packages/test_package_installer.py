"""Installing packages: with consent, in the right order, without changing Slicer's own."""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path
from subprocess import CalledProcessError

import pytest
from VolumeRetrievalLib.Packages.PackageInstaller import InstallationDeclined, InstallationFailed, PackageInstaller
from VolumeRetrievalLib.Packages.SlicerPackages import PyTorchExtension, SlicerPip

REQUIREMENTS = Path(__file__).parents[3] / "VolumeRetrieval" / "Resources" / "requirements.txt"
SMALL = ("onnxruntime", "faiss-cpu")
NETWORKS = {"torch": "2.13.0", "monai": "1.6", "safetensors": "0.5", "einops": "0.8"}
EVERYTHING = {**NETWORKS, "faiss_cpu": "1.15", "onnxruntime": "1.31"}
SHIPPED = {"numpy": "2.4.6", "scipy": "1.17.1", "SimpleITK": "2.5.5", "pydicom": "3.0.2"}


class FakePip:
    def __init__(self, fails=False, **installed):
        self.installed = {**SHIPPED, **{name.replace("_", "-"): version for name, version in installed.items()}}
        self.calls = []
        self.constraints = []
        self.fails = fails

    def version(self, package):
        return self.installed.get(package, "")

    def requirements(self, path):
        names = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
        return [line for line in names if not self.installed.get(line.partition(">")[0])]

    def install(self, arguments, constraints):
        if self.fails:
            raise InstallationFailed("pip could not reach PyPI")
        self.calls.append(arguments)
        self.constraints.append(constraints.read_text())
        for one in arguments:
            if ">=" in one:
                name, _, version = one.partition(">=")
                self.installed[name] = version


class FakeTorch:
    def __init__(self, pip, available=True, fails=False):
        self.pip, self.available, self.fails = pip, available, fails
        self.constraints = []

    def isAvailable(self):
        return self.available

    def install(self, requirement, constraints):
        if self.fails:
            raise InstallationFailed("no build of torch fits")
        self.constraints.append(constraints.read_text())
        self.pip.installed["torch"] = "2.13.0+cpu"


def installer(pip, torch=None, agrees=True, platform=("linux", "x86_64")):
    asked = []

    def ask(text):
        asked.append(text)
        return agrees

    made = PackageInstaller(REQUIREMENTS, pip, torch or FakeTorch(pip), ask, platform)
    made.asked = asked
    return made


def test_with_nothing_installed_the_panel_learns_what_does_not_work():
    state = installer(FakePip()).state()
    assert state.missing == ("torch", *SMALL, "monai", "safetensors", "einops")
    assert state.missingSmall == SMALL
    assert any("faiss" in one for one in state.sentences)
    assert any("descriptor" in one for one in state.sentences)


def test_with_everything_installed_nothing_is_said_and_nobody_is_asked():
    pip = FakePip(**EVERYTHING)
    one = installer(pip)
    assert (one.state().missing, one.state().sentences) == ((), ())
    one.install()
    assert (one.asked, pip.calls) == ([], [])


def test_torch_comes_from_the_extension_and_before_what_needs_it():
    pip = FakePip()
    torch = FakeTorch(pip)
    installer(pip, torch).install()
    (arguments,) = pip.calls
    assert not any(one.startswith("torch") for one in arguments)
    assert {"faiss-cpu>=1.9", "monai>=1.5", "safetensors>=0.4"} <= set(arguments)
    assert "torch==2.13.0+cpu" in pip.constraints[0]


def test_what_slicer_ships_is_pinned_in_every_installation():
    pip = FakePip()
    torch = FakeTorch(pip)
    installer(pip, torch).install()
    for text in (*pip.constraints, *torch.constraints):
        assert all(f"{name}=={version}\n" in text for name, version in SHIPPED.items())


def test_declining_installs_nothing_and_says_what_works():
    pip = FakePip()
    with pytest.raises(InstallationDeclined, match="descriptor"):
        installer(pip, agrees=False).install()
    assert pip.calls == []


def test_without_the_extension_pytorch_the_message_says_where_to_get_it():
    pip = FakePip()
    with pytest.raises(InstallationFailed, match="Extensions Manager"):
        installer(pip, FakeTorch(pip, available=False)).install()
    assert pip.calls == []


@pytest.mark.parametrize("torchFails", [True, False])
def test_a_failure_reaches_the_caller_with_its_reason(torchFails):
    pip = FakePip(fails=not torchFails)
    with pytest.raises(InstallationFailed, match="torch fits" if torchFails else "PyPI"):
        installer(pip, FakeTorch(pip, fails=torchFails)).install()


def test_after_a_failure_the_next_try_installs_only_what_is_still_missing():
    pip = FakePip(fails=True)
    torch = FakeTorch(pip)
    one = installer(pip, torch)
    with pytest.raises(InstallationFailed):
        one.install()
    pip.fails = False
    one.install()
    assert len(torch.constraints) == 1
    assert one.state().missing == ()


def test_offline_everything_comes_from_the_folder_of_wheels(tmp_path):
    (tmp_path / "torch-2.13.0-cp312-none-any.whl").touch()
    pip = FakePip()
    torch = FakeTorch(pip)
    installer(pip, torch).install(tmp_path)
    assert torch.constraints == []
    assert all({"--no-index", "--find-links", str(tmp_path)} <= set(arguments) for arguments in pip.calls)
    assert "torch>=2.8" in pip.calls[0]


def test_the_small_way_brings_the_default_encoder_without_torch():
    pip = FakePip()
    torch = FakeTorch(pip, available=False)
    one = installer(pip, torch)
    assert "onnxruntime (about 20 MB)" in one.state().sentences[0]
    one.install(small=True)
    assert torch.constraints == []
    assert {argument.partition(">")[0] for argument in pip.calls[0][2:]} == set(SMALL)
    assert "gigabytes" not in one.asked[0] and "onnxruntime: runs the encoder" in one.asked[0]
    assert "through onnxruntime" in one.state().sentences[0] and one.state().missingSmall == ()


def test_the_small_way_leaves_what_needs_torch_alone():
    pip = FakePip(monai="0.9")  # left behind, and too old: with it pip would fetch torch from PyPI
    pip.requirements = lambda path: ["onnxruntime>=1.20", "monai>=1.5"]
    installer(pip).install(small=True)
    (arguments,) = pip.calls
    assert arguments[2:] == ["onnxruntime>=1.20"]


@pytest.mark.parametrize("onnxruntime", ["", "1.31"])
def test_with_torch_and_monai_a_missing_einops_takes_away_only_some_networks(onnxruntime):
    packages = {**EVERYTHING, "onnxruntime": onnxruntime, "einops": ""}
    sentence = installer(FakePip(**packages)).state().sentences[0]
    assert sentence == "Some networks need einops."


def test_each_missing_package_is_a_sentence():
    for name in ("einops", "faiss_cpu", "monai"):
        pip = FakePip(**{one: version for one, version in EVERYTHING.items() if one != name})
        (sentence,) = installer(pip).state().sentences
        assert name.partition("_")[0] in sentence.lower()


def test_a_folder_of_small_wheels_brings_what_is_in_it(tmp_path):
    (tmp_path / "onnxruntime-1.23.2-cp312-cp312-macosx_13_0_x86_64.whl").touch()
    pip = FakePip()
    torch = FakeTorch(pip)
    installer(pip, torch).install(tmp_path)
    assert torch.constraints == []
    assert [argument for argument in pip.calls[0] if ">=" in argument] == ["onnxruntime>=1.20"]


def test_a_folder_of_other_wheels_is_named(tmp_path):
    (tmp_path / "requests-2.34.2-py3-none-any.whl").touch()
    one = installer(FakePip())
    with pytest.raises(InstallationFailed, match="no wheel of torch, onnxruntime"):
        one.install(tmp_path)
    assert one.asked == []


def test_a_folder_without_wheels_is_named(tmp_path):
    one = installer(FakePip())
    with pytest.raises(InstallationFailed, match=str(tmp_path)):
        one.install(tmp_path)
    assert one.asked == []


def test_on_intel_macos_only_the_search_is_made_faster_and_networks_are_explained():
    pip = FakePip()
    torch = FakeTorch(pip)
    one = installer(pip, torch, platform=("darwin", "x86_64"))
    assert one.state().missing == SMALL
    assert any("macOS" in text and "onnxruntime" in text for text in one.state().sentences)
    one.install()
    assert not any("macOS" in text for text in one.state().sentences)  # the default encoder runs
    assert torch.constraints == []
    assert not any(argument.startswith(("monai", "safetensors", "torch")) for argument in pip.calls[0])


def test_nothing_is_built_from_source():
    pip = FakePip()
    installer(pip).install()
    assert all(arguments[:2] == ["--only-binary", ":all:"] for arguments in pip.calls)


def test_slicers_pip_reports_a_failure_readably():
    from slicer_application import packaging

    def fail(requirements, **_):
        raise CalledProcessError(1, "pip install")

    packaging.pip.append(fail)
    with pytest.raises(InstallationFailed, match="faiss-cpu"):
        SlicerPip().install(["--only-binary", ":all:", "faiss-cpu>=1.9"], Path("constraints.txt"))


def test_slicers_pip_gets_the_constraints_and_the_name_of_who_asks(tmp_path):
    from slicer_application import packaging

    seen = []
    packaging.pip.append(lambda requirements, **values: seen.append((requirements, values)))
    SlicerPip().install(["monai>=1.5"], tmp_path / "constraints.txt")
    ((requirements, values),) = seen
    assert requirements == ["monai>=1.5"]
    assert (values["constraints"], values["requester"]) == (tmp_path / "constraints.txt", "VolumeRetrieval")


def test_slicers_pip_knows_what_is_installed_without_importing_it():
    assert SlicerPip().version("pydicom")
    assert SlicerPip().version("no-such-package-at-all") == ""
    assert "no-such" not in SlicerPip().requirements(REQUIREMENTS)


def test_what_another_distribution_brings_is_not_installed_over_it(monkeypatch):
    import importlib.metadata

    there = {"onnxruntime-gpu": "1.23.2", "faiss-gpu-cu12": "1.13.2"}

    def version(name):
        if name in there:
            return there[name]
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    pip = SlicerPip()
    assert (pip.version("onnxruntime"), pip.version("faiss-cpu")) == ("1.23.2", "1.13.2")
    names = {one.partition(">")[0] for one in pip.requirements(REQUIREMENTS)}
    assert names == {"monai", "safetensors", "einops"}


def test_the_extension_pytorch_installs_with_slicers_packages_pinned(monkeypatch, tmp_path):
    seen = {}

    class Logic:
        def installTorch(self, askConfirmation, torchVersionRequirement):
            seen.update(ask=askConfirmation, version=torchVersionRequirement, pins=os.environ["PIP_CONSTRAINT"])
            return object()

    module = types.ModuleType("PyTorchUtils")
    module.PyTorchUtilsLogic = Logic
    monkeypatch.setitem(sys.modules, "PyTorchUtils", module)
    PyTorchExtension().install(">=2.8", tmp_path / "constraints.txt")
    assert seen == {"ask": False, "version": ">=2.8", "pins": str(tmp_path / "constraints.txt")}
    assert "PIP_CONSTRAINT" not in os.environ


def test_an_error_in_the_extension_pytorch_is_told_and_the_environment_restored(monkeypatch, tmp_path):
    class Logic:
        def installTorch(self, **_):
            raise ModuleNotFoundError("No module named 'torchgen'")

    module = types.ModuleType("PyTorchUtils")
    module.PyTorchUtilsLogic = Logic
    monkeypatch.setitem(sys.modules, "PyTorchUtils", module)
    with pytest.raises(InstallationFailed, match="torchgen"):
        PyTorchExtension().install(">=2.8", tmp_path / "constraints.txt")
    assert "PIP_CONSTRAINT" not in os.environ


def test_the_extension_pytorch_is_found_by_its_module(monkeypatch):
    import slicer

    assert not PyTorchExtension().isAvailable()
    monkeypatch.setattr(slicer.modules, "pytorchutils", object(), raising=False)
    assert PyTorchExtension().isAvailable()
