"""The whole panel: the sections, and what goes from one to another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _
from VolumeRetrievalEngine.searching.match import Match, SearchResult

from ..Packages.PackageInstaller import InstallationDeclined, InstallationFailed, PackageInstaller
from ..Settings import Settings
from .AdvancedSection import AdvancedSection
from .DatabaseSection import DatabaseSection
from .EncodersSection import EncodersSection, askConsent
from .LogicProtocol import LogicProtocol
from .MatchMapSection import MatchMapSection
from .MessageBar import MessageBar
from .QuerySection import QuerySection
from .ResultsSection import ResultsSection


class Panel:
    """Connects the widgets of VolumeRetrieval.ui to a logic. Knows nothing of how indexing and searching are done."""

    def __init__(self, ui: Any, logic: LogicProtocol, installer: PackageInstaller, settings: Settings | None = None):
        self.ui = ui
        self.logic = logic
        self.installer = installer
        self.settings = settings or Settings.load()
        self._result: SearchResult | None = None
        self.messages = MessageBar(ui, self.installPackages, self.installSmallPackages, self.installPackagesFromFolder)
        self.database = DatabaseSection(ui, logic, self.settings, self.messages.showError)
        self.matchMap = MatchMapSection(ui, logic, self.messages.showError)
        self.results = ResultsSection(ui, logic, self.messages.showError, self._onMatchSelected)
        self.query = QuerySection(ui, logic, self.messages.showError, self.showResult)
        self.advanced = AdvancedSection(ui, logic, self.settings, self.refresh)
        self.encoders = EncodersSection(ui, logic, self.settings, self.messages.showError, self.refresh, askConsent)
        self.messages.showPackages(installer.state())
        logic.onStatusChanged(self.refresh)

    def refresh(self) -> None:
        """Show what changed in the logic."""
        self.database.refresh()
        self.query.refresh()
        self.advanced.refresh()
        self.encoders.refresh()

    @property
    def result(self) -> SearchResult | None:
        """What the last search found, as it is shown."""
        return self._result

    def showResult(self, result: SearchResult | None) -> None:
        """Show what a search found; None clears."""
        self._result = result
        self.messages.clearError()
        self.results.show(result)

    def installPackages(self) -> None:
        self._install(None)

    def installSmallPackages(self) -> None:
        """What the default encoder and fast search need, without PyTorch."""
        self._install(None, small=True)

    def installPackagesFromFolder(self) -> None:
        folder = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("Folder of wheels"))
        if folder:
            self._install(Path(folder))

    def cleanUp(self) -> None:
        """Stop listening to the logic; the widgets may go."""
        self.logic.onStatusChanged(None)
        self.logic.onShownChanged(None)
        self.matchMap.show(None, None)

    def _install(self, wheelFolder: Path | None, small: bool = False) -> None:
        try:
            self.installer.install(wheelFolder, small)
        except InstallationDeclined as notice:
            self.query.say(str(notice))
        except InstallationFailed as error:
            self.messages.showError(str(error))
        self.messages.showPackages(self.installer.state())
        self.encoders.forgetDefault()
        self.refresh()

    def _onMatchSelected(self, match: Match | None) -> None:
        self.matchMap.show(self._result, match)
