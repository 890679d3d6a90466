"""Controls that say why they are disabled."""

from __future__ import annotations

from typing import Any


class EnabledReason:
    """Enables a widget, or disables it with the reason as its tooltip; keeps the tooltip that it had."""

    def __init__(self, widget: Any):
        self.widget = widget
        self._toolTip = widget.toolTip

    def update(self, reason: str) -> None:
        """Enabled if `reason` is empty."""
        self.widget.enabled = not reason
        self.widget.toolTip = reason or self._toolTip
