"""What the panel asks of the logic, and the values that go between them.

Only what is defined here is relied on by the panel; tests give the panel a logic of their own. Long methods come in
two forms: with `callbacks` they return a job at once and tell the callbacks later, from the event loop; without, they
return their result when it is there (the event loop keeps running) or raise.

A match is the dictionary that `VolumeRetrievalEngine.match.Match.to_dict(arrays=True)` makes, a result the one of
`SearchResult.to_dict(arrays=True)`: they come through a pipe. Slice numbers are 0-based and count the full stack of the
match's plane, ascending toward +R, +A or +S; rows and columns of the similarity matrix count the slices that were kept;
positions are mm along the stack.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

MatchDict = dict[str, Any]
ResultDict = dict[str, Any]


@dataclass(frozen=True)
class SkippedSeries:
    """A series that is not indexed. `failed` if it should have been readable; `series` is shown, never logged."""

    series: str
    reason: str
    failed: bool = False


@dataclass(frozen=True)
class DatabaseStatus:
    """How much of the DICOM database can be searched.

    `directory` is the database's folder, "" where none is open; then `problem` says what to do. `volumes` of
    `expected` are indexed with the chosen encoder; `notIndexed` series are new or changed. `encoder` is the title of
    the encoder that the index was made with, or would be; `madeOn` how many volumes by what ran it; `better` names one
    that can run here and would be better.
    """

    directory: str = ""
    problem: str = ""
    volumes: int = 0
    expected: int = 0
    slices: int = 0
    sizeBytes: int = 0
    notIndexed: int = 0
    encoder: str = ""
    madeOn: dict[str, int] = field(default_factory=dict)
    better: str = ""
    skipped: tuple[SkippedSeries, ...] = ()


@dataclass(frozen=True)
class Progress:
    """Where some work stands; `total` 0 means not known yet, `remaining` seconds None likewise."""

    stage: str
    done: int
    total: int
    item: str = ""
    remaining: float | None = None


@dataclass(frozen=True)
class IndexReport:
    """What an indexing run did; the encoder's name, the library that ran it if there is a choice, and why no better
    one did."""

    added: int
    unchanged: int
    removed: int
    failed: int
    encoder: str = ""
    backend: str = ""
    reason: str = ""


def _ignore(*_: Any) -> None:
    """What is not asked for is not told."""


@dataclass(frozen=True)
class Callbacks:
    """Called on the main thread; exactly one of finished, failed and cancelled ends a job."""

    finished: Callable[[Any], None] = _ignore
    failed: Callable[[str], None] = _ignore
    cancelled: Callable[[], None] = _ignore
    progress: Callable[[Progress], None] = _ignore


class Job(Protocol):
    """Work that goes on in a child process."""

    @property
    def isRunning(self) -> bool: ...

    def cancel(self) -> None:
        """Ask it to stop; `cancelled` is called when it did."""


#: The kinds of region, in the order of the panel's choice.
WHOLE_VOLUME, ROI, SEGMENT, SLICES, CURRENT_SLICE = "volume", "roi", "segment", "slices", "currentSlice"
REGION_KINDS = (WHOLE_VOLUME, ROI, SEGMENT, SLICES, CURRENT_SLICE)


@dataclass(frozen=True)
class Region:
    """A part of the query volume; which values count depends on `kind`.

    `roi` is a vtkMRMLMarkupsROINode; `segmentation` a vtkMRMLSegmentationNode and `segmentID` one of its segments;
    `firstSlice` and `lastSlice` are 0-based and inclusive; `sliceView` is the name of a slice view ("Red").
    """

    kind: str = WHOLE_VOLUME
    roi: Any = None
    segmentation: Any = None
    segmentID: str = ""
    firstSlice: int = 0
    lastSlice: int = 0
    sliceView: str = ""


@dataclass(frozen=True)
class SearchOptions:
    """What to find. `filters` are engine attributes: modality, body_part, date_from and date_to (YYYYMMDD)."""

    top: int = 10
    filters: dict[str, str] = field(default_factory=dict)
    excludeSamePatient: bool = False


@dataclass(frozen=True)
class MatchDescription:
    """What the DICOM database says about a match, looked up when it is shown and never stored."""

    patient: str = ""
    study: str = ""
    series: str = ""


@dataclass(frozen=True)
class WeightsInfo:
    """What the catalogue says of an encoder's pretrained weights, and how they stand on this computer.

    `state` is "installed", "partial" (a download that was stopped), "damaged" or "absent"; `commercial` whether the
    licence allows commercial use, None where that is not clear; `isVerified` whether the address and a hash to check
    with are the publisher's own; `isConsented` whether the user has agreed to the licence before. `address` is where
    they are downloaded from, "" where they cannot be, `requestAddress` where they can be asked for. A size or
    dimension of 0 is not known. `problem` says what is damaged, `alsoNeeded` names encoders whose weights it needs too.
    """

    state: str
    sizeBytes: int
    dimension: int
    license: str
    licenseUrl: str
    commercial: bool | None
    isVerified: bool
    isConsented: bool = False
    address: str = ""
    requestAddress: str = ""
    problem: str = ""
    alsoNeeded: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()
    citation: str = ""


@dataclass(frozen=True)
class EncoderChoice:
    """An encoder that can be chosen; `problem` says why it cannot run here, "" if it can. With `needsWeights` a file
    has to come with it (Settings.weights); with `weights` it is one of the catalogue. `missing` are Python packages."""

    name: str
    title: str
    problem: str = ""
    needsWeights: bool = False
    weights: WeightsInfo | None = None
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class DefaultEncoder:
    """What a new index is made with: the encoder's name, the library that runs it, and why it is this one."""

    name: str
    backend: str
    reason: str


