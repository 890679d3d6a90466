"""A mask from an image file: its values and where they lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ...errors import UnreadableFileError
from ...volume import LPS_TO_RAS
from ..itk_paths import check_is_text
from ..quiet import quiet
from .nifti_data import voxels_not_finite


def read_mask(path: Path | str) -> tuple[np.ndarray, np.ndarray]:
    """The values of a mask image, any number type, and its affine.

    Returns:
        Voxels [k, j, i], or [k, j, i, layer] for an image of several values for each voxel (a Slicer segmentation
        whose segments overlap), and float64 [4, 4], (i, j, k, 1) to RAS mm. NIfTI's voxels that are not finite read
        as 0, outside of any mask.

    Raises:
        UnreadableFileError: no image, a truncated one, or not one of 3 dimensions.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            dicom = file.read(132)[128:] == b"DICM"
    except OSError as error:
        raise UnreadableFileError(path, f"{error.strerror}; expected a mask image (NIfTI, NRRD, MHA ...)") from error
    if dicom:
        # ITK would read the frames of a DICOM segmentation as slices, whatever segment and place they have.
        raise UnreadableFileError(path, "a DICOM object; export the segmentation as NIfTI or NRRD and take that")
    check_is_text(path)
    try:
        with quiet():
            image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        sheared = "orthonormal" in str(error)
        reason = (
            "its axes are not perpendicular; resample it" if sheared else "SimpleITK cannot read it as a mask image"
        )
        raise UnreadableFileError(path, reason) from error
    if image.GetDimension() != 3:
        raise UnreadableFileError(path, f"expected a mask of 3 dimensions, it has {image.GetDimension()}")
    if path.name.lower().endswith((".nii", ".nii.gz")):
        voxels_not_finite(path)  # a truncated file, which ITK fills up with zeros, is an error there
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return sitk.GetArrayFromImage(image), LPS_TO_RAS @ affine
