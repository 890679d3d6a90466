"""DICOM files for the tests of reading: made with pydicom, small, with the attributes a test is about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomIO
from pydicom.filewriter import write_dataset
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    generate_uid,
)

#: Must never appear in anything the engine keeps or says.
NAME, PATIENT_ID, BIRTH_DATE = "Kirnberger^Ottilie", "PID-7731-Q", "19421130"

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)


def stored_values(shape: Sequence[int] = (5, 12, 10), seed: int = 0, signed: bool = True) -> np.ndarray:
    """int16 (or uint16) [k, j, i] within 12 bits, every slice different."""
    generator = np.random.default_rng(seed)
    if signed:
        return generator.integers(-1000, 1500, shape).astype(np.int16)
    return generator.integers(0, 4096, shape).astype(np.uint16)


def slice_data_set(
    pixels: np.ndarray,
    position: Sequence[float] = (0.0, 0.0, 0.0),
    *,
    series: str = "1.2.826.0.1.1",
    instance: int = 1,
    orientation: Sequence[float] = AXIAL,
    spacing: Sequence[float] = (0.75, 0.5),
    image_type: Sequence[str] = ("ORIGINAL", "PRIMARY", "AXIAL"),
    **attributes: Any,
) -> Dataset:
    """A CT slice with these stored values [j, i]; an attribute given as None is left out."""
    made = Dataset()
    made.SOPClassUID = CTImageStorage
    made.SOPInstanceUID = generate_uid(entropy_srcs=[series, str(instance), str(position), str(attributes)])
    made.StudyInstanceUID = "1.2.826.0.1.9"
    made.SeriesInstanceUID = series
    made.PatientName, made.PatientID, made.PatientBirthDate = NAME, PATIENT_ID, BIRTH_DATE
    made.Modality, made.BodyPartExamined, made.StudyDate = "CT", "CHEST", "20200102"
    made.Manufacturer, made.SeriesDescription = "ACME", "thin slices of the lung"
    made.InstanceNumber = instance
    made.ImageType = list(image_type)
    made.ImagePositionPatient = [float(value) for value in position]
    made.ImageOrientationPatient = [float(value) for value in orientation]
    made.PixelSpacing = list(spacing)
    made.Rows, made.Columns = pixels.shape
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated = made.BitsStored = pixels.dtype.itemsize * 8
    made.HighBit = made.BitsStored - 1
    made.PixelRepresentation = int(pixels.dtype.kind == "i")
    made.RescaleSlope, made.RescaleIntercept = 1, 0
    made.PixelData = np.ascontiguousarray(pixels).tobytes()
    made["PixelData"].VR = "OW"
    for keyword, value in attributes.items():
        if value is None:
            delattr(made, keyword)
        else:
            setattr(made, keyword, value)
    return made


def write(path: Path, data_set: Dataset, syntax: str = ExplicitVRLittleEndian) -> Path:
    """Write a data set as a DICOM file; big-endian pixel data is swapped here."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if syntax == ExplicitVRBigEndian:
        data_set.PixelData = np.frombuffer(data_set.PixelData, "<u2").byteswap().tobytes()
        data_set["PixelData"].VR = "OW"
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = syntax
    data_set.file_meta.MediaStorageSOPClassUID = data_set.SOPClassUID
    data_set.file_meta.MediaStorageSOPInstanceUID = data_set.SOPInstanceUID
    pydicom.dcmwrite(path, data_set, enforce_file_format=True)
    return path


def write_without_preamble(path: Path, data_set: Dataset) -> Path:
    """As old archives hold them: the bare data set, implicit little-endian."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        out = DicomIO(file)
        out.is_implicit_VR, out.is_little_endian = True, True
        write_dataset(out, data_set)
    return path


def write_series(
    folder: Path,
    voxels: np.ndarray,
    *,
    gap: float = 2.5,
    first: int = 1,
    start: float = 0.0,
    names: Callable[[int], str] = "slice{:03d}.dcm".format,
    syntax: str = ExplicitVRLittleEndian,
    **attributes: Any,
) -> list[Path]:
    """An axial series of stored values [k, j, i], slices `gap` mm apart from z = `start`; attributes as above.

    A callable attribute is called with the slice's number.
    """
    paths = []
    for number, pixels in enumerate(voxels):
        values = {key: value(number) if callable(value) else value for key, value in attributes.items()}
        position = values.pop("position", (-20.0, -30.0, start + number * gap))
        data_set = slice_data_set(pixels, position, **{"instance": first + number, **values})
        paths.append(write(folder / names(first + number), data_set, syntax))
    return paths


def multiframe_data_set(
    voxels: np.ndarray,
    *,
    gap: float = 3.0,
    per_frame: Callable[[int], dict[str, Dataset]] | None = None,
    shared: dict[str, Dataset] | None = None,
    positions: Sequence[Sequence[float]] | None = None,
    sop_class: str = EnhancedCTImageStorage,
    **attributes: Any,
) -> Dataset:
    """An enhanced instance with a frame for each slice; functional groups by keyword, without "Sequence"."""
    made = slice_data_set(voxels[0], **attributes)
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope"):
        delattr(made, keyword)
    del made.RescaleIntercept
    made.SOPClassUID = sop_class
    made.NumberOfFrames = len(voxels)
    made.PixelData = np.ascontiguousarray(voxels).tobytes()
    made["PixelData"].VR = "OW"
    common = {
        "PixelMeasures": item(PixelSpacing=[0.75, 0.5], SliceThickness=gap),
        "PlaneOrientation": item(ImageOrientationPatient=list(AXIAL)),
        **(shared or {}),
    }
    made.SharedFunctionalGroupsSequence = [_groups(common)]
    frames = []
    for number in range(len(voxels)):
        position = positions[number] if positions is not None else (-20.0, -30.0, number * gap)
        own = {"PlanePosition": item(ImagePositionPatient=[float(value) for value in position])}
        frames.append(_groups({**own, **(per_frame(number) if per_frame else {})}))
    made.PerFrameFunctionalGroupsSequence = frames
    return made


def item(**attributes: Any) -> Dataset:
    """A sequence item with these attributes."""
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def _groups(groups: dict[str, Dataset]) -> Dataset:
    return item(**{f"{keyword}Sequence": [values] for keyword, values in groups.items()})
