"""The section Encoders: pretrained networks that can be installed, and the terms of their weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import qt
import slicer
from slicer.i18n import tr as _
from VolumeRetrievalEngine.encoders.default import DefaultEncoder
from VolumeRetrievalEngine.progress import Progress
from VolumeRetrievalEngine.readable import readable_size

from .. import Texts
from ..Encoders import EncoderTexts
from ..Settings import Settings
from ..Values import Callbacks, EncoderChoice, Job
from .EnabledReason import EnabledReason
from .LogicProtocol import LogicProtocol
from .WrappedLabel import WrappedLabel

#: Of the columns but the last, in pixels: all fit into a panel of usual width.
_WIDTHS = (150, 74, 40, 56, 76)


def askConsent(text: str) -> bool:
    """A dialog with OK and Cancel; links in the text open in a browser (qmessagebox.cpp, setOpenExternalLinks)."""
    return slicer.util.confirmOkCancelDisplay(text, _("Install weights"))


class EncodersSection:
    """Lists the catalog, installs and removes weights; `onChanged` is called when a setting was changed."""

    def __init__(
        self,
        ui: Any,
        logic: LogicProtocol,
        settings: Settings,
        onChanged: Callable[[], None],
        ask: Callable[[str], bool] = askConsent,
    ):
        """`ask` shows a rich text and returns whether the user agrees."""
        self.ui = ui
        self.logic = logic
        self.settings = settings
        self.onChanged = onChanged
        self.ask = ask
        self._job: Job | None = None
        self._defaultJob: Job | None = None
        self._isDefaultAsked = False
        self._questions = 0
        self._choices: tuple[EncoderChoice, ...] = ()
        self._default = WrappedLabel(ui.defaultEncoderLabel)
        self._details = WrappedLabel(ui.encoderDetailsLabel)
        self._news = WrappedLabel(ui.weightsNewsLabel)
        self._installButton = EnabledReason(ui.installWeightsButton)
        self._fileButton = EnabledReason(ui.installWeightsFileButton)
        self._removeButton = EnabledReason(ui.removeWeightsButton)
        self._useButton = EnabledReason(ui.useEncoderButton)
        self._folder = [EnabledReason(one) for one in (ui.weightsFolderLineEdit, ui.weightsFolderButton)]
        ui.encodersTree.connect("itemSelectionChanged()", self._update)
        ui.installWeightsButton.connect("clicked(bool)", self.install)
        ui.installWeightsFileButton.connect("clicked(bool)", self.installFromFile)
        ui.removeWeightsButton.connect("clicked(bool)", self.remove)
        ui.useEncoderButton.connect("clicked(bool)", self.use)
        ui.cancelWeightsButton.connect("clicked(bool)", self.cancel)
        ui.weightsFolderButton.connect("clicked(bool)", self.chooseFolder)
        ui.openWeightsFolderButton.connect("clicked(bool)", self.openFolder)
        ui.weightsFolderLineEdit.text = settings.weightsFolder
        ui.weightsFolderLineEdit.connect("editingFinished()", self._storeFolder)
        header = ui.encodersTree.header()
        header.setSectionResizeMode(0, qt.QHeaderView.Interactive)
        for column, width in enumerate(_WIDTHS):
            ui.encodersTree.setColumnWidth(column, width)
        ui.encodersCollapsibleButton.connect("contentsCollapsed(bool)", self._onCollapsed)
        self.refresh()

    def refresh(self) -> None:
        """Show the catalog as the logic tells it now."""
        self.ui.weightsFolderLineEdit.placeholderText = self.logic.weightsFolder()
        choices = tuple(one for one in self.logic.encoders() if one.weights is not None)
        if choices != self._choices:
            self._fill(choices)
        self._update()

    @property
    def selected(self) -> EncoderChoice | None:
        # Not the current item: a tree that gets the focus has one that nobody selected (qabstractitemview.cpp).
        items = self.ui.encodersTree.selectedItems()
        name = items[0].data(0, qt.Qt.UserRole) if items else None
        return next((one for one in self._choices if one.name == name), None)

    def select(self, name: str) -> None:
        """Select the encoder of this name."""
        tree = self.ui.encodersTree
        for row, one in enumerate(self._choices):
            if one.name == name:
                tree.setCurrentItem(tree.topLevelItem(row))

    def install(self) -> None:
        """Download the selected encoder's weights, after asking."""
        self._install("")

    def installFromFile(self) -> None:
        file = qt.QFileDialog.getOpenFileName(slicer.util.mainWindow(), _("Weights file"), "")
        if file:
            self._install(file)

    def remove(self) -> None:
        """Delete the selected encoder's weights."""
        choice = self.selected
        if choice is None:
            return
        try:
            freed = self.logic.removeWeights(choice.name)
        except (ValueError, RuntimeError) as error:
            self._news.text = str(error)
            return
        self._end(_("{title}: weights removed, {size} freed.").format(title=choice.title, size=readable_size(freed)))

    def use(self) -> None:
        """Make the selected encoder the one to index and search with."""
        choice = self.selected
        if choice is not None:
            self.settings.encoder = choice.name
            self.settings.save()
            self.onChanged()

    def cancel(self) -> None:
        if self._job is not None:
            self._news.text = _("Stopping...")
            self._job.cancel()

    def chooseFolder(self) -> None:
        folder = qt.QFileDialog.getExistingDirectory(
            slicer.util.mainWindow(), _("Weights folder"), self.logic.weightsFolder()
        )
        if folder:
            self.ui.weightsFolderLineEdit.text = folder
            self._storeFolder()

    def openFolder(self) -> None:
        """Open the folder, which is made if need be, in the file manager."""
        folder = Path(self.logic.weightsFolder())
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._news.text = _("{folder} cannot be created: {reason}.").format(folder=folder, reason=error.strerror)
            return
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(folder)))

    def askDefault(self) -> None:
        """Find out, in a process, what Automatic means here; once, and again after `forgetDefault`."""
        if self._isDefaultAsked:
            return
        self._isDefaultAsked = True
        self._questions += 1
        number = self._questions

        def ifLatest(tell: Callable[..., None]) -> Callable[..., None]:
            return lambda *values: tell(*values) if number == self._questions else None

        self._default.text = _("Checking which encoder runs here...")
        cancelled = ifLatest(lambda: self._onNoDefault(""))
        callbacks = Callbacks(ifLatest(self._onDefault), ifLatest(self._onNoDefault), cancelled)
        self._defaultJob = cast(Job, self.logic.defaultEncoder(callbacks))

    @property
    def isLooking(self) -> bool:
        """Whether it is not known yet what Automatic means."""
        return self._defaultJob is not None and self._defaultJob.isRunning

    def forgetDefault(self) -> None:
        """Packages were installed: another encoder may run now."""
        job, self._defaultJob, self._isDefaultAsked = self._defaultJob, None, False
        self._questions += 1  # an answer to the last one is outdated
        if job is not None:
            job.cancel()
        if not self.ui.encodersCollapsibleButton.collapsed:
            self.askDefault()

    def _onDefault(self, found: DefaultEncoder) -> None:
        text = _("A new index is made with: {encoder}.")
        self._default.text = "\n".join(
            (text.format(encoder=EncoderTexts.title(found.name)), EncoderTexts.sentence(found.reason))
        )

    def _onNoDefault(self, error: Exception | str) -> None:
        self._isDefaultAsked = False
        self._default.text = str(error)

    def _onCollapsed(self, collapsed: bool) -> None:
        if not collapsed:
            self.askDefault()
            self.refresh()  # what was hidden before may have been shown by opening

    def _install(self, file: str) -> None:
        self.refresh()  # what is agreed to is what will be installed, whoever else has changed the folder meanwhile
        choice = self.selected
        if choice is None or self._job is not None:
            return
        needed = () if file else choice.installable.alsoNeeded
        also = [one for one in self._choices if one.name in needed]
        isAsked = not all(one.installable.isConsented for one in (choice, *also))
        if isAsked and not self.ask(EncoderTexts.consent(choice, file, also)):
            self._news.text = _("Nothing was installed.")
            self._update()
            return
        self._news.text = ""
        self.ui.weightsProgressBar.setRange(0, 0)
        callbacks = Callbacks(
            lambda path: self._onInstalled(choice.name),
            self._onFailed,
            lambda: self._end(_("Stopped. What was downloaded is kept: Install resumes it.")),
            lambda step: self._onProgress(choice, step),
        )
        job = cast(Job, self.logic.installWeights(choice.name, file, True, callbacks))
        self._job = job if job.isRunning else None
        self._update()

    def _onProgress(self, choice: EncoderChoice, step: Progress) -> None:
        # In thousandths: a progress bar counts in 32 bits, which a file of weights can exceed.
        self.ui.weightsProgressBar.setRange(0, 1000 if step.total else 0)
        self.ui.weightsProgressBar.value = 1000 * step.done // step.total if step.total else 0
        self._news.text = f"{choice.title}: {Texts.download(step)}"

    def _onInstalled(self, name: str) -> None:
        self.refresh()
        choice = next(one for one in self._choices if one.name == name)
        if choice.problem:
            text = _("The weights of {title} are installed. It cannot run here yet: {problem}.")
        else:
            text = _("{title} is installed. Press Use to index with it.")
        self._end(text.format(title=choice.title, problem=choice.problem))

    def _onFailed(self, error: Exception) -> None:
        self._end(str(error))

    def _end(self, news: str) -> None:
        self._job = None
        self._news.text = news
        self.onChanged()

    def _storeFolder(self) -> None:
        folder = self.ui.weightsFolderLineEdit.text.strip()
        if folder != self.settings.weightsFolder:
            self.settings.weightsFolder = folder
            self.settings.save()
            self.onChanged()

    def _fill(self, choices: tuple[EncoderChoice, ...]) -> None:
        tree = self.ui.encodersTree
        selected = self.selected
        self._choices = choices
        tree.blockSignals(True)
        tree.clear()
        for one in choices:
            item = qt.QTreeWidgetItem()
            for column, (text, toolTip) in enumerate(_cells(one)):
                item.setText(column, text)
                item.setToolTip(column, toolTip)
            item.setData(0, qt.Qt.UserRole, one.name)
            tree.addTopLevelItem(item)
        tree.blockSignals(False)
        if selected is not None:
            self.select(selected.name)

    def _update(self) -> None:
        """What can be done with the selected encoder now."""
        choice, running = self.selected, self._job is not None
        self._details.text = EncoderTexts.details(choice) if choice else ""
        self.ui.weightsProgressBar.visible = running
        self.ui.cancelWeightsButton.visible = running
        busy = _("Weights are being installed.") if running else ""
        none = "" if choice else _("Select an encoder in the table.")
        isInstalled = choice is not None and choice.installable.state == "installed"
        there = _("Its weights are installed.") if isInstalled else ""
        address = EncoderTexts.notDownloadable(choice.installable) if choice else ""
        isAbsent = choice is not None and choice.installable.state == "absent"
        self._installButton.update(busy or none or there or address)
        self._fileButton.update(busy or none or there)
        self._removeButton.update(busy or none or (_("Its weights are not installed.") if isAbsent else ""))
        self._useButton.update(self._notUsable(choice) if choice else none)
        for one in self._folder:
            one.update(busy)

    def _notUsable(self, choice: EncoderChoice) -> str:
        if choice.problem:
            return _("It cannot run here: {problem}.").format(problem=choice.problem)
        return _("It is in use.") if self.settings.encoder == choice.name else ""


def _cells(one: EncoderChoice) -> tuple[tuple[str, str], ...]:
    """Text and tooltip of each column."""
    weights = one.installable
    size, dimension = EncoderTexts.size(weights), EncoderTexts.dimension(weights)
    use = EncoderTexts.commercial(weights)
    unverified = _("Unverified: the publisher states no hash to compare the download with.")
    return (
        # In front, where it is never cut off.
        (one.title, one.title) if weights.isVerified else (f"(?) {one.title}", f"{one.title}. {unverified}"),
        (EncoderTexts.state(one), EncoderTexts.stateDetails(one)),
        (dimension or "?", _("Numbers for each slice: {n}").format(n=dimension or _("depends on the file"))),
        (size or "?", _("Size of the weights: {size}").format(size=size or _("not stated by the publisher"))),
        (use, _("Commercial use: {answer}").format(answer=use)),
        (weights.license, f"{weights.license}, {weights.licenseUrl}"),
    )
