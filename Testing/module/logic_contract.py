"""That the logic, and the one that tests give the panel, are what the panel relies on: read by mypy, never run."""

from __future__ import annotations

from fake_logic import FakeLogic
from VolumeRetrievalLib.Panel.LogicProtocol import LogicProtocol
from VolumeRetrievalLib.RetrievalLogic import RetrievalLogic


def asThePanelSeesIt(logic: RetrievalLogic) -> LogicProtocol:
    return logic


def asItsTestsDo(logic: FakeLogic) -> LogicProtocol:
    return logic
