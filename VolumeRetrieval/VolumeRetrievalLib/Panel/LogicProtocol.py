"""What the panel asks of the logic.

Only what is defined here is relied on by the panel; tests give the panel a logic of their own. Long methods come in
two forms: with `callbacks` they return a job at once and tell the callbacks later, from the event loop; without, they
return their result when it is there (the event loop keeps running) or raise.

A match and a result are the engine's (VolumeRetrievalEngine/searching/match.py). Slice numbers are 0-based and count
the full stack of the match's plane, ascending toward +R, +A or +S; rows and columns of the similarity matrix count the
slices that were kept; positions are mm along the stack.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from VolumeRetrievalEngine.encoders.default import DefaultEncoder
from VolumeRetrievalEngine.progress import Progress
from VolumeRetrievalEngine.searching.match import Match, SearchResult
from VolumeRetrievalEngine.searching.refinement import Refinement

from ..Values import (
    Callbacks,
    DatabaseStatus,
    EncoderChoice,
    IndexFolder,
    IndexFolderState,
    IndexReport,
    Job,
    Marks,
    MatchDescription,
    SceneRegion,
    SearchCriteria,
    SeriesChoice,
    ShownPair,
    StackDescription,
    StoreChoice,
)


class LogicProtocol(Protocol):
    """The methods of VolumeRetrievalLogic that the panel uses."""

    # What there is

    def status(self) -> DatabaseStatus:
        """How much of the database can be searched, and where an indexing run stands."""

    def onStatusChanged(self, callback: Callable[[], None] | None) -> None:
        """Call this when the answer of status() changes, while indexing ten times a second at most; None ends it."""

    def refresh(self) -> bool:
        """Notice what another process has done to the index; whether status() has changed. Cheap enough for each time
        that the panel is entered."""

    def series(self) -> Sequence[SeriesChoice]: ...

    def describe(self, match: Match) -> MatchDescription: ...

    def thumbnails(self, matches: Sequence[Match]) -> list[bytes]:
        """A JPEG of the best matching slice of each; b"" where there is none."""

    # Encoders

    def encoders(self) -> Sequence[EncoderChoice]: ...

    def defaultEncoder(self, callbacks: Callbacks | None = None) -> Job | DefaultEncoder: ...

    def weightsFolder(self) -> str:
        """Where pretrained weights are kept."""

    def installWeights(
        self, name: str, file: str = "", consent: bool = False, callbacks: Callbacks | None = None
    ) -> Job | str:
        """Download an encoder's weights, or take them from a file."""

    def removeWeights(self, name: str) -> int: ...

    def stores(self) -> Sequence[StoreChoice]:
        """The indexes of those encoders that have more than one."""

    def indexFolders(self) -> Sequence[IndexFolder]:
        """The index folders that are searched together with the database's index."""

    def setIndexFolders(self, folders: Sequence[IndexFolder | str]) -> None: ...

    def examineIndexFolders(
        self, paths: Sequence[str] | None = None, callbacks: Callbacks | None = None
    ) -> Job | list[IndexFolderState]:
        """How these stand; a process finds it out, which may take long where a share hangs."""

    # Indexing

    def indexDatabase(self, callbacks: Callbacks | None = None, encoder: str = "") -> Job | IndexReport:
        """With another encoder than the settings' if one is named."""

    def indexAutomatically(self) -> None:
        """Index now what is new or gone, if the settings say that this is done automatically; tells nobody."""

    def cancelIndexing(self) -> None:
        """Stop the indexing run, whoever started it, between two volumes; nothing happens if none is running."""

    # Searching

    def search(
        self,
        query: Any,
        region: SceneRegion | None = None,
        criteria: SearchCriteria | None = None,
        callbacks: Callbacks | None = None,
    ) -> Job | SearchResult:
        """`query` is a scalar volume node or a SeriesInstanceUID."""

    def searchAgain(
        self,
        result: SearchResult,
        query: Any,
        region: SceneRegion | None = None,
        criteria: SearchCriteria | None = None,
        callbacks: Callbacks | None = None,
    ) -> Job | SearchResult:
        """The search that found `result`, with other criteria, such as marked results. At once, and without reading the
        query again, where the search process still knows it."""

    def marks(self, query: Any) -> Marks:
        """Which volumes are marked as fitting this query and as not fitting it."""

    def setMarks(self, query: Any, marks: Marks) -> None:
        """Keep them with the scene."""

    def similarity(self, match: Match, callbacks: Callbacks | None = None) -> Job | np.ndarray:
        """The similarity matrix of a match of the last search, float32 [n_q, n_rows]."""

    def registerMatch(self, match: Match, callbacks: Callbacks | None = None) -> Job | Refinement:
        """Register a match with the query, some seconds; what is shown of it goes by it then, if it is reliable."""

    # Regions

    def stackOf(self, query: Any) -> StackDescription | None:
        """The slices that a region's numbers count, of a volume node or a series; None for a series not indexed."""

    def rangeOfView(self, volumeNode: Any, sliceNode: Any) -> tuple[int, int] | str:
        """First and last slice (0-based) that a slice view shows of a volume; or a sentence why it shows none."""

    def showRegionPreview(self, query: Any, region: SceneRegion) -> None:
        """Draw the region's slices in the slice views; nothing for other kinds of region."""

    def hideRegionPreview(self) -> None: ...

    # Showing

    def showMatches(self, matches: Sequence[Match], progress: Callable[[Progress], None] | None = None) -> list[str]:
        """Show these matches of the last search next to its query.

        Returns:
            A sentence for each that could not be shown, naming it.

        Raises:
            RuntimeError: nothing could be shown; its text says why.
        """

    @property
    def isShown(self) -> bool:
        """Whether results are in the scene, by whatever they came there: this panel, a script, an opened scene."""

    def onShownChanged(self, callback: Callable[[], None] | None) -> None:
        """Call this when isShown may have changed; None ends it."""

    @property
    def shownMatches(self) -> Sequence[Match]:
        """The matches that are next to the query, each with its registration (`refinement`) if it was registered."""

    def showPair(self, match: Match, queryRow: int, row: int) -> None:
        """Move the query's views and the match's views to this pair of slices, if they are shown."""

    def selectMatch(self, match: Match) -> None:
        """Choose the shown match whose range the query's column marks, and whose pair of slices is reported."""

    def onPairChanged(self, callback: Callable[[ShownPair], None] | None) -> None:
        """Call this when the views show another pair of slices; None ends it."""

    def setFollowMatch(self, follow: bool) -> None: ...

    @property
    def isOverlaid(self) -> bool:
        """Whether the shown results are over the query, in its space."""

    def setOverlay(self, on: bool) -> None:
        """Show each result over the query, in its space, or each in its own."""

    def setOverlayOpacity(self, opacity: float) -> None:
        """How much of the result is seen over the query, from 0 to 1."""

    def removeShown(self) -> None:
        """Remove what showing added to the scene, and restore the layout."""

    def exportToTable(self, matches: Sequence[Match]) -> Any:
        """A new table node of the scene."""
