"""Phantom scans as DICOM: one CT Image Storage instance for each slice (PS3.3 A.3), reproducible from the seeds.

Every attribute of type 1 and 2 of the mandatory modules is there. Names and IDs are visibly those of phantoms; the
dates are invented. UIDs are derived from the content's seeds, so that an archive written twice is the same archive.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from .. import __version__
from .scanner import FIELDS_OF_VIEW, PhantomScan

MANUFACTURER = "VolumeRetrieval phantom"
#: Stored values are HU plus this, as scanners write them, so that readers have a rescale to apply.
_OFFSET = 1024
#: Patient coordinates are LPS in DICOM (PS3.3 C.7.6.2.1.1) and RAS here.
_RAS_TO_LPS = np.array([-1.0, -1.0, 1.0])


@dataclass(frozen=True)
class SeriesLabels:
    """What a series says about whom and when.

    Attributes:
        patient_id, patient_name: of the phantom; "" makes them from its seed.
        study_date: YYYYMMDD; "" makes one up from its seed.
        series_number: DICOM's SeriesNumber, which also tells series of one study and field of view apart.
        description: DICOM's SeriesDescription; "" says field of view and slice spacing.
    """

    patient_id: str = ""
    patient_name: str = ""
    study_date: str = ""
    series_number: int = 1
    description: str = ""


def write_dicom_series(scan: PhantomScan, folder: Path | str, labels: SeriesLabels | None = None) -> list[Path]:
    """Write a scan into a folder (made if need be) as IM0001.dcm and so on, from the head downwards.

    HU are rounded to whole numbers. Returns the files in that order.
    """
    labels = labels or SeriesLabels()
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    stored = np.clip(np.rint(scan.voxels) + _OFFSET, 0, 4095).astype("<i2")
    common = _common_attributes(scan, labels)
    written = []
    for number, k in enumerate(range(len(stored) - 1, -1, -1), start=1):
        path = target / f"IM{number:04d}.dcm"
        _instance(common, scan, labels, k, number, stored[k]).save_as(path, enforce_file_format=True)
        written.append(path)
    return written


def series_uid(scan: PhantomScan, labels: SeriesLabels | None = None) -> str:
    """The SeriesInstanceUID that a scan is written with."""
    return _uid(scan, labels or SeriesLabels(), "series")


def _uid(scan: PhantomScan, labels: SeriesLabels, *what: object) -> str:
    """A UID of this series or something in it: another one for other voxels, labels or versions of the engine."""
    geometry = " ".join(f"{value:.4f}" for value in scan.affine.ravel())
    picture = (scan.patient.seed, scan.field_of_view, scan.seed, scan.contrast, f"{scan.noise_hu:.4f}", geometry)
    parts = (*picture, labels, __version__, *what)
    return generate_uid(entropy_srcs=[repr(parts)])


def _study_uid(scan: PhantomScan, labels: SeriesLabels, what: str) -> str:
    """A UID that all series of a patient's study share."""
    identity = (scan.patient.seed, labels.patient_id, _study_date(scan, labels), __version__, what)
    return generate_uid(entropy_srcs=[repr(identity)])


def _study_date(scan: PhantomScan, labels: SeriesLabels) -> str:
    if labels.study_date:
        return labels.study_date
    days = int(np.random.default_rng([78, scan.patient.seed]).integers(0, 5 * 365))
    return (datetime.date(2020, 1, 1) + datetime.timedelta(days=days)).strftime("%Y%m%d")


def _common_attributes(scan: PhantomScan, labels: SeriesLabels) -> Dataset:
    """What all slices of the series have in common."""
    dataset = Dataset()
    _describe_patient_and_study(dataset, scan, labels)
    _describe_series_and_equipment(dataset, scan, labels)
    _describe_acquisition(dataset, scan)
    _describe_pixels(dataset, scan)
    return dataset


