"""The line below the list: how many results are marked, ranking again with the marks, and taking all of them back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from slicer.i18n import tr as _
from VolumeRetrievalEngine.searching.match import SearchResult

from ..Values import Marks
from .EnabledReason import EnabledReason
from .LogicProtocol import LogicProtocol


class MarksSection:
    """Keeps the marks of the query that is listed; `onRefine` ranks again, `onChanged` shows them in the rows."""

    def __init__(self, ui: Any, logic: LogicProtocol, onRefine: Callable[[Marks], None], onChanged: Callable[[], None]):
        self.ui = ui
        self.logic = logic
        self.onRefine = onRefine
        self.onChanged = onChanged
        self.marks = Marks()
        self._query: Any = None
        self._ranked = Marks()
        self._isBusy = self._isListed = False
        self._refine = EnabledReason(ui.refineButton)
        ui.refineButton.connect("clicked(bool)", lambda *_ignored: self.onRefine(self.marks))
        ui.clearMarksButton.connect("clicked(bool)", self.clear)
        self.update()

    def show(self, query: Any, result: SearchResult) -> None:
        """The results of this query are listed."""
        self._query, self._isListed = query, True
        self.marks = self.logic.marks(query)
        self._ranked = Marks(result.like, result.unlike)
        self.update()

    def forget(self) -> None:
        """No results are listed."""
        self._query, self._isListed, self.marks, self._ranked = None, False, Marks(), Marks()
        self.update()

    def setBusy(self, isBusy: bool) -> None:
        """Whether a search is running."""
        self._isBusy = isBusy
        self.update()

    def mark(self, volumeID: str, mark: str) -> None:
        """Mark a volume as "like" or "unlike"; "" takes its mark back."""
        self._set(self.marks.withMark(volumeID, mark))

    def clear(self, *_ignored: Any) -> None:
        """Take all marks back."""
        self._set(Marks())

    def update(self) -> None:
        """Say how many are marked, and what can be done."""
        isShown = self._isListed and (self.marks != Marks() or self._ranked != Marks())
        for widget in (self.ui.marksLabel, self.ui.refineButton, self.ui.clearMarksButton):
            widget.visible = isShown
        self.ui.clearMarksButton.enabled = self.marks != Marks()
        self.ui.marksLabel.text = _("Fitting {n}, not {m}").format(n=len(self.marks.like), m=len(self.marks.unlike))
        if self._isBusy:
            self._refine.update(_("A search is running."))
        elif self.marks.isSame(self._ranked):
            self._refine.update(_("The results are ranked with these marks already."))
        else:
            self._refine.update("")

    def _set(self, marks: Marks) -> None:
        if not self._isListed:
            return
        self.marks = replace(marks)
        self.logic.setMarks(self._query, self.marks)
        self.update()
        self.onChanged()
