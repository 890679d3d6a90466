"""The line Query: which volume of the scene, or which series of the DICOM database, similar ones are looked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from ..Values import SeriesChoice
from .LogicProtocol import LogicProtocol
from .SeriesDialog import SeriesDialog

_SCENE_PAGE, _SERIES_PAGE = 0, 1


class QuerySection:
    """Chooses the query; `onChanged` is called when it is another one."""

    def __init__(self, ui: Any, logic: LogicProtocol, onChanged: Callable[[], None]):
        self.ui = ui
        self.logic = logic
        self.onChanged = onChanged
        self.dialog: SeriesDialog | None = None
        self._series: SeriesChoice | None = None
        self._observed: tuple[Any, int] | None = None
        self._fromDatabase = qt.QAction(_("From the DICOM database..."), ui.queryVolumeSelector)
        self._fromDatabase.connect("triggered(bool)", self.chooseSeries)
        ui.queryVolumeSelector.addMenuAction(self._fromDatabase)
        ui.queryVolumeSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._onChanged)
        ui.queryVolumeSelector.connect("nodeAdded(vtkMRMLNode*)", self._onNodeAdded)
        ui.querySeriesButton.connect("clicked(bool)", self.chooseSeries)
        ui.querySceneButton.connect("clicked(bool)", self.useScene)
        self._update()

    @property
    def query(self) -> Any:
        """The volume node, or the SeriesInstanceUID, that is chosen; None if none is."""
        return self._series.seriesUID if self._series is not None else self.ui.queryVolumeSelector.currentNode()

    @property
    def name(self) -> str:
        """What the query is called."""
        if self._series is not None:
            return self._series.series
        node = self.query
        return node.GetName() if node is not None else ""

    def problem(self) -> str:
        """Why there is nothing to search with; empty if there is."""
        node = self.query
        if node is None:
            return _("Load a volume, or choose a series of the DICOM database as the query.")
        if not isinstance(node, str) and node.GetImageData() is None:
            return _("The query volume is empty.")
        return ""

    @property
    def choice(self) -> Any:
        """What :meth:`choose` takes to choose the same again."""
        return self._series or self.query

    def choose(self, choice: Any) -> None:
        """Take a volume node, if it is still in the scene, or a series."""
        if isinstance(choice, SeriesChoice):
            self.useSeries(choice)
        elif choice is not None and slicer.mrmlScene.IsNodePresent(choice):
            self.useVolume(choice)

    def useVolume(self, volumeNode: Any) -> None:
        """Take this volume of the scene."""
        self._series = None
        self.ui.queryVolumeSelector.setCurrentNode(volumeNode)
        self._onChanged()

    def useScene(self, *_ignored: Any) -> None:
        """Take the volume of the scene that was chosen before."""
        self._series = None
        self._onChanged()
        self.ui.queryVolumeSelector.setFocus()

    def useSeries(self, series: SeriesChoice) -> None:
        """Take this series of the database."""
        self._series = series
        self._onChanged()

    def chooseSeries(self, *_ignored: Any) -> None:
        """Open the window with the series of the database."""
        self.dialog = SeriesDialog(slicer.util.mainWindow(), self.logic.series(), self.useSeries)
        self.dialog.open()

    def cleanUp(self) -> None:
        """Observe nothing any more."""
        if self._observed is not None:
            node, tag = self._observed
            node.RemoveObserver(tag)
            self._observed = None

    def _onChanged(self, *_ignored: Any) -> None:
        self._observe()
        self._update()
        self.onChanged()

    def _onNodeAdded(self, node: Any) -> None:
        """The first volume of a scene is the query: with an entry of its own the selector is never empty, and an empty
        one only selects by itself (QComboBox)."""
        if self.ui.queryVolumeSelector.currentNode() is None:
            self.ui.queryVolumeSelector.setCurrentNode(node)

    def _observe(self) -> None:
        """A volume is in the scene, and is selected, before it has voxels."""
        self.cleanUp()
        node = self.query
        if node is not None and not isinstance(node, str):
            event = slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent
            self._observed = (node, node.AddObserver(event, lambda *_ignored: self.onChanged()))

    def _update(self) -> None:
        series = self._series
        self.ui.queryStack.setCurrentIndex(_SCENE_PAGE if series is None else _SERIES_PAGE)
        if series is not None:
            # Of a result that the database does not hold, patient and study are not known.
            self.ui.querySeriesButton.text = ", ".join(filter(None, (series.series, series.patient)))
            known = ", ".join(filter(None, (series.patient, series.study, series.series)))
            self.ui.querySeriesButton.toolTip = _("{series}. Click to choose another series.").format(series=known)
