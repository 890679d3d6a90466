"""VolumeRetrievalEngine: find the volumes that look like a given one, and where in them the match is.

The part of VolumeRetrieval that depends neither on 3D Slicer nor on Qt. It runs in Slicer's Python, in a process of its
own, on a server and under pytest, and needs only numpy, scipy, SimpleITK and pydicom. Where faiss, torch and MONAI are
installed, it is faster and finds better matches.

Everything that a script needs is here, and is loaded when it is first used: importing the package loads nothing else.

Example:
    >>> from VolumeRetrievalEngine import Retriever, SearchOptions, SliceRange
    >>> with Retriever.create("index", "descriptor") as retriever:
    ...     report = retriever.add(["archive"])
    ...     result = retriever.search("archive/chest-0.nii.gz", region=SliceRange(2, 5), options=SearchOptions(top=2))
    >>> [Path(match.path).name for match in result.matches]
    ['chest-1.nii.gz', 'abdomen-0.nii.gz']
"""

from __future__ import annotations

__version__ = "0.1.0"

#: Public name -> the module that defines it.
_DEFINED_IN = {
    "Attributes": "volume",
    "AttributeFilter": "store.attribute_filter",
    "BoxRAS": "query.region",
    "Cancelled": "progress",
    "Correspondence": "method.correspondence",
    "EncoderRequest": "encoders.request",
    "IndexingReport": "indexing.run",
    "MaskRegion": "query.region",
    "Match": "searching.match",
    "MatchedRange": "method.localization",
    "MetadataTable": "reading.metadata",
    "OrientedBox": "query.oriented_box",
    "Place": "method.place",
    "PointMap": "searching.point_map",
    "Progress": "progress",
    "Recipe": "recipe",
    "Refinement": "searching.refinement",
    "Retriever": "retriever",
    "SearchOptions": "searching.options",
    "SearchResult": "searching.match",
    "SingleSlice": "query.region",
    "SliceRange": "query.region",
    "SliceTable": "volume",
    "StackGeometry": "query.stack_geometry",
    "Status": "store.status",
    "Volume": "volume",
    "VolumeRecord": "store.records",
    "VolumeRetrievalError": "errors",
    "available_encoders": "encoders.choice",
    "parse_region": "query.region",
    "read_volume": "reading.one_volume",
}

__all__ = [
    "__version__",
    "Attributes",
    "AttributeFilter",
    "BoxRAS",
    "Cancelled",
    "Correspondence",
    "EncoderRequest",
    "IndexingReport",
    "MaskRegion",
    "Match",
    "MatchedRange",
    "MetadataTable",
    "OrientedBox",
    "Place",
    "PointMap",
    "Progress",
    "Recipe",
    "Refinement",
    "Retriever",
    "SearchOptions",
    "SearchResult",
    "SingleSlice",
    "SliceRange",
    "SliceTable",
    "StackGeometry",
    "Status",
    "Volume",
    "VolumeRecord",
    "VolumeRetrievalError",
    "available_encoders",
    "parse_region",
    "read_volume",
]

TYPE_CHECKING = False  # typing's is not asked for: importing the package is to load nothing
if TYPE_CHECKING:
    from .encoders.choice import available_encoders
    from .encoders.request import EncoderRequest
    from .errors import VolumeRetrievalError
    from .indexing.run import IndexingReport
    from .method.correspondence import Correspondence
    from .method.localization import MatchedRange
    from .method.place import Place
    from .progress import Cancelled, Progress
    from .query.oriented_box import OrientedBox
    from .query.region import BoxRAS, MaskRegion, SingleSlice, SliceRange, parse_region
    from .query.stack_geometry import StackGeometry
    from .reading.metadata import MetadataTable
    from .reading.one_volume import read_volume
    from .recipe import Recipe
    from .retriever import Retriever
    from .searching.match import Match, SearchResult
    from .searching.options import SearchOptions
    from .searching.point_map import PointMap
    from .searching.refinement import Refinement
    from .store.attribute_filter import AttributeFilter
    from .store.records import VolumeRecord
    from .store.status import Status
    from .volume import Attributes, SliceTable, Volume


def __getattr__(name: str) -> object:
    """A public name, loaded when it is first asked for (PEP 562)."""
    if name not in _DEFINED_IN:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = getattr(import_module(f".{_DEFINED_IN[name]}", __name__), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_DEFINED_IN})
