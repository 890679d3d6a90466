"""What goes into the store and what it says about what it holds: plain values."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ..volume import Attributes, Identity, SliceTable, SourceFiles

_PART = re.compile(r"one of \d+ volumes of its series, divided by (.*)")

#: Of the table of volumes, in the order of Attributes.
ATTRIBUTE_COLUMNS = (
    "modality",
    "modality_from",
    "body_part",
    "study_date",
    "manufacturer",
    "contrast_agent",
    "series_description",
)


@dataclass(frozen=True)
class NewVolume:
    """An embedded volume, ready to be stored.

    Attributes:
        geometry: of the full stack in its plane; JSON values that the store keeps as they are.
        plane: "axial", "sagittal" or "coronal".
        n_slices: slices of the full stack.
        slices: the embedded slices, n rows.
        embeddings: float32 [n, d], unit rows.
        pooled: float32 [m, d], unit rows: groups of adjacent slices (pooling.py).
        pooled_first: int [m], the first row of each group, ascending from 0.
        thumbnails: n JPEGs (b"" where there is none), or empty.
        outlines: float32 [n, 4], where the body lies on each slice (preprocessing/outline.py); None if not known.
        device, precision: what the encoder ran on and in.
    """

    identity: Identity
    files: SourceFiles
    attributes: Attributes
    geometry: dict[str, Any]
    plane: str
    n_slices: int
    slices: SliceTable
    embeddings: np.ndarray
    pooled: np.ndarray
    pooled_first: np.ndarray
    thumbnails: tuple[bytes, ...] | list[bytes] = ()
    device: str = ""
    precision: str = ""
    notes: tuple[str, ...] = ()
    outlines: np.ndarray | None = None

    def __post_init__(self) -> None:
        n, m = len(self.slices), len(self.pooled)
        if np.shape(self.embeddings)[:1] != (n,) or n == 0:
            raise ValueError(f"{n} slices but embeddings of shape {np.shape(self.embeddings)}")
        if np.shape(self.pooled)[1:] != np.shape(self.embeddings)[1:] or not 1 <= m <= n:
            raise ValueError(f"pooled rows {np.shape(self.pooled)} for embeddings {np.shape(self.embeddings)}")
        first = np.asarray(self.pooled_first)
        if first.shape != (m,) or first[0] != 0 or (np.diff(first) <= 0).any() or first[-1] >= n:
            raise ValueError(f"first rows of {m} groups of {n} slices expected, ascending from 0; got {first.tolist()}")
        if len(self.thumbnails) not in (0, n):
            raise ValueError(f"{n} slices but {len(self.thumbnails)} thumbnails")
        if self.outlines is not None and np.shape(self.outlines) != (n, 4):
            raise ValueError(f"{n} slices but outlines of shape {np.shape(self.outlines)}")
        if not self.identity.volume_id:
            raise ValueError("a volume without an id cannot be stored")


@dataclass(frozen=True)
class VolumeRecord:
    """What the store knows about a volume, without its arrays.

    Attributes:
        key: int, which indexes refer to; never reused once the volume is removed or replaced.
        generation: of the store when the volume's rows were added.
        root, label: where it is, for display: the file, or the folder of a series, relative to the named root.
        n_slices, n_rows, n_pooled: slices of the full stack, embedded ones, and groups of these.
        indexed_at: UTC, ISO 8601.

    Example:
        >>> records = Retriever.open("index").listing(AttributeFilter.parse(["path~head"]))
        >>> [(record.label, record.plane) for record in records]
        [('head-0.nii.gz', 'axial')]
    """

    key: int
    volume_id: str
    generation: int
    fingerprint: str
    series_uid: str
    patient_token: str
    study_token: str
    root: str
    label: str
    n_files: int
    attributes: Attributes
    plane: str
    n_slices: int
    n_rows: int
    n_pooled: int
    device: str
    precision: str
    notes: tuple[str, ...]
    indexed_at: str
    geometry_json: str = field(repr=False)
    _read_files: Callable[[int], SourceFiles] = field(repr=False, compare=False)

    @cached_property
    def files(self) -> SourceFiles:
        """All files of the volume, read from the store when first asked for (a listing needs only the label)."""
        return self._read_files(self.key)

    @property
    def geometry(self) -> dict[str, Any]:
        """The geometry that the volume was stored with."""
        return json.loads(self.geometry_json)

    def to_dict(self) -> dict[str, Any]:
        """What a listing shows, as values for JSON."""
        attributes = self.attributes
        return {
            "key": self.key,
            "series_uid": self.series_uid,
            "modality": attributes.modality,
            "modality_from": attributes.modality_from,
            "body_part": attributes.body_part,
            "study_date": attributes.study_date,
            "series_description": attributes.series_description,
            "plane": self.plane,
            "slices": self.n_slices,
            "rows": self.n_rows,
        }

    @property
    def part(self) -> str:
        """What distinguishes the volume from others of its series ("TemporalPositionIdentifier: 2") when it was read
        (series_splitting.py); empty where it was the only one."""
        return "; ".join(found[1] for note in self.notes if (found := _PART.match(note)))

    @property
    def identity(self) -> Identity:
        """Which volume it is."""
        return Identity(self.volume_id, self.fingerprint, self.series_uid, self.patient_token, self.study_token)


@dataclass(frozen=True, eq=False)
class StoredVolume:
    """A volume with what it is shown and located by.

    Attributes:
        embeddings: float32 [n, d], unit rows.
        slices: where they lie; n rows.
        outlines: float32 [n, 4], where the body lies on them; None where that is not known.
    """

    record: VolumeRecord
    embeddings: np.ndarray
    slices: SliceTable
    outlines: np.ndarray | None


@dataclass(frozen=True)
class Changes:
    """What an index that stands at a generation has to catch up with.

    Attributes:
        added: (key, rows, pooled rows) of each volume to add, ascending by key.
        removed: keys to drop; may name volumes that the index never saw.
        generation: of the store, where the index then stands.
        rebuild: the difference is not known (the index is too old, or not of this store): `added` is everything, and
            the index starts empty.
    """

    added: list[tuple[int, int, int]]
    removed: list[int]
    generation: int
    rebuild: bool = False


@dataclass(frozen=True)
class StoreStatistics:
    """Counts of a store; `modalities` counts volumes by modality ("" if unknown), `made_on` by device and precision."""

    volumes: int
    slices: int
    rows: int
    dimension: int
    generation: int
    tombstones: int
    size_bytes: int
    modalities: dict[str, int]
    made_on: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        return dict(self.__dict__)
