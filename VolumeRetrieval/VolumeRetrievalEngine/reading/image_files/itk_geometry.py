"""How the axes of an image lie in the patient, as ITK, and so Slicer, reads it from a header that was checked."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ...errors import UnreadableFileError
from ...volume import LPS_TO_RAS
from ..quiet import quiet
from .image_header import ImageHeader

_READERS = {".nii": "NiftiImageIO", ".nrrd": "NrrdImageIO", ".mha": "MetaImageIO"}
#: ITK refuses NIfTI files whose sform is sheared, unless this variable is set when they are opened.
_PERMISSIVE = "ITK_NIFTI_SFORM_PERMISSIVE"
SHEARED = "sheared orientation in the file: the nearest perpendicular one is used"
#: ITK keeps the shear of the other formats, and Slicer shows it.
KEPT_SHEAR = "sheared orientation in the file: its axes are not perpendicular, and are read as 3D Slicer reads them"
_PERPENDICULAR = 1e-3
_LEAST_VOXEL_MM3 = 1e-12


def affine_of(header: ImageHeader) -> tuple[np.ndarray, tuple[str, ...]]:
    """float64 [4, 4], ijk to RAS mm, and a note if the file says something else.

    UnreadableFileError if the header's axes span no volume.
    """
    ending, content = header.geometry
    notes: tuple[str, ...] = ()
    # Only the header is in it: no voxel, no name, nothing of the patient.
    with tempfile.TemporaryDirectory(prefix="volume-retrieval-") as folder, quiet():
        file = Path(folder) / f"header{ending}"
        file.write_bytes(content)
        try:
            affine = _read(file)
        except RuntimeError as error:
            if "orthonormal" not in str(error):
                raise _no_volume(header) from error
            affine, notes = _read_permissively(file, header), (SHEARED,)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < _LEAST_VOXEL_MM3:
        raise _no_volume(header)
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    if np.abs(directions.T @ directions - np.eye(3)).max() > _PERPENDICULAR:
        notes = (KEPT_SHEAR,)
    return affine, notes


def _read_permissively(file: Path, header: ImageHeader) -> np.ndarray:
    before = os.environ.get(_PERMISSIVE)
    os.environ[_PERMISSIVE] = "1"
    try:
        return _read(file)
    except RuntimeError as error:
        raise _no_volume(header) from error
    finally:
        if before is None:
            del os.environ[_PERMISSIVE]
        else:
            os.environ[_PERMISSIVE] = before


def _read(file: Path) -> np.ndarray:
    reader = sitk.ImageFileReader()
    reader.SetImageIO(_READERS[file.suffix])
    reader.SetFileName(str(file))
    reader.ReadImageInformation()
    dimension = reader.GetDimension()
    affine = np.eye(4)
    n = min(dimension, 3)
    direction = np.reshape(reader.GetDirection(), (dimension, dimension))[:n, :n]
    affine[:n, :n] = direction * np.array(reader.GetSpacing()[:n])
    affine[:n, 3] = reader.GetOrigin()[:n]
    return LPS_TO_RAS @ affine


def _no_volume(header: ImageHeader) -> UnreadableFileError:
    return UnreadableFileError(
        header.path, "damaged header: its spacing and orientation span no volume; export it again"
    )
