"""The section Advanced: settings of the machine, kept in Slicer's settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from ..Settings import Settings
from ..Values import EncoderChoice, StoreChoice
from .EnabledReason import EnabledReason
from .LogicProtocol import LogicProtocol
from .WrappedLabel import WrappedLabel

#: The values behind the items of the combo boxes, in their order in the .ui file; "" is automatic.
_DEVICES = ("", "cpu", "cuda", "mps")
_FILTERS = ("", "slices", "pooled")
_INDEX_KINDS = ("", "flat", "hnsw", "ivf-sq8", "lsh")


class AdvancedSection:
    """Shows the settings and stores what is changed; `onChanged` is called then."""

    def __init__(self, ui: Any, logic: LogicProtocol, settings: Settings, onChanged: Callable[[], None]):
        self.ui = ui
        self.logic = logic
        self.settings = settings
        self.onChanged = onChanged
        self._encoders: list[tuple[str, StoreChoice | None]] = []
        self._networks: set[str] = set()
        self._note = WrappedLabel(ui.encoderNoteLabel)
        self._filterCount = EnabledReason(ui.filterCountSpinBox)
        self._filter = EnabledReason(ui.filterComboBox)
        self._weights = [EnabledReason(one) for one in (ui.weightsLineEdit, ui.weightsButton)]
        self._show()
        ui.encoderComboBox.connect("currentIndexChanged(int)", self._onEncoderChosen)
        for box in (ui.deviceComboBox, ui.filterComboBox, ui.indexKindComboBox):
            box.connect("currentIndexChanged(int)", self._store)
        for box in (ui.batchSizeSpinBox, ui.filterCountSpinBox):
            box.connect("valueChanged(int)", self._store)
        ui.sliceStepSpinBox.connect("valueChanged(double)", self._store)
        ui.exhaustiveCheckBox.connect("toggled(bool)", self._store)
        ui.weightsLineEdit.connect("textChanged(QString)", self._store)
        ui.weightsButton.connect("clicked(bool)", self.chooseWeights)

    def refresh(self) -> None:
        """List the encoders again (after an installation), and what can be done now."""
        self._fillEncoders()
        self._updateReasons()

    def chooseWeights(self) -> None:
        file = qt.QFileDialog.getOpenFileName(
            slicer.util.mainWindow(),
            _("Weights file"),
            self.settings.weights,
            _("Networks (*.pt *.pth *.safetensors)"),
        )
        if file:
            self.ui.weightsLineEdit.text = file

    def _show(self) -> None:
        self._fillEncoders()
        self.ui.deviceComboBox.setCurrentIndex(_index(_DEVICES, self.settings.device))
        self.ui.filterComboBox.setCurrentIndex(_index(_FILTERS, self.settings.filter))
        self.ui.indexKindComboBox.setCurrentIndex(_index(_INDEX_KINDS, self.settings.indexKind))
        self.ui.batchSizeSpinBox.value = self.settings.batchSize
        self.ui.filterCountSpinBox.value = self.settings.filterCount
        self.ui.sliceStepSpinBox.value = self.settings.sliceStepMm
        self.ui.exhaustiveCheckBox.checked = self.settings.exhaustive
        self.ui.weightsLineEdit.text = self.settings.weights
        self._updateReasons()

    def _fillEncoders(self) -> None:
        choices = [EncoderChoice("", _("Automatic")), *self.logic.encoders()]
        stores = self.logic.stores()
        self._networks = {one.name for one in choices if one.needsWeights}
        items: list[tuple[str, StoreChoice | None, str]] = []
        for one in choices:
            isChosen = one.name == self.settings.encoder  # what is missing may have been removed since
            if isChosen or not one.problem:
                items.append((one.name, None, f"{one.title}: {one.problem}" if one.problem else one.title))
                own = [store for store in stores if store.encoder == one.name]
                items += [(one.name, store, f"{one.title}: {store.title}") for store in own]
        self._encoders = [(name, store) for name, store, _title in items]
        box = self.ui.encoderComboBox
        box.blockSignals(True)
        box.clear()
        for _name, _store, title in items:
            box.addItem(title)
        box.setCurrentIndex(self._currentEncoder())
        box.blockSignals(False)
        self._note.text = "\n".join(_problems(choices))

    def _currentEncoder(self) -> int:
        """The item that the settings mean: an index of the encoder if they fit one, else the encoder itself."""
        settings, found = self.settings, 0
        for index, (name, store) in enumerate(self._encoders):
            if name == settings.encoder:
                if store is None:
                    found = index
                elif _isOf(settings, store):
                    return index
        return found

    def _onEncoderChosen(self, index: int) -> None:
        """An index of an encoder brings the settings that it was made with."""
        store = self._encoders[index][1] if 0 <= index < len(self._encoders) else None
        if store is not None:
            weights = store.weights or self.ui.weightsLineEdit.text
            for widget, name, value in (
                (self.ui.weightsLineEdit, "text", weights),
                (self.ui.sliceStepSpinBox, "value", store.sliceStepMm),
            ):
                widget.blockSignals(True)
                setattr(widget, name, value)
                widget.blockSignals(False)
        self._store()

    def _store(self, *_ignored: Any) -> None:
        settings = self.settings
        index = self.ui.encoderComboBox.currentIndex
        settings.encoder = self._encoders[index][0] if 0 <= index < len(self._encoders) else ""
        settings.weights = self.ui.weightsLineEdit.text.strip()
        settings.device = _DEVICES[self.ui.deviceComboBox.currentIndex]
        settings.filter = _FILTERS[self.ui.filterComboBox.currentIndex]
        settings.indexKind = _INDEX_KINDS[self.ui.indexKindComboBox.currentIndex]
        settings.batchSize = self.ui.batchSizeSpinBox.value
        settings.filterCount = self.ui.filterCountSpinBox.value
        settings.sliceStepMm = self.ui.sliceStepSpinBox.value
        settings.exhaustive = self.ui.exhaustiveCheckBox.checked
        settings.save()
        self._updateReasons()
        self.onChanged()

    def _updateReasons(self) -> None:
        reason = _("Every volume is compared in full.") if self.ui.exhaustiveCheckBox.checked else ""
        self._filter.update(reason)
        self._filterCount.update(reason)
        isNetwork = self.settings.encoder in self._networks
        for one in self._weights:
            one.update("" if isNetwork else _("The chosen encoder needs no weights file, or already has one."))


def _isOf(settings: Settings, store: StoreChoice) -> bool:
    sameFile = not settings.weights or not store.weights or settings.weights == store.weights
    return sameFile and settings.sliceStepMm == store.sliceStepMm


def _problems(choices: Sequence[EncoderChoice]) -> list[str]:
    """Which encoders cannot run here, those with the same reason in one line; those of the catalog have a table."""
    titles: dict[str, list[str]] = {}
    for one in choices:
        if one.problem and one.weights is None:
            titles.setdefault(one.problem, []).append(one.title)
    return [f"{', '.join(found)}: {problem}" for problem, found in titles.items()]


def _index(values: tuple[str, ...], value: str) -> int:
    return values.index(value) if value in values else 0
