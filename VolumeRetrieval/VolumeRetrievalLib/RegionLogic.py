"""What the logic knows about regions of a query before it is searched with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from .Values import SLICES, SceneRegion, StackDescription

if TYPE_CHECKING:  # imported when a logic is made (RetrievalLogic.py)
    from VolumeRetrievalEngine.query.oriented_box import OrientedBox

    from .Search.Searching import Searching


class RegionLogic:
    """Counts, chooses and draws the slices of a query as a search will take them; part of RetrievalLogic."""

    def __init__(self, queries: Searching):
        from .Views.RegionPreview import RegionPreview

        self._queries = queries
        self._preview = RegionPreview()

    def stackOf(self, query: Any) -> StackDescription | None:
        """The slices that a region's numbers count, of a volume node or of a series (its SeriesInstanceUID).

        None for a series that is not indexed: how many slices it has is known when it is searched with.
        """
        from .Search import QueryStack

        stack = self._queries.stackOf(query)
        return None if stack is None else QueryStack.describe(stack)

    def rangeOfView(self, volumeNode: Any, sliceNode: Any) -> tuple[int, int] | str:
        """First and last slice (0-based) that a slice view shows of a volume; or a sentence why it shows none."""
        from .Views.ViewSlices import rangeOfStack

        stack = self._queries.stackOf(volumeNode)
        return _("Select a volume with voxels.") if stack is None else rangeOfStack(stack, sliceNode)

    def showRegionPreview(self, query: Any, region: SceneRegion) -> None:
        """Draw the slices of this region in the user's slice views, until another region is shown or this one hidden.

        Nothing is drawn of other kinds of region, which are in the views already, nor of a series.
        """
        from .Search import QueryRegion

        if region.kind != SLICES or query is None or isinstance(query, str):
            self._preview.remove()
            return

        def box() -> OrientedBox | None:
            stack = self._queries.stackOf(query)
            return None if stack is None else QueryRegion.boxOf(region, stack)

        self._preview.show(query, box)

    def hideRegionPreview(self) -> None:
        """Take the drawn region out of the scene."""
        self._preview.remove()
