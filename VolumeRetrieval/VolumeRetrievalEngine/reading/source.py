"""What discovery hands out: volumes that could be read, and what was left out and why."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path

from ..volume import Attributes, Identity, SourceFiles, Volume


@dataclass(frozen=True, repr=False)
class VolumeSource(ABC):
    """A volume on disk: everything known about it without reading its voxels.

    Attributes:
        identity, files, attributes, notes: as the :class:`~VolumeRetrievalEngine.volume.Volume` will have them, except
            that an inferred modality, and notes on the voxels, are only known after reading.
        size_bytes: of its files.
        path: absolute, to show: the file, or the folder that holds the series.
        n_slices: how many slices reading will give.
    """

    identity: Identity
    files: SourceFiles
    attributes: Attributes
    notes: tuple[str, ...]
    size_bytes: int
    path: Path
    n_slices: int

    @abstractmethod
    def read(self) -> Volume:
        """The volume. Keeps nothing in memory; UnreadableFileError or NotAVolumeError if it cannot be had."""

    def __repr__(self) -> str:
        # Attributes may hold what a technician typed, so they stay out of anything that ends in a log.
        return f"{type(self).__name__}({self.path}, {self.n_slices} slices, id {self.identity.volume_id})"


@dataclass(frozen=True)
class Skipped:
    """A file that gives no volume.

    `failed` tells a file that should have been readable (a truncated one, say) from one that rightly is no volume (a
    localizer, a report, a text file). `series_uid` is the DICOM series that it belongs to, "" where that is not known.
    """

    path: Path
    reason: str
    failed: bool
    series_uid: str = ""


@dataclass
class Discovery:
    """The volumes below some paths, ordered by path, and every file that gave none."""

    sources: list[VolumeSource] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    @property
    def failures(self) -> list[Skipped]:
        return [one for one in self.skipped if one.failed]

    def summary(self) -> dict[str, int]:
        """How many files were rightly left out, by reason, most frequent first."""
        counts: dict[str, int] = {}
        for one in self.skipped:
            if not one.failed:
                counts[one.reason] = counts.get(one.reason, 0) + 1
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
