"""Installing packages: with consent, in the right order, without changing Slicer's own."""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path
from subprocess import CalledProcessError

import pytest
from VolumeRetrievalLib.Packages.PackageInstaller import (
    InstallationDeclined,
    InstallationFailed,
    PackageInstaller,
    Questions,
)
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
        self.folders = []
        self.fails = fails

    def version(self, package):
        return self.installed.get(package, "")

    def requirements(self, path):
        names = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
        return [line for line in names if not self.installed.get(line.partition(">")[0])]

    def install(self, arguments, constraints, wheelFolder=None):
        if self.fails:
            raise InstallationFailed("pip could not reach PyPI")
        self.calls.append(arguments)
        self.folders.append(wheelFolder)
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
    asked, declined = [], []

    def ask(text, *buttons):
        asked.append(text)
        return agrees

    questions = Questions(ask, ask, lambda: bool(declined and declined[-1]), declined.append)
    made = PackageInstaller(REQUIREMENTS, pip, torch or FakeTorch(pip), questions, platform)
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
    with pytest.raises(InstallationDeclined, match="Nothing"):
        installer(pip, agrees=False).install()
    assert pip.calls == []


def test_without_the_extension_pytorch_the_message_says_where_to_get_it():
    pip = FakePip()
    one = installer(pip, FakeTorch(pip, available=False))
    with pytest.raises(InstallationFailed, match="Extensions Manager"):
        one.install()
    assert pip.calls == [] and one.asked == [], "the user was asked for what cannot be done"


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
    assert pip.folders == [tmp_path, tmp_path]
    assert pip.calls[0] == ["torch>=2.8"]


def test_the_small_way_brings_the_default_encoder_without_torch():
    pip = FakePip()
    torch = FakeTorch(pip, available=False)
    one = installer(pip, torch)
    assert "onnxruntime (about 30 MB)" in one.state().sentences[0]
    one.install(small=True)
    assert torch.constraints == []
    assert {argument.partition(">")[0] for argument in pip.calls[0]} == set(SMALL)
    assert "gigabytes" not in one.asked[0] and "onnxruntime: runs the bundled encoder" in one.asked[0]
    assert "through onnxruntime" in one.state().sentences[0] and one.state().missingSmall == ()


def test_the_small_way_leaves_what_needs_torch_alone():
    pip = FakePip(monai="0.9")  # left behind, and too old: with it pip would fetch torch from PyPI
    pip.requirements = lambda path: ["onnxruntime>=1.20", "monai>=1.5"]
    installer(pip).install(small=True)
    (arguments,) = pip.calls
    assert arguments == ["onnxruntime>=1.20"]


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


class TestOffer:
    """The one question before the first search."""

    def test_one_sentence_installs_the_small_packages(self):
        pip = FakePip()
        torch = FakeTorch(pip, available=False)
        one = installer(pip, torch)
        said = one.offerOnce()
        assert len(one.asked) == 1 and "onnxruntime and faiss-cpu" in one.asked[0]
        assert said.startswith("Installed:") and one.state().missingSmall == () and torch.constraints == []
        assert one.offerOnce() == "" and len(one.asked) == 1

    @pytest.mark.parametrize(
        ("there", "said"),
        [
            ({}, "are faster and find better matches with onnxruntime and faiss-cpu (about 50 MB"),
            ({"onnxruntime": "1.31"}, "in large databases are faster with faiss-cpu (about 20 MB"),
            ({"faiss_cpu": "1.15"}, "find better matches with onnxruntime (about 30 MB"),
        ],
    )
    def test_it_says_what_the_missing_ones_bring_and_how_large_they_are(self, there, said):
        one = installer(FakePip(**there), agrees=None)
        one.offerOnce()
        assert said in one.asked[0]

    def test_who_declines_is_not_asked_again_and_can_still_install(self):
        pip = FakePip()
        one = installer(pip, agrees=False)
        assert (one.offerOnce(), one.offerOnce()) == ("", "")
        assert len(one.asked) == 1 and pip.calls == []
        with pytest.raises(InstallationDeclined):
            one.install(small=True)
        assert len(one.asked) == 2

    def test_where_nobody_can_be_asked_nothing_is_remembered(self):
        one = installer(FakePip(), agrees=None)
        assert (one.offerOnce(), one.offerOnce()) == ("", "") and len(one.asked) == 2

    def test_a_failure_is_told_once_and_the_search_goes_on(self):
        one = installer(FakePip(fails=True))
        with pytest.raises(InstallationFailed, match="PyPI"):
            one.offerOnce()
        assert one.offerOnce() == "" and len(one.asked) == 1

    @pytest.mark.parametrize("there", [{"onnxruntime": "1.31", "faiss_cpu": "1.15"}, {**NETWORKS, "faiss_cpu": "1.15"}])
    def test_what_a_search_does_not_need_is_not_offered(self, there):
        one = installer(FakePip(**there))
        assert one.state().missing and one.offerOnce() == "" and one.asked == []

    def test_the_answer_is_kept_over_sessions(self):
        from VolumeRetrievalLib.Settings import Settings, packagesDeclined, setPackagesDeclined

        assert not packagesDeclined()
        before = Settings.load()
        setPackagesDeclined(True)
        before.save()  # what the panel had read earlier
        assert packagesDeclined()

    def test_the_dialog_has_one_button_to_install_and_one_to_go_on(self, application, monkeypatch):
        import qt
        import slicer
        from VolumeRetrievalLib.Packages import SlicerPackages

        assert SlicerPackages._offer("text", "Install", "Without") is None  # in testing mode
        window = qt.QMainWindow()
        monkeypatch.setattr(slicer.util, "mainWindow", lambda: window)
        application._qt.testing = False
        answers = iter(["Install", "Without"])

        def press():
            box = slicer_dialogs()[-1]
            wanted = next(answers)
            next(one for one in box.buttons() if one.text() == wanted).click()

        for expected in (True, False):
            qt.QTimer.singleShot(50, press)
            assert SlicerPackages._offer("text", "Install", "Without") is expected


