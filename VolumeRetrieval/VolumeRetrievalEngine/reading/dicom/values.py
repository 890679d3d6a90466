"""Getting values out of a DICOM data set that may hold anything."""

from __future__ import annotations

import math
import re
import struct
from functools import cache
from typing import Any

from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID


def text(data_set: Dataset, keyword: str | int) -> str:
    """The element as text; "" if it is absent, empty or not decodable."""
    value = raw(data_set, keyword)
    if value is None:
        return ""
    if isinstance(value, bytes):
        value = value.decode("ascii", "ignore").rstrip("\0")
    return str(value).strip()


def texts(data_set: Dataset, keyword: str) -> tuple[str, ...]:
    """An element of one or more values as texts; () if it is absent."""
    value = raw(data_set, keyword)
    if value is None or value == "":
        return ()
    if isinstance(value, (str, bytes, int, float)):
        return (text(data_set, keyword),)
    return tuple(str(one).strip() for one in value)


def whole(data_set: Dataset, keyword: str, default: int = 0) -> int:
    """The element as a whole number; `default` if it is absent or none."""
    try:
        return int(float(text(data_set, keyword)))
    except (ValueError, OverflowError):
        return default


def numbers(data_set: Dataset, keyword: str | int, count: int) -> tuple[float, ...] | None:
    """`count` finite numbers; None if the element is absent or holds anything else.

    Private elements that a de-identifier or an archive rewrote as UN are bytes: text or little-endian doubles.
    """
    value = raw(data_set, keyword)
    if isinstance(value, bytes):
        value = _from_bytes(value, count)
    if value is None or value == "":
        return None
    if isinstance(value, (str, int, float)):
        value = [value]
    try:
        found = tuple(float(one) for one in value)
    except (TypeError, ValueError):
        return None
    return found if len(found) == count and all(math.isfinite(one) for one in found) else None


def first_item(data_set: Dataset | None, keyword: str) -> Dataset | None:
    """The first item of a sequence; None if there is none."""
    value = None if data_set is None else raw(data_set, keyword)
    try:
        return value[0] if value else None
    except (TypeError, IndexError, KeyError):
        return None


def raw(data_set: Dataset, keyword: str | int) -> Any:
    """The element's value as pydicom converts it; None if it is absent or its value cannot be converted."""
    try:
        tag = _tag(keyword)
        return data_set[tag].value if tag in data_set else None
    except Exception:  # pydicom raises many kinds for a malformed value, and their text may quote it
        return None


@cache
def _tag(keyword: str | int) -> BaseTag:
    return Tag(keyword)


def _from_bytes(value: bytes, count: int) -> list[float] | None:
    try:
        parts = [float(part) for part in value.decode("ascii").strip(" \0").split("\\")]
        if len(parts) == count:
            return parts
    except ValueError:  # includes UnicodeDecodeError
        pass
    for size, code in ((8, "d"), (4, "f")):
        if len(value) == size * count:
            return list(struct.unpack(f"<{count}{code}", value))
    return None


def uid_in_words(uid: str) -> str:
    """The name of a UID, or the UID; for what is none, that: a damaged header may have the patient's name there."""
    if not re.fullmatch(r"[0-9.]{1,64}", uid):
        return "no valid UID"
    return UID(uid).name
