"""Loading results, one by one, and showing them next to the query of the last search."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _
from VolumeRetrievalEngine.errors import VolumeRetrievalError
from VolumeRetrievalEngine.progress import Progress
from VolumeRetrievalEngine.searching.match import Match

from ..Database.IndexContents import IndexContents
from ..Scene.LoadedVolumes import seriesUID
from ..Scene.MatchLoader import MatchLoader
from ..Search.LastSearch import LastSearch
from ..Values import MatchDescription
from . import CompareLayout, ViewState, WindowLevel
from .Comparison import ShownMatch
from .MatchDisplay import MatchDisplay
from .StackGeometry import StackGeometry

#: What volumes and views may be the reason for, in words that can be read; everything else is a fault of ours.
_CANNOT_BE_SHOWN = (RuntimeError, ValueError, LookupError, OSError, VolumeRetrievalError)


class Showing:
    """Asks for the volumes, says what could not be had, and leaves nothing behind where nothing can be shown."""

    def __init__(
        self,
        display: MatchDisplay,
        loader: MatchLoader,
        contents: Callable[[], IndexContents],
        describe: Callable[[str], MatchDescription],
    ):
        """`describe` says whose a series is, by its SeriesInstanceUID."""
        self._display = display
        self._loader = loader
        self._contents = contents
        self._describe = describe
        self._isBusy = False

    def show(
        self, last: LastSearch, matches: Sequence[Match], progress: Callable[[Progress], None] | None = None
    ) -> list[str]:
        """Show these matches next to the query, which is loaded, too, if it is a series.

        Args:
            progress: called before each volume is loaded, and before the views are arranged (stage "arrange").

        Returns:
            A sentence for each match that is not shown, naming it.

        Raises:
            RuntimeError: nothing could be shown; its text says why.
        """
        if self._isBusy:
            raise RuntimeError(_("Results are being loaded already."))
        self._display.checkViews()
        self._isBusy = True
        loaded: list[Any] = []
        try:
            with slicer.util.WaitCursor():
                return self._show(last, list(matches), progress or (lambda step: None), loaded)
        except BaseException as error:
            self._discard(loaded)
            if isinstance(error, _CANNOT_BE_SHOWN):
                raise RuntimeError(str(error)) from error
            raise
        finally:
            self._isBusy = False

    def _show(
        self, last: LastSearch, matches: list[Match], progress: Callable[[Progress], None], loaded: list[Any]
    ) -> list[str]:
        problems: list[str] = []
        if len(matches) > CompareLayout.MOST_RESULTS:
            problems.append(_("Only the first {n} are shown.").format(n=CompareLayout.MOST_RESULTS))
            matches = matches[: CompareLayout.MOST_RESULTS]

        def tell(number: int, item: str, stage: str = "load") -> None:
            progress(Progress(stage, number, len(matches), item))
            slicer.app.processEvents(qt.QEventLoop.ExcludeUserInputEvents)  # it is read before it is waited for

        tell(0, _("the query"))
        queryNode, queryIsOurs = self._load(lambda: self._query(last), loaded)
        shown: list[ShownMatch] = []
        for number, match in enumerate(matches):
            name = self._name(match)
            tell(number, f"{match.rank}: {name}")
            try:
                node, isOurs = self._load(partial(self._volume, match), loaded)
                StackGeometry.ofVolume(node, match.plane)
            except _CANNOT_BE_SHOWN as error:
                text = _("{rank}: {name} is not shown. {reason}")
                problems.append(text.format(rank=match.rank, name=name, reason=error))
                continue
            shown.append(ShownMatch(match, node, isOurs, name))
        self._discard([node for node in loaded if node not in (queryNode, *(one.volumeNode for one in shown))])
        if not shown:
            raise RuntimeError("\n".join(problems))
        if queryNode.GetScene() is None:
            raise RuntimeError(_("The query volume is no longer in the scene: search again."))
        tell(len(matches), _("arranging the views"), "arrange")
        queryPart = _bodyPart(queryNode)
        for one in shown:
            if one.isOurs:  # the user's own volumes stay as they are
                isSameRegion = bool(queryPart) and queryPart == one.match.attributes.body_part.strip().upper()
                WindowLevel.adjust(one.volumeNode, one.match.attributes.modality, queryNode, isSameRegion)
        self._display.show(queryNode, last.result, shown, self._queryName(queryNode), queryIsOurs)
        return problems

    def _load(self, load: Callable[[], Any], loaded: list[Any]) -> tuple[Any, bool]:
        """The node, and whether it is there for the comparison only."""
        before = {node.GetID() for node in slicer.util.getNodesByClass("vtkMRMLVolumeNode")}
        with ViewState.undisturbed():
            node = load()
        isNew = node.GetID() not in before
        if isNew:
            loaded.append(node)
        return node, isNew or self._display.folder.holds(node)

    def _discard(self, nodes: Sequence[Any]) -> None:
        for node in nodes:
            if node.GetScene() is not None:
                self._display.folder.discard(node)

    def _query(self, last: LastSearch) -> Any:
        if last.match is not None:
            return self._volume(last.match)
        if last.volumeID:
            return self._loader.load(last.volumeID, self._contents())
        if last.files:
            return self._loader.loadFiles(last.files)
        node = slicer.mrmlScene.GetNodeByID(last.nodeID)
        if node is None:
            raise RuntimeError(_("The query volume is no longer in the scene: search again."))
        return node

    def _volume(self, match: Match) -> Any:
        return self._loader.loadMatch(match, self._contents())

    def _name(self, match: Match) -> str:
        """Whose volume it is, or else what it is."""
        patient = self._describe(match.series_uid).patient if match.series_uid else ""
        return patient or match.attributes.series_description or Path(match.path).name

    def _queryName(self, queryNode: Any) -> str:
        series = seriesUID(queryNode)
        return (self._describe(series).patient if series else "") or queryNode.GetName()


def _bodyPart(volumeNode: Any) -> str:
    """BodyPartExamined of the series that the node was loaded from; empty if nobody says."""
    series = seriesUID(volumeNode)
    if not series or slicer.dicomDatabase is None or not slicer.dicomDatabase.isOpen:
        return ""
    return slicer.dicomDatabase.fieldForSeries("BodyPartExamined", series).strip().upper()
