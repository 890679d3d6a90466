"""A mask from an image file: its values and where they lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ...errors import NotAVolumeError, UnreadableFileError
from ...volume import LPS_TO_RAS
from ..itk_paths import check_is_text
from ..quiet import quiet
from ..reasons import reason_of
from .headers import image_ending, image_header
from .itk_geometry import SHEARED, affine_of
from .voxel_data import scaled_values, stored_values


def read_mask(path: Path | str) -> tuple[np.ndarray, np.ndarray]:
    """The values of a mask image, any number type, and its affine.

    Returns:
        Voxels [k, j, i], or [k, j, i, layer] for an image of several values for each voxel (a Slicer segmentation
        whose segments overlap), and float64 [4, 4], (i, j, k, 1) to RAS mm. Voxels that are not finite read as 0,
        outside of any mask.

    Raises:
        UnreadableFileError: no image, a truncated one, or not one of 3 dimensions.
    """
    path = Path(path)
    expected = "expected a mask image (NIfTI, NRRD, MHA ...)"
    try:
        if path.exists() and not path.is_file():
            raise UnreadableFileError(path, f"no file; {expected}")
        with path.open("rb") as file:
            dicom = file.read(132)[128:] == b"DICM"
    except OSError as error:
        raise UnreadableFileError(path, f"{error.strerror}; {expected}") from error
    if dicom:
        # ITK would read the frames of a DICOM segmentation as slices, whatever segment and place they have.
        raise UnreadableFileError(path, "a DICOM object; export the segmentation as NIfTI or NRRD and take that")
    if not image_ending(path.name):
        return _by_itk(path)
    try:
        return _checked(path)
    except UnreadableFileError:
        raise
    except Exception as error:
        raise UnreadableFileError(path, reason_of(error, path)) from error


def _checked(path: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        header = image_header(path)
    except NotAVolumeError as error:
        raise UnreadableFileError(path, error.reason) from error
    _check_dimensions(path, len(header.sizes))
    affine, notes = affine_of(header)
    if SHEARED in notes:
        raise UnreadableFileError(path, "its axes are not perpendicular; resample it")
    plain = header.slope == 1.0 and header.intercept == 0.0
    values = stored_values(header) if plain else scaled_values(header)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    return (np.nan_to_num(values, nan=0, posinf=0, neginf=0) if values.dtype.kind == "f" else values), affine


def _by_itk(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Of a format that a person chose and this package does not know: by whatever reader of ITK knows it."""
    check_is_text(path)
    try:
        with quiet():
            image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise UnreadableFileError(path, "SimpleITK cannot read it as a mask image; save it as NIfTI or NRRD") from error
    _check_dimensions(path, image.GetDimension())
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return sitk.GetArrayFromImage(image), LPS_TO_RAS @ affine


def _check_dimensions(path: Path, count: int) -> None:
    if count != 3:
        raise UnreadableFileError(path, f"expected a mask of 3 dimensions, it has {count}")
