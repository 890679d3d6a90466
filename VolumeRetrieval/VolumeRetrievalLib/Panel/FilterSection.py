"""The section Filters: what results must be."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Sequence
from typing import Any

from slicer.i18n import tr as _

from ..Values import SearchCriteria
from .WrappedLabel import WrappedLabel

#: A title that is longer is cut: it would widen the panel (ctkCollapsibleButton::minimumSizeHint).
_TITLE_LENGTH = 36
_WRONG = "QLineEdit { border: 1px solid #d32f2f; border-radius: 2px; }"


class FilterSection:
    """Turns the widgets into search criteria; the title says what is set while the section is closed."""

    def __init__(self, ui: Any, onChanged: Callable[[], None]):
        self.ui = ui
        self.onChanged = onChanged
        self._problemLabel = WrappedLabel(ui.dateProblemLabel)
        for box in (ui.modalityFilterComboBox, ui.bodyPartFilterComboBox):
            box.connect("currentIndexChanged(int)", self._onChanged)
        for edit in (ui.dateFromLineEdit, ui.dateToLineEdit):
            edit.connect("textChanged(QString)", self._onChanged)
        ui.excludePatientCheckBox.connect("toggled(bool)", self._onChanged)
        ui.topSpinBox.connect("valueChanged(int)", self._onChanged)
        self._update()

    @property
    def modality(self) -> str:
        """As in the index; empty means any."""
        return self._chosen(self.ui.modalityFilterComboBox)

    @property
    def bodyPart(self) -> str:
        return self._chosen(self.ui.bodyPartFilterComboBox)

    def choose(self, modality: str, bodyPart: str) -> None:
        """Show these values, also where the index does not hold them (any more)."""
        for box, value in ((self.ui.modalityFilterComboBox, modality), (self.ui.bodyPartFilterComboBox, bodyPart)):
            if value and box.findText(value) < 0:
                box.addItem(value)
            box.setCurrentIndex(box.findText(value) if value else 0)

    def fill(self, modalities: Sequence[str], bodyParts: Sequence[str]) -> None:
        """Offer what the index holds."""
        for box, values in (
            (self.ui.modalityFilterComboBox, modalities),
            (self.ui.bodyPartFilterComboBox, bodyParts),
        ):
            chosen = self._chosen(box)
            wanted = [*values, *([chosen] if chosen and chosen not in values else [])]
            if [box.itemText(index) for index in range(1, box.count)] == wanted:
                continue
            box.blockSignals(True)
            box.clear()
            box.addItems([_("Any"), *wanted])
            box.setCurrentIndex(wanted.index(chosen) + 1 if chosen else 0)
            box.blockSignals(False)
        self._update()

    def criteria(self) -> SearchCriteria:
        """What is set; `problem` must be empty."""
        filters = {
            "modality": self.modality,
            "body_part": self.bodyPart,
            "date_from": _day(self.ui.dateFromLineEdit.text, isEnd=False) or "",
            "date_to": _day(self.ui.dateToLineEdit.text, isEnd=True) or "",
        }
        return SearchCriteria(
            top=self.ui.topSpinBox.value,
            filters={name: value for name, value in filters.items() if value},
            excludeSamePatient=self.ui.excludePatientCheckBox.checked,
        )

    def problem(self) -> str:
        """What is wrong with the dates; empty if nothing is."""
        for edit, isEnd in ((self.ui.dateFromLineEdit, False), (self.ui.dateToLineEdit, True)):
            if _day(edit.text, isEnd) is None:
                return _('"{text}" is not a date: enter a year, or YYYY-MM-DD.').format(text=edit.text.strip())
        first, last = _day(self.ui.dateFromLineEdit.text, False), _day(self.ui.dateToLineEdit.text, True)
        return _("The first study date is after the last one.") if first and last and first > last else ""

    def _chosen(self, box: Any) -> str:
        return box.currentText if box.currentIndex > 0 else ""

    def _onChanged(self, *_ignored: Any) -> None:
        self._update()
        self.onChanged()

    def _update(self) -> None:
        for edit, isEnd in ((self.ui.dateFromLineEdit, False), (self.ui.dateToLineEdit, True)):
            edit.styleSheet = _WRONG if _day(edit.text, isEnd) is None else ""
        problem = self.problem()
        self._problemLabel.text = problem
        parts = [self.modality, self.bodyPart, _("invalid date") if problem else self._dates()]
        if self.ui.excludePatientCheckBox.checked:
            parts.append(_("other patients"))
        text = ", ".join(part for part in parts if part)
        if len(text) > _TITLE_LENGTH:
            text = text[: _TITLE_LENGTH - 3] + "..."
        self.ui.filtersCollapsibleButton.text = _("Filters: {filters}").format(filters=text) if text else _("Filters")

    def _dates(self) -> str:
        first, last = self.ui.dateFromLineEdit.text.strip(), self.ui.dateToLineEdit.text.strip()
        if first and last:
            return _("{first} to {last}").format(first=first, last=last)
        if first:
            return _("from {date}").format(date=first)
        return _("until {date}").format(date=last) if last else ""


def _day(text: str, isEnd: bool) -> str | None:
    """ "2023", "2023-02" or "2023-02-28" as YYYYMMDD, the first or last day that is meant; empty stays empty, and
    what is no date is None."""
    text = text.strip()
    if not text:
        return ""
    found = re.fullmatch(r"(\d{4})(?:-?(\d{2})(?:-?(\d{2}))?)?", text)
    if found is None:
        return None
    year, month = int(found[1]), int(found[2] or (12 if isEnd else 1))
    if year < 1 or not 1 <= month <= 12:
        return None
    length = calendar.monthrange(year, month)[1]
    day = int(found[3] or (length if isEnd else 1))
    return f"{year:04d}{month:02d}{day:02d}" if 1 <= day <= length else None
