"""Reading volumes: from folders of mixed DICOM, NIfTI, NRRD and MetaImage files to `Volume` values.

Example:
    >>> found = discover([Path("archive")], root=Roots(), tokens=PatientTokens.ephemeral())
    >>> [source.read().voxels.ndim for source in found.sources]
    [3, 3, 3, 3]
"""

from __future__ import annotations

from ..roots import Root, Roots
from .discovery import discover
from .metadata import MetadataTable
from .modality import infer_modality
from .one_volume import find_volume, read_volume
from .scan_cache import ScanCache
from .source import Discovery, Skipped, VolumeSource

__all__ = [
    "Discovery",
    "MetadataTable",
    "Root",
    "Roots",
    "ScanCache",
    "Skipped",
    "VolumeSource",
    "discover",
    "find_volume",
    "infer_modality",
    "read_volume",
]
