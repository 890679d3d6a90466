"""The button Find similar volumes: asks for packages at most once, indexes if nothing is indexed yet, and searches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol, cast

from slicer.i18n import tr as _
from VolumeRetrievalEngine.progress import Progress
from VolumeRetrievalEngine.searching.match import SearchResult

from .. import Texts
from ..Packages.PackageInstaller import InstallationFailed
from ..Values import Callbacks, Job, Marks, SceneRegion, SearchCriteria
from .EnabledReason import EnabledReason
from .FilterSection import FilterSection
from .LogicProtocol import LogicProtocol
from .QuerySection import QuerySection
from .RegionSection import RegionSection
from .StatusLine import StatusLine


class OffersPackages(Protocol):
    """What is asked of the installer."""

    def offerOnce(self) -> str:
        """Ask for the small packages where they are missing and were not declined before; a sentence on what came of
        it, empty if there was nothing to ask. InstallationFailed if that failed; the search can go on."""


@dataclass(frozen=True)
class SearchRequest:
    """What a search was asked for: two that are equal have the same results. `name` is the query's, `stores` are the
    index folders that are searched together with the database's index."""

    query: Any
    region: SceneRegion
    criteria: SearchCriteria
    name: str
    regionName: str
    stores: tuple[str, ...] = ()

    def title(self) -> str:
        """ "Chest 4.0 mm", or "liver in Chest 4.0 mm"."""
        if not self.regionName:
            return _('"{query}"').format(query=self.name)
        return _('{region} of "{query}"').format(region=self.regionName, query=self.name)


