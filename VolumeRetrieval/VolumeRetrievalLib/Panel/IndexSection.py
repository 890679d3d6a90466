"""The section Index: how much of the DICOM database can be searched, and indexing the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qt
from slicer.i18n import tr as _

from .. import Texts
from ..Encoders import EncoderTexts
from ..Settings import Settings
from ..Values import Callbacks, DatabaseStatus, SkippedSeries
from .EnabledReason import EnabledReason
from .LogicProtocol import LogicProtocol
from .WrappedLabel import WrappedLabel


class IndexSection:
    """Shows the logic's status, whoever is indexing, and starts and stops indexing.

    The title says how much is indexed. The section opens when series begin to be missing in an index that is there;
    then it is the user's to close.
    """

    def __init__(self, ui: Any, logic: LogicProtocol, settings: Settings):
        self.ui = ui
        self.logic = logic
        self.settings = settings
        self._news = ""
        self._newsCounts: tuple[int, int] | None = None
        self._directory = ""
        self._wasMissing = False
        self._skipped: tuple[SkippedSeries, ...] = ()
        self._status = WrappedLabel(ui.indexStatusLabel)
        self._progress = WrappedLabel(ui.indexProgressLabel)
        self._updateButton = EnabledReason(ui.updateIndexButton)
        self._folderButton = EnabledReason(ui.openIndexFolderButton)
        ui.updateIndexButton.connect("clicked(bool)", self.updateIndex)
        ui.indexBetterButton.connect("clicked(bool)", self.indexBetter)
        ui.cancelIndexingButton.connect("clicked(bool)", self.cancel)
        ui.openIndexFolderButton.connect("clicked(bool)", self.openFolder)
        ui.automaticIndexingCheckBox.checked = settings.indexAutomatically
        ui.automaticIndexingCheckBox.connect("toggled(bool)", self._onAutomaticToggled)
        ui.skippedButton.connect("toggled(bool)", self._showSkipped)
        # The series' own name ends the text, and would be cut first.
        ui.skippedTree.setTextElideMode(qt.Qt.ElideMiddle)
        ui.skippedTree.header().setSectionResizeMode(0, qt.QHeaderView.Interactive)
        ui.skippedTree.setColumnWidth(0, 190)
        ui.skippedTree.visible = False
        self.refresh()

    def refresh(self) -> None:
        """Show the status as the logic has it now."""
        status = self.logic.status()
        if status.directory != self._directory:
            self._directory, self._news, self._wasMissing = status.directory, "", False
        running = status.indexing is not None
        if not running and _counts(status) != self._newsCounts:
            self._news = ""  # series have come or gone since, or another process has changed the index
        self.ui.indexCollapsibleButton.text = Texts.indexTitle(status)
        self.ui.indexCollapsibleButton.toolTip = status.directory
        self._openIfMissing(status)
        lines = [Texts.databaseStatus(status), status.lastFailure or self._news]
        self._status.text = "\n".join(line for line in lines if line and not (running and line == self._news))
        self.ui.indexStatusLabel.toolTip = Texts.indexDetails(status)
        self.ui.indexBetterButton.visible = bool(status.better) and not running
        if status.better:
            self.ui.indexBetterButton.text = _("Index with {encoder}").format(
                encoder=EncoderTexts.short(EncoderTexts.title(status.better))
            )
        problem = "" if status.directory else status.problem
        self._updateButton.update(_("Indexing is running.") if running else problem)
        self._folderButton.update(problem)
        self._showProgress(status)
        self._showSkippedCount(status)

    def updateIndex(self, *_ignored: Any) -> None:
        """Index what is new or changed."""
        self._index("")

    def indexBetter(self, *_ignored: Any) -> None:
        """Make a second index, with the better encoder."""
        self._index(self.logic.status().better)

    def cancel(self, *_ignored: Any) -> None:
        """Stop the run that goes on, whoever started it."""
        self.logic.cancelIndexing()

    def folder(self) -> Path | None:
        directory = self.logic.status().directory
        return Path(directory) / "VolumeRetrieval" if directory else None

    def openFolder(self, *_ignored: Any) -> None:
        folder = self.folder()
        if folder is not None:
            qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(folder)))

    def _index(self, encoder: str) -> None:
        if self.logic.status().indexing is not None:
            return
        self._news = ""
        directory = self.logic.status().directory
        callbacks = Callbacks(
            lambda report: self._end(Texts.indexReport(report), directory),
            lambda error: self._end(str(error), directory),
            lambda: self._end(_("Indexing was stopped. The next update resumes it."), directory),
        )
        self.logic.indexDatabase(callbacks, encoder)
        self.refresh()

    def _openIfMissing(self, status: DatabaseStatus) -> None:
        isMissing = bool(status.volumes and status.notIndexed) or bool(status.lastFailure)
        if isMissing and not self._wasMissing and status.indexing is None:
            self.ui.indexCollapsibleButton.collapsed = False
        self._wasMissing = isMissing

    def _showProgress(self, status: DatabaseStatus) -> None:
        step = status.indexing
        for widget in (self.ui.indexProgressBar, self.ui.cancelIndexingButton):
            widget.visible = step is not None
        if step is None:
            self._progress.text = ""
            return
        self.ui.indexProgressBar.setRange(0, step.total)
        self.ui.indexProgressBar.value = step.done
        self._progress.text = Texts.progress(step)

    def _end(self, news: str, directory: str) -> None:
        status = self.logic.status()
        if status.directory == directory:  # else another database is open now, of which this is no news
            self._news, self._newsCounts = news, _counts(status)
        self.refresh()

    def _onAutomaticToggled(self, checked: bool) -> None:
        self.settings.indexAutomatically = checked
        self.settings.save()
        if checked:
            self.logic.indexAutomatically()

    def _showSkippedCount(self, status: DatabaseStatus) -> None:
        self.ui.skippedButton.visible = bool(status.skipped)
        self.ui.skippedButton.text = Texts.skipped(status.skipped)
        if not status.skipped:
            self.ui.skippedButton.checked = False
        self.ui.skippedTree.visible = bool(status.skipped) and self.ui.skippedButton.checked
        if status.skipped != self._skipped:
            self._skipped = status.skipped
            self._fillSkipped()

    def _showSkipped(self, shown: bool) -> None:
        self.ui.skippedTree.visible = shown

    def _fillSkipped(self) -> None:
        tree = self.ui.skippedTree
        tree.clear()
        for one in sorted(self._skipped, key=lambda series: not series.failed):
            item = qt.QTreeWidgetItem()
            item.setText(0, one.series)
            item.setText(1, _("Failed: {reason}").format(reason=one.reason) if one.failed else one.reason)
            item.setToolTip(0, one.series)
            item.setToolTip(1, one.reason)
            tree.addTopLevelItem(item)


def _counts(status: DatabaseStatus) -> tuple[int, int]:
    return status.volumes, status.notIndexed
