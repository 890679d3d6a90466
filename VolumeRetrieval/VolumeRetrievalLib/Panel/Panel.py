"""The whole panel: the sections, and what goes from one to another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from slicer.i18n import tr as _
from VolumeRetrievalEngine.searching.match import Match, SearchResult

from ..Packages.PackageInstaller import PackageInstaller
from ..Settings import Settings
from ..Values import SLICES, WHOLE_VOLUME, IndexedVolume, Marks, SceneRegion, SeriesChoice
from .AdvancedSection import AdvancedSection
from .EncodersSection import EncodersSection, askConsent
from .FilterSection import FilterSection
from .FollowSection import FollowSection
from .IndexFoldersSection import IndexFoldersSection
from .IndexSection import IndexSection
from .LogicProtocol import LogicProtocol
from .MatchMapSection import MatchMapSection
from .OverlaySection import OverlaySection
from .PackagesSection import PackagesSection
from .QuerySection import QuerySection
from .RegionSection import RegionSection
from .RegistrationSection import RegistrationSection
from .ResultsSection import ResultsSection
from .SearchSection import SearchRequest, SearchSection, isSame
from .StatusLine import StatusLine

#: Queries that one can go back to; the last few results can still be compared.
_EARLIER = 8


@dataclass(frozen=True)
class _Earlier:
    """A query that one can go back to."""

    request: SearchRequest
    result: SearchResult
    choice: Any


class Panel:
    """Connects the widgets of VolumeRetrieval.ui to a logic. Knows nothing of how indexing and searching are done."""

    def __init__(self, ui: Any, logic: LogicProtocol, installer: PackageInstaller, settings: Settings | None = None):
        self.ui = ui
        self.logic = logic
        self.settings = settings or Settings.load()
        self._request: SearchRequest | None = None
        self._result: SearchResult | None = None
        self._choice: Any = None
        self.status = StatusLine(ui.searchStatusLabel, ui.searchStatusIconLabel)
        self.filters = FilterSection(ui, self._onChosen)
        self.region = RegionSection(ui, logic, self._onChosen)
        self.query = QuerySection(ui, logic, self._onChosen)
        self.matchMap = MatchMapSection(ui, logic, self.status.showError)
        self.results = ResultsSection(
            ui, logic, self.status, self._onMatchSelected, self._onRefine, self.searchWithResult
        )
        self._earlier: list[_Earlier] = []
        ui.backButton.setFixedHeight(ui.exportButton.sizeHint.height())  # nothing jumps when it appears
        ui.backButton.connect("clicked(bool)", self.back)
        self.follow = FollowSection(ui, logic, self.matchMap.followPair)
        self.overlay = OverlaySection(ui, logic)
        self.registration = RegistrationSection(ui, logic)
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
        self.folders = IndexFoldersSection(ui, logic, self._onFoldersChanged)
        self.packages = PackagesSection(ui, installer, self._onInstalled)
        self.encoders = EncodersSection(ui, logic, self.settings, self.refresh, askConsent)
        self.advanced = AdvancedSection(ui, logic, self.settings, self.refresh)
        self._isReady = True
        self._fillFilters()
        self._onChosen()
        logic.onStatusChanged(self.refresh)
        logic.onShownChanged(self.refreshShown)

    def refresh(self) -> None:
        """Show what changed in the logic: the database, its index, settings, packages."""
        self.folders.refresh()
        self._fillFilters()
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
        self.overlay.refresh()
        self.registration.refresh()

    @property
    def result(self) -> SearchResult | None:
        """What the last search found, as it is listed."""
        return self._result

    def searchWith(self, volumeNode: Any) -> None:
        """Search with this whole volume; what "Find similar volumes" in the Data module does."""
        self.query.useVolume(volumeNode)
        self.region.choose("volume")
        self.search.search()

    def searchWithResult(self, match: Match) -> None:
        """Make a result the query, and search; :meth:`back` returns. Of a region, the matched slices are the region."""
        if self.search.isRunning or self._request is None or self._result is None:
            return
        if not match.series_uid:
            self.status.showError(_("This result is no DICOM series: load it to search with it."))
            return
        earlier = _Earlier(self._request, self._result, self._choice)
        found = self.logic.describe(match)
        name = found.series or match.attributes.series_description or match.path
        volume = IndexedVolume(match.series_uid, match.volume_id)
        isPart = self._request.region.kind != WHOLE_VOLUME and match.place is not None
        self.query.useSeries(SeriesChoice(volume, found.patient, found.study, name, match.attributes.modality))
        if isPart and match.place is not None:
            self.region.restore(
                SceneRegion(SLICES, firstSlice=match.place.first_slice, lastSlice=match.place.last_slice)
            )
        else:
            self.region.choose(WHOLE_VOLUME)
        self._earlier = [*self._earlier, earlier][-_EARLIER:]
        self.search.search()
        self._updateBack()

    def back(self, *_ignored: Any) -> None:
        """The query before, and its results."""
        if self.search.isRunning or not self._earlier:
            return
        earlier = self._earlier.pop()
        self.query.choose(earlier.choice)
        self.region.restore(earlier.request.region)
        self.showResult(earlier.request, earlier.result)

    def showResult(self, request: SearchRequest, result: SearchResult) -> None:
        """List what a search found."""
        self._request, self._result, self._choice = request, result, self.query.choice
        self.results.show(request, result)
        self.folders.noteResult(result)
        self._updateResults()

    def forgetResult(self) -> None:
        """The scene is closed: stop a search, and list nothing."""
        self.search.cancel()
        self._request = self._result = self._choice = None
        self._earlier = []
        self.status.say("")
        self.results.clear()
        self.refreshShown()
        self._updateResults()

    def enter(self) -> None:
        """The panel is shown: other modules, and other processes, may have changed what it shows."""
        self.logic.refresh()
        self.refresh()
        self.folders.look()
        self._onChosen()

    def leave(self) -> None:
        """Another module is shown, or the panel goes: what is drawn in the views goes too."""
        self.logic.hideRegionPreview()

    def cleanUp(self) -> None:
        """Stop listening to the logic; the widgets may go."""
        self.leave()
        self.registration.cancel()
        self.logic.onStatusChanged(None)
        self.logic.onShownChanged(None)
        self.folders.cleanUp()
        self.follow.cleanUp()
        self.query.cleanUp()

    def _fillFilters(self) -> None:
        """With what the database's index and the other ones hold."""
        status = self.logic.status()
        self.filters.fill(
            sorted({*status.modalities, *self.folders.modalities}), sorted({*status.bodyParts, *self.folders.bodyParts})
        )

    def _onFoldersChanged(self) -> None:
        if getattr(self, "_isReady", False):
            self._fillFilters()
            self._onChosen()

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
        if self.search.isRunning and self.registration.isRunning:
            self.registration.cancel()  # the search would wait for it
        if self._request is not None and not self.search.isRunning:
            problem = self.search.problem()
            isSameRequest = not problem and isSame(self._request, self.search.request())
            self.results.setStale(not isSameRequest, problem)
        self.results.setHint(self.search.hint())
        self.results.marks.setBusy(self.search.isRunning)
        self._updateBack()

    def _updateBack(self) -> None:
        self.ui.backButton.visible = bool(self._earlier)
        self.ui.backButton.enabled = not self.search.isRunning
        if self._earlier:
            text = _("Back to the results for {query}").format(query=self._earlier[-1].request.title())
            self.ui.backButton.toolTip = text

    def _onRefine(self, marks: Marks) -> None:
        if self._request is not None and self._result is not None:
            self.search.rankAgain(self._request, self._result, marks)

    def _onMatchSelected(self, match: Match | None) -> None:
        self.matchMap.show(self._result, match)
        if match is not None and self.logic.isShown:
            self.logic.selectMatch(match)

    def _onInstalled(self) -> None:
        self.encoders.forgetDefault()
        self.refresh()
