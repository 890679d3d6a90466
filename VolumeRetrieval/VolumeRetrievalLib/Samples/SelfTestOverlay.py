"""Steps of the self test: the shown results over the query, and their registration with it."""

from __future__ import annotations

from typing import Any

import slicer
import vtk

from ..Views import CompareLayout, OverlayVolumes
from ..Views.CompareLayout import Column
from .SelfTestStory import NotHere, Step, Story, expect


class OverlaySteps:
    """While results are shown."""

    def __init__(self, story: Story):
        self.story = story
        self._before: Any = None

    def steps(self) -> list[Step]:
        return [
            ("results are laid over the query, in its space", self.overlay),
            ("the slider blends them", self.blend),
            ("shown results are registered with the query", self.register),
            ("a match that was registered is not registered again", self.known),
            ("each is back in its own space as before", self.back),
        ]

    def overlay(self) -> None:
        ui = self.story.ui
        count = self._count()
        self._before = self._volumes()
        expect("it can be checked", ui.overlayCheckBox.enabled, True, ui.overlayCheckBox.toolTip)
        ui.overlayCheckBox.checked = True
        slicer.app.processEvents()
        expect("overlays", len(OverlayVolumes.volumes()), count)
        for number in range(1, count + 1):
            for name in CompareLayout.viewNames(Column(number), count + 1):
                layers = self._layers(name)
                expect(f"below in {name}", layers.GetBackgroundVolumeID(), self.story.query.GetID())
                expect(f"above in {name} is ours", layers.GetForegroundVolumeID() in _ids(), True)
        expect("what was loaded", self._volumes(), self._before)

    def blend(self) -> None:
        self._needOverlay()
        self.story.ui.overlaySlider.value = 30
        layers = self._layers(Column(1).main)
        expect("opacity in percent", round(100 * layers.GetForegroundOpacity()), 30)
        self.story.ui.overlaySlider.value = 50

    def register(self) -> None:
        story = self.story
        self._needOverlay()
        expect("the button is enabled", story.ui.registerButton.enabled, True, story.ui.registerButton.toolTip)
        story.ui.registerButton.click()
        story.wait("the registrations to end", lambda: not story.widget.panel.registration.isRunning)
        for match in story.logic.shownMatches:
            expect(f"result {match.rank} has one", match.refinement is not None, True, story.ui.registrationLabel.text)
        expect("the panel says what came of it", bool(story.ui.registrationLabel.text), True)

    def known(self) -> None:
        story = self.story
        self._needOverlay()
        expect("the button is enabled", story.ui.registerButton.enabled, False)
        match = story.logic.shownMatches[0]
        expect("what a script gets", story.logic.registerMatch(match), match.refinement)

    def back(self) -> None:
        self._needOverlay()
        self.story.ui.overlayCheckBox.checked = False
        slicer.app.processEvents()
        expect("overlays", len(OverlayVolumes.volumes()), 0)
        for number in range(1, self._count() + 1):
            layers = self._layers(Column(number).main)
            expect(f"above in column {number + 1}", layers.GetForegroundVolumeID() or "", "")
        expect("what was loaded", self._volumes(), self._before)

    def _count(self) -> int:
        if not self.story.logic.shownMatches:
            raise NotHere("nothing is shown")
        return len(self.story.logic.shownMatches)

    def _needOverlay(self) -> None:
        if not self.story.logic.isOverlaid:
            raise NotHere("nothing is laid over the query")

    def _layers(self, name: str) -> Any:
        return self.story.needViews().sliceWidget(name).mrmlSliceCompositeNode()

    def _volumes(self) -> list[tuple[str, str, Any]]:
        """Of every volume but the overlays: its name, transform and place."""
        found = []
        for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
            if node.GetID() not in _ids():
                place = slicer.util.arrayFromVTKMatrix(_ijkToRas(node)).round(4).tolist()
                found.append((node.GetName(), node.GetTransformNodeID() or "", place))
        return found


def _ids() -> set[str]:
    return {node.GetID() for node in OverlayVolumes.volumes()}


def _ijkToRas(node: Any) -> Any:
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return matrix
