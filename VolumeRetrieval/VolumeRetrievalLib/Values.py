"""The values of the library: what goes between the logic, the panel and scripts.

Matches and results are the engine's own (VolumeRetrievalEngine/searching/match.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from VolumeRetrievalEngine.progress import Progress

if TYPE_CHECKING:
    from VolumeRetrievalEngine.searching.match import Match


@dataclass(frozen=True)
class SkippedSeries:
    """A series that is not indexed. `failed` if it should have been readable; `series` is shown, never logged."""

    series: str
    reason: str
    failed: bool = False


@dataclass(frozen=True)
class DatabaseStatus:
    """How much of the DICOM database can be searched.

    `directory` is the database's folder, empty where none is open; then `problem` says what to do. While `reading`,
    the database's series are still being counted: `series`, `notIndexed`, `removed` and `skipped` are not known yet,
    and `expected` is too small.

    `series` are in the database; `indexedSeries` of them have volumes in the index, `notIndexed` are new or changed,
    `skipped` will never be indexed as they are; `removed` series are in the index, but no longer in the database:
    they are not found, and the next update removes them. `volumes` of `expected` are indexed with the chosen encoder.
    `encoder` is the title of the encoder that the index was made with, or would be; `madeOn` how many volumes by what
    ran it; `better` names the one that a better index could be made with here, and `isEarlier` says that an earlier
    version prepared the slices of this one, `isEarlierEdition` that an earlier edition of the encoder made it. `store`
    is the name of the store's folder, which says what the index was made with; "" if there is none.
    `sliceStepMm` is the distance of the index's slices (0: every slice), `nextSliceStepMm` what the next update makes
    an index with.

    `indexing` is where the indexing run stands that goes on now, whoever started it; stage "stopping" after it was
    cancelled. `lastReport`, or `lastFailure`, is how the last one of this session in this database ended. `modalities`
    and `bodyParts` are those of the indexed volumes.
    """

    directory: str = ""
    problem: str = ""
    volumes: int = 0
    expected: int = 0
    slices: int = 0
    sizeBytes: int = 0
    notIndexed: int = 0
    removed: int = 0
    encoder: str = ""
    madeOn: dict[str, int] = field(default_factory=dict)
    better: str = ""
    isEarlier: bool = False
    isEarlierEdition: bool = False
    store: str = ""
    skipped: tuple[SkippedSeries, ...] = ()
    reading: bool = False
    series: int = 0
    indexedSeries: int = 0
    sliceStepMm: float = 0.0
    nextSliceStepMm: float = 0.0
    indexing: Progress | None = None
    lastReport: IndexReport | None = None
    lastFailure: str = ""
    modalities: tuple[str, ...] = ()
    bodyParts: tuple[str, ...] = ()


@dataclass(frozen=True)
class IndexReport:
    """What an indexing run did; the encoder's name, the library that ran it if there is a choice, and why no better
    one did.

    `added`, `unchanged` and `removed` count volumes; `failed` and `skipped` series of the database, or files where a
    folder was indexed.
    """

    added: int
    unchanged: int
    removed: int
    failed: int
    skipped: int = 0
    encoder: str = ""
    backend: str = ""
    reason: str = ""


def _ignore(*_: Any) -> None:
    """What is not asked for is not told."""


@dataclass(frozen=True)
class Callbacks:
    """Called on the main thread; exactly one of finished, failed and cancelled ends a job. `failed` gets an exception
    (ValueError or EngineError), whose text can be shown."""

    finished: Callable[[Any], None] = _ignore
    failed: Callable[[Exception], None] = _ignore
    cancelled: Callable[[], None] = _ignore
    progress: Callable[[Progress], None] = _ignore


class Job(Protocol):
    """Work that goes on in a child process."""

    @property
    def isRunning(self) -> bool: ...

    def cancel(self) -> None:
        """Ask it to stop; `cancelled` is called when it did."""


#: The kinds of region, in the order of the panel's choice.
WHOLE_VOLUME, ROI, SEGMENT, SLICES = "volume", "roi", "segment", "slices"
REGION_KINDS = (WHOLE_VOLUME, ROI, SEGMENT, SLICES)


@dataclass(frozen=True)
class SceneRegion:
    """A part of the query volume; which values count depends on `kind`.

    `roi` is a vtkMRMLMarkupsROINode; `segmentation` a vtkMRMLSegmentationNode and `segmentID` one of its segments (its
    name will do, and nothing where there is only one); `firstSlice` and `lastSlice` are 0-based and inclusive numbers
    of the stack that `logic.stackOf(query)` describes: they ascend toward right, anterior or superior, whichever way
    the volume's voxels run.
    """

    kind: str = WHOLE_VOLUME
    roi: Any = None
    segmentation: Any = None
    segmentID: str = ""
    firstSlice: int = 0
    lastSlice: int = 0


@dataclass(frozen=True)
class StackDescription:
    """The slices that a region's numbers count: of this plane ("axial", "coronal", "sagittal"), ascending from one end
    of the patient to the other; the ends are words for the user."""

    plane: str
    count: int
    firstEnd: str
    lastEnd: str


@dataclass(frozen=True)
class SearchCriteria:
    """What to find. `filters` are engine attributes: modality, body_part, date_from and date_to (YYYYMMDD). `like` and
    `unlike` are ids of indexed volumes that are marked as fitting and as not fitting (`match.volume_id`)."""

    top: int = 10
    filters: dict[str, str] = field(default_factory=dict)
    excludeSamePatient: bool = False
    like: tuple[str, ...] = ()
    unlike: tuple[str, ...] = ()


@dataclass(frozen=True)
class MatchDescription:
    """What the DICOM database says about a match, looked up when it is shown and never stored: `date` is the study's,
    as YYYY-MM-DD, `number` the series'."""

    patient: str = ""
    study: str = ""
    series: str = ""
    date: str = ""
    number: str = ""


