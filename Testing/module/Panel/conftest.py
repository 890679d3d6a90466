"""A panel around a logic of the test's own."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from fake_logic import FakeInstaller, FakeLogic
from panel_factory import makePanel


@pytest.fixture
def logic():
    return FakeLogic()


@pytest.fixture
def installer():
    return FakeInstaller()


@pytest.fixture
def panel(logic, installer):
    panel, widget = makePanel(logic, installer)
    widget.resize(450, 1000)
    widget.show()
    slicer.app.processEvents()
    yield panel
    panel.cleanUp()
    widget.close()


@pytest.fixture
def aVolume():
    """Makes volumes of 30 slices."""

    def make(name="CT", slices=30):
        volume = slicer.util.addVolumeFromArray(np.zeros((slices, 20, 20), np.float32))
        volume.SetName(name)
        return volume

    return make