@dataclass(frozen=True)
class StoreChoice:
    """One of several indexes of one encoder, which differ in what `title` says. Choosing it chooses these settings."""

    encoder: str
    title: str
    weights: str
    sliceStepMm: float


@dataclass(frozen=True)
class SeriesChoice:
    """A series of the DICOM database that can be a query."""

    seriesUID: str
    patient: str
    study: str
    series: str
    modality: str


class LogicProtocol(Protocol):
    """The methods of VolumeRetrievalLogic that the panel uses."""

    def status(self) -> DatabaseStatus: ...

    def onStatusChanged(self, callback: Callable[[], None] | None) -> None:
        """Call this when the answer of status() changes; None ends it."""

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

    def series(self) -> Sequence[SeriesChoice]: ...

    def indexDatabase(self, callbacks: Callbacks | None = None, encoder: str = "") -> Job | IndexReport:
        """With another encoder than the settings' if one is named."""

    def indexSeries(self, seriesUIDs: Sequence[str], callbacks: Callbacks | None = None) -> Job | IndexReport: ...

    def indexFolder(self, path: str, callbacks: Callbacks | None = None) -> Job | IndexReport: ...

    def removeSeries(self, seriesUIDs: Sequence[str]) -> int: ...

    def search(
        self,
        query: Any,
        region: Region | None = None,
        options: SearchOptions | None = None,
        callbacks: Callbacks | None = None,
    ) -> Job | ResultDict:
        """`query` is a scalar volume node or a SeriesInstanceUID."""

    def describe(self, match: MatchDict) -> MatchDescription: ...

    def thumbnail(self, match: MatchDict) -> bytes:
        """A JPEG of the best matching slice; b"" if there is none."""

    def loadMatch(self, match: MatchDict) -> Any:
        """The volume node of exactly the volume that was indexed, loaded once; RuntimeError if it is gone."""

    def showMatches(self, matches: Sequence[MatchDict]) -> None:
        """Show these matches of the last search beside its query; RuntimeError with a readable text."""

    def showPair(self, match: MatchDict, queryRow: int, row: int) -> None:
        """Move the query's views and the match's views to this pair of slices, if they are shown."""

    def setFollowMatch(self, follow: bool) -> None: ...

    def removeShown(self) -> None:
        """Remove what showing added to the scene, and restore the layout."""

    def exportToTable(self, matches: Sequence[MatchDict]) -> Any:
        """A new table node of the scene."""


def bestPair(result: ResultDict, match: MatchDict) -> tuple[int, int]:
    """Row and column of the similarity matrix of the slices that the result shows: the best of its heaviest range."""
    return result["query_slices"].index(match["best_query_slice"]), match["slice_index"].index(match["best_slice"])
