"""What the steps of the self test share: what was made so far, and how to wait, press and look."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import qt
import slicer

#: Small enough for a minute, fine enough that a liver is found: pixel spacing and slice distance of the phantoms in mm.
SPACING_MM = (6.0, 6.0)
FIELDS_OF_VIEW = ("chest-abdomen", "head")
#: Of the archive at the beginning; one more is imported later.
PATIENTS = 2
_PATIENCE_SECONDS = 180
_TICK_MILLISECONDS = 50
_STALL_SECONDS = 0.5

Step = tuple[str, Callable[[], None]]


class NotHere(Exception):
    """A step needs something that this Slicer does not have; its text says what."""


def expect(what: str, found: Any, expected: Any, explanation: str = "") -> None:
    """AssertionError if something else was found than expected."""
    if found != expected:
        raise AssertionError(f"{what}: expected {expected!r}, found {found!r}. {explanation}".rstrip())


class Story:
    """The module's widget, and what the steps have made."""

    def __init__(self, widget: Any):
        self.widget = widget
        self.series: list[str] = []
        self.query: Any = None
        self.segmentation: Any = None
        self.result: Any = None
        self.watch = StallWatch(self.says)

    @property
    def ui(self) -> Any:
        return self.widget.ui

    @property
    def logic(self) -> Any:
        return self.widget.logic

    @property
    def trunks(self) -> list[str]:
        """Of every patient, the series of the trunk."""
        return self.series[:: len(FIELDS_OF_VIEW)]

    def needViews(self) -> Any:
        """The layout manager."""
        manager = slicer.app.layoutManager()
        if manager is None:
            raise NotHere("no views: Slicer runs without a main window")
        return manager

    def needResult(self) -> Any:
        if self.result is None:
            raise NotHere("no search has succeeded")
        return self.result

    def makeQuery(self) -> None:
        """A patient who is not in the archive, in the scene, as the panel's query."""
        from .SampleArchive import loadQuery

        with self.watch.paused():
            self.query, self.segmentation = loadQuery(SPACING_MM)
        self.widget.initializeParameterNode()
        self.widget.panel.query.useVolume(self.query)
        slicer.app.processEvents()

    def searchBy(self, **keywords: Any) -> Any:
        """What the logic finds for the query; it becomes the result that the other steps show."""
        self.result = self.logic.search(self.query, **keywords)
        return self.result

    def pressSearch(self) -> Any:
        """Press the panel's button and wait for what it lists."""
        return self.press(self.ui.searchButton)

    def press(self, button: Any) -> Any:
        """Press a button that searches, and wait for what the panel lists then."""
        before = self.widget.panel.result
        expect("the button is enabled", button.enabled, True, button.toolTip)
        button.click()
        self.wait("the search to end", self.ui.searchProgressBar.isHidden)
        result = self.widget.panel.result
        expect("there is a new result", result is not None and result is not before, True, self.says())
        self.result = result
        return result

    def wait(self, what: str, condition: Callable[[], Any]) -> None:
        until = time.monotonic() + _PATIENCE_SECONDS
        while not condition():
            if time.monotonic() > until:
                raise AssertionError(f"waited {_PATIENCE_SECONDS} s for {what}; {self.says()}")
            slicer.app.processEvents()
            time.sleep(0.01)

    def says(self) -> str:
        """What the panel says."""
        labels = (self.ui.searchStatusLabel, self.ui.indexStatusLabel)
        texts = [label.text for label in labels if label.text and label.visible]
        return f"the panel says: {' / '.join(texts) or 'nothing'}".replace("\n", " ")

    def state(self) -> str:
        status = self.logic.status()
        folder = Path(status.directory or ".")
        return (
            f"{self.says()}\nStatus: {status}\nChild processes: {self.logic.pids}\n"
            f"In {folder}: {sorted(one.name for one in folder.glob('*'))}\n"
            "What the children wrote to standard error is in the application log."
        )


class Snapshot:
    """What the user sees and has: the layout, maximized views, what views show, nodes and their names."""

    def __init__(self) -> None:
        scene, manager = slicer.mrmlScene, slicer.app.layoutManager()
        self.nodes = {}
        for index in range(scene.GetNumberOfNodes()):
            node = scene.GetNthNode(index)
            self.nodes[node.GetID()] = node.GetName()
        self.layout, self.maximized, self.shows = 0, [], {}
        if manager is not None:
            layoutNode = manager.layoutLogic().GetLayoutNode()
            self.layout = manager.layout
            count = layoutNode.GetNumberOfMaximizedViewNodes()
            self.maximized = [layoutNode.GetMaximizedViewNode(index).GetID() for index in range(count)]
            for name in manager.sliceViewNames():
                widget = manager.sliceWidget(name)
                if widget.mrmlSliceNode().IsMappedInLayout():
                    self.shows[name] = widget.mrmlSliceCompositeNode().GetBackgroundVolumeID()

    def expectSame(self) -> None:
        """AssertionError if the user's nodes, names, layout or views are not as they were, or something new is seen."""
        now = Snapshot()
        expect("the layout", now.layout, self.layout)
        expect("maximized views", now.maximized, self.maximized)
        expect("what the views show", now.shows, self.shows)
        expect("the user's nodes and their names", {one: now.nodes.get(one) for one in self.nodes}, self.nodes)
        new = [slicer.mrmlScene.GetNodeByID(one) for one in now.nodes.keys() - self.nodes.keys()]
        # Views stay, once made: they must neither be offered nor saved.
        seen = [one.GetName() for one in new if not one.GetHideFromEditors() and one.GetSaveWithScene()]
        expect("nodes that are left", sorted(seen), [])


class StallWatch:
    """Notes for how long the event loop stood still, in which step, and what the panel said then."""

    def __init__(self, says: Callable[[], str]):
        self._says = says
        self._last = 0.0
        self._isPaused = False
        self._step = ""
        self.stalls: list[str] = []
        self._timer = qt.QTimer()
        self._timer.setInterval(_TICK_MILLISECONDS)
        self._timer.connect("timeout()", self._tick)

    @contextmanager
    def during(self, step: str) -> Iterator[None]:
        """Watch this step."""
        self._step, self._last = step, time.monotonic()
        self._timer.start()
        try:
            yield
        finally:
            self._tick()
            self._timer.stop()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Not now: the test itself computes, or Slicer writes and reads."""
        self._tick()
        self._isPaused = True
        try:
            yield
        finally:
            self._isPaused, self._last = False, time.monotonic()

    def _tick(self) -> None:
        now = time.monotonic()
        if not self._isPaused and now - self._last > _STALL_SECONDS:
            self.stalls.append(f"{now - self._last:.1f} s in {self._step!r} ({self._says()})")
        self._last = now


class OwnWarnings(logging.Handler):
    """Warnings and errors that the module's own code logs."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        isOurs = "VolumeRetrieval" in record.pathname or "VolumeRetrieval" in record.name
        if isOurs and "SelfTest" not in record.pathname:
            self.texts.append(f"{record.levelname}: {record.getMessage()}")

    @contextmanager
    def expected(self) -> Iterator[None]:
        """What is provoked here says so in the log, and should."""
        before = len(self.texts)
        try:
            yield
        finally:
            del self.texts[before:]
