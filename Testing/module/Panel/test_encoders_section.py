"""The section Encoders with a logic of the test's own: what it shows, what it asks, and what it asks for."""

from __future__ import annotations

from dataclasses import replace

import pytest
import slicer
from fake_logic import CATALOG, READY, FakeJob, FakeLogic
from panel_factory import makePanel
from PyQt5 import QtWidgets
from VolumeRetrievalEngine.encoders.default import DefaultEncoder
from VolumeRetrievalEngine.progress import Progress
from VolumeRetrievalLib.Encoders import EncoderTexts
from VolumeRetrievalLib.Panel.EncodersSection import askConsent
from VolumeRetrievalLib.Settings import Settings
from VolumeRetrievalLib.Values import EncoderChoice, StoreChoice


@pytest.fixture
def logic():
    return FakeLogic()


@pytest.fixture
def panel(logic):
    panel, widget = makePanel(logic, settings=Settings.load())
    panel.encoders.ask = lambda text: panel.asked.append(text) or panel.agrees
    panel.asked, panel.agrees = [], True
    panel.ui.advancedCollapsibleButton.collapsed = panel.ui.encodersCollapsibleButton.collapsed = False
    widget.show()
    yield panel
    panel.cleanUp()
    widget.close()


def rows(panel):
    tree = panel.ui.encodersTree
    return [[tree.topLevelItem(row).text(column) for column in range(6)] for row in range(tree.topLevelItemCount)]


def test_the_table_tells_the_terms_of_each_encoder(panel):
    assert rows(panel) == [
        ["ResNet50, ImageNet", "installed", "2048", "103 MB", "yes", "BSD 3-Clause"],
        ["(?) Small ViT", "available", "384", "?", "yes", "Apache License 2.0"],
        ["(?) SwinTransformer, RadImageNet", "on request", "?", "?", "no", "CC BY-NC 4.0"],
        ["A network of timm", "started", "1280", "21.0 MB", "unclear", "Apache License 2.0"],
    ]
    assert "Unverified" in panel.ui.encodersTree.topLevelItem(1).toolTip(0)
    assert "slicer.packaging.pip_install" in panel.ui.encodersTree.topLevelItem(3).toolTip(1)


def test_with_nothing_selected_every_button_says_so(panel):
    for name in ("installWeightsButton", "installWeightsFileButton", "removeWeightsButton", "useEncoderButton"):
        button = getattr(panel.ui, name)
        assert not button.enabled and "Select an encoder" in button.toolTip
    assert not panel.ui.encoderDetailsLabel.visible


def test_a_row_that_only_has_the_focus_is_not_selected(panel):
    panel.encoders.select("small-vit")
    panel.ui.encodersTree.clearSelection()  # the current item stays
    panel.refresh()
    assert panel.encoders.selected is None and not panel.ui.installWeightsButton.enabled


def test_the_selected_encoder_is_described_with_links(panel):
    panel.encoders.select("radswin")
    text = panel.ui.encoderDetailsLabel.text
    assert '<a href="https://example.org/by-nc">' in text and "Commercial use is not allowed" in text
    assert panel.ui.encoderDetailsLabel.openExternalLinks
    assert not panel.ui.installWeightsButton.enabled
    assert "https://example.org/ask" in panel.ui.installWeightsButton.toolTip
    assert panel.ui.installWeightsFileButton.enabled


def test_installing_asks_first_with_size_license_and_the_mark_unverified(panel, logic):
    panel.encoders.select("small-vit")
    panel.agrees = False
    panel.ui.installWeightsButton.click()
    (text,) = panel.asked
    for part in ("Size: not stated by the publisher", "Apache License 2.0", 'href="https://www.apache.org/licenses/LICENSE-2.0"',
                 "Commercial use is allowed", "These weights are unverified",
                 'href="https://example.org/vit.pth"'):  # fmt: skip
        assert part in text
    assert logic.installations == [] and panel.ui.weightsNewsLabel.text == "Nothing was installed."
    panel.agrees = True
    panel.ui.installWeightsButton.click()
    assert logic.installations == [("small-vit", "", True)]


def test_a_license_that_was_agreed_to_is_not_asked_for_again(panel, logic):
    logic.catalog[1] = replace(CATALOG[1], weights=replace(CATALOG[1].weights, isConsented=True))
    panel.refresh()
    panel.encoders.select("small-vit")
    panel.ui.installWeightsButton.click()
    assert panel.asked == [] and len(logic.installations) == 1


def test_what_is_installed_with_it_is_asked_for_too(panel, logic):
    logic.catalog[1] = replace(
        CATALOG[1], weights=replace(CATALOG[1].weights, isConsented=True, alsoNeeded=("timm-net",))
    )
    panel.refresh()
    panel.encoders.select("small-vit")
    panel.ui.installWeightsButton.click()
    assert "also needs the weights of A network of timm" in panel.asked[0] and "Size: 21.0 MB" in panel.asked[0]


