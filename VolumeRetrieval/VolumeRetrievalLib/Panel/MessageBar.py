"""Messages in the panel itself, instead of pop-ups."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _

from ..Packages.PackageInstaller import PackageState


class MessageBar:
    """Shows one text above the sections: an error, or what does not work because a package is missing.

    An error hides the sentences on packages until it is dismissed; dismissed sentences come back when they change.
    """

    def __init__(
        self,
        ui: Any,
        onInstall: Callable[[], None],
        onInstallSmall: Callable[[], None],
        onInstallFromFolder: Callable[[], None],
    ):
        self.ui = ui
        self._error = ""
        self._sentences: tuple[str, ...] = ()
        self._canInstall = self._canInstallSmall = False
        self._dismissed: tuple[str, ...] = ()
        ui.installButton.connect("clicked(bool)", onInstall)
        ui.installSmallButton.connect("clicked(bool)", onInstallSmall)
        ui.installFromFolderButton.connect("clicked(bool)", onInstallFromFolder)
        ui.dismissMessageButton.connect("clicked(bool)", self.dismiss)
        self._update()

    def showError(self, text: str) -> None:
        self._error = text
        self._update()

    def clearError(self) -> None:
        self.showError("")

    def showPackages(self, state: PackageState) -> None:
        self._sentences = state.sentences
        # Where the small packages are all that can be installed, one button is enough.
        self._canInstallSmall = bool(state.missingSmall)
        self._canInstall = bool(set(state.missing) - set(state.missingSmall))
        self._update()

    def dismiss(self) -> None:
        if self._error:
            self._error = ""
        else:
            self._dismissed = self._sentences
        self._update()

    def _update(self) -> None:
        sentences = () if self._sentences == self._dismissed else self._sentences
        text = self._error or "\n".join(sentences)
        self.ui.messageFrame.visible = bool(text)
        kind = qt.QStyle.SP_MessageBoxWarning if self._error else qt.QStyle.SP_MessageBoxInformation
        self.ui.messageIconLabel.setPixmap(self.ui.messageFrame.style().standardIcon(kind).pixmap(24, 24))
        self.ui.messageLabel.text = (_("Error: {text}").format(text=text)) if self._error else text
        self.ui.messageLabel.toolTip = text
        self.ui.installSmallButton.visible = self._canInstallSmall and not self._error
        self.ui.installButton.visible = self._canInstall and not self._error
        self.ui.installFromFolderButton.visible = (self._canInstall or self._canInstallSmall) and not self._error
