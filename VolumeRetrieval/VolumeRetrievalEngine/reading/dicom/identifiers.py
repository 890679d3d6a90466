"""Keeps the patient out of free text: descriptions that somebody typed the patient's name or ID into."""

from __future__ import annotations

import re

from pydicom.dataset import Dataset

from .values import text, texts

REMOVED = "[removed]"
#: Shorter identifiers are only removed where they stand as a word, for they may be part of any.
_LONG = 4


def without_identifiers(description: str, data_set: Dataset) -> str:
    """The description with the name, the IDs and the birth date of the data set's patient taken out."""
    if not description:
        return ""
    names = re.split(r"[\^=\s,]+", text(data_set, "PatientName"))
    others = (text(data_set, "PatientID"), text(data_set, "PatientBirthDate"), *texts(data_set, "OtherPatientIDs"))
    for identifier in sorted({*names, *others}, key=len, reverse=True):
        if len(identifier) < 2:
            continue
        pattern = re.escape(identifier) if len(identifier) >= _LONG else rf"\b{re.escape(identifier)}\b"
        description = re.sub(pattern, REMOVED, description, flags=re.IGNORECASE)
    return description