def test_what_somebody_else_removed_meanwhile_is_asked_for_too(panel, logic):
    logic.catalog[1] = replace(CATALOG[1], weights=replace(CATALOG[1].weights, isConsented=True))
    panel.refresh()
    panel.encoders.select("small-vit")
    logic.catalog[1] = replace(CATALOG[1], weights=replace(CATALOG[1].weights, alsoNeeded=("timm-net",)))
    panel.agrees = False
    panel.ui.installWeightsButton.click()
    assert "also needs the weights of A network of timm" in panel.asked[0] and logic.installations == []


def test_progress_is_shown_and_then_the_encoder_can_be_used(panel, logic):
    panel.encoders.select("small-vit")
    panel.ui.installWeightsButton.click()
    assert panel.ui.cancelWeightsButton.visible and not panel.ui.removeWeightsButton.enabled
    assert "being installed" in panel.ui.weightsFolderLineEdit.toolTip
    logic.jobs[0].callbacks.progress(Progress("download", 3_000_000_000, 6_000_000_000, "small-vit", remaining=120.0))
    assert (panel.ui.weightsProgressBar.value, panel.ui.weightsProgressBar.maximum) == (500, 1000)
    assert panel.ui.weightsNewsLabel.text == "Small ViT: 3.0 GB of 6.0 GB, 2 min left"

    logic.setState("small-vit", "installed")
    logic.jobs[0].finish("/weights/vit.pth")

    assert not panel.ui.weightsProgressBar.visible and rows(panel)[1][1] == "installed"
    assert "Small ViT is installed" in panel.ui.weightsNewsLabel.text
    panel.ui.useEncoderButton.click()
    assert Settings.load().encoder == "small-vit"
    assert panel.ui.encoderComboBox.currentText == "Small ViT"
    assert "in use" in panel.ui.useEncoderButton.toolTip


def test_weights_of_an_encoder_that_lacks_packages_are_not_said_to_be_usable(panel, logic):
    panel.encoders.select("timm-net")
    panel.ui.installWeightsButton.click()
    logic.catalog[3] = replace(CATALOG[3], weights=replace(CATALOG[3].weights, state="installed"))
    logic.jobs[0].finish("/weights/timm.safetensors")
    assert panel.ui.weightsNewsLabel.text.endswith("cannot run here yet: needs timm.")
    assert not panel.ui.useEncoderButton.enabled


def test_an_installation_is_cancelled_and_fails_readably(panel, logic):
    panel.encoders.select("small-vit")
    panel.ui.installWeightsButton.click()
    panel.ui.cancelWeightsButton.click()
    assert "kept" in panel.ui.weightsNewsLabel.text
    panel.ui.installWeightsButton.click()
    logic.jobs[1].fail("vit.pth: the server says 404")
    assert "404" in panel.ui.weightsNewsLabel.text and not panel.ui.cancelWeightsButton.visible
    assert panel.ui.installWeightsButton.enabled


def test_weights_come_from_a_file_too(panel, logic, monkeypatch):
    panel.encoders.select("radswin")
    answers = [("", ""), ("/media/usb/swin.pt", "")]
    monkeypatch.setattr(QtWidgets.QFileDialog, "getOpenFileName", lambda *_: answers.pop(0))
    panel.ui.installWeightsFileButton.click()  # cancelled
    panel.ui.installWeightsFileButton.click()
    assert logic.installations == [("radswin", "/media/usb/swin.pt", True)]
    assert "/media/usb/swin.pt" in panel.asked[0] and "from a file" in panel.asked[0]


def test_weights_are_removed(panel, logic):
    panel.encoders.select("resnet50")
    logic.failure = "The weights cannot be deleted (in use): close the programs that use them."
    panel.ui.removeWeightsButton.click()
    assert "in use" in panel.ui.weightsNewsLabel.text
    logic.failure = ""
    panel.ui.removeWeightsButton.click()
    assert rows(panel)[0][1] == "available" and "103 MB freed" in panel.ui.weightsNewsLabel.text
    assert not panel.ui.removeWeightsButton.enabled


def test_a_chosen_encoder_whose_weights_were_removed_is_still_shown_as_chosen(panel, logic):
    panel.encoders.select("resnet50")
    panel.ui.useEncoderButton.click()
    panel.ui.removeWeightsButton.click()
    assert panel.ui.encoderComboBox.currentText == "ResNet50, ImageNet: its weights are not installed"
    assert Settings.load().encoder == "resnet50"


def test_the_folder_of_weights_is_a_setting(panel, logic, tmp_path, monkeypatch):
    assert panel.ui.weightsFolderLineEdit.placeholderText == logic.weightsFolder()
    answers = ["", str(tmp_path)]
    monkeypatch.setattr(QtWidgets.QFileDialog, "getExistingDirectory", lambda *_: answers.pop(0))
    panel.ui.weightsFolderButton.click()  # cancelled
    assert Settings.load().weightsFolder == ""
    panel.ui.weightsFolderButton.click()
    assert Settings.load().weightsFolder == panel.ui.weightsFolderLineEdit.text == str(tmp_path)