class SearchSection:
    """Runs one search at a time. While it runs, the button cancels it: the same widget, which keeps the focus."""

    def __init__(
        self,
        ui: Any,
        logic: LogicProtocol,
        installer: OffersPackages,
        query: QuerySection,
        region: RegionSection,
        filters: FilterSection,
        status: StatusLine,
        onResult: Callable[[SearchRequest, SearchResult], None],
        onRunning: Callable[[], None],
    ):
        """`onResult` gets what was found; `onRunning` is called when a search begins or ends."""
        self.ui = ui
        self.logic = logic
        self.installer = installer
        self.query = query
        self.region = region
        self.filters = filters
        self.status = status
        self.onResult = onResult
        self.onRunning = onRunning
        self._request: SearchRequest | None = None
        self._job: Job | None = None
        self._isWaiting = False
        self._failure = ""
        self._findText = ui.searchButton.text
        self._button = EnabledReason(ui.searchButton)
        ui.searchButton.connect("clicked(bool)", self._onClicked)
        self.refresh()

    @property
    def isRunning(self) -> bool:
        return self._request is not None

    def request(self) -> SearchRequest:
        """What is chosen now."""
        return SearchRequest(
            self.query.query,
            self.region.region(),
            self.filters.criteria(),
            self.query.name,
            self.region.description(),
            self._otherStores(),
        )

    def problem(self) -> str:
        """Why a search cannot start now; empty if it can."""
        status = self.logic.status()
        if not status.directory:
            return status.problem
        if not status.volumes and not status.notIndexed and not status.reading and not self._otherStores():
            return status.problem or _("The DICOM database has no images: import some in the DICOM module.")
        return self.query.problem() or self.region.problem() or self.filters.problem()

    def refresh(self) -> None:
        """Enable what can be done now; go on where another indexing run was waited for."""
        if self._isWaiting:
            self._wait()
        running = self.isRunning
        problem = "" if running else self.problem()
        self.ui.searchProgressBar.visible = running
        self.ui.searchButton.text = _("Cancel") if running else self._findText
        self._button.update(problem)

    def hint(self) -> str:
        """What to do next, for those who see no results yet."""
        if self.isRunning:
            return ""
        status = self.logic.status()
        if problem := self.problem():
            return problem
        if not status.volumes and not self._otherStores():
            return _("The first search indexes the DICOM database: {n} series.").format(n=f"{status.notIndexed:,}")
        return _("Similar volumes will be listed here.")

    def search(self) -> None:
        """Search for what is chosen; says why, if that cannot be done."""
        if self.isRunning:
            return
        self.logic.refresh()  # another process may have written the index, or somebody deleted it: then it is rebuilt
        if problem := self.problem():
            self.status.showError(problem)
            return
        request = self.request()
        try:
            self.status.say(self.installer.offerOnce())
            self._failure = ""
        except InstallationFailed as failure:
            self._failure = str(failure)
            self.status.showError(self._failure)
        self._request = request
        self._showProgress(Progress("", 0, 0))
        # With another index to search in, an archive that may take hours to index is not waited for.
        if self.logic.status().volumes or request.stores:
            self._search()
        else:
            self._index()
        self.refresh()
        self.onRunning()

    def rankAgain(self, request: SearchRequest, result: SearchResult, marks: Marks) -> None:
        """Rank what this request has found again, with marked results."""
        if self.isRunning:
            return
        self._request = request
        self._showProgress(Progress("search", 0, 0))
        criteria = replace(request.criteria, like=marks.like, unlike=marks.unlike)
        callbacks = Callbacks(self._onFinished, self._onFailed, self._onCancelled)
        self._start(cast(Job, self.logic.searchAgain(result, request.query, request.region, criteria, callbacks)))
        self.refresh()
        self.onRunning()

    def cancel(self) -> None:
        """Stop what is running."""
        if self._isWaiting:
            self._onCancelled()
        elif self._job is not None:
            self._job.cancel()

    def _onClicked(self, *_ignored: Any) -> None:
        if self.isRunning:
            self.cancel()
        else:
            self.search()

    def _index(self) -> None:
        if self.logic.status().indexing is not None:  # somebody else has started it: it is of use to us, too
            self._isWaiting = True
            return
        callbacks = Callbacks(lambda report: self._onIndexed(), self._onFailed, self._onCancelled, self._showProgress)
        self._start(cast(Job, self.logic.indexDatabase(callbacks)))

    def _wait(self) -> None:
        step = self.logic.status().indexing
        if step is not None:
            self._showProgress(step)
            return
        self._isWaiting = False
        self._onIndexed()

    def _onIndexed(self) -> None:
        self._job = None
        status = self.logic.status()
        if status.volumes:
            self._search()
        else:
            self._onFailed(status.lastFailure or _("Nothing in the DICOM database could be indexed."))

    def _search(self) -> None:
        request = self._request
        assert request is not None
        self._showProgress(Progress("search", 0, 0))
        callbacks = Callbacks(self._onFinished, self._onFailed, self._onCancelled)
        job = self.logic.search(request.query, request.region, request.criteria, callbacks)
        self._start(cast(Job, job))

    def _otherStores(self) -> tuple[str, ...]:
        return tuple(one.path for one in self.logic.indexFolders() if one.isSearched)

    def _start(self, job: Job) -> None:
        if job.isRunning:  # else it has called back already
            self._job = job

    def _showProgress(self, step: Progress) -> None:
        bar = self.ui.searchProgressBar
        bar.setRange(0, step.total)
        bar.value = step.done
        bar.format = Texts.searchProgress(step)
        bar.toolTip = Texts.progress(step)

    def _onFinished(self, result: SearchResult) -> None:
        request = self._request
        assert request is not None
        self._end()
        self.onResult(request, result)
        if self._failure:  # the user has asked for it, and would not know: the results' title replaces what was said
            self.status.showError(self._failure)

    def _onFailed(self, error: Exception | str) -> None:
        self._end()
        self.status.showError(str(error))

    def _onCancelled(self) -> None:
        self._end()
        self.status.say(_("The search was stopped."))

    def _end(self) -> None:
        self._request = self._job = None
        self._isWaiting = False
        self.refresh()
        self.onRunning()


def isSame(one: SearchRequest, other: SearchRequest) -> bool:
    """Whether both have the same results; renaming the query changes nothing."""
    return replace(one, name="", regionName="") == replace(other, name="", regionName="")
