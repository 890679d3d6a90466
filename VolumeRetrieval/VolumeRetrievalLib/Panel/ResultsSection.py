"""The section Results: a sortable table of matches, and what can be done with them."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _
from VolumeRetrievalEngine.searching.match import Match, SearchResult

from .. import Texts
from .EnabledReason import EnabledReason
from .LogicProtocol import LogicProtocol
from .Pictures import pixmapFromData

_RANK, _THUMBNAIL, _SIMILARITY, _RANGE, _PATIENT, _SERIES, _MODALITY = range(7)
#: What fits into a panel of usual width comes first; the rest is a scroll away, and columns can be dragged.
_WIDTHS = {_RANK: 34, _THUMBNAIL: 72, _SIMILARITY: 72, _RANGE: 134, _PATIENT: 118, _SERIES: 130, _MODALITY: 64}


class ResultsSection:
    """Fills the table and tells which match is selected."""

    def __init__(
        self,
        ui: Any,
        logic: LogicProtocol,
        showError: Callable[[str], None],
        onSelected: Callable[[Match | None], None],
    ):
        self.ui = ui
        self.logic = logic
        self.showError = showError
        self.onSelected = onSelected
        self._matches: list[Match] = []
        self._reasons = {
            name: EnabledReason(getattr(ui, name))
            for name in ("showButton", "compareButton", "compareCountComboBox", "exportTableButton", "exportFileButton")
        }
        self._removeReason = EnabledReason(ui.removeShownButton)
        self._setUpTable()
        ui.compareCountComboBox.setCurrentIndex(2)
        ui.resultsTable.connect("itemSelectionChanged()", self._onSelectionChanged)
        # Activated means double-clicked, or Enter pressed (QAbstractItemView::activated).
        ui.resultsTable.connect("cellActivated(int,int)", self.showSelected)
        ui.showButton.connect("clicked(bool)", self.showSelected)
        ui.compareButton.connect("clicked(bool)", self.compareBest)
        ui.exportTableButton.connect("clicked(bool)", self.exportToTable)
        ui.exportFileButton.connect("clicked(bool)", self.exportToFile)
        ui.removeShownButton.connect("clicked(bool)", self.removeShown)
        logic.onShownChanged(self._refresh)
        self.show(None)

    def show(self, result: SearchResult | None) -> None:
        """Show the matches of this result; None for none."""
        self._matches = list(result.matches) if result is not None else []
        table = self.ui.resultsTable
        table.setSortingEnabled(False)
        table.setRowCount(0)
        table.setRowCount(len(self._matches))
        pictures = self.logic.thumbnails(self._matches)
        for row, (match, picture) in enumerate(zip(self._matches, pictures, strict=True)):
            self._fillRow(row, match, picture)
        table.setSortingEnabled(True)
        table.sortItems(_RANK, qt.Qt.AscendingOrder)
        if self._matches:
            table.setCurrentCell(0, _RANK)
        self._refresh()
        self._onSelectionChanged()

    def selected(self) -> list[Match]:
        """The selected matches, the most similar first."""
        table = self.ui.resultsTable
        rows = {index.row() for index in table.selectionModel().selectedRows()}
        ranks = {table.item(row, _RANK).data(qt.Qt.DisplayRole) for row in rows}
        return [match for match in self._matches if match.rank in ranks]

    def showSelected(self, *_ignored: Any) -> None:
        self._showMatches(self.selected())

    def compareBest(self) -> None:
        count = int(self.ui.compareCountComboBox.currentText)
        self._showMatches(sorted(self._matches, key=lambda match: match.rank)[:count])

    def removeShown(self) -> None:
        self.logic.removeShown()

    def exportToTable(self) -> None:
        node = self.logic.exportToTable(self._matches)
        self.ui.resultDetailsLabel.text = _("Exported to the table {name}.").format(name=node.GetName())

    def exportToFile(self) -> None:
        path = qt.QFileDialog.getSaveFileName(
            slicer.util.mainWindow(), _("Export results"), "VolumeRetrieval.csv", _("CSV files (*.csv)")
        )
        if path:
            self.writeFile(Path(path))

    def writeFile(self, path: Path) -> None:
        """Write all matches as CSV, one row each; what identifies the patient is not in it."""
        try:
            with path.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(["rank", "similarity", "modality", "series_uid", "path", "slices", "ranges"])
                for match in self._matches:
                    ranges = "; ".join(Texts.matchedRange(one, match.n_slices) for one in match.ranges)
                    modality = match.attributes.modality
                    values = [match.rank, match.score, modality, match.series_uid, match.path, match.n_slices]
                    writer.writerow([*values, ranges])
        except OSError as error:
            self.showError(_("{path} could not be written: {reason}").format(path=path, reason=error.strerror))
            return
        self.ui.resultDetailsLabel.text = _("Exported to {path}.").format(path=path)

    def _showMatches(self, matches: list[Match]) -> None:
        if not matches:
            return
        try:
            problems = self.logic.showMatches(matches)
        except RuntimeError as error:
            self.showError(str(error))
            return
        if problems:
            self.showError("\n".join(problems))

    def _setUpTable(self) -> None:
        table = self.ui.resultsTable
        titles = [_("#"), "", _("Similarity"), _("Best match"), _("Patient, study"), _("Series"), _("Modality")]
        table.setColumnCount(len(titles))
        table.setHorizontalHeaderLabels(titles)
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(70)
        header = table.horizontalHeader()
        header.setSectionResizeMode(qt.QHeaderView.Interactive)
        for column, width in _WIDTHS.items():
            table.setColumnWidth(column, width)

    def _fillRow(self, row: int, match: Match, picture: bytes) -> None:
        description = self.logic.describe(match)
        series = description.series or match.attributes.series_description or match.path
        patient = "\n".join(part for part in (description.patient, description.study) if part)
        values: dict[int, Any] = {
            _RANK: match.rank,
            _PATIENT: patient or _("not in the database"),
            _SERIES: series,
            _MODALITY: match.attributes.modality,
            _SIMILARITY: round(match.score, 3),
            _RANGE: Texts.bestRange(match).replace(", ", ",\n"),
        }
        for column in range(self.ui.resultsTable.columnCount):
            item = qt.QTableWidgetItem()
            if column == _THUMBNAIL:
                item.setIcon(qt.QIcon(pixmapFromData(picture)))
            else:
                # Numbers stay numbers, so that columns sort by value.
                item.setData(qt.Qt.DisplayRole, values[column])
            item.setToolTip(f"{series}\n{match.path}")
            self.ui.resultsTable.setItem(row, column, item)

    def _onSelectionChanged(self) -> None:
        selected = self.selected()
        self._reasons["showButton"].update("" if selected else _("Select a result first."))
        self.ui.resultDetailsLabel.text = _details(selected[0]) if selected else ""
        self.onSelected(selected[0] if selected else None)

    def _refresh(self) -> None:
        reason = "" if self._matches else _("There are no results: press Search.")
        for name, one in self._reasons.items():
            if name != "showButton" or reason:
                one.update(reason)
        self._removeReason.update("" if self.logic.isShown else _("No result is shown."))


def _details(match: Match) -> str:
    ranges = [
        _("{range} (similarity {similarity})").format(
            range=Texts.matchedRange(one, match.n_slices), similarity=Texts.similarity(one.similarity)
        )
        for one in match.ranges
    ]
    return _("Matches at: {ranges}").format(ranges="; ".join(ranges)) if ranges else ""
