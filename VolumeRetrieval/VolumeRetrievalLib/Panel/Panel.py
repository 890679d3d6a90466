"""The whole panel: the sections, and what goes from one to another."""

from __future__ import annotations

from typing import Any

from VolumeRetrievalEngine.searching.match import Match, SearchResult

from ..Packages.PackageInstaller import PackageInstaller
from ..Settings import Settings
from .AdvancedSection import AdvancedSection
from .EncodersSection import EncodersSection, askConsent
from .FilterSection import FilterSection
from .FollowSection import FollowSection
from .IndexSection import IndexSection
from .LogicProtocol import LogicProtocol
from .MatchMapSection import MatchMapSection
from .PackagesSection import PackagesSection
from .QuerySection import QuerySection
from .RegionSection import RegionSection
from .ResultsSection import ResultsSection
from .SearchSection import SearchRequest, SearchSection, isSame
from .StatusLine import StatusLine


class Panel:
    """Connects the widgets of VolumeRetrieval.ui to a logic. Knows nothing of how indexing and searching are done."""

    def __init__(self, ui: Any, logic: LogicProtocol, installer: PackageInstaller, settings: Settings | None = None):
        self.ui = ui
        self.logic = logic
        self.settings = settings or Settings.load()
        self._request: SearchRequest | None = None
        self._result: SearchResult | None = None
        self.status = StatusLine(ui.searchStatusLabel, ui.searchStatusIconLabel)
        self.filters = FilterSection(ui, self._onChosen)
        self.region = RegionSection(ui, logic, self._onChosen)
        self.query = QuerySection(ui, logic, self._onChosen)
        self.matchMap = MatchMapSection(ui, logic, self.status.showError)
        self.results = ResultsSection(ui, logic, self.status, self._onMatchSelected)
        self.follow = FollowSection(ui, logic, self.matchMap.followPair)
        self.search = SearchSection(
            ui,
            logic,
            installer,
            self.query,
            self.region,
            self.filters,
            self.status,
            self.showResult,
            self._updateResults,
        )
        self.index = IndexSection(ui, logic, self.settings)
        self.packages = PackagesSection(ui, installer, self._onInstalled)
        self.encoders = EncodersSection(ui, logic, self.settings, self.refresh, askConsent)
        self.advanced = AdvancedSection(ui, logic, self.settings, self.refresh)
        self._isReady = True
        self.filters.fill(logic.status().modalities, logic.status().bodyParts)
        self._onChosen()
        logic.onStatusChanged(self.refresh)
        logic.onShownChanged(self.refreshShown)

    def refresh(self) -> None:
        """Show what changed in the logic: the database, its index, settings, packages."""
        status = self.logic.status()
        self.filters.fill(status.modalities, status.bodyParts)
        self.region.refresh()
        self.search.refresh()
        self.index.refresh()
        self.advanced.refresh()
        self.encoders.refresh()
        self.packages.refresh()
        self._updateResults()

    def refreshShown(self) -> None:
        """Results were shown or removed, by this panel or by others."""
        self.results.refresh()
        self.follow.refresh()

    @property
    def result(self) -> SearchResult | None:
        """What the last search found, as it is listed."""
        return self._result

    def searchWith(self, volumeNode: Any) -> None:
        """Search with this whole volume; what "Find similar volumes" in the Data module does."""
        self.query.useVolume(volumeNode)
        self.region.choose("volume")
        self.search.search()

    def showResult(self, request: SearchRequest, result: SearchResult) -> None:
        """List what a search found."""
        self._request, self._result = request, result
        self.results.show(request, result)
        self._updateResults()

    def forgetResult(self) -> None:
        """The scene is closed: stop a search, and list nothing."""
        self.search.cancel()
        self._request = self._result = None
        self.status.say("")
        self.results.clear()
        self.refreshShown()
        self._updateResults()

    def enter(self) -> None:
        """The panel is shown: other modules, and other processes, may have changed what it shows."""
        self.logic.refresh()
        self.refresh()
        self._onChosen()

    def leave(self) -> None:
        """Another module is shown, or the panel goes: what is drawn in the views goes too."""
        self.logic.hideRegionPreview()

    def cleanUp(self) -> None:
        """Stop listening to the logic; the widgets may go."""
        self.leave()
        self.logic.onStatusChanged(None)
        self.logic.onShownChanged(None)
        self.follow.cleanUp()
        self.query.cleanUp()

    def _onChosen(self) -> None:
        """Another query, region or filter is chosen."""
        if not getattr(self, "_isReady", False):
            return  # sections call while they are made
        self.region.setQuery(self.query.query)
        self.logic.showRegionPreview(self.query.query, self.region.region())
        self.search.refresh()
        self._updateResults()

    def _updateResults(self) -> None:
        """Say whether what is listed is what is chosen now; or, while nothing is listed, what to do."""
        if self._request is not None and not self.search.isRunning:
            problem = self.search.problem()
            isSameRequest = not problem and isSame(self._request, self.search.request())
            self.results.setStale(not isSameRequest, problem)
        self.results.setHint(self.search.hint())

    def _onMatchSelected(self, match: Match | None) -> None:
        self.matchMap.show(self._result, match)
        if match is not None and self.logic.isShown:
            self.logic.selectMatch(match)

    def _onInstalled(self) -> None:
        self.encoders.forgetDefault()
        self.refresh()
