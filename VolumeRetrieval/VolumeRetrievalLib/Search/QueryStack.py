"""The stack of slices that a query is, in the plane of the index: what slice numbers count, known before a search."""

from __future__ import annotations

from typing import Any

from VolumeRetrievalEngine.query.stack_geometry import StackGeometry

from ..Database.DatabaseIndex import DatabaseIndex
from ..Scene.LoadedVolumes import LoadedVolumes
from ..Scene.VolumeStack import stackOfVolume
from ..Texts import stackEnds
from ..Values import StackDescription


def stackOf(query: Any, index: DatabaseIndex, loaded: LoadedVolumes) -> StackGeometry | None:
    """The stack of a volume node or of a series (its SeriesInstanceUID), as a search would slice it.

    What is indexed has it in the index, with the true positions of irregular slices; another volume is sliced in the
    plane of the index. None for a series that is not indexed, and for a node without voxels.
    """
    contents = index.contents if index.directory else None
    if isinstance(query, str):
        volumes = contents.volumesOfSeries(str(query)) if contents else []
        volumeID = getattr(query, "volumeID", "") or (volumes[0].volumeID if volumes else "")
        return contents.stack(volumeID) if contents and volumes else None
    if query is None or query.GetImageData() is None or 0 in query.GetImageData().GetDimensions():
        return None
    indexed = loaded.indexedVolume(query, contents) if contents else None
    stack = contents.stack(indexed.volumeID) if contents and indexed else None
    return stack or stackOfVolume(query, contents.plane() if contents else "auto")


def describe(stack: StackGeometry) -> StackDescription:
    """The stack for people: "120 axial slices from inferior to superior"."""
    return StackDescription(stack.plane, stack.count, *stackEnds(stack.plane))
