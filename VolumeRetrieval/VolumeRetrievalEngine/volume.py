"""A volume: its voxels, where every slice lies, its identity, and what is known about it.

World coordinates are RAS in millimeters throughout (x to the patient's right, y to anterior, z to superior), as in
Slicer. Arrays are indexed [k, j, i] (slice, row, column), affines map (i, j, k, 1) to RAS.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

#: Flips the first two axes: LPS (DICOM, ITK) to RAS (Slicer) and back.
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class SliceTable:
    """Where the slices of one stack lie and where they came from; one row for each slice.

    Attributes:
        index: int32 [n], which slice of the full stack each row is (0-based). A thinned stack has gaps.
        sop_uid: n SOPInstanceUIDs; "" where the slice is no single DICOM frame (reformatted, or not from DICOM).
        frame: int32 [n], the frame within a multi-frame instance (0-based); -1 where there is none.
        origin: float64 [n, 3], RAS mm of the center of the slice's first pixel.
        normal: float64 [n, 3], unit vectors from one slice to the next.
        position: float64 [n], mm along the stack; spacing may be irregular.

    Example:
        >>> table = SliceTable.regular(np.diag([0.8, 0.8, 3.0, 1.0]), 40)
        >>> len(table), table.spacing, table.position[:3].tolist()
        (40, 3.0, [0.0, 3.0, 6.0])
    """

    index: np.ndarray
    sop_uid: tuple[str, ...]
    frame: np.ndarray
    origin: np.ndarray
    normal: np.ndarray
    position: np.ndarray

    def __len__(self) -> int:
        return len(self.sop_uid)

    def __post_init__(self) -> None:
        lengths = {f.name: len(getattr(self, f.name)) for f in fields(self)}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"all columns of a slice table need one row for each slice, got {lengths}")

    def take(self, rows: Sequence[int] | np.ndarray) -> SliceTable:
        """The table of these rows only, in this order (rows: int [m] or a boolean mask [n])."""
        chosen = np.arange(len(self))[np.asarray(rows)]
        return SliceTable(
            index=self.index[chosen],
            sop_uid=tuple(self.sop_uid[row] for row in chosen),
            frame=self.frame[chosen],
            origin=self.origin[chosen],
            normal=self.normal[chosen],
            position=self.position[chosen],
        )

    def to_dict(self) -> dict[str, Any]:
        """Values for JSON."""
        arrays = {f.name: getattr(self, f.name).tolist() for f in fields(self) if f.name != "sop_uid"}
        return {**arrays, "sop_uid": list(self.sop_uid)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SliceTable:
        """The table that :meth:`to_dict` wrote."""
        return cls(
            index=np.array(values["index"], np.int32),
            sop_uid=tuple(values["sop_uid"]),
            frame=np.array(values["frame"], np.int32),
            origin=np.array(values["origin"], np.float64).reshape(-1, 3),
            normal=np.array(values["normal"], np.float64).reshape(-1, 3),
            position=np.array(values["position"], np.float64),
        )

    @property
    def spacing(self) -> float:
        """The median distance between neighboring rows in mm; 0.0 for fewer than two rows."""
        return float(np.median(np.abs(np.diff(self.position)))) if len(self) > 1 else 0.0

    @classmethod
    def regular(cls, affine: np.ndarray, count: int) -> SliceTable:
        """The table of `count` evenly spaced slices along the third axis of `affine` (4 x 4, ijk to RAS mm)."""
        step = np.asarray(affine, dtype=np.float64)[:3, 2]
        spacing = float(np.linalg.norm(step)) or 1.0
        number = np.arange(count)
        origin = np.asarray(affine, dtype=np.float64)[:3, 3] + number[:, None] * step
        normal = np.tile(step / spacing, (count, 1))
        return cls(
            index=number.astype(np.int32),
            sop_uid=("",) * count,
            frame=np.full(count, -1, np.int32),
            origin=origin,
            normal=normal,
            position=origin @ normal[0] if count else np.zeros(0),
        )


@dataclass(frozen=True)
class Attributes:
    """What is known about a volume besides its voxels and is worth filtering on. "" means unknown.

    `modality_from` says where the modality came from: "dicom", "csv", "sidecar", "option" or "inferred".
    `series_description` may hold what a technician typed: it is shown to the user, never logged.

    Example:
        >>> Attributes(modality="CT").updated(body_part="CHEST", modality="").modality
        'CT'
    """

    modality: str = ""
    modality_from: str = ""
    body_part: str = ""
    study_date: str = ""  # YYYYMMDD
    manufacturer: str = ""
    contrast_agent: str = ""
    series_description: str = ""

    def updated(self, **values: str) -> Attributes:
        """A copy with these values where they are not empty."""
        return replace(self, **{name: value for name, value in values.items() if value})


@dataclass(frozen=True)
class SourceFiles:
    """The files of a volume: paths relative to a named root, because archives move.

    For a DICOM volume the paths are in slice order (one path, many frames, for a multi-frame instance).
    """

    root: str
    paths: tuple[str, ...]

    @property
    def label(self) -> str:
        """What to call this in a listing: the one file, or the folder that holds the series."""
        first = self.paths[0] if self.paths else ""
        return first if len(self.paths) <= 1 else (first.rpartition("/")[0] or ".")


@dataclass(frozen=True)
class Identity:
    """Which volume this is, and whether it is still the same.

    Attributes:
        volume_id: 32 hex digits, see :func:`dicom_volume_id` and :func:`file_volume_id`.
        fingerprint: changes when the volume's content does, and not when its files move.
        series_uid: SeriesInstanceUID, or "" for files that are not DICOM.
        patient_token, study_token: keyed hashes (see patients.py); "" means unknown, and unknown never equals unknown.
    """

    volume_id: str
    fingerprint: str
    series_uid: str = ""
    patient_token: str = ""
    study_token: str = ""


@dataclass
class Volume:
    """Voxels and everything needed to find them again.

    Attributes:
        voxels: float32 [k, j, i]; HU for CT.
        affine: float64 [4, 4], (i, j, k, 1) to RAS mm; for irregular slices the best regular fit; `slices` has the
            true positions.
        slices: one row for each k.
        identity, files, attributes: its identity, its origin, and what is known about it.
        notes: sentences on what was unusual about reading it (missing slices, gantry tilt, split by ...).

    Example:
        >>> volume = Volume.from_array(np.zeros((40, 64, 64)), np.diag([0.8, 0.8, 3.0, 1.0]), Attributes(modality="CT"))
        >>> volume.voxels.shape, volume.spacing.tolist()
        ((40, 64, 64), [0.8, 0.8, 3.0])
    """

    voxels: np.ndarray
    affine: np.ndarray
    slices: SliceTable
    identity: Identity = field(default_factory=lambda: Identity("", ""))
    files: SourceFiles = field(default_factory=lambda: SourceFiles("", ()))
    attributes: Attributes = field(default_factory=Attributes)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.voxels.ndim != 3:
            raise ValueError(f"a volume has 3 dimensions [k, j, i], got shape {self.voxels.shape}")
        if len(self.slices) != self.voxels.shape[0]:
            raise ValueError(f"{self.voxels.shape[0]} slices of voxels but {len(self.slices)} rows of slice geometry")

    @property
    def spacing(self) -> np.ndarray:
        """float64 [3]: distance in mm between neighbors along i, j and k (k: the median of the true slice gaps)."""
        nominal = np.linalg.norm(np.asarray(self.affine)[:3, :3], axis=0)
        return np.array([nominal[0], nominal[1], self.slices.spacing or nominal[2]])

    @classmethod
    def from_array(
        cls, voxels: np.ndarray, affine: np.ndarray, attributes: Attributes | None = None, name: str = "array"
    ) -> Volume:
        """A volume from an array [k, j, i] and its ijk-to-RAS affine [4, 4], from Slicer's scene or a script."""
        array = np.ascontiguousarray(voxels, dtype=np.float32)
        matrix = np.asarray(affine, dtype=np.float64)
        if array.ndim != 3:
            raise ValueError(f"a volume has 3 dimensions [k, j, i], got shape {array.shape}")
        digest = hashlib.sha256(array.tobytes() + matrix.tobytes()).hexdigest()[:32]
        return cls(
            voxels=array,
            affine=matrix,
            slices=SliceTable.regular(matrix, array.shape[0]),
            identity=Identity(volume_id=digest, fingerprint=digest),
            files=SourceFiles("", (name,)),
            attributes=attributes or Attributes(),
        )


def dicom_volume_id(series_uid: str, split_key: str) -> str:
    """The id of the volume of a series that holds the slices with this split key ("" for an undivided series)."""
    return _digest("dicom", series_uid, split_key)


def file_volume_id(root: str, relative_path: str) -> str:
    """The id of a volume file that carries no DICOM identity: its path below a named root."""
    return _digest("file", root, relative_path)


def _digest(*parts: str) -> str:
    # Not every file name is text: bytes of one that are none stand for themselves.
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:32]
