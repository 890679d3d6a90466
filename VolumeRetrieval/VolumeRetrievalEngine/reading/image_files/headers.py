"""Which reader of headers is for which ending."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .image_header import ImageHeader
from .meta_image_header import meta_image_header
from .nifti_header import nifti_header
from .nrrd_header import nrrd_header

_HEADERS: dict[str, Callable[[Path, str], ImageHeader]] = {
    ".nii.gz": nifti_header,
    ".nii": nifti_header,
    ".hdr": nifti_header,
    ".nrrd": nrrd_header,
    ".nhdr": nrrd_header,
    ".mha": meta_image_header,
    ".mhd": meta_image_header,
}


def image_ending(name: str) -> str:
    """The ending by which a file name says that it is an image file of these kinds; "" if it does not."""
    lower = name.lower()
    return next((ending for ending in _HEADERS if lower.endswith(ending)), "")


def image_header(path: Path) -> ImageHeader:
    """The checked header of an image file with such an ending.

    Raises:
        UnreadableFileError, NotAVolumeError, OSError
    """
    ending = image_ending(path.name)
    return _HEADERS[ending](path, ending)
