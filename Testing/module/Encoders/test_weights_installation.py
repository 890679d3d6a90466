"""Weights are installed by the real engine in a real child, from a server on loopback; nothing of it is left behind."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
import slicer
from children import WAYS_TO_GO, Told, cleanUp, commandWithoutTorch, fakeCommand, letGo, waitUntil
from engine.weights_server import CONTENT, WeightsServer, serving
from publisher import NAME, publish
from slicer_application.modules import loadModule, makeWidget
from VolumeRetrievalLib.Encoders import EncoderTexts
from VolumeRetrievalLib.Processes import ProcessIDs
from VolumeRetrievalLib.Processes.EngineErrors import EngineError
from VolumeRetrievalLib.RetrievalLogic import RetrievalLogic
from VolumeRetrievalLib.Settings import Settings
from VolumeRetrievalLib.Values import Callbacks

MODULE_FILE = Path(__file__).parents[3] / "VolumeRetrieval" / "VolumeRetrieval.py"
HALF = len(CONTENT) // 2


@pytest.fixture
def server():
    with serving(WeightsServer()) as running:
        yield running


@pytest.fixture
def command(server, tmp_path, monkeypatch):
    """The engine, its catalog's NAME on the server; the weights folder is one of the test's."""
    Settings(weightsFolder=str(tmp_path / "weights")).save()
    return publish(server, tmp_path / "engine", monkeypatch)


@pytest.fixture
def makeLogic():
    made = []

    def make(command):
        made.append(RetrievalLogic(makeCommand=lambda: command))
        return made[-1]

    yield make
    cleanUp(made)


@pytest.fixture
def logic(makeLogic, command):
    return makeLogic(command)


def state(logic):
    return next(one for one in logic.encoders() if one.name == NAME).weights.state


def parts():
    return [file.stat().st_size for file in Path(Settings.load().weightsFolder).rglob("*.part")]


def waitUntilHalfway(server):
    """Until the download has come halfway, where the server lets it stand."""
    waitUntil(lambda: server.stalled.is_set() and any(parts()))


def test_a_script_installs_and_removes_weights(logic, tmp_path):
    path = Path(logic.installWeights(NAME, consent=True))
    assert path.read_bytes() == CONTENT and path.is_relative_to(tmp_path / "weights")
    assert state(logic) == "installed" and logic.weightsFolder() == str(tmp_path / "weights")
    assert logic.removeWeights(NAME) >= len(CONTENT)
    assert state(logic) == "absent" and not path.exists()


def test_a_weights_folder_that_cannot_be_read_is_named_and_the_others_are_listed(logic, tmp_path, monkeypatch):
    isFile, closed = Path.is_file, tmp_path / "weights" / NAME

    def refuse(path):
        if path.parent == closed:
            raise PermissionError(13, "Permission denied", str(path))
        return isFile(path)

    monkeypatch.setattr(Path, "is_file", refuse)
    choices = {one.name: one for one in logic.encoders()}
    assert choices[NAME].weights.problem.startswith(f"{closed}: cannot be read (Permission denied)")
    assert str(closed) in EncoderTexts.stateDetails(choices[NAME])
    assert choices["dino-vitb16"].weights.state == "absent"


def test_without_consent_nothing_is_started_and_the_terms_are_told_once(logic, server):
    with pytest.raises(ValueError, match=r"BSD.*https://.*consent=True"):
        logic.installWeights(NAME)
    assert server.asked == [] and logic.pids == ()
    logic.installWeights(NAME, consent=True)
    logic.removeWeights(NAME)
    logic.installWeights(NAME)  # it is remembered
    assert state(logic) == "installed"


def test_a_cancelled_download_goes_on_where_it_was(logic, server):
    server.stall_after = HALF
    told = Told()
    job = logic.installWeights(NAME, consent=True, callbacks=Callbacks(*told.arguments()))
    waitUntilHalfway(server)
    waitUntil(lambda: told.steps)  # the message may come later than the bytes that it tells of
    second = Told()
    assert not logic.installWeights(NAME, callbacks=Callbacks(*second.arguments())).isRunning
    assert "already" in str(second.errors[0])
    with pytest.raises(RuntimeError, match="being installed"):
        logic.removeWeights(NAME)
    job.cancel()
    waitUntil(lambda: told.isOver)
    assert told.cancellations == 1 and told.steps[0].stage == "download" and state(logic) == "partial"

    server.stall_after = None
    server.going_on.set()
    logic.installWeights(NAME)
    assert state(logic) == "installed" and server.asked[-1][1].startswith("bytes=")


def test_what_is_not_the_publishers_file_is_refused(logic, server, tmp_path):
    server.files["/net.pth"] = b"not these" * (len(CONTENT) // 9)
    with pytest.raises(EngineError, match=r"net\.pth"):
        logic.installWeights(NAME, consent=True)
    other = tmp_path / "other.pth"
    other.write_bytes(b"nor these")
    with pytest.raises(EngineError, match=r"other\.pth"):
        logic.installWeights(NAME, file=other, consent=True)
    assert state(logic) == "absent"


def test_a_file_needs_no_network(logic, server, tmp_path):
    file = tmp_path / "usb" / "renamed.pth"
    file.parent.mkdir()
    file.write_bytes(CONTENT)
    logic.installWeights(NAME, file=str(file), consent=True)
    assert state(logic) == "installed" and server.asked == []


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"name": "no-such"}, "no encoder no-such: expected one of"),
        ({"name": "swin-radimagenet"}, "cannot be downloaded from here"),
        ({"name": NAME, "file": "/no/such/file.pth"}, "no such file"),
    ],
)
def test_what_cannot_be_installed_says_why(logic, values, text):
    with pytest.raises(ValueError, match=text):
        logic.installWeights(consent=True, **values)


def test_a_child_that_crashes_is_told(makeLogic, command, tmp_path):
    logic = makeLogic(fakeCommand(tmp_path / "crashing", "hello(); os.abort()"))
    with pytest.raises(EngineError, match="ended unexpectedly"):
        logic.installWeights(NAME, consent=True)


def test_the_default_encoder_is_found_out_by_a_child(makeLogic, tmp_path):
    body = """
    hello()
    say(type="result", result={"default": {"name": "descriptor", "backend": "numpy", "reason": " ".join(sys.argv[1:])}})
    """
    found = makeLogic(fakeCommand(tmp_path, body)).defaultEncoder()
    assert (found.name, found.backend, found.reason) == ("descriptor", "numpy", "encoders --json")


def test_the_real_engine_says_which_encoder_is_the_default(makeLogic, tmp_path):
    found = makeLogic(commandWithoutTorch(tmp_path / "engine")).defaultEncoder()
    expected = ("descriptor", "numpy") if find_spec("onnxruntime") is None else ("radiology-resnet", "onnxruntime")
    assert (found.name, found.backend) == expected
    assert "PyTorch with MONAI is not installed" in found.reason


@pytest.fixture
def widget(server, command):
    """The module's widget, a download begun with its button; no database is open."""
    module = loadModule(MODULE_FILE)

    class VolumeRetrievalWidget(module.VolumeRetrievalWidget):
        def setup(self):
            self.moduleName = "VolumeRetrieval"
            self.logic = self._ownLogic = module.VolumeRetrievalLogic(makeCommand=lambda: command)
            super().setup()

    made = makeWidget(VolumeRetrievalWidget)
    made.panel.encoders.ask = lambda text: True
    server.stall_after = HALF
    made.panel.encoders.select(NAME)
    made.ui.installWeightsButton.click()
    waitUntilHalfway(server)
    yield made
    made.cleanup()
    made.parent.close()


@pytest.mark.parametrize("how", WAYS_TO_GO)
def test_the_module_goes_away_while_weights_come(sameModulesAfterwards, widget, how):
    pids = widget.logic.pids
    assert any(ProcessIDs.isRunning(pid) for pid in pids)
    letGo(widget, how)
    assert any(parts()), "what has come is kept"


def test_closing_the_scene_leaves_the_download_alone(widget, server):
    slicer.mrmlScene.Clear(0)
    server.going_on.set()
    waitUntil(lambda: widget.panel.encoders._job is None)
    assert "is installed" in widget.ui.weightsNewsLabel.text and state(widget.logic) == "installed"


def test_the_cancel_button_stops_it(widget):
    widget.ui.cancelWeightsButton.click()
    waitUntil(lambda: widget.panel.encoders._job is None)
    assert "kept" in widget.ui.weightsNewsLabel.text and not widget.ui.weightsProgressBar.visible
    assert state(widget.logic) == "partial"
