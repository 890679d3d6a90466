"""A volume in a file of its own: NIfTI, NRRD or MetaImage."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import NotAVolumeError, UnreadableFileError
from ...volume import SliceTable, Volume
from ..dicom.header import failed, skipped
from ..dicom.telling_apart import FEWEST_SLICES
from ..facts import FileFacts, FileStamp, ImageFacts
from ..modality import with_modality
from ..reasons import EMPTY, not_readable
from ..source import VolumeSource
from ..voxels import checked_voxels
from .headers import image_header
from .image_header import ImageHeader
from .itk_geometry import affine_of
from .nifti_header import is_nifti_header
from .voxel_data import scaled_values

_END_BYTES = 64 * 1024


@dataclass(frozen=True, repr=False)
class ImageFileSource(VolumeSource):
    """A volume in a file of its own. Its modality is inferred on reading if nothing else tells it."""

    def read(self) -> Volume:
        header = image_header(self.path)
        affine, notes = affine_of(header)
        k, j, i = header.shape[::-1]
        voxels, voxel_notes = checked_voxels(scaled_values(header).reshape(k, j, i), self.path)
        return Volume(
            voxels=voxels,
            affine=affine,
            slices=SliceTable.regular(affine, voxels.shape[0]),
            identity=self.identity,
            files=self.files,
            attributes=with_modality(self.attributes, voxels),
            notes=(*self.notes, *notes, *voxel_notes),
        )


def read_image_facts(stamp: FileStamp) -> FileFacts:
    """The facts of an image file from its header."""
    path = Path(stamp.path)
    if stamp.size == 0:
        return failed(EMPTY)
    try:
        if path.suffix.lower() == ".hdr" and not _is_nifti(path):
            return skipped("not an image")  # ENVI, radiance pictures and others have this ending, too
        header = image_header(path)
        check_is_volume(header)
        header.check_extent()
    except UnreadableFileError as error:
        return failed(error.reason)
    except NotAVolumeError as error:
        return skipped(error.reason)
    except OSError as error:
        return failed(not_readable(error))
    files = [path, *(file for file in header.data.files if file != path)]
    return FileFacts(image=ImageFacts(_fingerprint(files), header.shape, header.notes))


def header_of_voxels(path: Path) -> str:
    """The name of the NIfTI or Analyze header next to a .img file that holds its voxels; "" if there is none."""
    lower = path.name.lower()
    ending = next((one for one in (".img", ".img.gz") if lower.endswith(one)), "")
    for other in (".hdr", ".HDR") if ending else ():
        header = path.with_name(path.name[: -len(ending)] + other)
        try:
            if header.is_file() and _is_nifti(header):
                return header.name
        except OSError:
            continue
    return ""


def check_is_volume(header: ImageHeader) -> None:
    """NotAVolumeError unless it has three dimensions, with one value for each voxel."""
    path, size = header.path, header.sizes
    if header.components > 1:
        raise NotAVolumeError(path, f"{header.components} values for each voxel (color or vector image)")
    if len(size) > 3 and max(size[3:]) > 1:
        raise NotAVolumeError(
            path,
            f"{len(size)}D ({'x'.join(map(str, size))}): a volume has 3 dimensions; save the time point or channel you "
            "want as a file of its own",
        )
    if min(header.shape) < FEWEST_SLICES:
        shape = "x".join(map(str, header.shape))
        raise NotAVolumeError(path, f"fewer than {FEWEST_SLICES} slices ({shape} voxels): not a volume")


def _is_nifti(path: Path) -> bool:
    with path.open("rb") as file:
        return is_nifti_header(file.read(4))


def _fingerprint(paths: Sequence[Path]) -> str:
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
