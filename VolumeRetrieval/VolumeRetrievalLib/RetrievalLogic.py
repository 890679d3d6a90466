"""What the module can do, for the panel and for scripts (Panel/LogicProtocol.py).

Slicer imports this file when it starts, because the module's logic inherits from it. What takes long to import (the
views, and the parts of the engine that read and search) is imported when a logic is made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import slicer
from slicer.i18n import tr as _

from .IndexLogic import IndexLogic
from .Processes import Jobs
from .RegionLogic import RegionLogic
from .Settings import Settings
from .Values import (
    Callbacks,
    EncoderChoice,
    Job,
    Marks,
    MatchDescription,
    SceneRegion,
    SearchCriteria,
    ShownPair,
)

if TYPE_CHECKING:
    import numpy as np
    from VolumeRetrievalEngine.encoders.default import DefaultEncoder
    from VolumeRetrievalEngine.progress import Progress
    from VolumeRetrievalEngine.searching.match import Match, SearchResult
    from VolumeRetrievalEngine.searching.refinement import Refinement

    from .Processes.ChildProcess import ProcessProtocol
    from .Processes.EngineProcess import EngineCommand
    from .Scene.MatchLoader import VolumeReader
    from .Views.MatchDisplay import MatchDisplay


class RetrievalLogic(IndexLogic, RegionLogic):
    """Indexes the open DICOM database, searches in it, and shows what was found.

    Starts a process only when something is indexed, searched or installed; `cleanUp` ends them, and so does the
    application's end. Tests give it commands and processes of their own.
    """

    def __init__(
        self,
        display: MatchDisplay | None = None,
        makeCommand: Callable[[], EngineCommand] | None = None,
        makeProcess: Callable[[], ProcessProtocol] | None = None,
        reader: VolumeReader | None = None,
        quietMilliseconds: int = 2500,
    ):
        from .Encoders.Encoders import Encoders
        from .Processes.ChildProcess import QtProcess
        from .Processes.EngineProcess import EngineCommand
        from .Processes.PrivateFolders import PrivateFolders
        from .Processes.SearchWorkerClient import SearchWorkerClient
        from .Scene.LoadedVolumes import LoadedVolumes
        from .Scene.MatchLoader import MatchLoader
        from .Search.Registrations import Registrations
        from .Search.Searching import Searching
        from .Search.Similarities import Similarities
        from .Views.MatchDisplay import MatchDisplay
        from .Views.Showing import Showing

        command, process = makeCommand or EngineCommand.ofSlicer, makeProcess or QtProcess

        def makeEngine() -> EngineCommand:
            return replace(command(), weightsFolder=Settings.load().weightsFolder)

        self.display = display or MatchDisplay()
        self._folders = PrivateFolders(slicer.app.temporaryPath)
        self._folders.removeLeftovers()
        self._loaded = LoadedVolumes()
        self._loader = MatchLoader(self._loaded, reader)
        self._client = SearchWorkerClient(makeEngine, process)
        IndexLogic.__init__(self, self._folders, self._client.release, makeEngine, process, quietMilliseconds)
        self._searching = Searching(self._index, self._loaded, self._folders, self._client, self._indexFolders.others)
        RegionLogic.__init__(self, self._searching)
        self._similarities = Similarities(self._client)
        self._registrations = Registrations(self._client, self._folders, self._loaded, lambda: self._index.contents)
        self._showing = Showing(
            self.display, self._loader, lambda: self._index.contents, lambda series: self._index.series.describe(series)
        )
        self._encoders = Encoders(self._tell, makeCommand=makeEngine, makeProcess=process)
        self._loaded.start()
        self.startWatching()
        slicer.app.connect("aboutToQuit()", self.cleanUp)

    def cleanUp(self) -> None:
        """End every process, remove what was written for them, and listen to nothing any more."""
        slicer.app.disconnect("aboutToQuit()", self.cleanUp)
        self.stopWatching()
        self.hideRegionPreview()
        self.display.cleanUp()
        self._loaded.stop()
        self._client.release()  # it ends while the other is waited for
        self._encoders.stop()
        self._indexFolders.stop()
        self._indexing.stop()
        self._client.stop()
        self._folders.removeAll()

    @property
    def pids(self) -> tuple[int, ...]:
        """Of the processes that may be running."""
        return (*self._client.pids, *self._indexing.pids, *self._encoders.pids, *self._indexFolders.pids)

    # What there is

    def describe(self, match: Match) -> MatchDescription:
        """Patient, study and series of a match, as the database names them; empty where it does not hold it."""
        return self._index.series.describe(match.series_uid, match.part)

    def thumbnails(self, matches: Sequence[Match]) -> list[bytes]:
        """A JPEG of the best matching slice of each match; b"" where there is none."""
        own = self._index.contents.thumbnails(matches) if self._index.directory else [b""] * len(matches)
        return [
            self._searching.picture(one) if self._searching.isElsewhere(one) else picture
            for one, picture in zip(matches, own, strict=True)
        ]

    # Encoders

    def encoders(self) -> list[EncoderChoice]:
        """Every encoder, with what it needs, and what the catalog says of its weights."""
        return self._encoders.choices()

    def defaultEncoder(self, callbacks: Callbacks | None = None) -> Job | DefaultEncoder:
        """What an index is made with where none is chosen, through which library, and what would bring a better one.

        A process finds it out, because it has to load the networks' libraries.
        """
        from VolumeRetrievalEngine.encoders.default import DefaultEncoder

        return Jobs.run(self._encoders.findDefault, lambda result: DefaultEncoder(**result["default"]), callbacks)

    def weightsFolder(self) -> str:
        """Where pretrained weights are kept."""
        return str(self._encoders.folder)

    def installWeights(
        self, name: str, file: str = "", consent: bool = False, callbacks: Callbacks | None = None
    ) -> Job | str:
        """Download the weights of an encoder of the catalog, or take them from a file; returns where they are.

        Args:
            consent: that you agree to the license of the weights; needed once for each.

        Raises (without callbacks):
            ValueError: no such encoder, or no consent; the text has size, license and its address. EngineError: it
                failed; what was downloaded is kept, and the next call resumes it.
        """
        return Jobs.run(
            lambda answer: self._encoders.install(name, str(file or ""), consent, answer),
            lambda result: str(result.get("path", "")),
            callbacks,
        )

    def removeWeights(self, name: str) -> int:
        """Delete the weights of an encoder of the catalog; how many bytes that frees."""
        self._client.release()  # it may have them open
        return self._encoders.remove(name)

    # Searching

    def search(
        self,
        query: Any,
        region: SceneRegion | None = None,
        criteria: SearchCriteria | None = None,
        callbacks: Callbacks | None = None,
        top: int | None = None,
        stores: Sequence[str] | None = None,
    ) -> Job | SearchResult:
        """Find the volumes that look like a volume node or a series (its SeriesInstanceUID).

        Args:
            top: how many results; by default as many as the criteria say.
            stores: index folders that are searched together with the open database's index, as one archive; by default
                those that are checked in the panel (indexFolders()), [] for none. A match says which one it is from
                (`match.store`), the result what came of each (`result.stores`).

        Raises (without callbacks):
            ValueError: the query or the region cannot be used. EngineError: the search failed, its text says why.
        """
        self.refresh()
        chosen = criteria or SearchCriteria()
        if top is not None:
            chosen = replace(chosen, top=top)
        return Jobs.run(lambda answer: self._searching.start(query, region, chosen, answer, stores), None, callbacks)

    def searchAgain(
        self,
        result: SearchResult,
        query: Any,
        region: SceneRegion | None = None,
        criteria: SearchCriteria | None = None,
        callbacks: Callbacks | None = None,
    ) -> Job | SearchResult:
        """The search that found `result`, with other criteria, such as marked results (`criteria.like`).

        At once, and without reading the query again, where the search process still knows it; else as search().

        Raises (without callbacks): as search().
        """
        chosen = criteria or SearchCriteria()
        return Jobs.run(lambda answer: self._searching.again(result, query, region, chosen, answer), None, callbacks)

    def marks(self, query: Any) -> Marks:
        """Which volumes are marked as fitting this query (a node or a SeriesInstanceUID) and as not fitting it."""
        from .Search import QueryMarks

        return QueryMarks.load(query)

    def setMarks(self, query: Any, marks: Marks) -> None:
        """Keep them with the scene; searchAgain() ranks with them."""
        from .Search import QueryMarks

        QueryMarks.save(query, marks)

    def similarity(self, match: Match, callbacks: Callbacks | None = None) -> Job | np.ndarray:
        """The similarity matrix of a match of one of the last searches, float32 [n_q, n_rows].

        Rows are the query's slices (`result.query_table`), columns the match's (`match.slice_index`). The search
        process sends it in float16, accurate to 0.0005; the last few are kept.

        Raises (without callbacks):
            ValueError: the match is not one of the last searches. EngineError: the search process no longer
                has it, its text says why.
        """

        def request(answer: Callbacks) -> Job:
            return self._similarities.request(self._searching.searchOf(match), match, answer)

        search = self._searching.searchToShow([match])
        known = self._similarities.known(search, match) if search is not None and search.found(match) else None
        return Jobs.run(request, None, callbacks) if known is None else Jobs.known(known, callbacks)

    def registerMatch(self, match: Match, callbacks: Callbacks | None = None) -> Job | Refinement:
        """Register a match of one of the last searches with its query: affine, around what was asked for.

        It takes some seconds in the search process. If the match is shown, its box, the crosshair's points, scrolling
        and the overlay go by it from then on. Where `success` is false, the registration is not reliable: `reason`
        says why, and everything stays where the matching slices have placed it.

        Raises (without callbacks):
            ValueError: the match is not one of the last searches, or the query is gone. EngineError: nothing of the
                query is in the match, a volume cannot be read again, or the search process no longer knows the search.
        """

        def start(answer: Callbacks) -> Job:
            last = self._searching.searchOf(match)

            def finished(found: Refinement) -> None:
                self.display.setRefinement(match, found)
                answer.finished(found)

            known = self._registrations.known(last, match)
            told = replace(answer, finished=finished)
            if known is not None:
                return cast("Job", Jobs.known(known, told))
            return self._registrations.request(last, match, told)

        return Jobs.run(start, None, callbacks)

    # Showing

    def loadMatch(self, match: Match) -> Any:
        """The volume node of exactly the volume that was indexed, loaded once; RuntimeError if it is gone, or its files
        cannot be reached from here."""
        from .Search.LastSearch import checkMatches

        checkMatches(match)
        return self._loader.loadMatch(match, self._index.contents)

    def showMatches(self, matches: Sequence[Match], progress: Callable[[Progress], None] | None = None) -> list[str]:
        """Show these matches of a search, one of the last few, next to its query.

        Args:
            progress: called before each volume is loaded.

        Returns:
            A sentence for each match that could not be shown, naming it.

        Raises:
            RuntimeError: nothing could be shown; its text says why.
        """
        from .Search.LastSearch import checkMatches

        checkMatches(*matches)
        search = self._searching.searchToShow(matches)
        if search is None or not matches:
            raise RuntimeError(_("There is nothing to show: search first."))
        known = [self._registrations.known(search, one) for one in matches]
        registered = [
            replace(one, refinement=found or one.refinement) for one, found in zip(matches, known, strict=True)
        ]
        problems = self._showing.show(search, registered, progress)
        for match in self.display.shownMatches:
            # Without it nothing is missing but a number in a corner of the views.
            found = partial(self.display.setSimilarity, match)
            self.similarity(match, Callbacks(finished=found))
        return problems

    @property
    def isShown(self) -> bool:
        """Whether results are in the scene, by whatever they came there: the panel, a script, an opened scene."""
        return self.display.isShown

    def onShownChanged(self, callback: Callable[[], None] | None) -> None:
        """Call this when isShown may have changed; None ends it."""
        self.display.onChanged = callback

    @property
    def shownMatches(self) -> list[Match]:
        """The matches that are next to the query, in the order of their columns, each with its registration
        (`refinement`) if it was registered; none while no comparison is open."""
        return self.display.shownMatches

    def showPair(self, match: Match, queryRow: int, row: int) -> None:
        """Move the query's views and the match's views to this pair of slices, if they are shown."""
        self.display.showPair(match, queryRow, row)

    def selectMatch(self, match: Match) -> None:
        """Choose the shown match whose range the query's column marks, and whose pair of slices is reported."""
        self.display.select(match)

    def onPairChanged(self, callback: Callable[[ShownPair], None] | None) -> None:
        """Call this when the views show another pair of slices; None ends it."""
        self.display.onPairChanged = callback

    def setFollowMatch(self, follow: bool) -> None:
        """Whether scrolling one column moves the others."""
        self.display.setFollow(follow)

    @property
    def isOverlaid(self) -> bool:
        """Whether the shown results are over the query."""
        return self.display.isOverlaid

    def setOverlay(self, on: bool) -> None:
        """Show each result over the query, in its space, or each in its own; nothing happens while none is shown.

        The affine is the registration's where it is reliable (registerMatch), else the one nearest to the matching
        slices and the bodies' outlines. Volumes are not changed: an overlay is a node of its own, neither listed nor
        saved.
        """
        self.display.setOverlay(on)

    def setOverlayOpacity(self, opacity: float) -> None:
        """How much of the result is seen over the query, from 0 (only the query) to 1 (only the result)."""
        self.display.setOpacity(min(max(float(opacity), 0.0), 1.0))

    def removeShown(self) -> None:
        """Close the comparison: remove what it added to the scene, and restore the layout."""
        self.display.remove()

    def forgetShown(self) -> None:
        """The scene is closed: what was shown is gone."""
        self.display.forget()

    def exportToTable(self, matches: Sequence[Match]) -> Any:
        """A new table node of the scene."""
        from .Scene import ResultTable

        return ResultTable.make(matches, self.describe)
