"""Which volumes a search may return: by what is known about them, and by whose they are.

A filter is written as one or more conditions, all of which have to hold:

    modality=CT                 is this (letters in any case)
    modality=CT,PT              is one of these
    modality!=MR                is not this (also where unknown)
    series_description~lung     contains this
    study_date>=20200101        on or after; also >, <, <=; dates as 2020, 202006, 20200131 or 2020-01-31
    study_date=2019..202006     in this range, both ends included; an end may be left out
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..errors import FilterError
from ..volume import Identity

#: What can be filtered on -> the column of the store. `path` is the file, or the folder of a series, below its root.
ATTRIBUTES = {
    "modality": "modality",
    "body_part": "body_part",
    "study_date": "study_date",
    "manufacturer": "manufacturer",
    "contrast_agent": "contrast_agent",
    "series_description": "series_description",
    "plane": "plane",
    "series_uid": "series_uid",
    "path": "label",
}

_DATES = {"study_date"}
_CONDITION = re.compile(r"\s*([A-Za-z][\w -]*?)\s*(!=|>=|<=|=|>|<|~)(.*)", re.DOTALL)


@dataclass(frozen=True)
class Condition:
    """One attribute compared with one or more values, any of which may fit.

    Attributes:
        attribute: a key of ATTRIBUTES.
        operator: "=", "!=", "~" (contains), ">=", ">", "<=" or "<".
        values: as given, without blanks around them.
    """

    attribute: str
    operator: str
    values: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.attribute not in ATTRIBUTES:
            raise FilterError(f"unknown attribute {self.attribute!r}: expected one of {', '.join(ATTRIBUTES)}")
        if not self.values or not all(self.values):
            raise FilterError(f"{self}: no value to compare {self.attribute} with")
        is_date = self.attribute in _DATES
        if self.operator in ("<", "<=", ">", ">=") and (not is_date or len(self.values) != 1):
            raise FilterError(f"{self}: '{self.operator}' is for one date ({', '.join(sorted(_DATES))})")
        if is_date and self.operator == "~":
            raise FilterError(
                f"{self}: a date is compared with =, !=, <, <=, > or >=, for example {self.attribute}=2020"
            )
        if is_date:
            for value in self.values:
                _date_range(value)

    def __str__(self) -> str:
        return f"{self.attribute}{self.operator}{','.join(self.values)}"

    @classmethod
    def parse(cls, text: str) -> Condition:
        """The condition that a text like ``modality=CT`` says; FilterError if it says none."""
        found = _CONDITION.fullmatch(text)
        if not found:
            raise FilterError(f"filter {text!r}: expected ATTRIBUTE=VALUE, for example modality=CT or study_date>=2020")
        name, operator, values = found.groups()
        attribute = re.sub(r"[\s-]+", "_", name).casefold()
        return cls(attribute, operator, tuple(value.strip() for value in values.split(",")))

    def to_sql(self) -> tuple[str, list[str]]:
        """As a condition on the table `volumes`, with its parameters."""
        column = ATTRIBUTES[self.attribute]
        if self.attribute in _DATES:
            alternatives = [self._date_sql(column, value) for value in self.values]
        elif self.operator == "~":
            alternatives = [(f"instr(casefold({column}), ?) > 0", [value.casefold()]) for value in self.values]
        else:
            alternatives = [(f"casefold({column}) = ?", [value.casefold()]) for value in self.values]
        sql = " OR ".join(one for one, _ in alternatives)
        parameters = [value for _, values in alternatives for value in values]
        return (f"NOT ({sql})" if self.operator == "!=" else f"({sql})"), parameters

    def _date_sql(self, column: str, value: str) -> tuple[str, list[str]]:
        first, last = _date_range(value)
        # An unknown date ("") is never before or after anything.
        if self.operator == ">=":
            return f"{column} >= ?", [first]
        if self.operator == ">":
            return f"{column} > ?", [last]
        if self.operator == "<=":
            return f"{column} <> '' AND {column} <= ?", [last]
        if self.operator == "<":
            return f"{column} <> '' AND {column} < ?", [first]
        return f"{column} <> '' AND {column} BETWEEN ? AND ?", [first, last]


@dataclass(frozen=True)
class AttributeFilter:
    """Conditions that must all hold, and volumes that are left out. Unknown ("") never equals unknown.

    Attributes:
        not_volume_id, not_study_token, not_patient_token: leave out the volumes that share this with the query; ""
            leaves out none.
        not_series_uids: leave out the volumes of these series.

    Example:
        >>> str(AttributeFilter.parse(["modality=CT,PT", "study_date>=2020"]))
        'modality=CT,PT and study_date>=2020'
    """

    conditions: tuple[Condition, ...] = ()
    not_volume_id: str = ""
    not_study_token: str = ""
    not_patient_token: str = ""
    not_series_uids: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, texts: Iterable[str]) -> AttributeFilter:
        """The filter of these conditions (see the module's text); FilterError names what is wrong."""
        if isinstance(texts, str):
            texts = [texts]
        return cls(tuple(Condition.parse(text) for text in texts))

    def excluding(
        self,
        query: Identity,
        *,
        volume: bool = False,
        series: bool = False,
        study: bool = False,
        patient: bool = False,
    ) -> AttributeFilter:
        """A copy that leaves out the query's own volume, or the volumes of its series, study or patient.

        Each includes the ones before it: without the patient also means without the study, where the patient is not
        known but the study is.
        """
        study = study or patient
        series = series or study
        volume = volume or series
        kept = self.without_series([query.series_uid] if series else [])
        return replace(
            kept,
            not_volume_id=query.volume_id if volume else self.not_volume_id,
            not_study_token=query.study_token if study else self.not_study_token,
            not_patient_token=query.patient_token if patient else self.not_patient_token,
        )

    def without_series(self, uids: Iterable[str]) -> AttributeFilter:
        """A copy that leaves out the volumes of these DICOM series, too; an unknown ("") one leaves out none."""
        return replace(self, not_series_uids=self.not_series_uids | {uid for uid in uids if uid})

    def __bool__(self) -> bool:
        """Whether it leaves out anything at all."""
        return self != AttributeFilter()

    def __str__(self) -> str:
        return " and ".join(str(one) for one in self.conditions)

    def to_sql(self) -> tuple[str, list[str]]:
        """As the condition of a WHERE on the table `volumes`, with its parameters."""
        parts = [one.to_sql() for one in self.conditions]
        for column in ("volume_id", "study_token", "patient_token"):
            if value := getattr(self, f"not_{column}"):
                parts.append((f"{column} <> ?", [value]))
        if self.not_series_uids:
            # One parameter, because older SQLite takes no more than 999, and a database may have lost thousands.
            listed = "".join(f"{uid}\n" for uid in ("", *sorted(self.not_series_uids)))
            parts.append(("(series_uid = '' OR instr(?, char(10) || series_uid || char(10)) = 0)", [listed]))
        sql = " AND ".join(one for one, _ in parts) or "1"
        return sql, [value for _, values in parts for value in values]


def _date_range(text: str) -> tuple[str, str]:
    """The first and the last day (YYYYMMDD; the last one as a bound for comparing texts) of a date or range."""
    first, dots, last = (part.strip() for part in text.partition(".."))
    if not dots:
        return _day(text, "0"), _day(text, "9")
    if not first and not last:
        raise FilterError(f"date {text!r}: a range needs at least one end, for example 2019..2020")
    return (_day(first, "0") if first else "0"), (_day(last, "9") if last else "99999999")


def _day(text: str, filler: str) -> str:
    digits = text.strip().replace("-", "")
    if len(digits) not in (4, 6, 8) or not digits.isascii() or not digits.isdigit():
        raise FilterError(f"date {text!r}: expected YYYY, YYYYMM, YYYYMMDD or YYYY-MM-DD")
    return digits.ljust(8, filler)
