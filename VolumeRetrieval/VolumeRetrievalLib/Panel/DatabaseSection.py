"""The section Database: how much is indexed, and indexing the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _
from VolumeRetrievalEngine.progress import Progress

from .. import Texts
from ..Encoders import EncoderTexts
from ..Settings import Settings
from ..Values import Callbacks, IndexReport, Job
from .EnabledReason import EnabledReason
from .LogicProtocol import LogicProtocol


class DatabaseSection:
    """Shows the logic's status and starts indexing."""

    def __init__(self, ui: Any, logic: LogicProtocol, settings: Settings, showError: Callable[[str], None]):
        self.ui = ui
        self.logic = logic
        self.settings = settings
        self.showError = showError
        self._job: Job | None = None
        self._lastNews = ""
        self._updateButton = EnabledReason(ui.updateIndexButton)
        ui.updateIndexButton.connect("clicked(bool)", self.updateIndex)
        ui.indexBetterButton.connect("clicked(bool)", self.indexBetter)
        ui.cancelIndexingButton.connect("clicked(bool)", self.cancel)
        ui.automaticIndexingCheckBox.checked = settings.indexAutomatically
        ui.automaticIndexingCheckBox.connect("toggled(bool)", self._onAutomaticToggled)
        ui.skippedButton.connect("toggled(bool)", self._showSkipped)
        ui.skippedTree.header().setSectionResizeMode(0, qt.QHeaderView.Interactive)
        ui.skippedTree.setColumnWidth(0, 170)
        ui.skippedTree.visible = False
        self.refresh()

    def refresh(self) -> None:
        """Show the status as the logic tells it now."""
        status = self.logic.status()
        running = self._job is not None
        self.ui.databaseLocationLabel.text = status.directory
        self.ui.databaseLocationLabel.visible = bool(status.directory)
        text = Texts.databaseStatus(status)
        self.ui.databaseStatusLabel.text = f"{text}\n{self._lastNews}" if self._lastNews and not running else text
        self.ui.indexEncoderLabel.text = Texts.indexEncoder(status)
        self.ui.indexEncoderLabel.visible = bool(status.directory)
        self.ui.indexBetterButton.visible = bool(status.better) and not running
        if status.better:
            self.ui.indexBetterButton.text = _("Index with {encoder}").format(
                encoder=EncoderTexts.short(EncoderTexts.title(status.better))
            )
        self._updateButton.update(
            _("Indexing is running.") if running else ("" if status.directory else (status.problem or text))
        )
        for widget in (self.ui.indexProgressBar, self.ui.indexProgressLabel, self.ui.cancelIndexingButton):
            widget.visible = running
        self.ui.skippedButton.visible = bool(status.skipped)
        failed = sum(one.failed for one in status.skipped)
        self.ui.skippedButton.text = (
            _("{skipped} series skipped, {failed} failed").format(skipped=len(status.skipped) - failed, failed=failed)
            if failed
            else _("{skipped} series skipped").format(skipped=len(status.skipped))
        )
        if not status.skipped:
            self.ui.skippedButton.checked = False
        self._fillSkipped(status.skipped)

    def updateIndex(self) -> None:
        """Index what is new or changed."""
        self._index("")

    def indexBetter(self) -> None:
        """Make an index with the better encoder beside the one that is there."""
        self._index(self.logic.status().better)

    def _index(self, encoder: str) -> None:
        if self._job is not None:
            return
        self._lastNews = ""
        self.ui.indexProgressLabel.text = ""
        self.ui.indexProgressBar.setRange(0, 0)
        callbacks = Callbacks(self._onFinished, self._onFailed, self._onCancelled, self._onProgress)
        job = self.logic.indexDatabase(callbacks, encoder)
        self._job = job if job.isRunning else None
        self.refresh()

    def cancel(self) -> None:
        if self._job is not None:
            self.ui.indexProgressLabel.text = _("Stopping after what is being read now...")
            self._job.cancel()

    def _onProgress(self, step: Progress) -> None:
        self.ui.indexProgressBar.setRange(0, step.total)
        self.ui.indexProgressBar.value = step.done
        self.ui.indexProgressLabel.text = Texts.progress(step)

    def _onFinished(self, report: IndexReport) -> None:
        news = _("Index updated: {added} added, {unchanged} unchanged, {removed} removed, {failed} failed.").format(
            added=report.added, unchanged=report.unchanged, removed=report.removed, failed=report.failed
        )
        self._end("\n".join(one for one in (news, EncoderTexts.ran(report)) if one))

    def _onFailed(self, error: Exception) -> None:
        self._end("")
        self.showError(str(error))

    def _onCancelled(self) -> None:
        self._end(_("Indexing was stopped; the next update goes on from here."))

    def _end(self, news: str) -> None:
        self._job = None
        self._lastNews = news
        self.refresh()

    def _onAutomaticToggled(self, checked: bool) -> None:
        self.settings.indexAutomatically = checked
        self.settings.save()

    def _showSkipped(self, shown: bool) -> None:
        self.ui.skippedTree.visible = shown

    def _fillSkipped(self, skipped: Any) -> None:
        tree = self.ui.skippedTree
        tree.clear()
        for one in sorted(skipped, key=lambda series: not series.failed):
            item = qt.QTreeWidgetItem()
            item.setText(0, one.series)
            item.setText(1, _("Failed: {reason}").format(reason=one.reason) if one.failed else one.reason)
            item.setToolTip(0, one.series)
            item.setToolTip(1, one.reason)
            tree.addTopLevelItem(item)