def test_the_folder_of_weights_is_made_and_opened(panel, logic, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr("PyQt5.QtGui.QDesktopServices.openUrl", lambda url: opened.append(url.toLocalFile()))
    logic.weightsFolder = lambda: str(tmp_path / "new")
    panel.ui.openWeightsFolderButton.click()
    assert opened == [str(tmp_path / "new")] and (tmp_path / "new").is_dir()
    (tmp_path / "file").write_text("")
    logic.weightsFolder = lambda: str(tmp_path / "file" / "weights")
    panel.ui.openWeightsFolderButton.click()
    assert "cannot be created" in panel.ui.weightsNewsLabel.text


def test_the_question_is_a_dialog_of_slicers(monkeypatch):
    asked = []
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda text, title: asked.append(title) or True)
    assert askConsent(EncoderTexts.consent(CATALOG[1])) and asked == ["Install weights"]


def test_links_in_a_message_box_open_in_the_browser():
    box = QtWidgets.QMessageBox()
    box.setText(EncoderTexts.consent(CATALOG[1]))
    assert any(label.openExternalLinks() for label in box.findChildren(QtWidgets.QLabel))


def test_an_index_of_before_is_named_and_a_second_one_with_the_better_encoder_offered(panel, logic):
    panel.ui.indexCollapsibleButton.collapsed = False
    assert "Encoder: Descriptor" in panel.ui.indexStatusLabel.toolTip
    assert not panel.ui.indexBetterButton.visible
    logic.changeStatus(replace(READY, better="radiology-resnet"))
    assert "A better encoder can run here now" in panel.ui.indexStatusLabel.text
    assert panel.ui.indexBetterButton.text == "Index with Radiology ResNet"
    panel.ui.indexBetterButton.click()
    panel.ui.cancelIndexingButton.click()
    panel.ui.updateIndexButton.click()
    assert logic.indexedWith == ["radiology-resnet", ""]
    logic.changeStatus(replace(READY, better="radiology-resnet", indexing=Progress("index", 1, 2)))
    assert not panel.ui.indexBetterButton.visible


def test_opening_the_section_asks_once_which_encoder_runs_here(panel, logic):
    (question,) = logic.questions
    panel.ui.encodersCollapsibleButton.collapsed = True
    panel.ui.encodersCollapsibleButton.collapsed = False
    assert logic.questions == [question]
    assert "Checking" in panel.ui.defaultEncoderLabel.text
    question.finish(DefaultEncoder("descriptor", "numpy", "onnxruntime is not installed"))
    text = panel.ui.defaultEncoderLabel.text
    assert text == "A new index is made with: Descriptor (needs no packages).\nOnnxruntime is not installed."
    panel.ui.installSmallButton.click()  # what was installed may change the answer
    logic.questions[1].fail("The process crashed")
    assert panel.ui.defaultEncoderLabel.text == "The process crashed"


def test_an_answer_of_before_packages_were_installed_is_not_shown(panel, logic):
    panel.ui.installSmallButton.click()
    before, after = logic.questions
    before.finish(DefaultEncoder("descriptor", "numpy", "onnxruntime is not installed"))
    assert "Checking" in panel.ui.defaultEncoderLabel.text and panel.encoders.isLooking
    after.finish(DefaultEncoder("radiology-resnet", "onnxruntime", ""))
    before.cancel()
    assert "Radiology ResNet" in panel.ui.defaultEncoderLabel.text and not panel.encoders.isLooking


def test_after_a_failure_to_start_opening_the_section_asks_again(logic):
    def fail(callbacks):
        logic.questions.append(FakeJob(callbacks))
        logic.questions[-1].fail("PythonSlicer was not found")
        return logic.questions[-1]

    logic.defaultEncoder = fail
    panel, _widget = makePanel(logic)
    for collapsed in (False, True, False):
        panel.ui.encodersCollapsibleButton.collapsed = collapsed
    assert len(logic.questions) == 2 and "PythonSlicer" in panel.ui.defaultEncoderLabel.text


def test_a_closed_section_starts_no_process(logic):
    makePanel(logic)[0].refresh()
    assert logic.questions == []


def test_two_indexes_of_one_encoder_are_told_apart_and_bring_their_settings(logic):
    logic.encoders = lambda: [EncoderChoice("torchscript", "TorchScript", needsWeights=True)]
    logic.several = [
        StoreChoice("torchscript", "weights 11112222, step 3 mm", "/a.pt", 3.0),
        StoreChoice("torchscript", "weights 33334444, step 1.5 mm", "/b.pt", 1.5),
    ]
    panel, _widget = makePanel(logic, settings=Settings.load())
    box = panel.ui.encoderComboBox
    assert [box.itemText(index) for index in range(box.count)] == [
        "Automatic",
        "TorchScript",
        "TorchScript: weights 11112222, step 3 mm",
        "TorchScript: weights 33334444, step 1.5 mm",
    ]
    box.setCurrentIndex(3)
    settings = Settings.load()
    assert (settings.encoder, settings.weights, settings.sliceStepMm) == ("torchscript", "/b.pt", 1.5)
    assert (panel.ui.weightsLineEdit.text, panel.ui.sliceStepSpinBox.value) == ("/b.pt", 1.5)
    assert box.currentIndex == 3
    panel.ui.sliceStepSpinBox.value = 2.0
    assert box.currentIndex == 1  # a third one, not made yet
