"""The line below "Scroll together": results over the query, and how much of them is seen."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _

from .EnabledReason import EnabledReason
from .LogicProtocol import LogicProtocol


class OverlaySection:
    """Tells the logic whether results are shown over the query, and how opaque; shows what the logic says."""

    def __init__(self, ui: Any, logic: LogicProtocol):
        self.ui = ui
        self.logic = logic
        self._reason = EnabledReason(ui.overlayCheckBox)
        self._sliderReason = EnabledReason(ui.overlaySlider)
        ui.overlayCheckBox.connect("toggled(bool)", self._onToggled)
        ui.overlaySlider.connect("valueChanged(int)", lambda value: logic.setOverlayOpacity(value / 100))
        self.refresh()

    def refresh(self) -> None:
        """Results may have been shown, removed, or laid over the query by a script."""
        isShown, isOverlaid = bool(self.logic.shownMatches), self.logic.isOverlaid
        self._reason.update("" if isShown else _("Compare results first: then they can be laid over the query."))
        self._sliderReason.update("" if isOverlaid else _("Lay results over the query first."))
        box = self.ui.overlayCheckBox
        before = box.blockSignals(True)
        box.checked = isOverlaid
        box.blockSignals(before)

    def _onToggled(self, on: bool) -> None:
        self.logic.setOverlay(on)
        self.refresh()  # none of the results may have a place in the query
        if on and not self.logic.isOverlaid:
            self._reason.update(_("Nothing of the query is in these results."))
