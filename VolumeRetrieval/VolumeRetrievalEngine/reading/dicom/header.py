"""From the header of a DICOM file to its facts, or to the reason why it gives no slice of a volume."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.tag import BaseTag, Tag

from ...errors import UnreadableFileError
from ...patients import PatientTokens
from ...volume import Attributes
from ..facts import FileFacts, SeriesFacts, SliceFacts
from ..reasons import not_readable
from ..series_patients import SeriesPatients, names_patient, runs_over, without_patient
from . import classic_frames, mosaic
from .criteria import OF_INSTANCES, criteria_of
from .deflated import check_deflated
from .functional_groups import DIMENSIONS, FRAME_GROUPS, SHARED_GROUPS, frame_groups, frame_values
from .identifiers import words_of_patient
from .pixel_bytes import is_deflated, missing_bytes
from .values import numbers, text, texts, uid_in_words, whole

#: Study tokens are made with this issuer, from StudyInstanceUID or what a metadata table calls the study.
STUDY_ISSUER = "study"

_ELEMENTS: tuple[str | int, ...] = (
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "StudyInstanceUID",
    "PatientID",
    "IssuerOfPatientID",
    "OtherPatientIDs",
    "PatientName",
    "OtherPatientNames",
    "PatientBirthName",
    "PatientBirthDate",
    "Modality",
    "BodyPartExamined",
    "StudyDate",
    "ContrastBolusAgent",
    "SeriesDescription",
    "PixelSpacing",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "BitsAllocated",
    "InstanceNumber",
    *mosaic.ELEMENTS,
    *classic_frames.ELEMENTS,
    *(element for criterion in OF_INSTANCES for element in criterion.elements),
)
#: Made into tags once, because pydicom would for every file.
_TAGS = list(dict.fromkeys(map(Tag, _ELEMENTS)))

#: Attributes that somebody may have typed.
_FREE_TEXTS = {
    "body_part": "BodyPartExamined",
    "manufacturer": "Manufacturer",
    "contrast_agent": "ContrastBolusAgent",
    "series_description": "SeriesDescription",
}

_NO_IMAGE_CLASSES = {
    "1.2.840.10008.1.3.10": "a DICOM media directory (DICOMDIR)",
    "1.2.840.10008.5.1.4.1.1.66": "raw data",
    "1.2.840.10008.5.1.4.1.1.66.1": "a spatial registration",
    "1.2.840.10008.5.1.4.1.1.66.2": "fiducials",
    "1.2.840.10008.5.1.4.1.1.66.3": "a deformable registration",
    "1.2.840.10008.5.1.4.1.1.66.4": "a segmentation (SEG)",
    "1.2.840.10008.5.1.4.1.1.66.5": "a surface segmentation",
    "1.2.840.10008.5.1.4.1.1.66.6": "a tractography result",
    "1.2.840.10008.5.1.4.1.1.66.7": "a segmentation (SEG)",
}
#: Families of SOP classes (PS3.4 B.5) by the beginning of their UID.
_NO_IMAGE_FAMILIES = {
    "1.2.840.10008.5.1.4.1.1.481.": "a radiotherapy object (RT)",
    "1.2.840.10008.5.1.4.1.1.88.": "a structured report (SR)",
    "1.2.840.10008.5.1.4.1.1.11.": "a presentation state (PR)",
    "1.2.840.10008.5.1.4.1.1.104.": "an encapsulated document",
    "1.2.840.10008.5.1.4.1.1.9.": "a waveform",
    "1.2.840.10008.5.1.4.38.": "a hanging protocol",
}
_NO_IMAGE_MODALITIES = {
    "SR": "a structured report (SR)",
    "SEG": "a segmentation (SEG)",
    "RTSTRUCT": "a radiotherapy object (RT)",
    "RTDOSE": "a radiotherapy object (RT)",
    "RTPLAN": "a radiotherapy object (RT)",
    "RTRECORD": "a radiotherapy object (RT)",
    "RTIMAGE": "a radiotherapy object (RT)",
    "PR": "a presentation state (PR)",
    "KO": "a key object selection (KO)",
    "DOC": "an encapsulated document",
    "REG": "a spatial registration",
}
#: CT, MR, PET, their enhanced and legacy converted kinds: these must say where their slices lie.
_TOMOGRAPHIC = tuple(
    f"1.2.840.10008.5.1.4.1.1.{tail}" for tail in ("2", "2.1", "2.2", "4", "4.1", "4.4", "128", "128.1", "130")
)
#: CT, MR and PET with one slice in each instance, whatever they say about frames.
_SINGLE_FRAME = tuple(f"1.2.840.10008.5.1.4.1.1.{tail}" for tail in ("2", "4", "128"))


def looks_like_dicom(head: bytes) -> bool:
    """Whether a file that begins with these bytes (132 or more) is DICOM; also without preamble (PS3.10 7.1).

    Without it the data set begins at once, with an element of group 0002 or 0008, in little-endian order.
    """
    if head[128:132] == b"DICM":
        return True
    group, element = int.from_bytes(head[:2], "little"), int.from_bytes(head[2:4], "little")
    if group not in (0x0002, 0x0008) or element > 0x0070 or len(head) < 132:
        return False
    explicit = head[4:6] in (b"UL", b"OB", b"UI", b"CS", b"SH", b"DA", b"TM", b"DT", b"LO", b"LT")
    length = int.from_bytes(head[4:8], "little")
    return explicit or (length <= 1024 and length % 2 == 0)


def read_dicom_facts(path: Path, size: int, tokens: PatientTokens, patients: SeriesPatients | None = None) -> FileFacts:
    """The facts of a file that looks like DICOM, `size` bytes long. Never raises for what the file holds.

    Args:
        patients: is told what names the patient.
    """
    try:
        check_deflated(path, size)
        data_set, pixels_at = _header(path, _TAGS)
        facts = _judge(path, data_set, size, pixels_at, tokens)
        if facts.series is None:
            return facts
        words = words_of_patient(data_set)
        if patients is not None:
            patients.note(facts.series.series_uid, words)
        if any(names_patient(uid, words) for uid in (facts.series.series_uid, *(one.sop_uid for one in facts.slices))):
            return failed("the patient's name stands where a UID belongs, and would be stored; export the file again")
        facts = without_patient(facts, words)
    except UnreadableFileError as error:
        return failed(error.reason)
    except zlib.error:
        return failed("truncated: its compressed data set ends too early or is damaged; copy or export it again")
    except InvalidDicomError:
        return failed("not readable as DICOM: damaged, or another kind of file; copy or export it again")
    except OSError as error:
        return failed(not_readable(error))
    except Exception as error:  # pydicom raises many kinds for damaged files; their text may quote values
        return failed(f"damaged DICOM header ({type(error).__name__}); export the file again")
    return facts


def failed(reason: str) -> FileFacts:
    return FileFacts(skip=reason, failed=True)


def skipped(reason: str) -> FileFacts:
    return FileFacts(skip=reason)


def _header(path: Path, tags: Sequence[BaseTag]) -> tuple[Dataset, int]:
    """The elements with these tags, and where in the file the pixel data begins (its end, if there is none)."""
    with path.open("rb") as file:
        data_set = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=cast(list[int], tags), force=True)
        return data_set, file.tell()


def _judge(path: Path, data_set: Dataset, size: int, pixels_at: int, tokens: PatientTokens) -> FileFacts:
    if reason := _no_image(data_set):
        return skipped(reason)
    sop_class = text(data_set, "SOPClassUID")
    rows, columns = whole(data_set, "Rows"), whole(data_set, "Columns")
    if not (rows and columns) or (pixels_at >= size and not is_deflated(data_set)):
        if sop_class and sop_class not in _TOMOGRAPHIC:
            return skipped(f"no image ({uid_in_words(sop_class)})")
        return failed("truncated: it ends before the pixel data; copy or export it again")
    if whole(data_set, "SamplesPerPixel", 1) > 1 or text(data_set, "PhotometricInterpretation") == "PALETTE COLOR":
        return skipped("a color image (secondary capture), no volume of intensities")
    if any("LOCALIZER" in value.upper() for value in texts(data_set, "ImageType")):
        return skipped("a localizer")
    if mosaic.is_mosaic(data_set, path):
        return skipped(mosaic.MOSAIC)
    if missing := missing_bytes(path, data_set, size, pixels_at):
        return failed(f"truncated: {missing} bytes of pixel data are missing; copy or export it again")
    # Each frame is an item of 8 bytes at least, and no deflate stream holds more than 1032 times its length.
    frames = whole(data_set, "NumberOfFrames", 1)
    if frames > 1 and 8 * frames > size * (1032 if is_deflated(data_set) else 1):
        return failed(f"damaged header: {frames} frames cannot be in a file of {size} bytes; copy or export it again")
    series_uid = text(data_set, "SeriesInstanceUID")
    if not series_uid or not _sop_uid(data_set):
        return failed("SeriesInstanceUID or SOPInstanceUID is missing, so its series is not known; export it again")
    if not (series_uid + _sop_uid(data_set)).isprintable():
        return failed("damaged header: its UIDs hold what is no text; copy or export it again")
    slices = _slices(path, data_set, (rows, columns))
    if isinstance(slices, FileFacts):
        return slices
    return FileFacts(series=_series(data_set, series_uid, tokens), slices=slices)


def _unlocated(data_set: Dataset) -> FileFacts:
    if text(data_set, "SOPClassUID") not in _TOMOGRAPHIC:
        return skipped("an image without position in space")
    return failed(
        "missing geometry: ImagePositionPatient, ImageOrientationPatient and PixelSpacing are needed to know "
        "where a slice lies; export it again from the scanner or the archive"
    )


def _no_image(data_set: Dataset) -> str:
    """Why this object holds no image of interest, by its SOP class or modality; "" if it may hold one."""
    sop_class = text(data_set, "SOPClassUID") or text(getattr(data_set, "file_meta", Dataset()), _MEDIA_CLASS)
    for beginning, reason in _NO_IMAGE_FAMILIES.items():
        if sop_class.startswith(beginning):
            return reason
    return _NO_IMAGE_CLASSES.get(sop_class, "") or _NO_IMAGE_MODALITIES.get(text(data_set, "Modality").upper(), "")


_MEDIA_CLASS = "MediaStorageSOPClassUID"


def _sop_uid(data_set: Dataset) -> str:
    """SOPInstanceUID; where it is empty, that of the file's meta information, which says the same (PS3.10 7.1)."""
    return text(data_set, "SOPInstanceUID") or text(
        getattr(data_set, "file_meta", Dataset()), "MediaStorageSOPInstanceUID"
    )


