"""The optional Python packages, in the section Advanced: what is missing, and installing it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from ..Packages.PackageInstaller import InstallationDeclined, InstallationFailed, PackageInstaller
from .WrappedLabel import WrappedLabel


class PackagesSection:
    """Says what does not work without which package; `onInstalled` is called after each attempt."""

    def __init__(self, ui: Any, installer: PackageInstaller, onInstalled: Callable[[], None]):
        self.ui = ui
        self.installer = installer
        self.onInstalled = onInstalled
        self._label = WrappedLabel(ui.packagesLabel)
        self._news = ""
        ui.installSmallButton.connect("clicked(bool)", lambda checked: self.install(None, small=True))
        ui.installButton.connect("clicked(bool)", lambda checked: self.install(None))
        ui.installFromFolderButton.connect("clicked(bool)", self.installFromFolder)
        self.refresh()

    def refresh(self) -> None:
        """Show the packages as they are now."""
        state = self.installer.state()
        self._label.text = "\n".join(one for one in (*state.sentences, self._news) if one)
        # Where the small packages are all that can be installed, one button is enough.
        self.ui.installSmallButton.visible = bool(state.missingSmall)
        self.ui.installButton.visible = bool(set(state.missing) - set(state.missingSmall))
        self.ui.installFromFolderButton.visible = bool(state.missing)
        self.ui.packagesFrame.visible = bool(self._label.text or state.missing)

    def install(self, wheelFolder: Path | None, small: bool = False) -> None:
        """Install what is missing, after the installer has asked."""
        self._news = ""
        try:
            self.installer.install(wheelFolder, small)
        except (InstallationDeclined, InstallationFailed) as notice:
            self._news = str(notice)
        self.refresh()
        self.onInstalled()

    def installFromFolder(self, *_ignored: Any) -> None:
        folder = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("Wheels folder"))
        if folder:
            self.install(Path(folder))
