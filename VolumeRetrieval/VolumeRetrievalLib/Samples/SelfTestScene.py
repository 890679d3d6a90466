"""Steps of the self test: the scene is closed, saved and opened while results are shown; the module is reloaded."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import slicer

from ..Processes import ProcessIDs
from ..Views import CompareLayout
from .SelfTestStory import OwnWarnings, Step, Story, expect


class SceneSteps:
    def __init__(self, story: Story, warnings: OwnWarnings):
        self.story = story
        self.warnings = warnings

    def steps(self) -> list[Step]:
        return [
            ("a scene that is saved while results are shown has none of our layout in its file", self.save),
            (
                "a scene that was saved so can be opened, and the comparison be closed",
                self.reopen,
            ),
            ("closing the scene while results are shown brings the user's layout back", self.closeScene),
            ("the query is kept with the scene, also while the panel is open", self.keepQuery),
        ]

    def last(self) -> list[Step]:
        return [
            ("reloading the module ends its processes and gives a new panel that works", self.reload),
            ("the module's own code has logged no warning", self.log),
        ]

    def save(self) -> None:
        with self._shown() as layout, _file("scene.mrb") as path:
            with self.story.watch.paused():
                slicer.util.saveScene(str(path))
            expect("the layout is still ours", CompareLayout.isShown(), True)
            with zipfile.ZipFile(path) as bundle:
                (name,) = [one for one in bundle.namelist() if one.endswith(".mrml")]
                text = bundle.read(name).decode()
            ours = f'currentViewArrangement="{CompareLayout.LAYOUT_ID}"'
            expect("the file asks for our layout", ours in text, False)
            expect("it was another one", layout != CompareLayout.LAYOUT_ID, True)

    def reopen(self) -> None:
        story = self.story
        manager = story.needViews()
        with _file("scene.mrb") as path:
            with self._shown() as layout, story.watch.paused():
                slicer.util.saveScene(str(path))
            with story.watch.paused():
                slicer.util.loadScene(str(path))
        slicer.app.processEvents()
        expect("the layout", manager.layout, layout)
        views = [
            name for name in manager.sliceViewNames() if manager.sliceWidget(name).mrmlSliceNode().IsMappedInLayout()
        ]
        expect("views are shown", bool(views), True)
        if story.logic.isShown:
            expect("the comparison can be closed", story.ui.removeShownButton.enabled, True)
            story.ui.removeShownButton.click()
            slicer.app.processEvents()
        expect("something is shown", story.logic.isShown, False)
        slicer.mrmlScene.Clear(0)
        story.makeQuery()

    def closeScene(self) -> None:
        story = self.story
        with self._shown() as layout:
            slicer.mrmlScene.Clear(0)
            slicer.app.processEvents()
            expect("the layout", story.needViews().layout, layout)
            expect("something is shown", story.logic.isShown, False)
            expect("the button to close it is enabled", story.ui.removeShownButton.enabled, False)
            expect("results are listed", story.ui.resultsTable.rowCount, 0)
        story.makeQuery()

    def keepQuery(self) -> None:
        story = self.story
        name = story.query.GetName()
        with _file("scene.mrb") as path, story.watch.paused():
            slicer.util.saveScene(str(path))
            slicer.util.loadScene(str(path))
        slicer.app.processEvents()
        node = story.ui.queryVolumeSelector.currentNode()
        expect("the query", node.GetName() if node is not None else None, name)
        slicer.mrmlScene.Clear(0)
        story.makeQuery()

    def reload(self) -> None:
        story = self.story
        story.searchBy()
        pids = story.logic.pids
        expect("a search process runs", bool(pids), True)
        with self.warnings.expected():
            story.widget.onReload()
        story.widget = slicer.modules.VolumeRetrievalWidget
        expect("processes that are left", [pid for pid in pids if ProcessIDs.isRunning(pid)], [])
        story.wait("the index", lambda: story.logic.status(wait=True).volumes == len(story.series))
        expect("results", len(story.searchBy().matches), len(story.series))

    def log(self) -> None:
        expect("warnings", self.warnings.texts, [])

    @contextmanager
    def _shown(self) -> Iterator[int]:
        """Two results are shown; gives the layout that was there before."""
        story = self.story
        layout = story.needViews().layout
        expect("what could not be shown", story.logic.showMatches(story.searchBy().matches[:2]), [])
        slicer.app.processEvents()
        try:
            yield layout
        finally:
            story.logic.removeShown()
            slicer.app.processEvents()


@contextmanager
def _file(name: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=slicer.app.temporaryPath, ignore_cleanup_errors=True) as folder:
        yield Path(folder) / name