def _series(data_set: Dataset, series_uid: str, tokens: PatientTokens) -> SeriesFacts:
    modality = text(data_set, "Modality").upper()
    modality = "" if runs_over(modality) else modality
    date = text(data_set, "StudyDate")
    attributes = Attributes(
        modality=modality,
        modality_from="dicom" if modality else "",
        study_date=date if len(date) == 8 and date.isdigit() else "",
        **_free_texts(data_set),
    )
    return SeriesFacts(
        series_uid=series_uid,
        patient_token=tokens.token(text(data_set, "IssuerOfPatientID"), text(data_set, "PatientID")),
        study_token=tokens.token(STUDY_ISSUER, text(data_set, "StudyInstanceUID")),
        attributes=replace(attributes, body_part=attributes.body_part.upper()),
    )


def _free_texts(data_set: Dataset) -> dict[str, str]:
    """Attributes in free text without what names the patient.

    None where the elements are not in the order of their tags (PS3.5 7.1): then a tag is damaged, and a text may be of
    another element. One bit makes a contrast agent of a patient's name.
    """
    if any(after < before for before, after in pairwise(map(int, data_set.keys()))):
        return {}
    words = words_of_patient(data_set)
    texts_as_read = {name: text(data_set, keyword) for name, keyword in _FREE_TEXTS.items()}
    return {name: words.removed_from(one) for name, one in texts_as_read.items() if not runs_over(one)}


