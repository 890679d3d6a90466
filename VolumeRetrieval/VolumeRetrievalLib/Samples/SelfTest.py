"""The whole story, in a running Slicer: phantoms are imported, indexed, searched, compared and tidied up.

It presses the panel's buttons where that is what matters, needs no network and no packages beyond Slicer's own, and
touches neither the user's database nor settings. Every step says in one line how it went; at the end it says what only
a person can try. The steps are in the files SelfTest*.py next to this one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..Database import IndexFolders
from ..Settings import Settings
from .SelfTestComparing import ComparingSteps
from .SelfTestDatabase import DatabaseSteps
from .SelfTestMarks import MarksSteps
from .SelfTestScene import SceneSteps
from .SelfTestSearching import SearchingSteps
from .SelfTestStory import NotHere, OwnWarnings, Step, Story

#: What the steps cannot do from inside, or not without a network or a second screen.
NOT_TRIED = (
    "clicks and keys in the views; the dark theme, high-DPI and narrow screens",
    "installing packages and weights; networks through onnxruntime or PyTorch; a GPU",
    "quitting Slicer while it indexes or searches, and a second Slicer at the same time",
    "opening a scene in a Slicer without the extension; real patients' data; scans with gantry tilt; a read-only disk",
    "index folders on a share, and one that hangs",
)


class SelfTest:
    """Runs the steps in order; they share what they made. One that fails is told, and the next ones go on."""

    def __init__(self, widget: Any, say: Callable[[str], Any] = logging.info):
        """`widget` is the module's VolumeRetrievalWidget; a temporary DICOM database must be open."""
        self.story = Story(widget)
        self.warnings = OwnWarnings()
        self._say = say

    def steps(self) -> list[Step]:
        database = DatabaseSteps(self.story, self.warnings)
        scene = SceneSteps(self.story, self.warnings)
        return [
            *database.first(),
            *SearchingSteps(self.story, self.warnings).steps(),
            *MarksSteps(self.story).steps(),
            *ComparingSteps(self.story).steps(),
            *scene.steps(),
            *database.last(),
            *scene.last(),
        ]

    def run(self) -> list[str]:
        """Run all steps; returns what was skipped, and why. AssertionError if any step has failed."""
        steps = self.steps()
        skipped, failed = [], []
        with _defaultSettings(), _noQuestions(self.story), _listening(self.warnings):
            for number, (title, step) in enumerate(steps, 1):
                line = f"{number} of {len(steps)}: {title}"
                try:
                    with self.story.watch.during(title):
                        step()
                except NotHere as reason:
                    skipped.append(f"{title}: {reason}")
                    self._say(f"{line}: skipped, {reason}")
                except Exception as error:
                    logging.exception(line)
                    failed.append(f"{line}: {type(error).__name__}: {error}")
                    self._say(f"{line}: FAILED, {error}")
                else:
                    self._say(f"{line}: ok")
        self._summarize(skipped)
        if failed:
            raise AssertionError("\n".join([f"{len(failed)} steps failed:", *failed, self.story.state()]))
        return skipped

    def _summarize(self, skipped: list[str]) -> None:
        for text in skipped:
            self._say(f"Skipped: {text}")
        for text in self.story.watch.stalls:
            self._say(f"The event loop stood still for {text}")
        for text in NOT_TRIED:
            self._say(f"Not tried: {text}")


@contextmanager
def _defaultSettings() -> Iterator[None]:
    """The descriptor encoder, which needs no packages, no other index folders, and everything else as it comes; the
    user's come back."""
    before, folders = Settings.load(), IndexFolders.load()
    Settings(encoder="descriptor").save()
    IndexFolders.save(())
    try:
        yield
    finally:
        before.save()
        IndexFolders.save(folders)


class _NoQuestions:
    """Asks for no packages: the steps need none."""

    def offerOnce(self) -> str:
        return ""


@contextmanager
def _noQuestions(story: Story) -> Iterator[None]:
    section = story.widget.panel.search
    before, section.installer = section.installer, _NoQuestions()
    try:
        yield
    finally:
        section.installer = before


@contextmanager
def _listening(warnings: OwnWarnings) -> Iterator[None]:
    logging.getLogger().addHandler(warnings)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(warnings)
