"""What names the patient of a DICOM data set, in every character set, so that it can be taken out of free text."""

from __future__ import annotations

from pydicom.charset import convert_encodings, decode_bytes
from pydicom.dataset import Dataset
from pydicom.valuerep import PN_DELIMS, PersonName

from ..patient_words import PatientWords, patient_words
from .values import raw, text, texts

_NAMES = ("PatientName", "OtherPatientNames", "PatientBirthName")
_IDS = ("PatientID", "OtherPatientIDs")


def words_of_patient(data_set: Dataset) -> PatientWords:
    """The names, IDs and birth date of the data set's patient."""
    return patient_words(
        names=[name for keyword in _NAMES for name in _names(data_set, keyword)],
        ids=[one for keyword in _IDS for one in texts(data_set, keyword)],
        birth_dates=[text(data_set, "PatientBirthDate")],
    )


def _names(data_set: Dataset, keyword: str) -> list[str]:
    """A name as pydicom reads it, and decoded as a whole.

    pydicom divides names at backslashes before it decodes them, and in GBK and GB18030 that byte is also the second
    half of some letters. The description, which is decoded first, would keep them.
    """
    value = raw(data_set, keyword)
    if not value:
        return []
    several = list(value) if not isinstance(value, (str, PersonName)) else [value]
    found = [str(one) for one in several]
    stored = [one.original_string for one in several if isinstance(one, PersonName)]
    if len(stored) > 1 and all(isinstance(one, bytes) for one in stored):
        try:
            encodings = convert_encodings(list(texts(data_set, "SpecificCharacterSet")) or None)
            groups = b"\\".join(stored).split(b"=")
            found.append("=".join(decode_bytes(group, encodings, PN_DELIMS) for group in groups))
        except (LookupError, UnicodeError, ValueError, TypeError):
            pass
    return found
