"""The line below the buttons: scrolling together, and which pair of slices the views show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _

from .. import Texts
from ..Values import ShownPair
from .EnabledReason import EnabledReason
from .LogicProtocol import LogicProtocol


class FollowSection:
    """Tells the logic whether to follow, and shows the pair that it tells of."""

    def __init__(self, ui: Any, logic: LogicProtocol, onPair: Callable[[ShownPair], None]):
        """`onPair` is called, too, when another pair is shown."""
        self.onPair = onPair
        self.ui = ui
        self.logic = logic
        self._reason = EnabledReason(ui.followMatchCheckBox)
        ui.followMatchCheckBox.connect("toggled(bool)", logic.setFollowMatch)
        logic.onPairChanged(self.showPair)
        self.refresh()

    def refresh(self) -> None:
        """Results may have been shown or removed."""
        isShown = self.logic.isShown
        self._reason.update("" if isShown else _("Compare results first: then their slices can follow each other."))
        if not isShown:
            self.ui.matchPairLabel.text = ""

    def showPair(self, pair: ShownPair) -> None:
        self.ui.matchPairLabel.text = Texts.pair(pair)
        self.onPair(pair)

    def cleanUp(self) -> None:
        self.logic.onPairChanged(None)