def slicer_dialogs():
    from PyQt5 import QtWidgets

    return [
        one
        for one in QtWidgets.QApplication.topLevelWidgets()
        if isinstance(one, QtWidgets.QMessageBox) and one.isVisible()
    ]


@pytest.fixture
def pip(application):
    """Slicer's pip_install outside testing mode, as a function of what pip says: it calls back from the event loop."""
    from slicer_application import packaging

    seen = []

    def answer(exitCode, *lines):
        def pip_install(requirements, logCallback=None, completedCallback=None, **values):
            import qt

            seen.append((requirements, values))
            for line in lines:
                logCallback(line)
            qt.QTimer.singleShot(0, lambda: completedCallback(exitCode))

        packaging.pip.append(pip_install)
        return seen

    application._qt.testing = False
    yield answer
    application._qt.testing = True


class TestSlicersPip:
    def test_pip_gets_wheels_only_and_the_constraints(self, pip, tmp_path):
        seen = pip(0, "Collecting monai")
        SlicerPip().install(["monai>=1.5"], tmp_path / "constraints.txt")
        ((requirements, values),) = seen
        assert requirements == ["--only-binary", ":all:", "monai>=1.5"]  # nothing is built from source
        assert (values["constraints"], values["requester"]) == (tmp_path / "constraints.txt", "VolumeRetrieval")
        assert not values["show_progress"] and not values["blocking"]  # or Slicer shows a second message on failure

    def test_the_reason_of_a_failure_is_pips_and_a_folder_is_no_package(self, pip, tmp_path):
        seen = pip(1, "Looking in links: x", "ERROR: No matching distribution found for faiss-cpu>=1.9", "Notice: new")
        with pytest.raises(InstallationFailed) as failure:
            SlicerPip().install(["faiss-cpu>=1.9"], tmp_path / "constraints.txt", tmp_path / "wheels")
        text = str(failure.value)
        assert text.startswith("pip could not install faiss-cpu>=1.9: No matching distribution found")
        assert f"Does {tmp_path / 'wheels'} have wheels" in text and "another computer" not in text
        assert seen[0][0][-4:-1] == ["--no-index", "--find-links", str(tmp_path / "wheels")]

    def test_without_a_network_the_wheels_come_from_another_computer(self, pip, tmp_path):
        pip(1, "ERROR: Could not find a version that satisfies the requirement monai")
        with pytest.raises(InstallationFailed, match=r"Could not find a version.*another computer"):
            SlicerPip().install(["monai>=1.5"], tmp_path / "constraints.txt")

    def test_a_slicer_that_cannot_be_written_is_named(self, pip, tmp_path):
        pip(1, "ERROR: Could not install packages due to an OSError: [Errno 1] Operation not permitted: '/opt/x'")
        with pytest.raises(InstallationFailed, match=r"Slicer's folder .*site-packages is not writable"):
            SlicerPip().install(["monai>=1.5"], tmp_path / "constraints.txt")

    def test_in_testing_mode_pip_is_waited_for(self, tmp_path):
        from slicer_application import packaging

        def fail(requirements, **values):
            raise CalledProcessError(1, "pip install")

        packaging.pip.append(lambda requirements, **values: None)
        SlicerPip().install(["monai>=1.5"], tmp_path / "constraints.txt")
        packaging.pip.append(fail)
        with pytest.raises(InstallationFailed, match="monai"):
            SlicerPip().install(["monai>=1.5"], tmp_path / "constraints.txt")


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