@dataclass(frozen=True)
class WeightsInfo:
    """What the catalog says of an encoder's pretrained weights, and how they stand on this computer.

    `state` is "installed", "partial" (a download that was stopped), "damaged" or "absent"; `commercial` whether the
    license allows commercial use, None where that is not clear; `isVerified` whether the address and a hash to check
    with are the publisher's own; `isConsented` whether the user has agreed to the license before. `address` is where
    they are downloaded from, "" where they cannot be, `requestAddress` where they can be asked for. A size or
    dimension of 0 is not known. `problem` says what is damaged, `alsoNeeded` names encoders whose weights it needs too.
    `isChecked` is False for installed weights that could not be compared with their network yet.
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
    isChecked: bool = True


@dataclass(frozen=True)
class EncoderChoice:
    """An encoder that can be chosen; `problem` says why it cannot run here, "" if it can. With `needsWeights` a file
    has to come with it (Settings.weights); with `weights` it is one of the catalog. `missing` are Python packages."""

    name: str
    title: str
    problem: str = ""
    needsWeights: bool = False
    weights: WeightsInfo | None = None
    missing: tuple[str, ...] = ()

    @property
    def installable(self) -> WeightsInfo:
        """`weights`, of an encoder of the catalog."""
        assert self.weights is not None, f"{self.name} is not in the catalog"
        return self.weights


@dataclass(frozen=True)
class StoreChoice:
    """One of several indexes of one encoder, which differ in what `title` says. Choosing it chooses these settings."""

    encoder: str
    title: str
    weights: str
    sliceStepMm: float


@dataclass(frozen=True)
class IndexFolder:
    """A folder with an index that is searched together with the open database's, where `isSearched`."""

    path: str
    isSearched: bool = True


@dataclass(frozen=True)
class IndexFolderState:
    """How the folder `path` stands. `folder` is the index folder that it means: itself, the one around it or the one in
    it; `isIndex` whether there is one, `isOwn` whether that is the open database's. It holds `volumes`, of these
    `modalities` and `bodyParts`; or `problem` says in a word or two why it is not searched, and `details` in a
    sentence."""

    path: str
    folder: str
    volumes: int = 0
    problem: str = ""
    details: str = ""
    modalities: tuple[str, ...] = ()
    bodyParts: tuple[str, ...] = ()
    isIndex: bool = True
    isOwn: bool = False


@dataclass(frozen=True)
class Marks:
    """Ids of indexed volumes that the user has marked as fitting a query and as not fitting it."""

    like: tuple[str, ...] = ()
    unlike: tuple[str, ...] = ()

    def of(self, volumeID: str) -> str:
        """ "like", "unlike" or ""."""
        return "like" if volumeID in self.like else "unlike" if volumeID in self.unlike else ""

    def withMark(self, volumeID: str, mark: str) -> Marks:
        """These marks, with this one for a volume."""
        like = tuple(one for one in self.like if one != volumeID)
        unlike = tuple(one for one in self.unlike if one != volumeID)
        return Marks((*like, volumeID) if mark == "like" else like, (*unlike, volumeID) if mark == "unlike" else unlike)

    def isSame(self, other: Marks) -> bool:
        """Whether both mark the same, in whatever order."""
        return set(self.like) == set(other.like) and set(self.unlike) == set(other.unlike)


class IndexedVolume(str):
    """A volume of the index as a query: the SeriesInstanceUID, and which volume of that series."""

    volumeID: str

    def __new__(cls, seriesUID: str, volumeID: str) -> IndexedVolume:
        made = super().__new__(cls, seriesUID)
        made.volumeID = volumeID
        return made

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, other) is True and getattr(other, "volumeID", None) == self.volumeID

    def __ne__(self, other: object) -> bool:  # str has one of its own
        return not self == other

    def __hash__(self) -> int:
        return hash((str(self), self.volumeID))


@dataclass(frozen=True)
class SeriesChoice:
    """A series of the DICOM database that can be a query; an IndexedVolume where it is one volume of a series."""

    seriesUID: str
    patient: str
    study: str
    series: str
    modality: str


@dataclass(frozen=True)
class ShownPair:
    """The slices that the query's views and a match's views show: 0-based numbers of the full stacks, and how similar
    the two are; None where that is not known (yet)."""

    match: Match
    querySlice: int
    slice: int
    similarity: float | None = None