def _slices(path: Path, data_set: Dataset, matrix: tuple[int, int]) -> tuple[SliceFacts, ...] | FileFacts:
    """The slices of this instance, or why it gives none."""
    common: dict[str, Any] = {
        "sop_uid": _sop_uid(data_set),
        "instance": whole(data_set, "InstanceNumber"),
        "matrix": matrix,
    }
    count = whole(data_set, "NumberOfFrames", 1)
    position = numbers(data_set, "ImagePositionPatient", 3)
    of_frames = position is None or text(data_set, "SOPClassUID") not in _SINGLE_FRAME
    if count > 1 or (of_frames and text(data_set, "NumberOfFrames")):
        groups, _ = _header(path, [*_TAGS, *map(Tag, (SHARED_GROUPS, FRAME_GROUPS, DIMENSIONS))])
        found = [frame_values(frame, groups) for frame in frame_groups(groups)]
        if not found and (count > 1 or position is None):
            classic = classic_frames.classic_frames(data_set)
            if isinstance(classic, str):
                return skipped(classic)
            found = classic
        if found and len(found) != count:
            return failed(f"its header describes {len(found)} frames where it announces {count}; export it again")
        if found:
            if not all(_located(values) for values in found):
                return _unlocated(data_set)
            return tuple(SliceFacts(frame=number, **common, **values) for number, values in enumerate(found))
    values: dict[str, Any] = {
        "image_type": tuple(value.upper() for value in texts(data_set, "ImageType")),
        "spacing": numbers(data_set, "PixelSpacing", 2),
        "orientation": numbers(data_set, "ImageOrientationPatient", 6),
        "position": position,
        "thickness": abs((numbers(data_set, "SliceThickness", 1) or (0.0,))[0]),
        "step": abs((numbers(data_set, "SpacingBetweenSlices", 1) or (0.0,))[0]),
        "criteria": criteria_of(data_set),
    }
    return (SliceFacts(frame=-1, **common, **values),) if _located(values) else _unlocated(data_set)


def _located(values: Mapping[str, Any]) -> bool:
    """Whether a slice has a position, two perpendicular unit directions and a positive pixel spacing."""
    spacing, orientation = values["spacing"], values["orientation"]
    if spacing is None or orientation is None or values["position"] is None:
        return False
    row, column = orientation[:3], orientation[3:]
    lengths = [sum(one * one for one in direction) for direction in (row, column)]
    across = sum(one * other for one, other in zip(row, column, strict=True))
    return min(spacing) > 0 and all(abs(length - 1) < 0.02 for length in lengths) and abs(across) < 0.02
