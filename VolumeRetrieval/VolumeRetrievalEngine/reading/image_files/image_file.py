"""A volume in a file of its own: NIfTI, NRRD or MetaImage, read by SimpleITK."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import SimpleITK as sitk

from ...errors import NotAVolumeError, UnreadableFileError
from ...volume import LPS_TO_RAS, SliceTable, Volume
from ..dicom.header import failed, skipped
from ..dicom.series_splitting import FEWEST_SLICES
from ..facts import FileFacts, FileStamp, ImageFacts
from ..itk_paths import check_is_text
from ..modality import with_modality
from ..quiet import quiet
from ..source import VolumeSource
from ..voxels import checked_voxels
from .header_text import has_geometry, raw_files
from .nifti_data import voxels_not_finite

T = TypeVar("T")

#: Which of ITK's readers reads which ending. Naming it spares ITK the search, and wrong endings give a clear error.
_READERS = {
    ".nii": "NiftiImageIO",
    ".nii.gz": "NiftiImageIO",
    ".nrrd": "NrrdImageIO",
    ".nhdr": "NrrdImageIO",
    ".mha": "MetaImageIO",
    ".mhd": "MetaImageIO",
}
_END_BYTES = 64 * 1024
#: ITK refuses NIfTI files whose sform is sheared, unless this variable is set when they are opened.
_PERMISSIVE = "ITK_NIFTI_SFORM_PERMISSIVE"


def image_ending(name: str) -> str:
    """The ending by which a file name says that it is an image file of these kinds; "" if it does not."""
    lower = name.lower()
    return next((ending for ending in sorted(_READERS, key=len, reverse=True) if lower.endswith(ending)), "")


@dataclass(frozen=True, repr=False)
class ImageFileSource(VolumeSource):
    """A volume in a file of its own. Its modality is inferred on reading if nothing else tells it."""

    def read(self) -> Volume:
        image, note = _opened(self.path, sitk.ImageFileReader.Execute)
        voxels = _three_dimensional(sitk.GetArrayFromImage(image))
        if image_ending(self.path.name) in (".nii", ".nii.gz"):
            places = voxels_not_finite(self.path)
            voxels.reshape(-1)[places[places < voxels.size]] = np.nan  # ITK has made them 0
        voxels, voxel_notes = checked_voxels(voxels, self.path)
        affine = _affine(image)
        return Volume(
            voxels=voxels,
            affine=affine,
            slices=SliceTable.regular(affine, voxels.shape[0]),
            identity=self.identity,
            files=self.files,
            attributes=with_modality(self.attributes, voxels),
            notes=(*self.notes, *note, *voxel_notes),
        )


def read_image_facts(stamp: FileStamp) -> FileFacts:
    """The facts of an image file from its header. Never raises for what the file holds."""
    path = Path(stamp.path)
    if stamp.size == 0:
        return failed("an empty file")
    try:
        for companion in raw_files(path):
            if not companion.is_file():
                return failed(f"its voxels should be in {companion.name}, which is not there")
        header, _ = _opened(path, _with_header)
        facts = _judge(path, stamp, header)
    except UnreadableFileError as error:
        return failed(error.reason)
    except NotAVolumeError as error:
        return skipped(error.reason)
    except OSError as error:
        return failed(f"not readable: {error.strerror or type(error).__name__}")
    return FileFacts(image=facts)


def _judge(path: Path, stamp: FileStamp, header: sitk.ImageFileReader) -> ImageFacts:
    size = [int(length) for length in header.GetSize()]
    if header.GetNumberOfComponents() > 1:
        raise NotAVolumeError(path, f"{header.GetNumberOfComponents()} values for each voxel (color or vector image)")
    if len(size) > 3 and max(size[3:]) > 1:
        raise NotAVolumeError(
            path,
            f"{len(size)}D ({'x'.join(map(str, size))}): a volume has 3 dimensions; save the time point or channel you "
            "want as a file of its own",
        )
    i, j, k = [*size, 1, 1][:3]
    shape = (i, j, k)
    if min(shape) < FEWEST_SLICES:
        raise NotAVolumeError(
            path, f"fewer than {FEWEST_SLICES} slices ({'x'.join(map(str, shape))} voxels): not a volume"
        )
    notes: tuple[str, ...] = ()
    if not has_geometry(path, header):
        notes = ("no orientation in the file: its axes are taken for left, back and up",)
    return ImageFacts(_fingerprint([path, *raw_files(path)]), shape, notes)


def _opened(path: Path, take: Callable[[sitk.ImageFileReader], T]) -> tuple[T, tuple[str, ...]]:
    """What is taken from a reader of the file, which gives float32; and a note on its geometry."""
    check_is_text(path)
    damaged = f"not readable as {image_ending(path.name)}: damaged, truncated or another kind of file"
    with quiet():
        try:
            return take(_reader_of(path)), ()
        except RuntimeError as error:
            if "orthonormal" not in str(error):
                raise UnreadableFileError(path, damaged) from error
        before = os.environ.get(_PERMISSIVE)
        os.environ[_PERMISSIVE] = "1"
        try:
            return take(_reader_of(path)), ("sheared orientation in the file: the nearest perpendicular one is used",)
        except RuntimeError as error:
            raise UnreadableFileError(path, damaged) from error
        finally:
            if before is None:
                del os.environ[_PERMISSIVE]
            else:
                os.environ[_PERMISSIVE] = before


def _reader_of(path: Path) -> sitk.ImageFileReader:
    reader = sitk.ImageFileReader()
    reader.SetImageIO(_READERS[image_ending(path.name)])
    reader.SetFileName(str(path))
    reader.SetOutputPixelType(sitk.sitkFloat32)
    return reader


def _with_header(reader: sitk.ImageFileReader) -> sitk.ImageFileReader:
    reader.ReadImageInformation()
    return reader


def _three_dimensional(voxels: np.ndarray) -> np.ndarray:
    """Without the dimensions of length 1 that 4D files put in front of [k, j, i]."""
    return voxels.reshape(voxels.shape[-3:]) if voxels.ndim > 3 else voxels


def _affine(image: sitk.Image) -> np.ndarray:
    """float64 [4, 4], ijk to RAS mm."""
    dimension = image.GetDimension()
    direction = np.array(image.GetDirection(), dtype=np.float64).reshape(dimension, dimension)[:3, :3]
    affine = np.eye(4)
    affine[:3, :3] = direction * np.array(image.GetSpacing()[:3])
    affine[:3, 3] = image.GetOrigin()[:3]
    return LPS_TO_RAS @ affine


def _fingerprint(paths: list[Path]) -> str:
    """Of size, time (whole seconds) and the first and last 64 KiB of each file."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            state = os.fstat(file.fileno())
            digest.update(f"{state.st_size} {state.st_mtime_ns // 1_000_000_000}\n".encode())
            digest.update(file.read(_END_BYTES))
            if state.st_size > _END_BYTES:
                file.seek(max(_END_BYTES, state.st_size - _END_BYTES))
                digest.update(file.read(_END_BYTES))
    return digest.hexdigest()[:32]
