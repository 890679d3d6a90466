"""What the panel says of an encoder that is not ready."""

from __future__ import annotations

from dataclasses import replace

from fake_logic import CATALOG
from VolumeRetrievalLib.Encoders import EncoderTexts

INSTALLED = CATALOG[0]


def test_packages_that_the_panel_installs_are_installed_there():
    text = EncoderTexts.stateDetails(replace(INSTALLED, missing=("torch", "monai", "einops")))
    assert "torch, monai, einops" in text and "section Advanced" in text and "pip" not in text


def test_only_for_other_packages_the_console_is_needed():
    text = EncoderTexts.stateDetails(replace(INSTALLED, missing=("timm", "torch")))
    assert "torch, timm" in text and 'pip_install("timm")' in text


def test_weights_that_nothing_could_check_yet_say_so():
    assert "PyTorch" not in EncoderTexts.stateDetails(INSTALLED)
    unchecked = replace(INSTALLED, weights=replace(INSTALLED.weights, isChecked=False))
    assert "once PyTorch is installed" in EncoderTexts.stateDetails(unchecked)
