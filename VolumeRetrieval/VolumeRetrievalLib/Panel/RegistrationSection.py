"""The button Register: the shown results are registered with the query, one after another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from slicer.i18n import tr as _
from VolumeRetrievalEngine.searching.match import Match
from VolumeRetrievalEngine.searching.refinement import Refinement

from ..Values import Callbacks, Job
from .EnabledReason import EnabledReason
from .LogicProtocol import LogicProtocol
from .WrappedLabel import WrappedLabel


class RegistrationSection:
    """Asks the logic for one registration at a time. While one runs, the button cancels it."""

    def __init__(self, ui: Any, logic: LogicProtocol):
        self.ui = ui
        self.logic = logic
        self._job: Job | None = None
        self._current: Match | None = None
        self._waiting: list[Match] = []
        self._failures: dict[str, str] = {}  # by volume
        self._text = ui.registerButton.text
        self._button = EnabledReason(ui.registerButton)
        self._label = WrappedLabel(ui.registrationLabel)
        self._toolTip = ui.registrationLabel.toolTip
        ui.registerButton.connect("clicked(bool)", self._onClicked)
        self.refresh()

    @property
    def isRunning(self) -> bool:
        return self._current is not None

    def register(self) -> None:
        """Register every shown result that is not registered yet."""
        if self.isRunning:
            return
        self._failures = {}
        self._waiting = self._open()
        self._next()

    def cancel(self) -> None:
        """Stop; what is registered stays so."""
        self._waiting, self._current = [], None
        job, self._job = self._job, None
        if job is not None:
            job.cancel()
        self.refresh()

    def refresh(self) -> None:
        """Results may have been shown or removed."""
        shown = {match.volume_id for match in self.logic.shownMatches}
        if self._current is not None and self._current.volume_id not in shown:
            self.cancel()  # nobody looks at it any more; it comes back here
            return
        self.ui.registerButton.text = _("Cancel") if self.isRunning else self._text
        self._button.update(self._problem())
        self._say()

    def _problem(self) -> str:
        if self.isRunning:
            return ""
        if not self.logic.shownMatches:
            return _("Compare results first: then they can be registered with the query.")
        return "" if self._open() else _("All results that are shown have been registered.")

    def _open(self) -> list[Match]:
        return [match for match in self.logic.shownMatches if match.refinement is None]

    def _next(self) -> None:
        shown = {match.volume_id for match in self.logic.shownMatches}
        self._waiting = [match for match in self._waiting if match.volume_id in shown]
        self._current = self._waiting.pop(0) if self._waiting else None
        if self._current is not None:
            match = self._current
            callbacks = Callbacks(
                lambda found: self._onDone(match),
                lambda error: self._onDone(match, str(error)),
                lambda: self._onCancelled(match),
            )
            job = cast(Job, self.logic.registerMatch(match, callbacks))
            if match is self._current and job.isRunning:  # else it has called back already
                self._job = job
        self.refresh()

    def _onClicked(self, *_ignored: Any) -> None:
        if self.isRunning:
            self.cancel()
        else:
            self.register()

    def _onDone(self, match: Match, failure: str = "") -> None:
        if match is not self._current:
            return
        if failure:
            self._failures[match.volume_id] = failure
        self._job = self._current = None
        self._next()

    def _onCancelled(self, match: Match) -> None:
        if match is self._current:  # by the logic: its process has ended
            self._waiting, self._job, self._current = [], None, None
            self.refresh()

    def _say(self) -> None:
        shown = self.logic.shownMatches
        if self._current is not None:
            done = sum(match.refinement is not None or match.volume_id in self._failures for match in shown)
            self._label.text = _("Registering {n} of {total}...").format(n=done + 1, total=len(shown))
            return
        lines = summary(shown)
        for match in shown:
            if match.refinement is None and match.volume_id in self._failures:
                text = _("Result {rank} could not be registered: {reason}")
                lines.append(text.format(rank=match.rank, reason=self._failures[match.volume_id]))
        self._label.text = "\n".join(lines)
        self.ui.registrationLabel.toolTip = details(shown) or self._toolTip


def summary(matches: Sequence[Match]) -> list[str]:
    """Which of these were registered, and which stay where they were; nothing if none was."""
    lines = []
    for isReliable, text in (
        (True, _("Registered with the query: {ranks}")),
        (False, _("Registration not reliable, the mapped place is kept: {ranks}")),
    ):
        ranks = [
            str(match.rank)
            for match in matches
            if match.refinement is not None and match.refinement.success == isReliable
        ]
        if ranks:
            lines.append(text.format(ranks=", ".join(ranks)))
    return lines


def details(matches: Sequence[Match]) -> str:
    """By how much each was moved, or why it was not; for a tooltip."""
    return "\n".join(f"{match.rank}: {_outcome(match.refinement)}" for match in matches if match.refinement is not None)


def _outcome(found: Refinement) -> str:
    if found.success:
        return _("moved by {n} mm").format(n=f"{found.shift_mm:.0f}")
    return found.reason
