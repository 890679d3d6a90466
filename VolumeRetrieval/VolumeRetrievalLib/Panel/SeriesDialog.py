"""Choosing a series of the DICOM database as the query."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import qt
from slicer.i18n import tr as _

from ..Values import SeriesChoice

_SIZE = (560, 480)


class SeriesDialog:
    """A window with the patients, studies and series of the database; `onChosen` gets the series that was taken."""

    def __init__(self, parent: Any, series: Sequence[SeriesChoice], onChosen: Callable[[SeriesChoice], None]):
        self.series = series
        self.onChosen = onChosen
        self.dialog = qt.QDialog(parent)
        self.dialog.windowTitle = _("Query from the DICOM database")
        self.search = qt.QLineEdit()
        self.search.placeholderText = _("Search for a patient, study or series")
        self.search.toolTip = _("Show only series whose patient, study or description contains this text.")
        self.search.clearButtonEnabled = True
        self.tree = qt.QTreeWidget()
        self.tree.toolTip = _("The series to find similar volumes for.")
        self.tree.setHeaderLabels([_("Series"), _("Modality")])
        self.tree.alternatingRowColors = True
        self.buttons = qt.QDialogButtonBox()
        for button in (qt.QDialogButtonBox.Ok, qt.QDialogButtonBox.Cancel):
            self.buttons.addButton(button)
        layout = qt.QVBoxLayout(self.dialog)
        for widget in (self.search, self.tree, self.buttons):
            layout.addWidget(widget)
        self._fill()
        self.search.connect("textChanged(QString)", self._filter)
        self.tree.connect("itemSelectionChanged()", self._update)
        self.tree.connect("itemActivated(QTreeWidgetItem*,int)", lambda item, column: self.accept())
        self.buttons.connect("accepted()", self.accept)
        self.buttons.connect("rejected()", self.dialog.reject)
        self.dialog.resize(*_SIZE)
        self._update()

    def open(self) -> None:
        """Show the window; returns at once."""
        self.dialog.open()
        self.search.setFocus()

    @property
    def selected(self) -> SeriesChoice | None:
        items = self.tree.selectedItems()
        uid = items[0].data(0, qt.Qt.UserRole) if items else None
        return next((one for one in self.series if one.seriesUID == uid), None)

    def accept(self) -> None:
        choice = self.selected
        if choice is not None:
            self.dialog.accept()
            self.onChosen(choice)

    def _fill(self) -> None:
        groups: dict[tuple[str, ...], Any] = {}
        for one in self.series:
            parent = self.tree.invisibleRootItem()
            for level in ((one.patient,), (one.patient, one.study)):
                if level not in groups:
                    groups[level] = qt.QTreeWidgetItem()
                    groups[level].setText(0, level[-1])
                    groups[level].setFlags(qt.Qt.ItemIsEnabled)
                    parent.addChild(groups[level])
                    groups[level].setExpanded(True)
                parent = groups[level]
            item = qt.QTreeWidgetItem()
            item.setText(0, one.series)
            item.setText(1, one.modality)
            item.setToolTip(0, one.series)
            item.setData(0, qt.Qt.UserRole, one.seriesUID)
            parent.addChild(item)
        self.tree.setColumnWidth(0, _SIZE[0] - 140)

    def _filter(self, text: str) -> None:
        wanted = text.strip().lower()
        for patient in _children(self.tree.invisibleRootItem()):
            for study in _children(patient):
                above = f"{patient.text(0)} {study.text(0)}".lower()
                for series in _children(study):
                    series.setHidden(wanted not in above and wanted not in series.text(0).lower())
                study.setHidden(all(one.isHidden() for one in _children(study)))
            patient.setHidden(all(one.isHidden() for one in _children(patient)))

    def _update(self) -> None:
        self.buttons.button(qt.QDialogButtonBox.Ok).enabled = self.selected is not None


def _children(item: Any) -> list[Any]:
    return [item.child(index) for index in range(item.childCount())]
