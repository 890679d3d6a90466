"""The results: their title, the list, what is compared, and exporting them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _
from VolumeRetrievalEngine.progress import Progress
from VolumeRetrievalEngine.searching.match import Match, SearchResult

from .. import Texts
from ..Database import IndexFolderTexts, SeriesWords
from ..Values import Marks
from .EnabledReason import EnabledReason
from .Events import Events
from .LogicProtocol import LogicProtocol
from .MarksSection import MarksSection
from .ResultRow import ResultRow
from .ResultsTable import ResultsTable
from .SearchSection import SearchRequest
from .StatusLine import StatusLine
from .WrappedLabel import WrappedLabel

_EMPTY_PAGE, _TABLE_PAGE = 0, 1
#: What is compared where nothing is selected, and at most.
_BEST, _MOST = 3, 5


class ResultsSection:
    """Lists the matches of the last search."""

    def __init__(
        self,
        ui: Any,
        logic: LogicProtocol,
        status: StatusLine,
        onSelected: Callable[[Match | None], None],
        onRefine: Callable[[Marks], None],
        onSearch: Callable[[Match], None],
    ):
        """`onSelected` gets the match that is looked at, `onRefine` the marks to rank again with, `onSearch` the match
        that is to be the next query."""
        self.ui = ui
        self.logic = logic
        self.status = status
        self.onSelected = onSelected
        self._matches: tuple[Match, ...] = ()
        self._title = self._details = self._problem = ""
        self._queryPlane = "axial"
        self._numbered: set[str] = set()
        self._isStale = self._isComparing = False
        self.onSearch = onSearch
        self._refinedWith = Marks()
        self._nothingAlike = WrappedLabel(ui.nothingAlikeLabel)
        self._notes = WrappedLabel(ui.searchNotesLabel)
        self._indexes: dict[str, str] = {}
        self.table = ResultsTable(ui.resultsTable, self._makeRows, self._toolTip, self._onMark, onSearch)
        self.marks = MarksSection(ui, logic, onRefine, self.table.updateRows)
        self._keys = Events(ui.resultsTable, {qt.QEvent.KeyPress: self._onKey})
        self._compareReason = EnabledReason(ui.compareButton)
        self._closeReason = EnabledReason(ui.removeShownButton)
        self.rowMenu = qt.QMenu(ui.resultsTable)
        self.exportMenu = qt.QMenu(ui.exportButton)
        self._exportActions = [
            self.exportMenu.addAction(_("To a table in the scene")),
            self.exportMenu.addAction(_("To a CSV file...")),
        ]
        for action, slot in zip(self._exportActions, (self.exportToTable, self.exportToFile), strict=True):
            action.connect("triggered(bool)", slot)
        ui.exportButton.setMenu(self.exportMenu)
        for text, action in (
            (_("It fits (+)"), lambda *_ignored: self.toggleMark("like")),
            (_("It does not fit (-)"), lambda *_ignored: self.toggleMark("unlike")),
            (_("Search with this result"), lambda *_ignored: self.searchWithSelected()),
        ):
            self.rowMenu.addAction(text).connect("triggered(bool)", action)
        self.rowMenu.addSeparator()
        for exporting in self._exportActions:
            self.rowMenu.addAction(exporting)
        ui.searchStatusLabel.setMinimumHeight(ui.exportButton.sizeHint.height())  # nothing jumps when it appears
        ui.resultsTable.connect("itemSelectionChanged()", self._onSelectionChanged)
        # Activated means double-clicked, or Enter pressed (QAbstractItemView::activated).
        ui.resultsTable.connect("cellActivated(int,int)", self._onActivated)
        ui.resultsTable.connect("customContextMenuRequested(QPoint)", self._showMenu)
        ui.compareButton.connect("clicked(bool)", self.compare)
        ui.removeShownButton.connect("clicked(bool)", self.close)
        self.clear()

    def show(self, request: SearchRequest, result: SearchResult) -> None:
        """Show what this request has found."""
        self._matches = tuple(result.matches)
        found = result.likeness
        self._nothingAlike.text = Texts.nothingAlike(found) if found is not None and found.is_nothing else ""
        self._notes.text = "\n".join(IndexFolderTexts.notes(result.stores))
        self.ui.searchNotesLabel.toolTip = "\n".join(IndexFolderTexts.details(result.stores))
        # Of the database's own index nothing is said: its volumes are named by patient.
        self._indexes = IndexFolderTexts.names([one.folder for one in result.stores][1:])
        self._refinedWith = Marks(result.like, result.unlike)
        self.marks.show(request.query, result)
        self._queryPlane = result.query_plane
        self._isStale, self._problem = False, ""
        self._title = request.title()
        self._details = Texts.searchDetails(result)
        self._numbered = _likeNamed(self._matches)
        self.table.show(self._matches)
        self._say()
        self._refresh()

    def clear(self) -> None:
        """Show no results."""
        self._matches, self._title, self._isStale, self._problem = (), "", False, ""
        self._nothingAlike.text = self._notes.text = ""
        self.marks.forget()
        self.table.show(())
        self._refresh()

    def setStale(self, isStale: bool, problem: str = "") -> None:
        """Whether another query, region or filter is chosen now than the results are of; `problem` says why that one
        cannot be searched with."""
        if self._matches and (isStale, problem) != (self._isStale, self._problem):
            self._isStale, self._problem = isStale, problem
            self.table.setPale(isStale)
            self._say()

    def setHint(self, text: str) -> None:
        """What stands in the list's place while there is none."""
        self.ui.resultsEmptyLabel.text = text

    def refresh(self) -> None:
        """Results may have been shown or removed by others."""
        self._closeReason.update("" if self.logic.isShown else _("No results are shown."))

    def selected(self) -> list[Match]:
        """The selected matches, the most similar first."""
        return self.table.selected()

    def compare(self, *_ignored: Any) -> None:
        """Show the selected matches next to the query; the best three if none is selected."""
        chosen = self.selected() or list(self._matches[:_BEST])
        self._compare(chosen[:_MOST])
        if len(chosen) > _MOST and not self.status.isError:
            self.status.say(_("Only the best {n} of the selected results are shown.").format(n=_MOST))

    def close(self, *_ignored: Any) -> None:
        """Remove what comparing added to the scene."""
        self.logic.removeShown()
        self.status.clearError()
        self.refresh()

    def toggleMark(self, mark: str) -> None:
        """Mark the selected results as "like" or "unlike"; take that back where all of them are marked so."""
        chosen = self.selected()
        isMarked = all(self.marks.marks.of(one.volume_id) == mark for one in chosen)
        for match in chosen:
            self._onMark(match, "" if isMarked else mark)

    def searchWithSelected(self) -> None:
        """Search with the first selected result."""
        if chosen := self.selected():
            self.onSearch(chosen[0])

    def exportToTable(self, *_ignored: Any) -> None:
        node = self.logic.exportToTable(self._matches)
        self.status.say(_("Exported to the table {name}.").format(name=node.GetName()))

    def exportToFile(self, *_ignored: Any) -> None:
        path = qt.QFileDialog.getSaveFileName(
            slicer.util.mainWindow(), _("Export results"), "similar-volumes.csv", _("CSV files (*.csv)")
        )
        if path:
            self.writeFile(Path(path))

    def writeFile(self, path: Path) -> None:
        """Write the results as CSV, without names of patients."""
        try:
            with path.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                columns = ["rank", "similarity", "modality", "series_uid", "path", "slices", "range", "certainty"]
                hasStores = any(one.store for one in self._matches)
                writer.writerow([*columns, "likeness", *(["index"] if hasStores else [])])
                for one in self._matches:
                    certainty = "" if one.place is None else round(one.place.certainty, 3)
                    values = [one.rank, one.score, one.attributes.modality, one.series_uid, one.path, one.n_slices]
                    likeness = "" if one.likeness is None else one.likeness.words
                    index = [one.store] if hasStores else []
                    writer.writerow([*values, Texts.bestRange(one), certainty, likeness, *index])
        except OSError as error:
            self.status.showError(_("{path} could not be written: {reason}").format(path=path, reason=error.strerror))
            return
        self.status.say(_("Exported to {name}.").format(name=path.name), str(path))

    def _compare(self, matches: Sequence[Match]) -> None:
        if not matches or self._isComparing:  # the event loop may run while volumes are loaded
            return
        self._isComparing = True
        try:
            problems = self.logic.showMatches(matches, self._showProgress)
        except RuntimeError as error:
            self.status.showError(str(error))
        else:
            if problems:
                self.status.showError(" ".join(problems))
            else:
                self._say()
        finally:
            self._isComparing = False
        self.refresh()

    def _showProgress(self, step: Progress) -> None:
        """Said before each volume is loaded; painted at once, because loading stops the event loop."""
        self.status.say(_("Loading {n} of {total}...").format(n=min(step.done + 1, step.total), total=step.total))
        self.ui.searchStatusLabel.repaint()

    def _say(self) -> None:
        """The title of what is listed."""
        count = len(self._matches)
        if not count:
            self.status.say(_("No similar volumes for {query}").format(query=self._title), self._details)
        elif self._isStale:
            self.status.say(
                self._problem or _("Search again: these are for {query}").format(query=self._title),
                self._details,
            )
        elif self._refinedWith != Marks():
            text = _("{n} similar volumes for {query}, ranked with your marks")
            self.status.say(text.format(n=count, query=self._title), self._details)
        elif count == 1:
            self.status.say(_("1 similar volume for {query}").format(query=self._title), self._details)
        else:
            text = _("{n} similar volumes for {query}").format(n=count, query=self._title)
            self.status.say(text, self._details)

    def _refresh(self) -> None:
        self.ui.resultsStack.setCurrentIndex(_TABLE_PAGE if self._matches else _EMPTY_PAGE)
        self.ui.exportButton.visible = bool(self._matches)
        self._compareReason.update("" if self._matches else _("There are no results yet."))
        self.refresh()
        self._onSelectionChanged()

    def _onSelectionChanged(self) -> None:
        selected = self.selected()
        best = min(_BEST, len(self._matches))
        if selected or not best:
            self.ui.compareButton.text = _("Compare selected")
        elif best == 1:
            self.ui.compareButton.text = _("Compare")
        else:
            self.ui.compareButton.text = _("Compare the best {n}").format(n=best)
        looked = selected or self._matches
        self.onSelected(looked[0] if looked else None)

    def _onActivated(self, row: int, column: int) -> None:
        self._compare([self._matches[row]])

    def _showMenu(self, position: Any) -> None:
        if self._matches:
            self.rowMenu.popup(self.ui.resultsTable.viewport().mapToGlobal(position))

    def _onMark(self, match: Match, mark: str) -> None:
        self.marks.mark(match.volume_id, mark)

    def _onKey(self, event: Any) -> bool:
        """+ and -, also those of the number pad and without the shift that + needs on many keyboards."""
        mark = {"+": "like", "=": "like", "-": "unlike"}.get(event.text(), "")
        if mark:
            self.toggleMark(mark)
        return bool(mark)

    def _makeRows(self, matches: Sequence[Match]) -> list[ResultRow]:
        thumbnails = self.logic.thumbnails(matches)
        return [self._makeRow(match, thumbnail) for match, thumbnail in zip(matches, thumbnails, strict=True)]

    def _makeRow(self, match: Match, thumbnail: bytes) -> ResultRow:
        found = self.logic.describe(match)
        series = found.series or match.attributes.series_description or match.path
        if match.series_uid in self._numbered and found.number:
            series = f"{found.number}: {series}"
        words = (match.attributes.modality, series)
        index = self._indexes.get(match.store, "")
        elsewhere = _("in {index}").format(index=index) if index else _("not in the database")
        return ResultRow(
            title=f"{match.rank}  {found.patient or elsewhere}",
            series=" ".join(word for word in words if word),
            date=found.date or SeriesWords.date(match.attributes.study_date),
            similarity=match.score,
            place=Texts.bestSlices(match),
            likeness="" if match.likeness is None else Texts.likeness(match.likeness),
            isUnlike=match.likeness is not None and match.likeness.is_nothing,
            mark=self.marks.marks.of(match.volume_id),
            thumbnail=thumbnail,
        )

    def _toolTip(self, match: Match, row: ResultRow) -> str:
        found = self.logic.describe(match)
        lines = [
            ", ".join(part for part in (found.patient, found.study) if part),
            row.series,
            _("Similarity {similarity}").format(similarity=Texts.similarity(match.score)),
            "" if match.likeness is None else Texts.likenessDetails(match.likeness),
            *Texts.placeDetails(match, self._queryPlane),
            match.path,
            _("Index: {folder}").format(folder=match.store) if match.store else "",
        ]
        return "\n".join(line for line in lines if line)


def _likeNamed(matches: Sequence[Match]) -> set[str]:
    """The series that only their number tells from another one of the same day and description."""
    series: dict[tuple[str, str], set[str]] = {}
    for one in matches:
        series.setdefault((one.attributes.series_description, one.attributes.study_date), set()).add(one.series_uid)
    return {uid for uids in series.values() if len(uids) > 1 for uid in uids}
