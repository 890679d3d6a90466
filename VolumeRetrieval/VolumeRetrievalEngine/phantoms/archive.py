"""A small archive of phantom patients, and a query that it does not hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import VolumeRetrievalError
from ..progress import ProgressCallback, ProgressClock
from .dicom import SeriesLabels, series_uid, write_dicom_series
from .patient import Patient
from .scanner import PhantomScan, scan

#: What each patient of an archive in turn was scanned for; after the last it starts again.
_EXAMINATIONS = (
    ("chest-abdomen",),
    ("head",),
    ("abdomen", "pelvis"),
    ("chest",),
    ("neck", "chest"),
    ("pelvis",),
    ("head", "neck"),
    ("abdomen",),
    ("chest-abdomen", "pelvis"),
    ("abdomen",),
    ("head", "chest"),
    ("chest-abdomen",),
)
#: An archive's patients are numbered from 1, below this; this number is the one who is never in it.
_UNSEEN = 999


@dataclass(frozen=True)
class ArchivedSeries:
    """One series of a phantom archive.

    Attributes:
        folder: where its files are.
        files: one for each slice.
        patient: who it shows; `patient_id` what the DICOM files call them.
        field_of_view: a key of FIELDS_OF_VIEW.
        series_uid: its SeriesInstanceUID.
    """

    folder: Path
    files: tuple[Path, ...]
    patient: Patient
    patient_id: str
    field_of_view: str
    series_uid: str


@dataclass(frozen=True)
class PhantomQuery:
    """A scan to search with, and a region in it.

    Attributes:
        scan: of a patient whom the archive of the same seed does not hold.
        organ: what the region is.
        mask: bool [k, j, i], the organ on the scan's grid (its affine is `scan.affine`).
        box: lowest and highest corner (float64 [3] each, RAS mm) of the box around it.
    """

    scan: PhantomScan
    organ: str
    mask: np.ndarray
    box: tuple[np.ndarray, np.ndarray]


def archive_patient(seed: int, number: int) -> Patient:
    """The patient of this number (1 to 998) in the archive of this seed."""
    if not 1 <= number <= _UNSEEN:
        raise VolumeRetrievalError(
            f"patient {number}: the patients of a phantom archive are numbered 1 to {_UNSEEN - 1}"
        )
    return Patient.random(1000 * seed + number)


def write_archive(
    folder: Path | str,
    n_patients: int = 12,
    seed: int = 0,
    *,
    fields_of_view: tuple[str, ...] | None = None,
    spacing_mm: tuple[float, float] | None = None,
    progress: ProgressCallback | None = None,
) -> list[ArchivedSeries]:
    """Write a small archive of phantom patients as DICOM series, `<folder>/<patient id>/<field of view>/IM0001.dcm`.

    Args:
        n_patients: 1 to 998; the default twelve have 17 series of all regions, about 70 MB.
        seed: of the archive: the same one gives the same files, byte for byte.
        fields_of_view: what every patient is scanned for; by default a mix, one or two series each.
        spacing_mm: pixel spacing and distance of the slices; by default about 160 pixels across and 3 to 5 mm.
        progress: called after every series; may raise Cancelled.

    Raises:
        VolumeRetrievalError: n_patients or a field of view that is not possible.
    """
    if not 1 <= n_patients < _UNSEEN:
        raise VolumeRetrievalError(f"{n_patients} patients: a phantom archive holds 1 to {_UNSEEN - 1}")
    examinations = [
        (number, view)
        for number in range(1, n_patients + 1)
        for view in (fields_of_view or _EXAMINATIONS[(number - 1) % len(_EXAMINATIONS)])
    ]
    clock = ProgressClock("phantoms", len(examinations), float(len(examinations)), progress)
    written = []
    for number, view in examinations:
        patient_id = f"PHANTOM-{number:04d}"
        target = Path(folder) / patient_id / view
        clock.tell(str(target))
        picture = scan(archive_patient(seed, number), view, spacing_mm=spacing_mm, seed=seed)
        labels = SeriesLabels(patient_id, f"Phantom^{number:04d}")
        files = tuple(write_dicom_series(picture, target, labels))
        written.append(ArchivedSeries(target, files, picture.patient, patient_id, view, series_uid(picture, labels)))
        clock.advance(1.0, str(target))
    return written


def make_query(
    seed: int = 0,
    field_of_view: str = "chest-abdomen",
    organ: str = "liver",
    *,
    spacing_mm: tuple[float, float] | None = None,
) -> PhantomQuery:
    """A scan of a patient whom `write_archive(..., seed=seed)` never writes, and one organ in it as a region.

    Raises:
        VolumeRetrievalError: an organ that this field of view does not show.
    """
    picture = scan(archive_patient(seed, _UNSEEN), field_of_view, spacing_mm=spacing_mm, seed=seed)
    if organ not in picture.masks:
        raise VolumeRetrievalError(
            f"{organ!r}: not in a scan of the {field_of_view}; expected {', '.join(picture.masks)}"
        )
    return PhantomQuery(picture, organ, picture.masks[organ], picture.organ_box(organ))
