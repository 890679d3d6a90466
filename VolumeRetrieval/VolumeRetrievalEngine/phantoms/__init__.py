"""Seeded anthropomorphic CT phantoms: people who do not exist, for the demo, the sample data and the self tests.

A patient is one continuous body of a size, build and pose of their own, drawn from a seed (patient.py,
anatomy.py and the modules it names). A scan samples it on a grid (scanner.py): any field of view of one
patient shows the same organs at the same place. Scans are written as DICOM series (dicom.py). numpy and
pydicom only.

    >>> patient = Patient.random(7)
    >>> chest = scan(patient, "chest")
    >>> chest.voxels.dtype, chest.masks["heart"].shape == chest.voxels.shape
    (dtype('float32'), True)

Nothing is claimed about real patients from phantoms: what retrieval scores on them shows that the parts work together.
"""

from __future__ import annotations

from .anatomy import LABELS, ORGANS
from .archive import ArchivedSeries, PhantomQuery, archive_patient, make_query, write_archive
from .dicom import SeriesLabels, write_dicom_series
from .patient import Patient
from .scanner import FIELDS_OF_VIEW, PhantomScan, scan

__all__ = [
    "FIELDS_OF_VIEW",
    "LABELS",
    "ORGANS",
    "ArchivedSeries",
    "Patient",
    "PhantomQuery",
    "PhantomScan",
    "SeriesLabels",
    "archive_patient",
    "make_query",
    "scan",
    "write_archive",
    "write_dicom_series",
]