def _describe_patient_and_study(dataset: Dataset, scan: PhantomScan, labels: SeriesLabels) -> None:
    patient, date = scan.patient, _study_date(scan, labels)
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName = labels.patient_name or f"Phantom^{patient.seed:04d}"
    dataset.PatientID = labels.patient_id or f"PHANTOM-{patient.seed:04d}"
    dataset.IssuerOfPatientID = MANUFACTURER
    dataset.PatientBirthDate = ""
    dataset.PatientSex = patient.sex
    dataset.PatientAge = f"{patient.age:03d}Y"
    dataset.StudyInstanceUID = _study_uid(scan, labels, "study")
    dataset.StudyDate, dataset.StudyTime = date, "080000"
    dataset.StudyID, dataset.AccessionNumber, dataset.ReferringPhysicianName = "1", "", ""
    dataset.StudyDescription = "Computed phantom"


def _describe_series_and_equipment(dataset: Dataset, scan: PhantomScan, labels: SeriesLabels) -> None:
    step = scan.spacing[2]
    title = f"{scan.field_of_view.capitalize()} {step:.1f} mm{' with contrast' if scan.contrast else ''}"
    dataset.Modality = "CT"
    dataset.SeriesInstanceUID = series_uid(scan, labels)
    dataset.SeriesNumber = labels.series_number
    dataset.SeriesDate, dataset.SeriesTime = dataset.StudyDate, "080500"
    dataset.SeriesDescription = labels.description or title
    dataset.ProtocolName = scan.field_of_view
    dataset.BodyPartExamined = FIELDS_OF_VIEW[scan.field_of_view].body_part
    dataset.PatientPosition = "HFS"
    dataset.FrameOfReferenceUID = _study_uid(scan, labels, "frame of reference")
    dataset.PositionReferenceIndicator = ""
    dataset.Manufacturer = MANUFACTURER
    dataset.ManufacturerModelName = "Seeded body"
    dataset.DeviceSerialNumber = "0"
    dataset.SoftwareVersions = __version__


def _describe_acquisition(dataset: Dataset, scan: PhantomScan) -> None:
    # Computed from shapes, not measured: DERIVED, and no tube current or dose is claimed (KVP is type 2: empty).
    dataset.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
    dataset.DerivationDescription = "Computed phantom, no patient"
    dataset.AcquisitionNumber = 1
    dataset.AcquisitionDate, dataset.AcquisitionTime = dataset.StudyDate, "080500"
    dataset.ContentDate, dataset.ContentTime = dataset.StudyDate, "080600"
    dataset.KVP = None
    dataset.ConvolutionKernel = "SOFT"
    dataset.ReconstructionDiameter = _decimal(scan.spacing[0] * scan.voxels.shape[2])
    if scan.contrast:
        dataset.ContrastBolusAgent = "Computed contrast agent"
        dataset.ContrastBolusRoute = "IV"


def _describe_pixels(dataset: Dataset, scan: PhantomScan) -> None:
    directions = scan.affine[:3, :2] / scan.spacing[:2] * _RAS_TO_LPS[:, None]
    dataset.ImageOrientationPatient = [_decimal(value) for value in directions.T.ravel()]
    dataset.PixelSpacing = [_decimal(scan.spacing[1]), _decimal(scan.spacing[0])]
    dataset.SliceThickness = _decimal(scan.spacing[2])
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = scan.voxels.shape[1:]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = -_OFFSET, 1, "HU"
    dataset.WindowCenter, dataset.WindowWidth = (40, 80) if scan.field_of_view == "head" else (40, 400)
    dataset.BurnedInAnnotation = "NO"
    dataset.LossyImageCompression = "00"


def _instance(
    common: Dataset, scan: PhantomScan, labels: SeriesLabels, k: int, number: int, stored: np.ndarray
) -> Dataset:
    """One slice: the k-th of the scan, with this InstanceNumber and these stored values (int16 [j, i])."""
    dataset = Dataset()
    dataset.update(common)
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = _uid(scan, labels, "slice", k)
    dataset.InstanceNumber = number
    origin = (scan.affine[:3, 3] + k * scan.affine[:3, 2]) * _RAS_TO_LPS
    dataset.ImagePositionPatient = [_decimal(value) for value in origin]
    dataset.SliceLocation = _decimal(origin[2])
    dataset.PixelData = stored.tobytes()
    dataset["PixelData"].VR = "OW"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def _decimal(value: float) -> str:
    """A number as DICOM's decimal string: at most 16 characters, four digits of a millimeter, no minus zero."""
    return f"{round(float(value), 4) + 0.0:.4f}".rstrip("0").rstrip(".")
