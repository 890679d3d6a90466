"""The section Advanced: packages, encoders and settings of the machine."""

from __future__ import annotations

import pytest
import qt
from fake_logic import FakeInstaller
from panel_factory import makePanel
from PyQt5 import QtWidgets
from VolumeRetrievalLib.Packages.PackageInstaller import InstallationDeclined, InstallationFailed, PackageState
from VolumeRetrievalLib.Settings import Settings
from VolumeRetrievalLib.Values import EncoderChoice

NOTHING_INSTALLED = PackageState(
    {},
    ("torch", "onnxruntime", "faiss-cpu"),
    True,
    ("Search is exact but slower.", "Only the descriptor encoder works."),
    ("onnxruntime", "faiss-cpu"),
)


@pytest.fixture
def lacking(logic):
    """A panel where no package is installed, with Advanced open."""
    installer = FakeInstaller(NOTHING_INSTALLED)
    panel, widget = makePanel(logic, installer)
    panel.ui.advancedCollapsibleButton.collapsed = False
    widget.show()
    yield panel, installer
    panel.cleanUp()
    widget.close()


def test_advanced_is_closed_and_asks_for_nothing(panel):
    assert panel.ui.advancedCollapsibleButton.collapsed
    assert not panel.ui.packagesFrame.visible


def test_what_is_missing_is_said_and_can_be_installed(lacking):
    panel, installer = lacking
    assert "descriptor" in panel.ui.packagesLabel.text
    panel.ui.installButton.click()
    panel.ui.installSmallButton.click()
    assert installer.installed == [None, "small"]
    installer.current = PackageState({}, (), True, ())
    panel.packages.refresh()
    assert not panel.ui.packagesFrame.visible


def test_a_folder_of_wheels_is_asked_for(lacking, tmp_path, monkeypatch):
    panel, installer = lacking
    monkeypatch.setattr(QtWidgets.QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path))
    panel.ui.installFromFolderButton.click()
    assert installer.installed == [tmp_path]


@pytest.mark.parametrize("error", [InstallationDeclined("Nothing was installed."), InstallationFailed("No network")])
def test_a_declined_or_failed_installation_is_said_where_the_click_was_until_the_next(lacking, error):
    panel, installer = lacking
    installer.error = error
    panel.ui.installButton.click()
    assert panel.ui.packagesLabel.text.endswith(str(error)) and panel.status.text == ""
    installer.error = None
    panel.ui.installSmallButton.click()
    assert str(error) not in panel.ui.packagesLabel.text


def test_settings_are_kept_for_the_next_start(logic):
    panel, _widget = makePanel(logic, settings=Settings.load())
    panel.ui.deviceComboBox.setCurrentIndex(1)
    panel.ui.sliceStepSpinBox.value = 1.5
    panel.ui.exhaustiveCheckBox.checked = True
    settings = Settings.load()
    assert (settings.device, settings.sliceStepMm, settings.exhaustive) == ("cpu", 1.5, True)
    assert "in full" in panel.ui.filterCountSpinBox.toolTip and not panel.ui.filterCountSpinBox.enabled


def test_a_batch_size_of_0_is_called_automatic(panel):
    assert panel.ui.batchSizeSpinBox.text == "Automatic"


def test_every_kind_of_index_is_stored_as_what_it_is_called(logic):
    panel, _widget = makePanel(logic, settings=Settings.load())
    box = panel.ui.indexKindComboBox
    for index in range(1, box.count):
        box.setCurrentIndex(index)
        assert Settings.load().indexKind == box.itemText(index).lower()


def test_a_broken_setting_is_the_default():
    qt.QSettings().setValue("VolumeRetrieval/batchSize", "many")
    assert Settings.load().batchSize == 0


def test_encoders_that_cannot_run_are_explained(panel):
    box = panel.ui.encoderComboBox
    assert [box.itemText(index) for index in range(box.count)] == [
        "Automatic",
        "Descriptor (needs no packages)",
        "ResNet50, ImageNet",
    ]
    assert panel.ui.encoderNoteLabel.text == "TorchScript network (a file of your own): needs torch"


def test_a_network_comes_with_its_file(logic, tmp_path, monkeypatch):
    logic.encoders = lambda: [EncoderChoice("torchscript", "TorchScript file", needsWeights=True)]
    panel, _widget = makePanel(logic, settings=Settings.load())
    assert not panel.ui.weightsButton.enabled and "needs no weights file" in panel.ui.weightsButton.toolTip
    panel.ui.encoderComboBox.setCurrentIndex(1)
    assert panel.ui.weightsLineEdit.enabled
    answers = [("", ""), (str(tmp_path / "network.pt"), "")]
    monkeypatch.setattr(QtWidgets.QFileDialog, "getOpenFileName", lambda *_: answers.pop(0))
    panel.ui.weightsButton.click()  # cancelled
    assert Settings.load().weights == ""
    panel.ui.weightsButton.click()
    assert (Settings.load().encoder, Settings.load().weights) == ("torchscript", str(tmp_path / "network.pt"))
    again, _widget = makePanel(logic, settings=Settings.load())
    assert again.ui.weightsLineEdit.text == str(tmp_path / "network.pt") and again.ui.weightsLineEdit.enabled
